package poll

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// failed is a test that Until may fail.
type failed struct{ with string }

func (f *failed) Helper()                           {}
func (f *failed) Fatalf(format string, args ...any) { f.with = fmt.Sprintf(format, args...) }

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, f := time.Now(), new(failed)
		Until(f, "late", func() bool { return time.Since(began) > Bound-time.Second })
		if f.with != "" {
			t.Errorf("what came true in time failed: %s", f.with)
		}
		Until(f, "never", func() bool { return false })
		if f.with != "not within 3m0s: never" {
			t.Errorf("what never came true: %q", f.with)
		}
	})
}

func TestTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		n := 0
		if err := Try(t.Context(), Bound, "third", func(ctx context.Context) error {
			if n++; n == 2 {
				<-ctx.Done() // a try that is never answered
			}
			if n < 3 {
				return refused
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		err := Try(t.Context(), Bound, "never", func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(refused, ctx.Err())
		})
		if !errors.Is(err, refused) {
			t.Errorf("got %v, want the last try's error", err)
		}
	})
}
