package diagnosis

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
)

type answer struct {
	status  int
	code    string
	outcome string
	refused *ingest.RefusedConn // set if it was refused before the request was complete; then there is no code
}

// ask sends a request to the bridge's own server over a connection in memory, as if it were
// received at that time.
func (d *diagnoser) ask(request Delivery, received time.Time) answer {
	first := make(chan answer, 1)
	take := func(a answer) {
		select {
		case first <- a:
		default: // the capture may hold a second request
		}
	}
	refused := func(c ingest.RefusedConn) {
		status, _, _ := strings.Cut(c.Answer, " ")
		number, _ := strconv.Atoi(status) // 0 where there is none
		take(answer{status: number, outcome: string(c.Refusal), refused: &c})
	}
	c := ingest.Config{
		SubjectPrefix: "webhooks", MaxBodyBytes: d.MaxBodyBytes, MaxInFlightBytes: 1 << 40, Quarantine: d.Quarantine,
		Publisher: discard{}, Observer: observer(take), Refused: refused, Now: func() time.Time { return received },
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
	work.Go(func() { _ = server.Serve(handler.Conns.Listen(listener, nil)) })
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

type observer func(answer)

func (take observer) Observe(r *ingest.Record) {
	a := answer{status: http.StatusOK, outcome: r.Outcome}
	for _, row := range ingest.Refusals {
		if row.Outcome == r.Outcome {
			a.status, a.code = row.Status, row.Code
		}
	}
	take(a)
}

type discard struct{}

func (discard) Publish(context.Context, publish.Message) (publish.Status, error) {
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
