// Package cli is the bridge's command line. Each command has a file of its name.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// program holds a command's environment and standard streams. Data goes to out, messages to err.
type program struct {
	environ  []string
	in       io.Reader
	out, err io.Writer
}

// say writes a message in one line.
func (p program) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.err, "bridge: "+printable(fmt.Sprintf(format, args...)))
}

// print writes data for people in one line.
func (p program) print(format string, args ...any) {
	_, _ = fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
}

// output is standard output. A failed write ends the command with an error, so commands needn't check
// for write errors.
type output struct {
	io.Writer
	end context.CancelCauseFunc
}

type outputError struct{ error }

func (o output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil {
		o.end(outputError{err})
	}
	return n, err
}

// endIfUnread ends the command as soon as nobody reads its output any more, as after `| head -1`, and
// not only at its next line: it writes an empty line, which fails.
func (p program) endIfUnread() {
	out, _ := p.out.(output)
	if pipe, ok := out.Writer.(*os.File); ok {
		go func() {
			if awaitUnread(pipe) {
				_, _ = out.Write([]byte("\n"))
			}
		}()
	}
}

// Main runs the program in the process's environment and returns its exit status.
func Main() int {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // the first signal ends the command in order, a second one at once
	log.SetOutput(io.Discard)    // net/http logs there what a server sends that doesn't speak HTTP
	return run(ctx, os.Args[1:], program{os.Environ(), os.Stdin, forTerminal(os.Stdout), forTerminal(os.Stderr)})
}

// readInput returns the content of the file that a flag names: standard input for "-", nil for "".
// An empty file is an error.
func (p program) readInput(ctx context.Context, flag, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	if file, ok := p.in.(*os.File); ok && name == "-" && term.IsTerminal(int(file.Fd())) {
		p.say("%s is read from standard input; Ctrl-D ends it", flag)
	}
	content, err := interruptibly(ctx, func() ([]byte, error) {
		if name == "-" {
			return io.ReadAll(p.in)
		}
		return os.ReadFile(name)
	})
	switch {
	case err != nil:
		return nil, usagef("%s: %w", flag, err)
	case len(content) == 0:
		return nil, usagef("%s: %s is empty", flag, inputName(name))
	}
	return content, nil
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

var errInterrupted = errors.New("interrupted")

// isInterrupted reports whether the error is only that the context has ended.
func isInterrupted(ctx context.Context, err error) bool {
	cause := context.Cause(ctx)
	return cause != nil && (errors.Is(err, cause) || errors.Is(err, context.Canceled))
}

// interruptibly calls a function that takes no context, and returns its result, or the context's cause if
// the context ends first.
func interruptibly[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return *new(T), context.Cause(ctx)
	}
}
