package secret

import (
	"encoding/json"
	"fmt"
	"strings"
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
