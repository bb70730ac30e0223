package verify

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

func lines[T any](t *testing.T, file string) []T {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		var v T
		if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, v)
	}
	return all
}

func body(t *testing.T, file string) stringify.Text {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := stringify.Parse(bytes.TrimSpace(src))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ageless is a tolerance that no vector's time exceeds.
const ageless = 100 * 365 * 24 * time.Hour

// The signatures were made with Node, as the vendors' pages say.
func TestNodeSignatures(t *testing.T) {
	type line struct {
		File, Secret     string
		BodyHex          string `json:"body_hex"`
		TimestampDataHex string `json:"ts_plus_data_hex"`
		DataBase64       string `json:"data_base64"`
		DataHex          string `json:"data_hex"`
		BodyBase64       string `json:"body_base64"`
	}
	for _, l := range lines[line](t, "signatures.jsonl") {
		for _, s := range []struct {
			provider  Provider
			scheme    string
			signature string
			want      string
		}{
			{Flock, Payload, l.BodyHex, Payload},
			{Flock, Auto, l.BodyHex, Payload},
			{Flock, TimestampData, l.TimestampDataHex, TimestampData},
			{Flock, Auto, l.TimestampDataHex, TimestampData},
			{Frigade, Data, l.DataBase64, Data},
			{Frigade, Data, l.DataHex, Data},
			{Frigade, Payload, l.BodyBase64, Payload},
		} {
			if s.signature == "" {
				continue // of the other vendor
			}
			r := Request{
				Body: body(t, l.File), Signatures: []string{s.signature}, Scheme: s.scheme, Tolerance: ageless,
				Secrets: []secret.Secret{secret.New("other"), secret.New(l.Secret)}, Now: time.Now(),
			}
			if s.want == TimestampData && r.Body.Member("timestamp") == nil {
				continue
			}
			c, err := s.provider.Verify(r)
			if err != nil || c.Scheme != s.want || c.Secret != 1 || c.Name == "" || c.Time == "" {
				t.Errorf("%s as %s: %+v, %v", l.File, s.scheme, c, err)
			}
		}
	}
}

func TestIDs(t *testing.T) {
	type line struct{ File, Body, Endpoint, Signed, ID string }
	key := secret.New("test")
	for _, l := range lines[line](t, "ids.jsonl") {
		text, provider := stringify.Text(nil), Frigade
		if l.File != "" {
			text = body(t, l.File)
		} else {
			text = parse(t, l.Body)
		}
		signed := [][]byte{text.Member("data")}
		switch l.Signed {
		case Payload:
			signed, provider = [][]byte{text}, Flock
		case TimestampData:
			signed, provider = [][]byte{text.Member("timestamp"), text.Member("data")}, Flock
		}
		c, err := provider.Verify(Request{
			Body: text, Signatures: []string{hex.EncodeToString(Sum(key, signed...))}, Secrets: []secret.Secret{key},
			Scheme: l.Signed, Tolerance: ageless, Now: time.Now(),
		})
		if err != nil {
			t.Errorf("%s: %v", l.File, err)
			continue
		}
		if id := event.ID(l.Endpoint, c.SignedText, c.IDName); id != l.ID {
			t.Errorf("%s%s as %s: id %s, want %s", l.File, l.Body, l.Signed, id, l.ID)
		}
	}
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const flockBody = `{"name":"invitee.accepted","entity":"invitee","entityId":"i1","data":{"referrer":{"id":"r1"},"invitee":{"id":"i1"}},"timestamp":1767323045}`

func parse(t *testing.T, body string) stringify.Text {
	t.Helper()
	text, err := stringify.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A MAC has one spelling in each encoding: the last character of unpadded base64 has two bits to spare.
func TestBase64IsStrict(t *testing.T) {
	const zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for text, want := range map[string]bool{
		zero: true, zero + "=": true, zero[:42] + "B": false, zero[:42] + "C": false, zero[:42] + "B=": false, zero[:42] + "E": true,
		zero[:42] + "=": false, zero[:41] + "A==": false, zero[:20] + "+-" + zero[22:]: false, zero + "==": false, zero[:42] + "\n": false, "": false,
	} {
		if _, got := decodeHexOrBase64(text); got != want {
			t.Errorf("%q is decoded: %v, want %v", text, got, want)
		}
	}
}

// With an empty key anybody could sign.
func TestEmptySecretVerifiesNothing(t *testing.T) {
	empty := secret.New("")
	text := parse(t, flockBody)
	_, err := Flock.Verify(Request{
		Body: text, Signatures: []string{hex.EncodeToString(Sum(empty, text))}, Secrets: []secret.Secret{empty},
		Scheme: Auto, Tolerance: Flock.Tolerance, Now: now,
	})
	if !errors.Is(err, WrongSignature) {
		t.Errorf("Verify = %v", err)
	}
}
