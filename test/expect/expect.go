// Package expect has the checks that every test makes.
package expect

import "github.com/google/go-cmp/cmp"

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

// Equal fails the test, which goes on, if what it got isn't what it wants.
func Equal(t TB, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
