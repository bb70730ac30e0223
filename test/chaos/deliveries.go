//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/frigade"
)

// kind is a delivery's kind, and so the answers that it may get.
type kind int

const (
	anEvent       kind = iota
	unreadable         // correctly signed, without a name: 200, and in quarantine
	stale              // correctly signed and too old: 401, and in quarantine
	contradiction      // what isn't signed doesn't fit what is: 401, and in quarantine
	forged             // not signed, or wrongly: 401, and kept nowhere
)

func (k kind) String() string {
	return [...]string{"event", "unreadable", "stale", "contradiction", "forged"}[k]
}

// post is a delivery as it is sent.
type post struct {
	kind       kind
	provider   *verify.Provider
	signatures []string // one, but in forgeries
	body       []byte
	id         string // which the bridge must give it
	keptAs     string // and in quarantine: of what was signed alone
	sum        uint64 // of the body, canonical, as it must be stored
}

// The endpoints' secrets.
var secrets = map[string]secret.Secret{
	flock.Provider.Name: secret.New("flock of this run"), frigade.Provider.Name: secret.New("frigade of this run"),
}

var hashSeed = maphash.MakeSeed()

func sumOf(body []byte) uint64 { return maphash.Bytes(hashSeed, body) }

// compose makes a delivery of its kind.
func compose(rng *rand.Rand, k kind, provider *verify.Provider, name string) (post, error) {
	p := post{kind: k, provider: provider}
	scheme := provider.Signature.Schemes[0].Name
	when := time.Now()
	if provider.Name == flock.Provider.Name {
		scheme = verify.Payload
		if k == contradiction || k == anEvent && rng.IntN(4) == 0 {
			scheme = flock.TimestampData
		}
	}
	if k == stale {
		when = when.Add(-48 * time.Hour)
	}
	body, err := bodyOf(rng, provider, name)
	if err == nil {
		body, err = provider.Renew(body, when)
	}
	if err == nil && k == unreadable {
		body, err = json.Marshal(map[string]any{"notice": name, "timestamp": when.Unix()})
	}
	if err != nil {
		return p, fmt.Errorf("composing delivery: %w", err)
	}
	signed, err := provider.Sign(verify.Signing{Scheme: scheme, Key: secrets[provider.Name], Body: body})
	if err != nil {
		return p, fmt.Errorf("composing delivery: %w", err)
	}
	p.signatures = signed[provider.Signature.Header]
	switch k {
	case contradiction:
		body = []byte(strings.Replace(string(body), `"entityId":"`, `"entityId":"not `, 1))
	case forged:
		if body, err = p.forge(rng, scheme, body); err != nil {
			return p, fmt.Errorf("composing delivery: %w", err)
		}
	}
	return p.identified(scheme, body)
}

// forge falsifies a correctly signed delivery in one of several ways.
func (p *post) forge(rng *rand.Rand, scheme string, body []byte) (_ []byte, err error) {
	right := p.signatures[0]
	switch rng.IntN(6) {
	case 0:
		p.signatures = nil
	case 1:
		p.signatures = []string{""}
	case 2:
		p.signatures = []string{right[:1+rng.IntN(len(right)-2)]} // two less: base64 does without its padding
	case 3: // which of them counts would be a guess
		p.signatures = []string{right, "0" + right}
	case 4:
		body = p.provider.Tamper(body, scheme)
	case 5:
		var signed http.Header
		signed, err = p.provider.Sign(verify.Signing{Scheme: scheme, Key: secret.New("somebody else's"), Body: body})
		p.signatures = signed[p.provider.Signature.Header]
	}
	return body, err
}

// bodyOf makes a random body; some are large.
func bodyOf(rng *rand.Rand, provider *verify.Provider, name string) ([]byte, error) {
	if provider.Name != flock.Provider.Name {
		return provider.NewBody("flowResponse."+[]string{"completedStep", "startedFlow", "skippedStep"}[rng.IntN(3)], nil, name)
	}
	padding := rng.IntN(600)
	if rng.IntN(20) == 0 {
		padding = rng.IntN(20_000)
	}
	data, err := json.Marshal(map[string]any{"campaignId": "c", "invitee": map[string]string{"id": name}, "note": strings.Repeat("x", padding)})
	if err != nil {
		return nil, err
	}
	return provider.NewBody("invitee."+[]string{"accepted", "visited", "rewarded"}[rng.IntN(3)], data, name)
}

// identified computes the event's id, independently of the bridge.
func (p post) identified(scheme string, body []byte) (post, error) {
	text, err := stringify.Parse(body)
	if err != nil {
		return p, fmt.Errorf("composing delivery: %w", err)
	}
	p.body, p.sum = body, sumOf(text)
	signed, name := [][]byte{text}, []byte(nil)
	switch scheme {
	case flock.TimestampData:
		quoted := text.Member("name")
		signed, name = [][]byte{text.Member("timestamp"), text.Member("data")}, quoted[1:len(quoted)-1]
		if p.kind == contradiction { // in quarantine the id is of what was signed alone
			name = nil
		}
	case frigade.Data:
		signed = [][]byte{text.Member("data")}
	}
	p.id, p.keptAs = event.ID(p.provider.Name, signed, name), event.ID(p.provider.Name, signed, nil)
	return p, nil
}
