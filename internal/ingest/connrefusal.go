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

// ConnRefusals has advice for the operator for every [ConnRefusal].
var ConnRefusals = map[ConnRefusal]string{
	ProxyProtocol:  "the proxy in front speaks the PROXY protocol: switch it off there, the bridge takes plain HTTP/1.1",
	TLSOnPlain:     "the sender speaks TLS to a plain port: have the proxy in front speak http to the bridge, or set TLS_CERT_FILE and TLS_KEY_FILE",
	PlainOnTLS:     "the sender speaks plain HTTP to the TLS port: have it use https, or unset TLS_CERT_FILE and TLS_KEY_FILE",
	TLSHandshake:   "the TLS handshake failed: the sender may not trust the certificate, know only TLS 1.1 or speak HTTP/2 only",
	HTTP2:          "the proxy in front speaks HTTP/2 without asking: have it speak HTTP/1.1 to the bridge",
	HeadTooLarge:   "a head has at most 8 KiB: have the proxy in front add less to it, cookies above all",
	TooManyHeaders: "a head has at most 100 headers: have the proxy in front add fewer",
	HeadTimeout:    "the headers were not whole in 5 s: the sender is slow, or is an attack",
	HeadBusy:       "too much is in flight: see MAX_IN_FLIGHT_BYTES",
	Malformed:      "the request is not HTTP/1.1 as RFC 9112 has it, or lacks its Host: see the answer for what is wrong",
	HTTPVersion:    "the bridge speaks HTTP/1.0 and HTTP/1.1",
	Framing:        "the bridge takes a body with a length, or with the transfer encoding chunked alone",
	Expectation:    "the bridge knows no expectation but 100-continue: have the proxy in front remove the header Expect",
}

// Remedy returns advice for the operator.
func (r ConnRefusal) Remedy() string { return ConnRefusals[r] }

// RefusedConn is a refused connection. The sender chose nothing in it, except Remote.
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

// longestPrelude is the length of the longest of them.
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

// plainOnTLS returns the refusal for bytes on a TLS port that aren't TLS; "" if they may be
// anything.
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

// ownAnswers are the refusals behind the statuses with which net/http itself answers; behind any
// other it is Malformed.
var ownAnswers = map[string]ConnRefusal{"417": Expectation, "431": HeadTooLarge, "501": Framing, "505": HTTPVersion}

// answer returns the answer to a refused connection, in the form of net/http's own, or of the handler's
// for what it refuses too; "" if the sender couldn't read one.
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
