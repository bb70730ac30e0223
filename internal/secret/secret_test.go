package secret

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestNeverPrints(t *testing.T) {
	const marked = "marked-secret"
	s := New(marked)
	if string(s.Key()) != marked {
		t.Fatalf("Key() = %q", s.Key())
	}
	type holder struct {
		Secret  Secret
		Pointer *Secret
		List    []Secret
	}
	h := holder{s, &s, []Secret{s}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, &s, h)
	}
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	core, logs := observer.New(zap.DebugLevel)
	zap.New(core).Info("x", zap.Any("secret", s), zap.Any("holder", h), zap.Stringer("stringer", s), zap.Reflect("reflect", h))
	for _, entry := range logs.All() {
		fmt.Fprintf(&out, "%v", entry.ContextMap())
	}
	for _, leak := range []string{marked, fmt.Sprintf("%x", marked), fmt.Sprintf("%X", marked), fmt.Sprint([]byte(marked))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output shows the secret as %q:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), "[hidden]") {
		t.Errorf("nothing says that something is hidden:\n%s", out.String())
	}
}

// The MAC is RFC 4231's, also of several parts, also while others compute theirs.
func TestMAC(t *testing.T) {
	s := New("Jefe") // test case 2
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				for _, parts := range [][][]byte{{[]byte("what do ya want for nothing?")}, {[]byte("what do ya "), nil, []byte("want for nothing?")}} {
					if got := s.MAC(parts...); hex.EncodeToString(got[:]) != want {
						t.Errorf("MAC of %q is %x", parts, got)
					}
				}
			}
		})
	}
	group.Wait()
	zero, empty := Secret{}.MAC([]byte("x")), New("").MAC([]byte("x"))
	if zero != empty {
		t.Error("no secret is another secret than the empty one")
	}
}
