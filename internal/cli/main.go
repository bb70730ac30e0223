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

// Main runs the program with the process's arguments, environment and standard streams, and returns its
// exit status.
func Main() int {
	return run(untilSignal(), os.Args[1:], os.Environ(), stdio{os.Stdin, shown(os.Stdout), shown(os.Stderr)})
}

// shown returns the stream, wrapped in a [humanize.Terminal] if it is a terminal.
func shown(stream *os.File) io.Writer {
	if term.IsTerminal(int(stream.Fd())) {
		return humanize.NewTerminal(stream)
	}
	return stream
}

// untilSignal returns a context that the first SIGINT or SIGTERM ends, for an orderly shutdown. The handler is
// removed before that, so that once the shutdown has begun another signal ends the process at once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	return ctx
}
