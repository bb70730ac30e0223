package ingest_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/vectors"
)

// webhook is a delivery that must be accepted, with the expected values of its message.
type webhook struct {
	name       string
	provider   *verify.Provider
	endpoint   string
	scheme     string
	freshness  string
	tolerance  time.Duration
	now        time.Time
	secrets    []string
	signatures []string
	header     http.Header // all of it, in place of signatures
	body       string
	asSent     bool // the body was signed as it was sent

	id         string            // "" if only the golden file has it
	signed     string            // what the signature covers
	event      string            // the subject's event part
	attributes map[string]string // those that depend on the body; "" for one that is left out
}

// webhooks returns the accepted vectors of every provider, a few of them for endpoints with other names,
// too, and unusual deliveries.
func webhooks(t *testing.T) []webhook {
	t.Helper()
	var all []webhook
	for _, p := range providers.All {
		own := accepted(t, p)
		all = append(all, own...)
		for _, endpoint := range []string{p.Name + "-eu", "0" + strings.Repeat("-", 31)} {
			for _, w := range own[:min(2, len(own))] {
				w.name += ", to " + endpoint
				w.endpoint, w.id = endpoint, ""
				all = append(all, w)
			}
		}
	}
	return append(append(all, unusual(t)...), presets(t)...)
}

// presets returns the accepted vectors of the presets.
func presets(t *testing.T) (all []webhook) {
	t.Helper()
	for _, preset := range providers.Presets {
		for _, v := range vectors.Read(t, preset.Name, filepath.Join("../verify/hmac/testdata", preset.Name+".json")) {
			if v.Claims == nil {
				continue
			}
			environ := []string{"ENDPOINTS_0_NAME=hooks", "ENDPOINTS_0_PROVIDER=" + preset.Name, "ENDPOINTS_0_SECRETS=" + strings.Join(v.Secrets, ",")}
			for name, value := range v.Settings {
				environ = append(environ, "ENDPOINTS_0_"+name+"="+value)
			}
			c, _, err := config.Load(environ)
			expect.NoError(t, err)
			e := c.Endpoints[0]
			w := webhook{
				name: preset.Name + "/" + v.Name, provider: e.Vendor, endpoint: e.Name, scheme: e.Signature, tolerance: e.Tolerance,
				now: v.Now, header: http.Header{}, body: v.Body, id: v.Claims.ID, signed: v.Claims.Scheme, event: notToken.ReplaceAllString(v.Claims.Name, "_"),
				attributes: map[string]string{"type": e.Vendor.TypePrefix + v.Claims.Name, "event": v.Claims.Name, "time": v.Claims.Time, "userid": v.Claims.UserID},
			}
			for _, s := range e.Secrets {
				w.secrets = append(w.secrets, string(s.Key()))
			}
			for _, h := range v.Headers {
				w.header.Add(h[0], h[1])
			}
			all = append(all, w)
		}
	}
	return all
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// accepted returns the accepted vectors of a provider, whose claims were written by Node.
func accepted(t *testing.T, p *verify.Provider) (all []webhook) {
	for _, v := range vectors.Read(t, p.Name, filepath.Join("../verify", p.Name, "testdata", "vectors.json")) {
		c := v.Claims
		if c == nil {
			continue
		}
		w := webhook{
			name: p.Name + "/" + v.Name, provider: p, endpoint: p.Name, scheme: v.Scheme, freshness: v.Freshness,
			tolerance: v.Tolerance.Duration, now: v.Now, secrets: v.Secrets, body: v.Body, asSent: v.AsSent, id: c.ID, signed: c.Scheme, event: c.Name,
			attributes: map[string]string{
				"type": p.TypePrefix + c.Name, "event": c.Name, "time": c.Time, "entity": c.Entity, "entityid": c.EntityID, "userid": c.UserID,
			},
		}
		if c.Entity != "" && c.EntityID != "" {
			w.attributes["subject"] = c.Entity + "/" + c.EntityID
		}
		for _, h := range v.Headers {
			w.signatures = append(w.signatures, h[1])
		}
		all = append(all, w)
	}
	return all
}

// unusual returns deliveries that no known vendor sends: their text isn't allowed in CloudEvents or NATS.
func unusual(t *testing.T) []webhook {
	t.Helper()
	var all []webhook
	var file []struct {
		Name, Provider, Body, Event string
		Says                        map[string]string
	}
	read(t, filepath.Join("testdata", "odd.json"), &file)
	for _, o := range file {
		for _, p := range providers.All {
			if p.Name != o.Provider {
				continue
			}
			header, err := p.Sign(verify.Signing{Scheme: verify.Payload, Key: secret.New("right"), Body: []byte(o.Body)})
			expect.NoError(t, err)
			all = append(all, webhook{
				name: "odd/" + o.Name, provider: p, endpoint: p.Name, scheme: verify.Payload, tolerance: p.Time.Tolerance,
				now: time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC), secrets: []string{"right"}, signatures: header[p.Signature.Header],
				body: o.Body, signed: verify.Payload, event: o.Event, attributes: o.Says,
			})
		}
	}
	if len(all) != len(file) {
		t.Fatal("odd.json has an unknown provider")
	}
	return all
}

// read reads a JSON file.
func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	expect.NoError(t, err)
	expect.NoErrorf(t, json.Unmarshal(content, into), "%s", file)
}
