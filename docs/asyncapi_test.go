package docs_test

import (
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// asyncAPI is the part of asyncapi.yaml that the tests need. The official parser, in
// test/cloudevents, checks that the document is valid.
type asyncAPI struct {
	DefaultContentType string `yaml:"defaultContentType"`
	Servers            struct {
		NATS struct {
			Host      string
			Variables map[string]struct{ Default string }
		}
	}
	Channels struct {
		Events struct {
			Address    string
			Parameters map[string]struct {
				Default  string
				Examples []string
				Pattern  string `yaml:"x-pattern"`
			}
			JetStream struct {
				Stream   string
				Subjects []string
				MaxAge   string `yaml:"maxAge"`
			} `yaml:"x-jetstream"`
		}
	}
	Components struct {
		Messages struct {
			Event struct {
				ContentType string `yaml:"contentType"`
				Headers     struct {
					Required   []string
					Properties map[string]any
				}
				Examples []struct {
					Headers map[string]string
					Payload any
				}
			}
		}
	}
}

// document returns asyncapi.yaml, along with a compiler that knows it by that name, references to
// other documents included.
func document(t *testing.T) (d asyncAPI, c *jsonschema.Compiler) {
	t.Helper()
	content, err := os.ReadFile("asyncapi.yaml")
	expect.NoError(t, err)
	var whole any
	expect.NoError(t, yaml.Unmarshal(content, &whole))
	expect.NoError(t, yaml.Unmarshal(content, &d))
	c = jsonschema.NewCompiler()
	absolute, err := filepath.Abs("asyncapi.yaml")
	expect.NoError(t, err)
	expect.NoError(t, c.AddResource(absolute, parse(t, encode(t, whole))))
	return d, c
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	expect.NoError(t, err)
	return text
}

// The channel's address matches the subjects of all messages, and no invalid subject.
func TestAsyncAPIAddress(t *testing.T) {
	d, _ := document(t)
	events := d.Channels.Events
	pattern := regexp.QuoteMeta(events.Address)
	for name, p := range events.Parameters {
		one := regexp.MustCompile("^(?:" + p.Pattern + ")$")
		for _, example := range append(p.Examples, p.Default) {
			if example != "" && !one.MatchString(example) {
				t.Errorf("%s is no %s", example, name)
			}
		}
		if p.Default != "" {
			p.Pattern = regexp.QuoteMeta(p.Default)
		}
		pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("{"+name+"}"), "(?P<"+name+">"+p.Pattern+")")
	}
	address := regexp.MustCompile("^" + pattern + "$")
	for _, m := range golden(t) {
		var says struct{ Source, Event string }
		expect.NoError(t, json.Unmarshal([]byte(m.Payload), &says))
		parts := address.FindStringSubmatch(m.Subject)
		if parts == nil {
			t.Errorf("%s is no address", m.Subject)
			continue
		}
		if endpoint := parts[address.SubexpIndex("endpoint")]; "/webhooks/"+endpoint != says.Source {
			t.Errorf("%s: the endpoint is %s, the source %s", m.Subject, endpoint, says.Source)
		}
		// A valid name stands unchanged in the address.
		if event := parts[address.SubexpIndex("event")]; address.MatchString("webhooks.flock."+says.Event) && len(says.Event) <= 200 && event != says.Event {
			t.Errorf("%s: the event is %s", m.Subject, says.Event)
		}
	}
	for _, other := range []string{
		"webhooks.flock", "webhooks.flock.", "webhooks..a", "webhooks.flock.a.", "webhooks.flock.a..b", "webhooks.Flock.a", "webhooks.flock.*", "webhooks.flock.>",
		"webhooks.flock.a b", "webhooks.flock.zoë", "webhooks.flock.1.2.3.4.5.6.7.8.9", "hooks.flock.a", "webhooks." + strings.Repeat("x", 33) + ".a", "webhooks-quarantine.flock.a",
	} {
		if address.MatchString(other) {
			t.Errorf("%s is an address", other)
		}
	}
}

// Every message has the headers that are documented, and no others.
func TestAsyncAPIHeaders(t *testing.T) {
	d, c := document(t)
	event := d.Components.Messages.Event
	schema := compile(t, c, "asyncapi.yaml#/components/messages/event/headers")
	for _, m := range golden(t) {
		if err := schema.Validate(parse(t, encode(t, m.Headers))); err != nil {
			t.Errorf("the headers of %s aren't as documented: %v", m.Vector, err)
		}
		expect.Equal(t, slices.Sorted(maps.Keys(event.Headers.Properties)), slices.Sorted(maps.Keys(m.Headers)), "%s: the headers, which must be those documented", m.Vector)
		if sent := m.Headers["Content-Type"]; sent != event.ContentType || sent != d.DefaultContentType {
			t.Errorf("%s: Content-Type %q; documented are %q and %q", m.Vector, sent, event.ContentType, d.DefaultContentType)
		}
		for _, name := range event.Headers.Required {
			without := maps.Clone(m.Headers)
			delete(without, name)
			if schema.Validate(parse(t, encode(t, without))) == nil {
				t.Errorf("%s: it would do without %s", m.Vector, name)
			}
		}
	}
}

// The payload is what event.schema.json describes, and every message that is published is one.
func TestAsyncAPIPayload(t *testing.T) {
	_, c := document(t)
	schema := compile(t, c, "asyncapi.yaml#/components/messages/event/payload")
	for _, m := range golden(t) {
		if err := schema.Validate(parse(t, []byte(m.Payload))); err != nil {
			t.Errorf("the payload of %s isn't as documented: %v", m.Vector, err)
		}
	}
	if schema.Validate(parse(t, []byte(`{}`))) == nil {
		t.Error("the payload may be anything")
	}
}

// The examples are messages that were published.
func TestAsyncAPIExamples(t *testing.T) {
	d, _ := document(t)
	published := make(map[string]message)
	for _, m := range golden(t) {
		published[string(encode(t, m.Headers))+string(encode(t, parse(t, []byte(m.Payload))))] = m
	}
	for _, e := range d.Components.Messages.Event.Examples {
		_, ok := published[string(encode(t, e.Headers))+string(encode(t, parse(t, encode(t, e.Payload))))]
		if !ok {
			t.Errorf("%s with %v was never published", encode(t, e.Payload), e.Headers)
		}
	}
}

// The defaults in the document are those of the configuration.
func TestAsyncAPIDefaults(t *testing.T) {
	d, _ := document(t)
	c, _, err := config.Load([]string{"FLOCK_SECRETS=x"})
	expect.NoError(t, err)
	host, port, err := net.SplitHostPort(c.EmbeddedNATSAddr)
	expect.NoError(t, err)
	defaults := make(map[string]string)
	for _, v := range c.Variables() {
		defaults[v.Name] = v.Default
	}
	server, stream := d.Servers.NATS, d.Channels.Events.JetStream
	for _, test := range []struct{ what, documented, is string }{
		{"the server", server.Host, "{host}:{port}"},
		{"the server's host", server.Variables["host"].Default, host},
		{"the server's port", server.Variables["port"].Default, port},
		{"the address", d.Channels.Events.Address, "{prefix}.{endpoint}.{event}"},
		{"the prefix", d.Channels.Events.Parameters["prefix"].Default, c.SubjectPrefix},
		{"the stream", stream.Stream, c.StreamName},
		{"the stream's subjects", strings.Join(stream.Subjects, " "), "{prefix}.>"},
		{"the stream's age", stream.MaxAge, defaults["STREAM_MAX_AGE"]},
	} {
		expect.Equal(t, test.is, test.documented, "how %s is documented", test.what)
	}
}

// The document and the configuration allow the same prefixes and endpoint names.
func TestAsyncAPIPatterns(t *testing.T) {
	d, _ := document(t)
	for name, variable := range map[string]string{"prefix": "SUBJECT_PREFIX", "endpoint": "ENDPOINTS_0_NAME"} {
		pattern := regexp.MustCompile("^(?:" + d.Channels.Events.Parameters[name].Pattern + ")$")
		for _, value := range []string{
			"a", "0", "-", "_", "-a", "a-", "a_b", "A", "a.b", "a..b", ".a", "a.", "a b", "a*", ">", "é", "a\n", strings.Repeat("x", 32), strings.Repeat("x", 33),
		} {
			_, _, err := config.Load([]string{"FLOCK_SECRETS=x", "ENDPOINTS_0_PROVIDER=flock", "ENDPOINTS_0_SECRETS=x", "ENDPOINTS_0_NAME=other", variable + "=" + value})
			if documented := pattern.MatchString(value); documented != (err == nil) {
				t.Errorf("%s=%q: documented %v, %v", variable, value, documented, err)
			}
		}
	}
}
