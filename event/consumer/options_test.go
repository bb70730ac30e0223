package consumer

import (
	"testing"
	"time"
)

func TestDoublingOfLongPauses(t *testing.T) {
	const day = 24 * time.Hour
	if got := Doubling(day, 7*day)(40); got != 7*day {
		t.Errorf("the pause is %s, want its limit", got)
	}
}
