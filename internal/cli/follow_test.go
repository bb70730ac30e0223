package cli

import "testing"

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"webhooks.>", "webhooks.>", true},
		{"webhooks.>", "webhooks.flock.>", true},
		{"webhooks.>", "webhooks.*.invitee.accepted", true},
		{"webhooks.>", "*.flock.>", true},
		{"webhooks.>", ">", true},
		{"webhooks.>", "flock.>", false},
		{"webhooks.>", "webhooks", false},
		{"webhooks.*", "webhooks.flock.a", false},
		{"webhooks.*", "*.flock", true},
		{"webhooks.flock", "webhooks.frigade", false},
		{"webhooks.flock.a", "webhooks.flock.a", true},
	} {
		if overlap(test.a, test.b) != test.want || overlap(test.b, test.a) != test.want {
			t.Errorf("overlap of %s and %s: want %t", test.a, test.b, test.want)
		}
	}
}

func TestIsSubject(t *testing.T) {
	for text, want := range map[string]bool{
		"webhooks": true, "webhooks.flock": true, "webhooks.*.a": true, "webhooks.>": true, ">": true, "*": true, "wéb.a>b": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "a b": false, "a\tb": false, "a.>.b": false, "a\nb": false,
	} {
		if isSubject(text) != want {
			t.Errorf("isSubject(%q): want %t", text, want)
		}
	}
}
