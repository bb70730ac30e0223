package diagnosis

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// asCaptured returns the request as it was captured, with what it needs to be one.
func (d *diagnoser) asCaptured() Delivery {
	r := d.Delivery
	isHTTP1 := r.Method != "" && (r.Version == "" || strings.HasPrefix(r.Version, "1."))
	switch path := "/webhooks/" + d.at.Name; {
	case r.Method == "":
		r.Method, r.Target = http.MethodPost, path
	case d.At != "" && strings.TrimSuffix(d.path(), "/") != path:
		d.step("note", "the request is for %s; it is judged as one for %s, as asked", humanize.Text(d.path()), path)
		r.Target = path
	}
	if !isHTTP1 && len(r.Values("Host")) == 0 { // from 2 on it isn't among the headers
		r.Header = append(slices.Clip(r.Header), Field{"Host", "bridge"})
	}
	return r
}

// asExpected returns the request as a vendor sends it, with the same body and signature.
func (d *diagnoser) asExpected() Delivery {
	r := Delivery{Method: http.MethodPost, Target: "/webhooks/" + d.at.Name, Header: []Field{{"Host", "bridge"}}, Body: d.Delivery.Body}
	p := d.at.Provider
	for _, f := range d.Delivery.Header {
		name := http.CanonicalHeaderKey(f.Name)
		if name == p.Header || name == "Content-Type" || slices.Contains(p.Headers, name) {
			r.Header = append(r.Header, Field{f.Name, strings.Map(func(c rune) rune {
				if unicode.IsControl(c) {
					return -1
				}
				return c
			}, f.Value)})
		}
	}
	return r
}

// examineAnswer adds the step about the bridge's answer. If the request is refused before its body
// counts, it returns the answer to the request as it should have been.
func (d *diagnoser) examineAnswer() answer {
	asIs := d.asCaptured()
	first := d.judge(asIs)
	d.report.Status, d.report.Code, d.report.Outcome = first.status, first.code, first.outcome
	d.report.Accepted = first.outcome == string(publish.Stored)
	d.answerStep(first)
	isChunked := len(asIs.Values("Transfer-Encoding")) > 0
	switch {
	case first.refused != nil:
		d.cause(proven(first.outcome, "it is refused before there is a delivery: "+first.refused.Answer, first.refused.Refusal.Remedy()))
	case first.status == http.StatusNotFound:
		right := "/webhooks/" + d.at.Name
		d.cause(proven(
			"path", "the request is for "+humanize.Text(d.path())+", and the endpoint is at exactly "+right,
			"register the address with "+right+" at its end at the vendor, or have the proxy pass the path on unchanged",
		))
	case first.status == http.StatusMethodNotAllowed:
		d.cause(proven(
			"method", "the method is "+asIs.Method+", and an endpoint takes POST only",
			"if a redirect made it so, from http to https as a rule, register the address that it leads to",
		))
	case first.status == http.StatusRequestEntityTooLarge:
		d.cause(proven(
			"body_too_large", fmt.Sprintf("the body has %d bytes, and MAX_BODY_BYTES is %d", len(d.Delivery.Body), d.MaxBodyBytes),
			"raise MAX_BODY_BYTES, and MAX_IN_FLIGHT_BYTES with it, if the vendor means to send so much",
		))
		return first
	case first.status == http.StatusUnsupportedMediaType:
		d.cause(proven(
			"content_encoding", "the body isn't JSON, and its Content-Encoding is "+humanize.Text(strings.Join(d.Delivery.Values("Content-Encoding"), ", ")),
			"if that is a compression, have the proxy pass the body on uncompressed; else capture the body as it was sent, byte for byte",
		))
		return first
	case isChunked && asIs.Version == "1.0" && len(asIs.Body) > 0:
		d.cause(proven(
			"chunked_http10", "the body comes in chunks under HTTP/1.0, which has none: it counts as empty",
			"have the proxy in front speak HTTP/1.1 to the bridge (nginx: proxy_http_version 1.1)",
		))
	default:
		return first
	}
	return d.judge(d.asExpected())
}

// judge asks the server. A delivery that is old by now, and of which isn't known when it was
// received, is judged as if it had come at the last moment.
func (d *diagnoser) judge(r Delivery) answer {
	received := d.Received
	if received.IsZero() {
		received = d.Now
	}
	a := d.ask(r, received)
	a.window = d.windowOf(a.claims)
	if w := a.window; d.Received.IsZero() && w != nil && !w.IsEmpty() && d.Now.After(w.To) {
		a = d.ask(r, w.To)
		a.window = w
	}
	return a
}

func (d *diagnoser) answerStep(a answer) {
	switch {
	case a.refused != nil:
		d.step("answer", "%s, before there is a delivery: in webhook_bridge_refused_connections_total %s", a.refused.Answer, a.outcome)
	case a.outcome == string(publish.Stored):
		d.step("answer", "200: it is published")
	case a.status == http.StatusOK:
		d.step("answer", "200 %s: it is not published", a.outcome)
	case a.code == a.outcome:
		d.step("answer", "%d %s", a.status, a.code)
	default:
		d.step("answer", "%d %s, in the log and the metrics %s", a.status, a.code, a.outcome)
	}
}
