// Package docs_test checks the documents here that programs read against the messages that the
// bridge publishes.
package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// message is a message as it was published: see internal/ingest/messages_test.go.
type message struct {
	Vector, Subject, Payload string
	Headers                  map[string]string
}

func golden(t *testing.T) []message {
	t.Helper()
	content, err := os.ReadFile("../internal/ingest/testdata/messages.ndjson")
	expect.NoError(t, err)
	var all []message
	for line := range bytes.Lines(content) {
		var m message
		expect.NoError(t, json.Unmarshal(line, &m))
		all = append(all, m)
	}
	if len(all) == 0 {
		t.Fatal("there is no message")
	}
	return all
}

// parse reads JSON as package jsonschema wants it, numbers as they are written.
func parse(t *testing.T, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	expect.NoErrorf(t, err, "%s", text)
	return value
}

// compile compiles a schema with its formats asserted.
func compile(t *testing.T, c *jsonschema.Compiler, where string) *jsonschema.Schema {
	t.Helper()
	c.AssertFormat()
	schema, err := c.Compile(where)
	expect.NoError(t, err)
	return schema
}
