// Package expect has the checks that every test makes.
package expect

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TB is what the checks need of a test; [pgregory.net/rapid]'s have it, too.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// NoError ends the test if there is an error.
func NoError(t TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// NoErrorf is NoError, where the format says what the error is of.
func NoErrorf(t TB, err error, format string, args ...any) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Sprintf(format, args...)+":", err)
	}
}

// Equal fails the test, which goes on, unless it got what it wants. The format says what that is.
func Equal[T any](t TB, want, got T, format string, args ...any) {
	t.Helper()
	diff := cmp.Diff(want, got)
	if diff == "" {
		return
	}
	what := fmt.Sprintf(format, args...)
	switch kind := reflect.TypeFor[T]().Kind(); {
	case kind == reflect.String && !strings.Contains(fmt.Sprint(want, got), "\n"):
		t.Errorf("%s: got %q, want %q", what, fmt.Sprint(got), fmt.Sprint(want))
	case kind >= reflect.Bool && kind <= reflect.Float64:
		t.Errorf("%s: got %v, want %v", what, got, want)
	default:
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// ErrorIs fails the test, which goes on, unless the error is the wanted one or wraps it. The format
// says whose error that is.
func ErrorIs(t TB, want, got error, format string, args ...any) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got the error %v, want %v", fmt.Sprintf(format, args...), got, want)
	}
}

// Err returns the error of a call whose value isn't looked at.
func Err[T any](_ T, err error) error { return err }

// Within fails the test, which goes on, if more time than that has passed since the start. The format
// says what has taken it.
func Within(t TB, bound time.Duration, start time.Time, format string, args ...any) {
	t.Helper()
	if took := time.Since(start); took > bound {
		t.Errorf("%s took %s, want at most %s", fmt.Sprintf(format, args...), took, bound)
	}
}
