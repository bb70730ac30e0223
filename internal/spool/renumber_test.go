package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// What a transaction that failed has left behind can have a number that another record was given after a
// restart. A file that is found damaged while the forwarder works must not mix them up: what is settled by the
// old numbers comes again, rather than something else be settled in its place.
func TestSalvageWhileSettling(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	f := open(t, dir)
	f.keeps("a", "b", "c", "d")
	f.close()
	stray := Record{Message: message("z"), Seq: 1, Arrived: arrived}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(content, stray.encode(false)...), 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, dir)
	last, err := f.Next(durable.Event, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, int64(bytes.LastIndex(content, last[0].encode(false))+headerSize+8), 'X') // a bit of d rots
	before := f.file.Load()
	bad := damaged("a page")
	before.damage.Store(&bad)
	f.Settle(durable.Event, 3, map[uint64]string{2: "forbidden"})
	eventually(t, "renewed", func() bool { now := f.file.Load(); return now != nil && now != before })
	if diff := cmp.Diff([]string{"a", "z", "b", "c"}, idsOf(f.all())); diff != "" {
		t.Errorf("in the queue (-want +got):\n%s", diff)
	}
	if first := f.all()[0].Seq; first <= 4 {
		t.Errorf("the number %d is used again", first)
	}
}
