package hmac

import (
	"bytes"
	"net/url"
	"strconv"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// mayBeForm reports whether a body has none of the bytes that a form must escape
// (https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set). Every JSON
// object or array has at least one of them, and so has a text of several words.
func mayBeForm(body []byte) bool { return !bytes.ContainsAny(body, "{[\"<> \t\r\n") }

// payload returns the member payload of a form. It reads each member once and decodes no other,
// because anybody may have sent the body.
func payload(form []byte) (found []byte, err error) {
	for more := true; more; {
		var member []byte
		member, form, more = bytes.Cut(form, []byte{'&'})
		name, value, _ := bytes.Cut(member, []byte{'='})
		if !isPayload(name) {
			continue
		}
		if found != nil {
			return nil, errNoPayload
		}
		text, err := url.QueryUnescape(string(value))
		if err != nil {
			return nil, errNoPayload
		}
		found = []byte(text)
	}
	if found == nil {
		return nil, errNoPayload
	}
	return found, nil
}

// isPayload reports whether a member's name decodes to payload.
func isPayload(name []byte) bool {
	const want = "payload"
	if bytes.IndexByte(name, '%') < 0 || len(name) > len(want)*len("%70") {
		return string(name) == want
	}
	text, err := url.QueryUnescape(string(name))
	return err == nil && text == want
}
