package config

import (
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// `bridge config` shows every variable and no secret.
func TestVariables(t *testing.T) {
	// Two users are a mistake, and all is shown nevertheless.
	c, _, _ := Load([]string{
		"FLOCK_SECRETS=marked,marked2", "NATS_URL=nats://marked:marked@nats:4222", "NATS_TOKEN=marked", "NATS_PASSWORD=marked", "NATS_USER=u",
		"ENDPOINTS_0_NAME=hub", "ENDPOINTS_0_PROVIDER=github", "ENDPOINTS_0_SECRETS=marked3", "ENDPOINTS_0_USER=body:id",
		"STREAM_MAX_AGE=0s", "STREAM_MAX_BYTES=0",
	})
	values, origins := make(map[string]string), make(map[string]string)
	for _, v := range c.Variables() {
		if _, again := values[v.Name]; again {
			t.Errorf("%s is listed twice", v.Name)
		}
		values[v.Name], origins[v.Name] = v.Value, v.Origin
		if strings.Contains(v.Value, "marked") {
			t.Errorf("%s shows a secret: %s", v.Name, v.Value)
		}
		if v.Doc == "" || v.Type == "" {
			t.Errorf("%s is not documented: %+v", v.Name, v)
		}
	}
	for name, want := range map[string]string{
		"FLOCK_SECRETS": "[hidden],[hidden]", "NATS_URL": "nats://[hidden]@nats:4222", "NATS_TOKEN": "[hidden]",
		"FLOCK_TOLERANCE": "5m", "STREAM_DUPLICATES": "1h10m", "MAX_BODY_BYTES": "512KiB", "STREAM_MANAGE": "true", "PPROF": "false",
		"STREAM_MAX_AGE": "0s", "SHUTDOWN_DELAY": "0s", "STREAM_MAX_BYTES": "0", "SHUTDOWN_TIMEOUT": "25s", "NATS_CREDS": "",
		"FRIGADE_SECRETS": "", "ENDPOINTS_0_SECRETS": "[hidden]", "ENDPOINTS_0_TYPE_PREFIX": "com.github.", "ENDPOINTS_0_USER": "body:id", "ENDPOINTS_0_EVENT_ID": "",
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s shows %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"ENDPOINTS_0_TYPE_PREFIX": "github", "ENDPOINTS_0_USER": "", "ENDPOINTS_0_EVENT_ID": ""} {
		expect.Equal(t, want, origins[name], "the preset that %s comes from", name)
	}
	for _, name := range []string{"FLOCK_SIGNED", "FLOCK_NAME", "FLOCK_FRESHNESS", "ENDPOINTS_<i>_NAME"} {
		if _, ok := values[name]; ok {
			t.Errorf("%s is listed, and has no effect", name)
		}
	}
}

// Without a valid name, no TYPE_PREFIX is shown that isn't set.
func TestVariablesWithoutName(t *testing.T) {
	c, _, err := Load(strings.Fields("ENDPOINTS_0_NAME=Eu ENDPOINTS_0_PROVIDER=hmac ENDPOINTS_0_SECRETS=0123456789abcdef ENDPOINTS_0_EVENT=body:type " +
		"ENDPOINTS_0_SIGNATURE_HEADER=X-S ENDPOINTS_0_SIGNED={body} ENDPOINTS_0_SIGNATURE_FORMAT={hex}"))
	if err == nil {
		t.Error("no error")
	}
	for _, v := range c.Variables() {
		if v.Name == "ENDPOINTS_0_TYPE_PREFIX" && v.Value != "" {
			t.Errorf("%s shows %q", v.Name, v.Value)
		}
	}
}
