package diagnosis

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// request returns the captured request, completed with what the capture lacks.
func (d *diagnoser) request() Delivery {
	r := d.Delivery
	switch path := d.address(); {
	case r.Method == "":
		r.Method, r.Target = http.MethodPost, path
	case d.EndpointName != "" && strings.TrimSuffix(d.path(), "/") != path:
		d.step("note", "the request is for %s; as asked, it is judged as one for %s", d.path(), path)
		r.Target = path
	}
	if !strings.HasPrefix(r.Version, "1.") && len(r.Values("Host")) == 0 { // HTTP/2 and 3 have no Host header
		r.Header = append(slices.Clip(r.Header), Field{"Host", "bridge"})
	}
	return r
}

// address returns the endpoint's path; the paths of all endpoints if it is unknown.
func (d *diagnoser) address() string {
	var all []string
	for _, e := range d.Endpoints {
		if d.endpoint.Name == "" || e.Name == d.endpoint.Name {
			all = append(all, "/webhooks/"+e.Name)
		}
	}
	return strings.Join(all, " or ")
}

// examineAnswer adds the step about the bridge's answer, and the cause unless it is the signature.
func (d *diagnoser) examineAnswer(received time.Time) {
	r := d.request()
	a := d.ask(r, received)
	d.report.Status, d.report.Outcome = a.status, a.outcome
	d.report.Accepted = a.outcome == string(publish.Stored)
	switch {
	case a.refused != nil:
		d.step("answer", "%s, before the request is complete; webhook_bridge_refused_connections_total counts it as %s",
			a.refused.Answer, a.outcome)
		d.cause(proven("it is refused before the request is complete: "+a.refused.Answer, a.refused.Refusal.Remedy()))
		return
	case d.report.Accepted:
		d.step("answer", "200: it is published")
	case a.status == http.StatusOK:
		d.step("answer", "200 %s: it is not published", a.outcome)
	case a.code == a.outcome:
		d.step("answer", "%d %s", a.status, a.code)
	default:
		d.step("answer", "%d %s; the log and the metrics call it %s", a.status, a.code, a.outcome)
	}
	switch {
	case a.status == http.StatusNotFound:
		d.cause(proven("the request is for "+d.path()+", but the endpoint's path is "+d.address(),
			"at the vendor, register the address that ends in "+d.address()+", or have the proxy pass the path on unchanged"))
	case a.status == http.StatusMethodNotAllowed:
		d.cause(proven("the method is "+r.Method+", and an endpoint takes POST only",
			"a redirect, usually from http to https, may have changed the method: register the address that it leads to"))
	case a.status == http.StatusRequestEntityTooLarge:
		d.cause(proven(fmt.Sprintf("the body has %s, and MAX_BODY_BYTES is %s", config.Count(len(r.Body), "byte"), config.Size(d.MaxBodyBytes)),
			"raise MAX_BODY_BYTES, and MAX_IN_FLIGHT_BYTES with it, if the vendor's deliveries are so large"))
	case a.status == http.StatusUnsupportedMediaType:
		d.cause(proven("the body isn't JSON, and its Content-Encoding is "+strings.Join(r.Values("Content-Encoding"), ", "),
			"if that is a compression, have the proxy pass the body on uncompressed; "+
				"else capture the body as it was sent, byte for byte"))
	case r.Version == "1.0" && len(r.Values("Transfer-Encoding")) > 0 && len(r.Body) > 0:
		d.cause(proven("the body is chunked, which HTTP/1.0 doesn't know: it counts as empty",
			"have the proxy in front speak HTTP/1.1 to the bridge (nginx: proxy_http_version 1.1)"))
	}
}

type answer struct {
	status  int
	code    string
	outcome string
	refused *ingest.RefusedConn // nil unless it was refused before the request was complete; then code is ""
}

// ask sends a request to the bridge's server in memory, which takes received for the present time.
func (d *diagnoser) ask(request Delivery, received time.Time) answer {
	first := make(chan answer, 1)
	take := func(a answer) {
		select {
		case first <- a:
		default: // the answer to a second request in the capture
		}
	}
	observe := func(r *ingest.Record) { take(answer{status: r.Status, code: r.Code, outcome: r.Outcome}) }
	refused := func(c ingest.RefusedConn) {
		status, _, _ := strings.Cut(c.Answer, " ")
		number, _ := strconv.Atoi(status) // 0 where there is none
		take(answer{status: number, outcome: string(c.Refusal), refused: &c})
	}
	c := ingest.Config{
		SubjectPrefix: "webhooks", MaxBodyBytes: d.MaxBodyBytes, MaxInFlightBytes: 1 << 40, Quarantine: d.Quarantine,
		Publisher: discard{}, Observe: observe, Refused: refused, Now: func() time.Time { return received },
	}
	for _, e := range d.Endpoints {
		c.Endpoints = append(c.Endpoints, e.Endpoint)
	}
	handler := ingest.New(c)
	server := handler.Server(log.New(io.Discard, "", 0))
	client, accepted := net.Pipe()
	listener := make(listener, 1)
	listener <- accepted
	var work sync.WaitGroup
	work.Go(func() { _ = server.Serve(handler.Conns.Listen(server, listener, nil)) })
	work.Go(func() { _, _ = client.Write(request.Append(nil)) }) // the answer may come before all is written
	work.Go(func() {
		_, _ = io.Copy(io.Discard, client)
		refused(ingest.RefusedConn{Refusal: ingest.Malformed, Answer: "no answer"}) // if there was none
	})
	a := <-first
	_ = client.Close()
	_ = server.Close()
	work.Wait()
	return a
}

type discard struct{}

func (discard) Publish(context.Context, time.Time, publish.Message) (publish.Status, error) {
	return publish.Stored, nil
}

// listener accepts the connections that it is sent.
type listener chan net.Conn

func (l listener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l listener) Close() error {
	close(l)
	return nil
}

func (l listener) Addr() net.Addr { return &net.UnixAddr{} }
