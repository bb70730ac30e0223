package docs_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// whole is an event with every attribute.
const whole = `{"specversion":"1.0","id":"0123456789abcdef0123456789abcdef","source":"/webhooks/flock","type":"com.withflock.invitee.accepted","subject":"invitee/i1",` +
	`"time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","provider":"flock","event":"invitee.accepted","entity":"invitee","entityid":"i1","userid":"u1",` +
	`"receivedtime":"2026-01-02T03:04:05.678Z","signed":"payload","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b","data":{"name":"invitee.accepted"}}`

// The schema has the attributes of package event, no fewer and no others, each with a description,
// and requires those that are always written.
func TestSchemaIsComplete(t *testing.T) {
	schema := compile(t, jsonschema.NewCompiler(), "event.schema.json")
	var known, described []string
	for name, property := range schema.Properties {
		described = append(described, name)
		if property.Description == "" {
			t.Errorf("%s is not described", name)
		}
	}
	var e event.Event
	expect.NoError(t, json.Unmarshal([]byte(whole), &e))
	for name := range parse(t, e.Encode()).(map[string]any) {
		known = append(known, name)
	}
	slices.Sort(known)
	slices.Sort(described)
	expect.Equal(t, known, described, "the attributes that the schema has")

	var required []string
	for name := range parse(t, (&event.Event{Data: []byte("{}")}).Encode()).(map[string]any) {
		required = append(required, name)
	}
	slices.Sort(required)
	slices.Sort(schema.Required)
	expect.Equal(t, required, schema.Required, "the attributes that the schema requires")
}

func TestSchemaRefuses(t *testing.T) {
	schema := compile(t, jsonschema.NewCompiler(), "event.schema.json")
	expect.NoError(t, schema.Validate(parse(t, []byte(whole))))
	broken := []struct{ from, to string }{
		{whole, `null`},
		{whole, `[` + whole + `]`},
		{`"specversion":"1.0"`, `"specversion":"0.3"`},
		{`"specversion":"1.0"`, `"specversion":1.0`},
		{`"id":"0123456789abcdef0123456789abcdef"`, `"id":""`},
		{`"id":"0123456789abcdef0123456789abcdef"`, `"id":"0123456789ABCDEF0123456789ABCDEF"`},
		{`"id":"0123456789abcdef0123456789abcdef"`, `"id":"0123456789abcdef0123456789abcdef0"`},
		{`/webhooks/flock`, `/webhooks/`},
		{`/webhooks/flock`, `/webhooks/Flock`},
		{`/webhooks/flock`, `/webhooks/flock/x`},
		{`/webhooks/flock`, `/webhooks/` + strings.Repeat("x", 33)},
		{`com.withflock.invitee.accepted`, ``},
		{`com.withflock.invitee.accepted`, `invitee.accepted`},
		{`com.withflock.invitee.accepted`, `com.frigade.invitee.accepted`},
		{`"subject":"invitee/i1"`, `"subject":""`},
		{`"subject":"invitee/i1"`, `"subject":"invitee"`},
		{`"subject":"invitee/i1",`, ``},
		{`"entity":"invitee",`, ``},
		{`"entityid":"i1",`, ``},
		{`"time":"2026-01-02T03:04:05Z"`, `"time":"2026-01-02 03:04:05Z"`},
		{`"time":"2026-01-02T03:04:05Z"`, `"time":"2026-02-30T03:04:05Z"`},
		{`"time":"2026-01-02T03:04:05Z"`, `"time":"2026-01-02T03:04:05,5Z"`},
		{`"time":"2026-01-02T03:04:05Z"`, `"time":1767323045`},
		{`application/json`, `text/plain`},
		{`"provider":"flock"`, `"provider":"other"`},
		{`"provider":"flock"`, `"provider":"frigade"`},
		{`"event":"invitee.accepted"`, `"event":""`},
		{`"event":"invitee.accepted"`, `"event":"invitee\naccepted"`},
		{`"event":"invitee.accepted"`, `"event":"invitee\u0085accepted"`},
		{`"event":"invitee.accepted"`, `"event":"invitee\uffffaccepted"`},
		{`"event":"invitee.accepted"`, `"event":null`},
		{`"entityid":"i1"`, `"entityid":1`},
		{`"userid":"u1"`, `"userid":7`},
		{`"userid":"u1"`, `"userid":""`},
		{`"userid":"u1"`, `"userid":"\u007f"`},
		{`05.678Z`, `05Z`},
		{`05.678Z`, `05.678+00:00`},
		{`"signed":"payload"`, `"signed":"auto"`},
		{`"signed":"payload"`, `"signed":"data"`},
		{`"traceparent":"00-`, `"traceparent":"0-`},
		{`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",`, ``},
		{`{"name":"invitee.accepted"}`, `{}`},
		{`{"name":"invitee.accepted"}`, `[]`},
		{`{"name":"invitee.accepted"}`, `"{}"`},
		{`"data":`, `"data_base64":"e30=","data":`},
		{`"data":`, `"entityId":"i1","data":`},
		{`"data":`, `"later":{},"data":`},
		{`"data":`, `"later":0.5,"data":`},
		{`"data":`, `"":"x","data":`},
	}
	for _, name := range schema.Required {
		broken = append(broken, struct{ from, to string }{`"` + name + `":`, `"x` + name + `":`})
	}
	for _, b := range broken {
		text := strings.Replace(whole, b.from, b.to, 1)
		if text == whole {
			t.Errorf("%s isn't there", b.from)
		}
		if err := schema.Validate(parse(t, []byte(text))); err == nil {
			t.Errorf("%s instead of %s was accepted", b.to, b.from)
		}
	}
	for _, more := range []string{`"later":"x",`, `"dataschema":"https://example.com/x",`, `"sampledrate":30,"partitionkey":"x","0":true,`} {
		if err := schema.Validate(parse(t, []byte("{"+more+whole[1:]))); err != nil {
			t.Errorf("with %s: %v", more, err)
		}
	}
}
