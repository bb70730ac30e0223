package nats

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"go.yaml.in/yaml/v3"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// values is the part of a values file of NATS' own chart that the test needs.
type values struct {
	Config struct {
		Merge map[string]any
		Patch []struct {
			Op, Path string
			Value    any
		}
		JetStream struct {
			FileStore struct {
				MaxSize string `yaml:"maxSize"`
			} `yaml:"fileStore"`
			Merge map[string]any
		} `yaml:"jetstream"`
	}
}

func read(t *testing.T, file string) (v values) {
	t.Helper()
	text, err := os.ReadFile(file)
	expect.NoError(t, err)
	expect.NoErrorf(t, yaml.Unmarshal(text, &v), "%s", file)
	return v
}

// variable matches how the chart's values mark text that must stand without quotes.
var variable = regexp.MustCompile(`"<<\s*(.*?)\s*>>"`)

// parse reads a configuration with nats-server's parser, with the passwords that a Secret would
// give it.
func parse(t *testing.T, text string) *server.Options {
	t.Helper()
	t.Setenv("BRIDGE_PASSWORD", "p0f0bridge")
	t.Setenv("OPERATOR_PASSWORD", "p1f1operator")
	options := &server.Options{}
	expect.NoErrorf(t, options.ProcessConfigString(text), "%s", text)
	return options
}

// user is the rights of an account's user, as nats-server reads them.
type user struct {
	Account, Password string
	Permissions       *server.Permissions
}

func users(o *server.Options) map[string]user {
	all := make(map[string]user)
	for _, u := range o.Users {
		all[u.Username] = user{u.Account.Name, u.Password, u.Permissions}
	}
	return all
}

// The values for NATS' own chart give the same users as accounts.conf the same rights, and no other
// user any.
func TestChartValues(t *testing.T) {
	want := users(parse(t, Accounts))
	chart := read(t, "chart-values.yaml")
	config := chart.Config.Merge
	config["jetstream"] = chart.Config.JetStream.Merge
	chart.Config.JetStream.Merge["max_file_store"] = "<< " + chart.Config.JetStream.FileStore.MaxSize + " >>"

	compare := func(want map[string]user) *server.Options {
		t.Helper()
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		expect.NoError(t, encoder.Encode(config))
		options := parse(t, variable.ReplaceAllString(text.String(), "$1"))
		expect.Equal(t, want, users(options), "the rights by the values, which must be those of accounts.conf")
		return options
	}

	lookup := want["bridge-lookup"]
	delete(want, "bridge-lookup")
	options := compare(want)
	if !options.SyncAlways {
		t.Error("sync_interval isn't always: an acknowledged event may be lost")
	}
	expect.Equal(t, 16<<30, options.JetStreamMaxStore, "bytes that the servers store")

	for _, p := range read(t, "chart-values-lookup.yaml").Config.Patch {
		if p.Op != "add" || p.Path != "/accounts/WEBHOOKS/users/-" {
			t.Fatalf("the test doesn't know the patch %s %s", p.Op, p.Path)
		}
		account := config["accounts"].(map[string]any)["WEBHOOKS"].(map[string]any)
		account["users"] = append(account["users"].([]any), p.Value)
	}
	want["bridge-lookup"] = lookup
	compare(want)
}
