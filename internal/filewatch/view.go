package filewatch

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// view is the state of the watch on some files.
type view struct {
	Files
	seen     sum       // at the last look
	since    time.Time // when that was seen first
	reported sum       // the last reported one; zero: none yet
}

// sum identifies the contents, or why they can't be read. Nothing more is kept of a secret.
type sum [sha256.Size]byte

// never means not to look again.
const never = time.Duration(math.MaxInt64)

// look reads the files, reports a change that has settled, and returns after how long to look
// again.
func (v *view) look(now time.Time) time.Duration {
	contents, err := v.read()
	current := sumOf(contents, err)
	switch {
	case current == v.reported:
		v.seen = current
		return never
	case current != v.seen:
		v.seen, v.since = current, now
		return Settle
	}
	if left := Settle - now.Sub(v.since); left > 0 {
		return left
	}
	v.reported = current
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
