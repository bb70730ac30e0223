package spool

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A crash may cut the header of a new file short by one byte. If that byte is 0, the checksum of
// what is there and a zero matches: the file was only begun all the same, and nothing is lost.
func TestHeaderWithoutItsLastByte(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	f.keepsNumbered(3)
	f.close()
	in := &segment{number: 1 << 50}
	for in.header()[segmentHeader-1] != 0 {
		in.salt++
	}
	path := filepath.Join(dir, nameOf(journalName(0), in.number, in.salt))
	expect.NoError(t, os.WriteFile(path, in.header()[:segmentHeader-1], 0o600))
	f = open(t, dir)
	f.everything()
	if errors := f.logs.FilterLevelExact(zapcore.ErrorLevel).All(); len(errors) > 0 {
		t.Errorf("the log has %v", errors)
	}
}
