package verify

import "testing"

// Only the one member is overwritten, and no signed part.
func TestMask(t *testing.T) {
	for body, want := range map[string]string{
		`{"signature":"abc","data":{"signature":"abc"}}`:              `{"signature":"***","data":{"signature":"abc"}}`,
		` { "data" : "abc" , "\u0073ignature"` + "\n\t" + `: "a\"c"}`: ` { "data" : "abc" , "\u0073ignature"` + "\n\t" + `: "****"}`,
		`{"data":{},"signature":7}`:                                   `{"data":{},"signature":7}`,
		`{"signature":""}`:                                            `{"signature":""}`,
		`{"a":"signature"}`:                                           `{"a":"signature"}`,
		`[]`:                                                          `[]`,
		``:                                                            ``,
	} {
		got := []byte(body)
		if mask(got, "signature"); string(got) != want {
			t.Errorf("%s became %s", body, got)
		}
	}
	got := []byte(`{"":"abc"}`)
	if mask(got, ""); string(got) != `{"":"abc"}` {
		t.Errorf("became %s", got)
	}
}
