package ingest

import "bytes"

// ConnRefusal is why a connection was refused before its request reached the handler.
type ConnRefusal string

// The refusals.
const (
	ProxyProtocol  ConnRefusal = "proxy_protocol"
	TLSOnPlain     ConnRefusal = "tls_on_plain_port"
	PlainOnTLS     ConnRefusal = "plain_on_tls_port"
	TLSHandshake   ConnRefusal = "tls_handshake"
	HTTP2          ConnRefusal = "http2_prior_knowledge"
	HeadTooLarge   ConnRefusal = "head_too_large"
	TooManyHeaders ConnRefusal = "too_many_headers"
	HeadTimeout    ConnRefusal = "head_timeout"
	HeadBusy       ConnRefusal = "busy"
	Malformed      ConnRefusal = "malformed"
	HTTPVersion    ConnRefusal = "http_version"
	Framing        ConnRefusal = "transfer_encoding"
	Expectation    ConnRefusal = "expectation"
)

// ConnRefusals maps every [ConnRefusal] to advice for the operator.
var ConnRefusals = map[ConnRefusal]string{
	ProxyProtocol:  "the proxy in front speaks the PROXY protocol: switch it off there, the bridge takes plain HTTP/1.1",
	TLSOnPlain:     "the sender speaks TLS to a plain port: have the proxy speak http to the bridge, or set TLS_CERT_FILE and TLS_KEY_FILE",
	PlainOnTLS:     "the sender speaks plain HTTP to the TLS port: have it use https, or unset TLS_CERT_FILE and TLS_KEY_FILE",
	TLSHandshake:   "the TLS handshake failed: the sender may not trust the certificate, know only TLS 1.1 or speak HTTP/2 only",
	HTTP2:          "the proxy in front speaks HTTP/2: have it speak HTTP/1.1 to the bridge",
	HeadTooLarge:   "the headers take more than 8 KiB: have the proxy in front add less, cookies above all",
	TooManyHeaders: "there are more than 100 headers: have the proxy in front add fewer",
	HeadTimeout:    "the headers did not arrive within 5 s: the sender is slow, or an attacker",
	HeadBusy:       "too much is in flight: add instances, or memory and raise MAX_IN_FLIGHT_BYTES",
	Malformed:      "the request breaks RFC 9112, or has no Host header: the answer says what is wrong",
	HTTPVersion:    "the request has another version than HTTP/1.0 or HTTP/1.1: have the proxy in front speak HTTP/1.1",
	Framing:        "the bridge knows no transfer encoding but chunked: have the proxy in front send that, or a Content-Length",
	Expectation:    "the bridge knows no expectation but 100-continue: have the proxy in front remove the header Expect",
}

// Remedy returns advice for the operator.
func (r ConnRefusal) Remedy() string { return ConnRefusals[r] }

// RefusedConn is a refused connection. The sender chooses no text in it, except Remote.
type RefusedConn struct {
	Refusal ConnRefusal
	Remote  string // the sender's address
	Answer  string // the status line; "": no answer
}

// preludes are the first bytes of other protocols: TLS (RFC 8446, section 5.1), HTTP/2 (RFC 9113,
// section 3.4) and PROXY (haproxy's proxy-protocol.txt, sections 2.1 and 2.2).
var preludes = []struct {
	bytes   []byte
	refusal ConnRefusal
}{
	{[]byte("\x16\x03"), TLSOnPlain},
	{[]byte("PRI * HTTP/2.0\r\n"), HTTP2},
	{[]byte("PROXY "), ProxyProtocol},
	{[]byte("\r\n\r\n\x00\r\nQUIT\n"), ProxyProtocol},
}

// longestPrelude is the length of the longest prelude.
const longestPrelude = len("PRI * HTTP/2.0\r\n")

// recognize returns the refusal for the first bytes of a connection; "" if they may be HTTP/1.1.
func recognize(first []byte) ConnRefusal {
	for _, p := range preludes {
		if bytes.HasPrefix(first, p.bytes) {
			return p.refusal
		}
	}
	return ""
}

// plainOnTLS returns the refusal for bytes on a TLS port that aren't TLS; "" if they may be anything.
func plainOnTLS(first []byte) ConnRefusal {
	for _, p := range preludes {
		if bytes.HasPrefix(p.bytes, first) {
			return p.refusal
		}
	}
	if bytes.ContainsFunc(first, func(r rune) bool { return (r < 'A' || r > 'Z') && r != ' ' && r != '/' }) {
		return ""
	}
	return PlainOnTLS // a method
}

// ownAnswers maps the statuses of net/http's own answers to refusals. Any other status is Malformed.
var ownAnswers = map[string]ConnRefusal{"417": Expectation, "431": HeadTooLarge, "501": Framing, "505": HTTPVersion}

// answer returns the answer to a refused connection: plain text as in net/http's own answers, and for
// HeadBusy a problem as from the handler. It is "" if the sender couldn't read one.
func (r ConnRefusal) answer() string {
	status, kind, text := "400 Bad Request", "text/plain; charset=utf-8", r.Remedy()+"\n"
	switch r {
	case HeadTooLarge, TooManyHeaders:
		status = "431 Request Header Fields Too Large"
	case HeadBusy:
		status = "503 Service Unavailable\r\nRetry-After: " + retryAfter
		kind, text = typeProblem[0], string(appendProblem(nil, refusalOf(errBusy)))
	case HeadTimeout, TLSHandshake:
		return ""
	}
	return "HTTP/1.1 " + status + "\r\nContent-Type: " + kind + "\r\nConnection: close\r\n\r\n" + text
}
