package hmac

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// takesForms matches a SIGNED with which the body may be a form. Unlike a JSON object, a form may
// begin or end with another form. So it must be the last part, and every value before it must have
// text behind it.
var takesForms = regexp.MustCompile(`^[^{}]*(\{[^{}]*\}[^{}]+)*\{body\}$`)

// unwrap returns the JSON of a body: the body itself, or the member payload of a form, as sent by
// GitHub and Slack. The Content-Type isn't signed, so it can't make a body a form that isn't one: a
// user could write &payload=… into JSON. A form escapes each byte that every JSON object or array has,
// and every text of several words
// (https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set).
func unwrap(h http.Header, raw []byte) ([]byte, error) {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	isForm := strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
	if !isForm || bytes.ContainsAny(raw, "{[\"<> \t\r\n") {
		return raw, nil
	}
	members, err := url.ParseQuery(string(raw))
	if err != nil || len(members["payload"]) != 1 {
		return nil, fmt.Errorf("%w: a form needs one member payload, which has JSON", stringify.ErrSyntax)
	}
	return []byte(members.Get("payload")), nil
}
