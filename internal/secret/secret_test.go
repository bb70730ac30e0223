package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"sync"
	"testing"
	text "text/template"

	"github.com/davecgh/go-spew/spew"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// No printer, encoder or logger shows a secret, even in an unexported field, where they can't call its
// methods.
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
		Map     map[string]Secret
		Any     any
	}
	type hider struct {
		secret  Secret
		pointer *Secret
		list    []Secret
		any     any
	}
	h, u := holder{s, &s, []Secret{s}, map[string]Secret{"a": s}, s}, hider{s, &s, []Secret{s}, s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%c", "%U"} {
		fmt.Fprintf(&out, strings.Repeat(verb+" ", 7)+"\n", s, &s, h, &h, u, &u, []any{s, u})
	}
	fmt.Fprintln(&out, fmt.Errorf("wrapped: %w", errors.Join(fmt.Errorf("%v", s), fmt.Errorf("%+v", u))))
	for _, value := range []any{s, &s, h, &h, u} {
		for _, encode := range []func() error{
			func() error { return json.NewEncoder(&out).Encode(value) },
			func() error { return gob.NewEncoder(&out).Encode(value) }, // it fails, which is all right
			func() error { return xml.NewEncoder(&out).Encode(value) },
			func() error { return text.Must(text.New("").Parse("{{.}} {{printf `%v` .}}")).Execute(&out, value) },
			func() error {
				return template.Must(template.New("").Parse("{{.}} <script>{{.}}</script>")).Execute(&out, value)
			},
		} {
			if err := encode(); err != nil {
				fmt.Fprintln(&out, err)
			}
		}
		spew.Fdump(&out, value)
		(&spew.ConfigState{DisableMethods: true, DisablePointerMethods: true}).Fdump(&out, value)
		func() {
			defer func() { fmt.Fprint(&out, recover()) }()
			panic(value)
		}()
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("x", "secret", value, slog.Group("g", "secret", value))
		}
		for _, encoder := range []zapcore.Encoder{zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())} {
			log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
			log.Info("x", zap.Any("any", value), zap.Reflect("reflect", value), zap.Stringer("stringer", s), zap.Stringers("stringers", []Secret{s}))
			log.Sugar().Infow("x", "secret", value)
			log.Sugar().Infof("%v %+v", value, value)
		}
	}
	for _, leak := range []string{marked, fmt.Sprintf("%x", marked), fmt.Sprintf("%X", marked), "bWFya2VkLXNlY3JldA", "109 97 114 107 101 100", "109,97,114,107,101,100", "0x6d, 0x61, 0x72", "6d 61 72"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output shows the secret as %q:\n%s", leak, out.String())
		}
	}
	if strings.Count(out.String(), "[hidden]") < 100 {
		t.Errorf("[hidden] is missing from some of the output:\n%s", out.String())
	}
}

func TestEqual(t *testing.T) {
	for _, test := range []struct {
		a, b Secret
		want bool
	}{
		{New("a"), New("a"), true},
		{New("a"), New("b"), false},
		{New("a"), New("aa"), false},
		{New("a"), Secret{}, false},
		{Secret{}, Secret{}, true},
	} {
		expect.Equal(t, test.want, test.a.Equal(test.b), "whether %q is %q", test.a.Key(), test.b.Key())
	}
}

// The MAC is that of RFC 4231, also for several parts and in several goroutines.
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
		t.Error("the zero secret and the empty one have different MACs")
	}
}
