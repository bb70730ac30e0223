package expect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"
)

// failed is a test that the checks fail.
type failed struct{ with string }

func (f *failed) Helper()                           {}
func (f *failed) Errorf(format string, args ...any) { f.with = fmt.Sprintf(format, args...) }
func (f *failed) Fatal(args ...any)                 { f.with = fmt.Sprintln(args...) }

func TestChecks(t *testing.T) {
	lost := errors.New("lost")
	for want, check := range map[string]func(f *failed){
		"lost\n":                       func(f *failed) { NoError(f, lost) },
		"reading a: lost\n":            func(f *failed) { NoErrorf(f, lost, "reading %s", "a") },
		"n: got 2, want 1":             func(f *failed) { Equal(f, 1, 2, "n") },
		`name of a: got "c", want "b"`: func(f *failed) { Equal(f, "b", "c", "name of %s", "a") },
		"it: got the error lost, want file does not exist":  func(f *failed) { ErrorIs(f, fs.ErrNotExist, lost, "it") },
		"it: got the error <nil>, want file does not exist": func(f *failed) { ErrorIs(f, fs.ErrNotExist, nil, "it") },
	} {
		f := new(failed)
		check(f)
		Equal(t, want, f.with, "what the test failed with")
	}
	f := new(failed)
	Equal(f, []int{1}, []int{2}, "list")
	Within(f, time.Hour, time.Now(), "it")
	if len(f.with) < 20 {
		t.Errorf("a list with another member: got %q, want a diff", f.with)
	}
	Within(f, time.Second, time.Now().Add(-time.Minute), "it")
	if want := "it took 1m"; len(f.with) < len(want) || f.with[:len(want)] != want {
		t.Errorf("what took too long: got %q, want %s", f.with, want)
	}
	f = new(failed)
	NoError(f, nil)
	NoErrorf(f, nil, "reading")
	Equal(f, []string{"a"}, []string{"a"}, "list")
	ErrorIs(f, os.ErrNotExist, fmt.Errorf("opening: %w", Err(os.ReadFile("nowhere"))), "it")
	Equal(t, "", f.with, "what the right values failed with")
}
