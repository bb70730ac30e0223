package diagnosis

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// asCaptured returns the request as it was captured, with what it needs to be one.
func (d *diagnoser) asCaptured() Delivery {
	r := d.Delivery
	isHTTP1 := r.Method != "" && (r.Version == "" || strings.HasPrefix(r.Version, "1."))
	switch path := d.address(); {
	case r.Method == "":
		r.Method, r.Target = http.MethodPost, path
	case d.At != "" && strings.TrimSuffix(d.path(), "/") != path:
		d.step("note", "the request is for %s; it is judged as one for %s, as asked", d.path(), path)
		r.Target = path
	}
	if !isHTTP1 && len(r.Values("Host")) == 0 { // from 2 on it isn't among the headers
		r.Header = append(slices.Clip(r.Header), Field{"Host", "bridge"})
	}
	return r
}

// address returns the endpoint's path.
func (d *diagnoser) address() string { return "/webhooks/" + d.at.Name }

// examineAnswer adds the step about the bridge's answer, and the cause if the signature isn't it.
func (d *diagnoser) examineAnswer(received time.Time) {
	request := d.asCaptured()
	a := d.ask(request, received)
	d.report.Status, d.report.Code, d.report.Outcome = a.status, a.code, a.outcome
	d.report.Accepted = a.outcome == string(publish.Stored)
	d.answerStep(a)
	encoding := strings.Join(request.Values("Content-Encoding"), ", ")
	byStatus := map[int]Cause{
		http.StatusNotFound:              proven("path", "the request is for "+d.path()+", and the endpoint is at exactly "+d.address(), "register the address with "+d.address()+" at its end at the vendor, or have the proxy pass the path on unchanged"),
		http.StatusMethodNotAllowed:      proven("method", "the method is "+request.Method+", and an endpoint takes POST only", "if a redirect made it so, from http to https as a rule, register the address that it leads to"),
		http.StatusRequestEntityTooLarge: proven("body_too_large", fmt.Sprintf("the body has %d bytes, and MAX_BODY_BYTES is %d", len(request.Body), d.MaxBodyBytes), "raise MAX_BODY_BYTES, and MAX_IN_FLIGHT_BYTES with it, if the vendor means to send so much"),
		http.StatusUnsupportedMediaType:  proven("content_encoding", "the body isn't JSON, and its Content-Encoding is "+encoding, "if that is a compression, have the proxy pass the body on uncompressed; else capture the body as it was sent, byte for byte"),
	}
	isEmptied := request.Version == "1.0" && len(request.Values("Transfer-Encoding")) > 0 && len(request.Body) > 0
	switch cause, ok := byStatus[a.status]; {
	case a.refused != nil:
		d.cause(proven(a.outcome, "it is refused before there is a delivery: "+a.refused.Answer, a.refused.Refusal.Remedy()))
	case ok:
		d.cause(cause)
	case isEmptied:
		d.cause(proven("chunked_http10", "the body comes in chunks under HTTP/1.0, which has none: it counts as empty", "have the proxy in front speak HTTP/1.1 to the bridge (nginx: proxy_http_version 1.1)"))
	}
}

func (d *diagnoser) answerStep(a answer) {
	switch {
	case a.refused != nil:
		d.step("answer", "%s, before there is a delivery: in webhook_bridge_refused_connections_total %s", a.refused.Answer, a.outcome)
	case d.report.Accepted:
		d.step("answer", "200: it is published")
	case a.status == http.StatusOK:
		d.step("answer", "200 %s: it is not published", a.outcome)
	case a.code == a.outcome:
		d.step("answer", "%d %s", a.status, a.code)
	default:
		d.step("answer", "%d %s, in the log and the metrics %s", a.status, a.code, a.outcome)
	}
}
