// Package vectors reads the vendors' deliveries with their expected results.
// internal/verify/testdata/make-vectors.mjs makes them with Node's JSON.stringify and HMAC, except for
// the examples of the vendors' pages, which are as published.
package vectors

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Vector is a delivery with the expected result.
type Vector struct {
	Name      string
	Settings  map[string]string // by variable
	Scheme    string
	Freshness string
	Tolerance duration
	Now       time.Time
	Secrets   []string
	Headers   [][2]string
	Body      string
	File      string // it was read from
	AsSent    bool   // it is signed over what was sent
	Error     string // a Refusal
	Untimed   string // the Refusal of what is refused for its time, once time isn't checked; "" for none
	Claims    *Claims
	// Unsigned has the members of the body, or the headers, that a holder of the delivery can change
	// without the secret, and what that changes: "nothing", "the time", "the name", "another event" with
	// another id, or "anything" that isn't looked at. "*" is any other member.
	Unsigned map[string]string
}

// Claims are the expected claims, with the event's id.
type Claims struct {
	Scheme, Name, Entity, EntityID, UserID, Time, ID string
	Secret                                           int
}

type duration struct{ time.Duration }

func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// Read returns a provider's vectors, from a file in its testdata.
func Read(t testing.TB, provider, file string) []Vector {
	t.Helper()
	content, err := os.ReadFile(file)
	expect.NoErrorf(t, err, "every provider has vectors")
	var all struct {
		Provider string
		Vectors  []Vector
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&all); err != nil || all.Provider != provider {
		t.Fatalf("%s: %v, provider %q, want %q", file, err, all.Provider, provider)
	}
	for i, v := range all.Vectors {
		if v.File != "" {
			body, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", v.File))
			expect.NoError(t, err)
			all.Vectors[i].Body = string(bytes.TrimSpace(body))
		}
	}
	return all.Vectors
}

// Request returns the delivery as a provider's Verify takes it, but for the canonical body.
func (v Vector) Request() verify.Request {
	r := verify.Request{Header: http.Header{}, Raw: []byte(v.Body), Scheme: v.Scheme, Freshness: v.Freshness, Tolerance: v.Tolerance.Duration, Now: v.Now}
	for _, s := range v.Secrets {
		r.Secrets = append(r.Secrets, secret.New(s))
	}
	for _, h := range v.Headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}
