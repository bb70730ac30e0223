package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewerFormat: a file that a newer version wrote stays as it is, be it sound or not.
func TestNewerFormat(t *testing.T) {
	s := newSample(t)
	newer := bytes.Clone(s.state)
	newer[6]++
	binary.BigEndian.PutUint32(newer[12:], checksum(newer))
	at := bytes.Index(s.file, s.state)
	for _, test := range []struct {
		name   string
		change func(file []byte)
		want   error
	}{
		{"newer", func(file []byte) { replaceAll(file, s.state, newer) }, ErrNewer},
		{"newer and damaged", func(file []byte) { replaceAll(file, s.state, newer); clear(file[:4096]) }, ErrNewer},
		{"a flipped bit in the version", func(file []byte) { file[at+6] ^= 2 }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := bytes.Clone(s.file)
			test.change(file)
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			spool, err := Open(open(t, t.TempDir()).config.in(dir))
			if err == nil {
				_ = spool.Close(t.Context())
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want == nil {
				return
			}
			if text := err.Error(); !strings.Contains(text, "newer version") || !strings.Contains(text, "format 2") {
				t.Errorf("the error: %s", text)
			}
			if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, file) {
				t.Errorf("the file was touched: %v", err)
			}
			if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 2 { // with the lock
				t.Errorf("in the directory: %v, %v", names, err)
			}
		})
	}
}

func replaceAll(file, is, other []byte) {
	copy(file, bytes.ReplaceAll(file, is, other))
}

func (c Config) in(dir string) Config {
	c.Dir = dir
	return c
}
