package cli

import (
	"io"
	"os"
)

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
