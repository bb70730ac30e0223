package hmac

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// takesForms reports whether the body may be a form. Unlike a JSON object, a form may begin or end
// with another form. So it must be the last part, and every value before it must have text behind it.
func (s *scheme) takesForms() bool {
	last := len(s.signed) - 1
	for i, p := range s.signed[:last] {
		if p.kind != literal && s.signed[i+1].kind != literal {
			return false
		}
	}
	return s.signed[last].kind == body
}

// unwrap returns the JSON of a body: the body itself, or the member payload of a form, as sent by
// GitHub and Slack. The Content-Type isn't signed, so it can't make a body a form that isn't one: a
// user could write &payload=… into JSON.
func unwrap(h http.Header, raw []byte) ([]byte, error) {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") || !mayBeForm(raw) {
		return raw, nil
	}
	members, err := url.ParseQuery(string(raw))
	if err != nil || len(members["payload"]) != 1 {
		return nil, errNoPayload
	}
	return []byte(members.Get("payload")), nil
}

var errNoPayload = fmt.Errorf("%w: a form needs one member payload, which has JSON", stringify.ErrSyntax)

// mayBeForm reports whether a body has no byte that a form must escape
// (https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set). Every JSON
// object or array has at least one of them, and so has a text of several words.
func mayBeForm(body []byte) bool { return !bytes.ContainsAny(body, "{[\"<> \t\r\n") }
