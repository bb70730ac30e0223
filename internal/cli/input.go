package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// openInput opens a file that is read twice. What can't be, because it is a pipe, is copied first.
func openInput(ctx context.Context, stdio stdio, name string) (*os.File, error) {
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	info, err := os.Stat(name)
	if name == "-" {
		file, isFile := stdio.in.(*os.File)
		if isFile {
			if info, err = file.Stat(); err == nil && info.Mode().IsRegular() {
				return file, nil
			}
		}
		name, open, err = "standard input", func() (io.ReadCloser, error) { return io.NopCloser(stdio.in), nil }, nil
	} else if err == nil && info.Mode().IsRegular() {
		return os.Open(name)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("FILE: %w", err)}
	}
	_, _ = fmt.Fprintf(stdio.err, "bridge: reading records from %s\n", name)
	copied, err := os.CreateTemp("", "bridge-import-")
	if err != nil {
		return nil, fmt.Errorf("keeping what is to be imported: %w; give a FILE", err)
	}
	_ = os.Remove(copied.Name()) // it goes with the process, however that ends
	done := make(chan error, 1)
	go func() { done <- copyAll(copied, open) }()
	select {
	case err = <-done:
	case <-ctx.Done(): // reading ends with the process
		return nil, errors.New("nothing is imported: interrupted")
	}
	if err == nil {
		_, err = copied.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = copied.Close()
		return nil, fmt.Errorf("keeping what is to be imported: %w", err)
	}
	return copied, nil
}

// copyAll copies to the end. Opening a pipe that has a name may take as long as reading it.
func copyAll(to io.Writer, open func() (io.ReadCloser, error)) error {
	from, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	_, err = io.Copy(to, from)
	return err
}

// eachLine hands every line to do, with its end where it has one. Lines may be of any length.
func eachLine(r io.Reader, do func(text []byte) error) error {
	lines := bufio.NewReaderSize(r, 256<<10)
	for over := false; !over; {
		text, err := lines.ReadBytes('\n')
		over = errors.Is(err, io.EOF)
		if err != nil && !over {
			return fmt.Errorf("reading records: %w", err)
		}
		if err := do(text); err != nil {
			return err
		}
	}
	return nil
}
