package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// panicking is a bug that quotes the body.
type panicking struct{}

func (panicking) Publish(_ context.Context, _ time.Time, m publish.Message) (publish.Status, error) {
	panic(string(m.Data))
}

// serve serves a handler on its own listener.
func serve(h *ingest.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Listener = h.Conns.Listen(server.Config, server.Listener, nil)
	server.Start()
	return server
}

// A panic refuses one delivery. The error has the place, and nothing of the body.
func TestPanic(t *testing.T) {
	key := secret.New("key")
	seen := make(chan ingest.Record, 1)
	server := serve(ingest.New(ingest.Config{
		Endpoints: []verify.Endpoint{{
			Name: "flock", Provider: &flock.Provider, Scheme: verify.Auto, Tolerance: time.Minute,
			Secrets: func() []secret.Secret { return []secret.Secret{key} },
		}},
		SubjectPrefix: "webhooks", MaxBodyBytes: 1 << 10, MaxInFlightBytes: 1 << 20, Publisher: panicking{},
		Observe: func(r *ingest.Record) { seen <- *r }, Now: time.Now,
	}))
	defer server.Close()
	body := fmt.Sprintf(`{"name":"marked.body","timestamp":%d}`, time.Now().Unix())
	request, err := http.NewRequest(http.MethodPost, server.URL+"/webhooks/flock", strings.NewReader(body))
	expect.NoError(t, err)
	request.Header.Set("X-Flock-Signature", verify.Hex.Encode(key.MAC([]byte(body))))
	response, err := server.Client().Do(request)
	expect.NoError(t, err)
	defer response.Body.Close()
	record := <-seen
	if response.StatusCode != http.StatusInternalServerError || record.Outcome != "internal" || !errors.Is(record.Err, ingest.ErrInternal) {
		t.Errorf("answered %s, outcome %s, %v", response.Status, record.Outcome, record.Err)
	}
	if text := record.Err.Error(); strings.Contains(text, "marked") || !strings.Contains(text, "panicking") {
		t.Errorf("the error is:\n%s", text)
	}
}
