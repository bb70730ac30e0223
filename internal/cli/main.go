// Package cli is the bridge's command line: one file for each command.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
)

// stdio holds a command's streams: data goes to out, messages to err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// say writes a message to the error stream, in one line.
func (s stdio) say(format string, args ...any) {
	_, _ = fmt.Fprintln(s.err, "bridge: "+humanize.Text(fmt.Sprintf(format, args...)))
}

// Main runs the program with the process's arguments, environment and standard streams, and returns
// its exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal shuts down in order, another one ends the process at once
	return run(ctx, os.Args[1:], os.Environ(), stdio{os.Stdin, shown(os.Stdout), shown(os.Stderr)})
}

// shown returns the stream, wrapped in a [humanize.Terminal] if it is a terminal.
func shown(stream *os.File) io.Writer {
	if term.IsTerminal(int(stream.Fd())) {
		return humanize.NewTerminal(stream)
	}
	return stream
}
