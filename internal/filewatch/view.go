package filewatch

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// view is what was seen of some files.
type view struct {
	Files
	seen  sum       // at the last look
	since time.Time // when that was seen first
	told  sum       // what Changed was told last; zero: nothing yet
}

// sum identifies what the files hold, or why they can't be read. Of a secret nothing more is kept.
type sum [sha256.Size]byte

// never is after no time at all.
const never = time.Duration(math.MaxInt64)

// look looks at the files, tells of a change that has settled, and returns after which time to look
// again for its sake.
func (v *view) look(now time.Time) time.Duration {
	contents, err := v.read()
	current := sumOf(contents, err)
	switch {
	case current == v.told:
		v.seen = current
		return never
	case current != v.seen:
		v.seen, v.since = current, now
		return Settle
	}
	if left := Settle - now.Sub(v.since); left > 0 {
		return left
	}
	v.told = current
	v.Changed(contents, err)
	return never
}

func (v *view) read() ([][]byte, error) {
	contents := make([][]byte, len(v.Paths))
	for i, path := range v.Paths {
		var err error
		if contents[i], err = ReadFile(path, v.Limit); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func sumOf(contents [][]byte, err error) (s sum) {
	hash := sha256.New()
	if err != nil {
		hash.Write([]byte(err.Error()))
	}
	for _, content := range contents {
		_ = binary.Write(hash, binary.BigEndian, int64(len(content)))
		hash.Write(content)
	}
	hash.Sum(s[:0])
	return s
}
