package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// openTerminals returns both ends of a pseudo-terminal: the screen's, and the program's.
func openTerminals(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	var err error
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	expect.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	expect.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	expect.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	expect.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// A command that goes on until Ctrl-C ends as soon as nobody reads its output, without another event.
func TestOutputIsUnread(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayLookUp)
	f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "1")
	for _, command := range []string{"tail --since 1h", "forward --since 1h --to http://127.0.0.1:1"} {
		reader, writer, err := os.Pipe()
		expect.NoError(t, err)
		defer writer.Close()
		go func() {
			_, _ = reader.Read(make([]byte, 100))
			reader.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		var stderr expect.Buffer
		status := run(ctx, strings.Fields(command), program{f.environ, nil, writer, &stderr})
		if status != exitFailure || !strings.Contains(stderr.String(), "broken pipe") {
			t.Errorf("bridge %s: exit status %d, %s", command, status, stderr.String())
		}
	}
}

// Stored events are printed in few writes, each of whole lines: a terminal escapes a part of a colour or character.
func TestTailWritesWholeLines(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayLookUp)
	const events = 100
	for i := range events {
		f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(strings.Replace(anEvent, `"x"`, `"`+strings.Repeat("ß", 1000)+`"`, 1))}, fmt.Sprint(i))
	}
	reader, writer := io.Pipe() // a read gets what is left of one write
	go func() {
		run(t.Context(), []string{"tail", "--follow=false", "--json"}, program{f.environ, nil, writer, t.Output()})
		writer.Close()
	}()
	writes, lines, text := 0, 0, make([]byte, 1<<20)
	for {
		n, err := reader.Read(text)
		if err != nil {
			break
		}
		writes, lines = writes+1, lines+bytes.Count(text[:n], []byte("\n"))
		if text[n-1] != '\n' {
			t.Errorf("write %d ends with %q", writes, text[n-10:n])
		}
	}
	if lines != events || writes > 10 {
		t.Errorf("%d lines in %d writes, want %d in a few", lines, writes, events)
	}
}

// Names and ids can't control a terminal. In a file they are unchanged.
func TestForTerminal(t *testing.T) {
	master, terminal := openTerminals(t)
	payload := "{\"id\":\"1\",\"userid\":\"\u009b2J\u202e\u007f\"}"
	fmt.Fprintln(forTerminal(terminal), payload)
	text := make([]byte, 1000)
	n, err := master.Read(text)
	if want := `{"id":"1","userid":"\u009b2J\u202e\u007f"}` + "\r\n"; err != nil || string(text[:n]) != want {
		t.Errorf("%q, %v; want %q", text[:n], err, want)
	}
	file, err := os.Create(t.TempDir() + "/file")
	expect.NoError(t, err)
	defer file.Close()
	fmt.Fprintln(forTerminal(file), payload)
	if got, err := os.ReadFile(file.Name()); err != nil || string(got) != payload+"\n" {
		t.Errorf("in a file: %q, %v", got, err)
	}
}

// A command that waits for its input says so on a terminal, and only there.
func TestWaitsForInput(t *testing.T) {
	t.Parallel()
	_, terminal := openTerminals(t)
	reader, writer, err := os.Pipe()
	expect.NoError(t, err)
	defer writer.Close()
	for _, test := range []struct {
		in   *os.File
		want string
	}{{terminal, "bridge: FILE is read from standard input; Ctrl-D ends it\nbridge: interrupted\n"}, {reader, "bridge: interrupted\n"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var stderr expect.Buffer
		status := run(ctx, []string{"verify"}, program{[]string{"FLOCK_SECRETS=a secret for flock"}, test.in, io.Discard, &stderr})
		if status != exitFailure || stderr.String() != test.want {
			t.Errorf("reading %s: exit status %d, %q", test.in.Name(), status, stderr.String())
		}
	}
}

// Output has colours only on a terminal that shows them, and not with NO_COLOR.
func TestWhenColours(t *testing.T) {
	_, terminal := openTerminals(t)
	file, err := os.Create(t.TempDir() + "/file")
	expect.NoError(t, err)
	defer file.Close()
	for _, test := range []struct {
		out           *os.File
		term, noColor string
		want          bool
	}{
		{terminal, "", "", true},
		{terminal, "xterm", "", true},
		{terminal, "xterm", "1", false},
		{terminal, "dumb", "", false},
		{file, "xterm", "", false},
	} {
		t.Setenv("TERM", test.term)
		t.Setenv("NO_COLOR", test.noColor)
		if p := newPrinter(program{out: output{Writer: forTerminal(test.out)}}, ""); p.colours != test.want {
			t.Errorf("on %s with TERM=%q and NO_COLOR=%q: %t", test.out.Name(), test.term, test.noColor, p.colours)
		}
	}
}
