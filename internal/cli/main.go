// Package cli is the bridge's command line: one file for each command.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// program is what a command has of its process. Data goes to out, messages to err.
type program struct {
	environ  []string
	in       io.Reader
	out, err io.Writer
}

// say writes a message, in one line.
func (p program) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.err, "bridge: "+printable(fmt.Sprintf(format, args...)))
}

// print writes data for people, in one line.
func (p program) print(format string, args ...any) {
	_, _ = fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
}

// output is standard output. When it can't be written, the command ends as after Ctrl-C, and fails
// with that error: no command needs to look at it.
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

// Main runs the program with the process's arguments, environment and standard streams, and returns
// its exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal shuts down in order, another one ends the process at once
	return run(ctx, os.Args[1:], program{os.Environ(), os.Stdin, shown(os.Stdout), shown(os.Stderr)})
}

// maxInput bounds a file: the largest MAX_BODY_BYTES, as a log may write it.
const maxInput = 256 << 20

// readInput returns the content of a flag's file, of standard input for "-", nil for "".
func (p program) readInput(flag, name string) ([]byte, error) {
	in := p.in
	switch name {
	case "":
		return nil, nil
	case "-":
	default:
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, usagef("%s: %w", flag, err)
	case len(content) > maxInput:
		return nil, usagef("%s: larger than any delivery, %d MiB", flag, maxInput>>20)
	}
	return content, nil
}
