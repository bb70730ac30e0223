package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Output that can't be written is a failure, not silence.
func TestOutputFails(t *testing.T) {
	for _, command := range []string{"version", "config", "stream", "help", "stream --format json"} {
		var stderr strings.Builder
		status := run(t.Context(), strings.Fields(command), program{[]string{"FLOCK_SECRETS=0123456789abcdef"}, nil, fullDisk{}, &stderr})
		if want := "bridge: no space left on device\n"; status != exitFailure || stderr.String() != want {
			t.Errorf("bridge %s: exit status %d, %q; want %d, %q", command, status, stderr.String(), exitFailure, want)
		}
	}
}

// A command that goes on until Ctrl-C ends when its output can't be written.
func TestOutputFailsLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayLookUp)
	f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "1")
	for _, command := range []string{"tail --since 1h", "tail --since 1h --json", "inspect --addr 127.0.0.1:0"} {
		var said expect.Buffer // nats.go writes to it from another goroutine
		status := run(t.Context(), strings.Fields(command), program{f.environ, nil, fullDisk{}, &said})
		if want := "bridge: no space left on device\n"; status != exitFailure || !strings.Contains(said.String(), want) {
			t.Errorf("bridge %s: exit status %d, %q", command, status, said.String())
		}
	}
}

// Help shows an example of each command and subcommand. The examples have only flags that exist.
func TestHelp(t *testing.T) {
	root := rootCommand(program{})
	var all func(c *cobra.Command)
	all = func(c *cobra.Command) {
		var out, stderr strings.Builder
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		status := run(t.Context(), args, program{out: &out, err: &stderr})
		if _, help, _ := strings.Cut(out.String(), "\nExamples:\n  "); status != exitOK || !strings.Contains(help, "bridge ") || stderr.String() != "" {
			t.Errorf("%q: exit status %d, %s%s", args, status, out.String(), stderr.String())
		}
		if strings.Contains(out.String(), "[=true|false]") {
			t.Errorf("%q: a flag without a value is shown with one: %s", args, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%q: a line is too long for a terminal: %s", args, line)
			}
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(c.Example, "\n", "|"), "|") {
			_, line, _ := strings.Cut(part, "bridge ")
			words := strings.Fields(line)
			shown, _, _ := root.Find(words)
			for _, word := range words {
				flag, isFlag := strings.CutPrefix(word, "--")
				if flag, _, _ = strings.Cut(flag, "="); isFlag && shown.Flags().Lookup(flag) == nil {
					t.Errorf("the example %q has no such flag: --%s", part, flag)
				}
			}
		}
		for _, under := range c.Commands() {
			all(under)
		}
	}
	all(root)
}

// Ctrl-C ends a command that waits for its input, or for a server that doesn't speak. Of a command
// that goes on until Ctrl-C it is the usual end.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer silent.Close()
	in, _ := io.Pipe()
	for command, want := range map[string]int{
		"health": exitFailure, "send flock --url http://" + silent.Addr().String(): exitFailure,
		"verify flock": exitFailure, "send flock --body -": exitFailure, "quarantine list": exitFailure,
		"tail": exitOK, "tail --follow=false": exitFailure,
		"forward --to http://127.0.0.1:1": exitOK, "forward --since 1h --to http://127.0.0.1:1": exitFailure,
		"forward --durable a --to http://127.0.0.1:1": exitOK,
	} {
		poll.Until(t, command+" ends before it would give NATS up, after 10 s", func() bool {
			ctx, interrupt := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, interrupt)
			began := time.Now()
			var stderr strings.Builder
			environ := []string{"ADMIN_ADDR=" + silent.Addr().String(), "FLOCK_SECRETS=0123456789abcdef", "NATS_URL=nats://" + silent.Addr().String()}
			status := run(ctx, strings.Fields(command), program{environ, in, io.Discard, &stderr})
			if time.Since(began) > 5*time.Second { // a busy machine may be slow
				return false
			}
			expect.Equal(t, want, status, "exit status of bridge %s", command)
			expect.Equal(t, map[int]string{exitOK: "", exitFailure: "bridge: interrupted\n"}[want], stderr.String(), "what bridge %s prints", command)
			return true
		})
	}
}

// Draining a spool gives up on a server that doesn't speak after its --timeout.
func TestDrainGivesUpInTime(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer silent.Close()
	dir := t.TempDir()
	of, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 1 << 20, Log: zap.NewNop()})
	expect.NoError(t, errors.Join(err, of.Append(t.Context(), publish.Message{ID: "1"}, time.Time{}), of.Close(t.Context())))
	poll.Until(t, "it ends before a command usually gives NATS up, after 10 s", func() bool {
		began := time.Now()
		var stderr strings.Builder
		environ := []string{"FLOCK_SECRETS=0123456789abcdef", "NATS_URL=nats://" + silent.Addr().String()}
		status := run(t.Context(), []string{"spool", "drain", dir, "--timeout", "100ms"}, program{environ, nil, io.Discard, &stderr})
		expect.Equal(t, exitFailure, status, "exit status")
		if !strings.Contains(stderr.String(), "the server doesn't answer") {
			t.Error(stderr.String())
		}
		return time.Since(began) < 5*time.Second // a busy machine may be slow
	})
}

// A command that can't print what it has done still reports how far it came.
func TestOutputFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayList, mayDrop)
	for i := range 2 {
		f.keep("stale", time.Now().Add(-time.Duration(i+1)*time.Hour), time.Now())
	}
	var stderr strings.Builder
	run(t.Context(), strings.Fields("quarantine drop --all"), program{f.environ, nil, fullDisk{}, &stderr})
	expect.Equal(t, "bridge: no space left on device; interrupted after 1 of 2\n", stderr.String(), "what is printed")
}

// If no NATS server answers, the error says to start one. If one does, its answer says what is wrong.
func TestStartHint(t *testing.T) {
	const start = "; start NATS there, or set NATS_URL to its address"
	for _, test := range []struct {
		err  error
		want string
	}{
		{nats.ErrNoServers, start},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, start},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, ""},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, ""},
		{nats.ErrAuthorization, ""},
	} {
		expect.Equal(t, test.want, startHint(fmt.Errorf("wrapped: %w", test.err)), "after %v", test.err)
	}
}
