package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// transcripts are the documents whose console blocks are run.
var transcripts = []string{"README.md", "docs/operations.md", "docs/providers.md"}

// A console block is a transcript: commands after "$ ", each followed by what it prints. The commands of a
// document are run in order, by one shell, beside a bridge, and must print lines of the same shape: digits
// and times may differ, and a line that is "…" stands for any others. A command that prints a line that
// begins with "bridge: " must fail, and all others must succeed.
func TestTranscripts(t *testing.T) {
	dir := t.TempDir()
	expect.NoError(t, process.Build(t.Context(), "-C", "..", "-o", filepath.Join(dir, "bridge"), "./cmd/bridge"))
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	environ = append(environ, serveIn(t, dir)...)
	for _, document := range transcripts {
		t.Run(document, func(t *testing.T) { transcript(t, document, dir, environ) })
	}
}

// transcript runs the commands of a document.
func transcript(t *testing.T, document, dir string, environ []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", document))
	expect.NoError(t, err)
	exported, ran := "", 0
	for _, step := range steps(string(text)) {
		if strings.HasPrefix(step.command, "export ") {
			exported += step.command + "\n"
			continue
		}
		ran++
		shell := exec.Command("bash", "-c", exported+step.command)
		shell.Dir, shell.Env = dir, environ
		out, err := shell.CombinedOutput()
		if mustFail := strings.Contains("\n"+step.printed, "\nbridge: "); (err != nil) != mustFail {
			t.Errorf("%s: got the error %v, want one only where `bridge: ` is shown:\n%s", step.command, err, out)
		}
		if !hasShape(string(out), step.printed) {
			t.Errorf("%s prints other lines (-document +program):\n%s", step.command, cmp.Diff(step.printed, string(out)))
		}
	}
	if ran == 0 {
		t.Error("it has no transcript")
	}
}

type step struct{ command, printed string }

// steps returns the commands in the console blocks of a document, with what is shown of their output.
func steps(markdown string) (all []step) {
	inBlock, indent := false, ""
	for line := range strings.Lines(markdown) {
		line = strings.TrimPrefix(line, indent)
		command, isCommand := strings.CutPrefix(line, "$ ")
		before, fence, isFence := strings.Cut(line, "```")
		switch {
		case isFence:
			inBlock = !inBlock && strings.TrimSpace(fence) == "console"
			indent = ""
			if inBlock {
				indent = before
			}
		case !inBlock:
		case isCommand:
			all = append(all, step{command: strings.TrimSpace(command)})
		default:
			all[len(all)-1].printed += line
		}
	}
	return all
}

var variable = regexp.MustCompile(`[0-9a-f]*\d[0-9a-f.:µm]*s?`)

// hasShape reports whether text has the lines that are shown, but for digits and for what a line "…" stands for.
func hasShape(text, shown string) bool {
	pattern := regexp.QuoteMeta(variable.ReplaceAllString(shown, "0"))
	pattern = strings.ReplaceAll(pattern, "…\n", "(.*\n)*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(variable.ReplaceAllString(text, "0"))
}

// serveIn runs a bridge until the test ends, and returns the variables with which commands find it.
func serveIn(t *testing.T, dir string) []string {
	t.Helper()
	bridge, err := process.Start("bridge", filepath.Join(dir, "log"), []string{
		"FLOCK_SECRETS=secret-from-flocks-page", "FRIGADE_SECRETS=secret-from-frigades-page",
		"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR=127.0.0.1:0", "DATA_DIR=" + filepath.Join(dir, "data"),
		"PUBLISH_TIMEOUT=10s", // on a busy machine nothing is spooled
	}, filepath.Join(dir, "bridge"), "serve")
	expect.NoError(t, err)
	t.Cleanup(bridge.Kill)
	listening := regexp.MustCompile(`"message":"listening","public":"([^"]+)"`)
	connected := regexp.MustCompile(`"message":"connected to NATS","server":"(?:nats://)?([^"]+)"`)
	var public, nats []string
	poll.Until(t, "the bridge listens, and its two streams are ready", func() bool {
		log := bridge.Output()
		public, nats = listening.FindStringSubmatch(log), connected.FindStringSubmatch(log)
		return public != nil && nats != nil && strings.Count(log, `"message":"stream is ready"`) == 2
	})
	return []string{"HTTP_ADDR=" + public[1], "EMBEDDED_NATS_ADDR=" + nats[1]}
}
