package internal

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

const module = "github.com/ade15e70/webhook-bridge/"

// layers lists the packages from the bottom up. A package may import only those in lines above its own, so
// nothing on the road calls back up (ADR 8).
var layers = []string{
	"deploy/nats event internal/secret internal/stringify internal/fileio",
	"event/consumer internal/verify internal/telemetry internal/natsd internal/stream",
	"internal/verify/*",
	"internal/verify/providers",
	"config internal/publish",
	"internal/quarantine internal/spool",
	"internal/ingest internal/relay internal/inspect",
	"internal/diagnosis",
	"internal/app",
	"internal/cli",
	"cmd/bridge",
}

// standardOnly lists the packages whose imports from outside the module are the standard library's: no
// secret can reach a logger from them.
var standardOnly = strings.Fields("event internal/secret internal/stringify internal/verify internal/verify/*")

// withoutNATS lists the packages that must not import a NATS client.
var withoutNATS = strings.Fields("config internal/ingest internal/spool")

func TestImportsGoDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "../...", "../event/...").Output()
	expect.NoError(t, err)
	layer := make(map[string]int)
	for i, line := range layers {
		for name := range strings.FieldsSeq(line) {
			layer[name] = i + 1
		}
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := asVendor(strings.TrimPrefix(fields[0], module))
		if !strings.HasPrefix(name, "internal/") && !slices.Contains([]string{"event", "event/consumer", "config", "cmd/bridge"}, name) || name == "internal" {
			continue
		}
		if layer[name] == 0 {
			t.Errorf("%s is not in layers: add it where it belongs", name)
		}
		for _, imported := range fields[1:] {
			own, isOwn := strings.CutPrefix(imported, module)
			own = asVendor(own)
			switch {
			case isOwn && (layer[own] == 0 || layer[own] >= layer[name]): // 0: a helper of tests
				t.Errorf("%s imports %s, which is not below it", name, own)
			case !isOwn && strings.Contains(strings.Split(imported, "/")[0], ".") && slices.Contains(standardOnly, name):
				t.Errorf("%s imports %s: only the standard library is allowed there", name, imported)
			case strings.HasPrefix(imported, "github.com/nats-io/nats") && slices.Contains(withoutNATS, name):
				t.Errorf("%s imports %s: internal/publish is there for it", name, imported)
			}
		}
	}
}

// asVendor returns internal/verify/* for a vendor's package, and any other as it is.
func asVendor(name string) string {
	if path.Dir(name) == "internal/verify" && path.Base(name) != "providers" {
		return "internal/verify/*"
	}
	return name
}
