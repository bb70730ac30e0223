// Package delivery makes signed deliveries as the vendors would send them: for `bridge send`, the
// demo and the tests.
package delivery

import (
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

//go:embed samples/*.json
var samples embed.FS

// Samples returns bodies of the provider's events: those that its pages show, and realistic ones.
func Samples(provider verify.Provider) ([][]byte, error) {
	files, err := samples.ReadDir("samples")
	if err != nil {
		return nil, fmt.Errorf("reading samples: %w", err)
	}
	var bodies [][]byte
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), provider.Name+"-") {
			continue
		}
		body, err := samples.ReadFile(path.Join("samples", file.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading samples: %w", err)
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

// Events has the event that is sent for a provider where nobody names one.
var Events = map[string]string{verify.Flock.Name: "invitee.accepted", verify.Frigade.Name: "flowResponse.completedStep"}

// Known has the events that are known of a provider, from its pages and from those who use it. It may send
// others.
var Known = map[string][]string{
	verify.Flock.Name: {
		"campaign.ended", "campaign.launched", "invitee.accepted", "invitee.reward_claimed", "invitee.rewarded", "invitee.visited",
		"referrer.reward_claimed", "referrer.rewarded", "referrer.visited",
	},
	verify.Frigade.Name: {
		"flowResponse.abortedFlow", "flowResponse.completedFlow", "flowResponse.completedStep", "flowResponse.notStartedFlow", "flowResponse.notStartedStep",
		"flowResponse.skippedFlow", "flowResponse.skippedStep", "flowResponse.startedFlow", "flowResponse.startedStep",
	},
}

// Compose returns the body of an event of that name. data is the body's data; with nil it is made up,
// and id makes it one of its kind.
func Compose(provider verify.Provider, name string, data []byte, id string) ([]byte, error) {
	first, rest, _ := strings.Cut(name, ".")
	if data != nil {
		text, err := stringify.Parse(data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("composing delivery: data: %w", err)
		case !text.IsObject():
			return nil, errors.New("composing delivery: data is not a JSON object")
		}
		data = text
	}
	var body object
	switch provider.Name {
	case verify.Flock.Name:
		if data == nil {
			data = object{
				{"campaignId", quoted("campaign_12345")},
				{first, object{{"id", quoted(id)}}.text()},
			}.text()
		}
		entityID := []byte(stringify.Text(data).Member(first).Member("id"))
		if entityID == nil {
			entityID = quoted(id)
		}
		body = object{{"name", quoted(name)}, {"entity", quoted(first)}, {"entityId", entityID}, {"data", data}, {"timestamp", []byte("0")}}
	case verify.Frigade.Name:
		if data == nil {
			data = object{
				{"id", quoted("flowResponse_" + id)},
				{"flowSlug", quoted("flow_12345")},
				{"stepId", quoted("welcome")},
				{"actionType", quoted(upperSnake(rest))},
				{"data", quoted("{}")},
				{"createdAt", quoted("")},
				{"foreignUserId", quoted("user_12345")},
			}.text()
		}
		body = object{{"timeout", []byte("1000")}, {"type", quoted(name)}, {"data", data}, {"time", quoted("")}}
	default:
		return nil, fmt.Errorf("composing delivery: unknown provider %q", provider.Name)
	}
	return body.text(), nil
}

// Renew returns the body with its times set to t.
func Renew(provider verify.Provider, body []byte, t time.Time) ([]byte, error) {
	o, err := parse(body)
	if err != nil {
		return nil, err
	}
	written := quoted(t.UTC().Format("2006-01-02T15:04:05.000Z"))
	switch provider.Name {
	case verify.Flock.Name:
		o = o.set("timestamp", fmt.Append(nil, t.Unix()))
	case verify.Frigade.Name:
		o = o.set("time", written)
		data, err := parse(o.get("data"))
		if err != nil {
			return nil, errors.New("the body has no data that is a JSON object, as Frigade's has")
		}
		if data.get("createdAt") != nil {
			o = o.set("data", data.set("createdAt", written).text())
		}
	}
	return o.text(), nil
}

// Sign returns the value of the provider's signature header: what the vendor's page says the
// signature covers by that scheme, in the encoding of the page's code.
func Sign(provider verify.Provider, scheme string, key secret.Secret, body []byte) (string, error) {
	text, err := stringify.Parse(body)
	if err != nil {
		return "", fmt.Errorf("signing delivery: %w", err)
	}
	signed := [][]byte{text}
	switch scheme {
	case verify.TimestampData:
		signed = [][]byte{text.Member("timestamp"), text.Member("data")}
	case verify.Data:
		signed = [][]byte{text.Member("data")}
	}
	mac := verify.Sum(key, signed...)
	if provider.Name == verify.Frigade.Name {
		return base64.StdEncoding.EncodeToString(mac), nil
	}
	return hex.EncodeToString(mac), nil
}

// Tamper returns the body with its data changed, so that no signature over it holds.
func Tamper(body []byte) ([]byte, error) {
	o, err := parse(body)
	if err != nil {
		return nil, err
	}
	data, err := parse(o.get("data"))
	if err != nil {
		return nil, err
	}
	return o.set("data", data.set("tampered", []byte("true")).text()).text(), nil
}

// upperSnake turns completedStep into COMPLETED_STEP.
func upperSnake(camel string) string {
	var b strings.Builder
	for _, c := range camel {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

func quoted(text string) []byte {
	encoded, err := json.Marshal(text)
	if err != nil { // of a string: can't be
		panic(err)
	}
	return encoded
}
