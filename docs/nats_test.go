//go:build natscli

package docs_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// The real nats command runs the commands of docs/consumers.md, on a stream with one event.
func TestConsumersTranscript(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "FLOCK_SECRETS=secret-from-flocks-page")
	environ = append(environ, serveIn(t, dir)...)
	for _, assignment := range environ {
		if address, ok := strings.CutPrefix(assignment, "EMBEDDED_NATS_ADDR="); ok {
			environ = append(environ, "NATS_URL=nats://"+address)
		}
	}
	send := exec.Command("bridge", "send", "flock", "invitee.accepted")
	send.Path, send.Env = filepath.Join(dir, "bridge"), environ
	if out, err := send.CombinedOutput(); err != nil {
		t.Fatalf("bridge send: %v\n%s", err, out)
	}
	transcript(t, "docs/consumers.md", dir, environ)
}

// The commands of docs/privacy.md erase one person's events and dead letters, and no others, in a stream of
// more than a thousand: there the nats command prints 1,001.
func TestErasure(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	document, err := os.ReadFile("privacy.md")
	expect.NoError(t, err)
	script, inBlock := "", false
	for line := range strings.Lines(string(document)) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "```"):
			inBlock = trimmed == "```sh"
		case inBlock:
			script += line
		}
	}
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "FLOCK_SECRETS=secret-from-flocks-page")
	environ = append(environ, serveIn(t, dir)...)
	environ = append(environ, "NATS_URL=nats://"+strings.TrimPrefix(environ[len(environ)-1], "EMBEDDED_NATS_ADDR="))
	for _, command := range []string{
		"bridge send flock --count 1000 --concurrency 4",
		`echo '{"invitee":{"id":"customer_7"}}' | bridge send flock --data -`,
		"bridge stream --dead-letters | sh && nats publish webhooks-dead.rewards.flock.a '{\"id\":\"customer_7\"}'",
		script + "for s in WEBHOOKS WEBHOOKS_DEAD; do find_person $s customer_7 | grep . && exit 1; done; bridge tail --follow=false --json | wc -l",
	} {
		shell := exec.Command("bash", "-c", command)
		shell.Env = environ
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		if lines := strings.Fields(string(out)); strings.HasPrefix(command, "find_person") && lines[len(lines)-1] != "1000" {
			t.Errorf("others' events are gone, or it isn't:\n%s", out)
		}
	}
}

// The operator of deploy/nats/accounts.conf runs the commands that `bridge stream` prints. A bridge
// with the fewest rights then finds no difference from its configuration.
func TestStreamCommand(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	accounts, err := os.ReadFile("../deploy/nats/accounts.conf")
	expect.NoError(t, err)
	server := natsdtest.Start(t, "BRIDGE_PASSWORD: of-the-bridge\nOPERATOR_PASSWORD: of-the-operator\n"+string(accounts))
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NATS_URL="+server.URL(), "FLOCK_SECRETS=secret-from-flocks-page",
		"STREAM_MAX_AGE=48h", "STREAM_MAX_BYTES=1GiB", "QUARANTINE_MAX_BYTES=8MiB", "SUBJECT_PREFIX=webhooks",
		"STREAM_MANAGE=false", "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "DATA_DIR="+filepath.Join(dir, "data"))
	operator := exec.Command("sh", "-c", "bridge stream --dead-letters --consumer billing | sh &&"+
		" nats consumer info WEBHOOKS billing >&2 && nats stream info WEBHOOKS_DEAD >&2")
	operator.Env = append(environ, "NATS_USER=operator", "NATS_PASSWORD=of-the-operator")
	if out, err := operator.CombinedOutput(); err != nil {
		t.Fatalf("what `bridge stream` prints: %v\n%s", err, out)
	}
	var log bytes.Buffer
	serve := exec.Command(filepath.Join(dir, "bridge"), "serve")
	serve.Env = append(environ, "NATS_USER=bridge", "NATS_PASSWORD=of-the-bridge", "NATS_INBOX_PREFIX=_INBOX_bridge")
	out, err := serve.StderrPipe()
	if err == nil {
		err = serve.Start()
	}
	expect.NoError(t, err)
	time.AfterFunc(time.Minute, func() { _ = serve.Process.Kill() })
	ready := 0
	for lines := bufio.NewScanner(io.TeeReader(out, &log)); ready < 2 && lines.Scan(); {
		if strings.Contains(lines.Text(), `"message":"stream is ready"`) {
			ready++
		}
	}
	_ = serve.Process.Kill()
	_ = serve.Wait()
	if ready < 2 || strings.Contains(log.String(), "differs") || strings.Contains(log.String(), `"level":"error"`) {
		t.Errorf("%d of 2 streams are ready:\n%s", ready, log.String())
	}
}

// The command of docs/operations.md for a subject that is full lifts its limit.
func TestSubjectFull(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	document, err := os.ReadFile("operations.md")
	expect.NoError(t, err)
	_, remedy, _ := strings.Cut(string(document), "- `subject_full`: `")
	remedy, _, _ = strings.Cut(remedy, "`")
	shell := exec.Command("sh", "-ec", "nats stream add WEBHOOKS --subjects='webhooks.>' --discard=new"+
		" --max-msgs-per-subject=1 --discard-per-subject --defaults\n"+remedy+" --force\n"+
		"nats publish --jetstream --count=2 webhooks.flock.a b")
	shell.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NATS_URL="+natsdtest.Start(t, "").URL())
	if out, err := shell.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// build builds the bridge, and the nats command of the version that tools/nats/go.mod has.
func build(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{
		{"build", "-C", "..", "-o", filepath.Join(dir, "bridge"), "./cmd/bridge"},
		{"build", "-C", "../tools/nats", "-o", filepath.Join(dir, "nats"), "github.com/nats-io/natscli/nats"},
	} {
		command := exec.Command("go", args...)
		command.Env = append(os.Environ(), "GOWORK=off")
		if strings.HasSuffix(args[len(args)-1], "bridge") {
			command.Env = os.Environ()
		}
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
