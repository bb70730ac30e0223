package ingest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// message is a delivery's message as it went to NATS: a line of testdata/messages.ndjson.
type message struct {
	Vector  string            `json:"vector"` // the delivery's name
	Subject string            `json:"subject"`
	Headers map[string]string `json:"headers"`
	Payload string            `json:"payload"`
}

// pipeline is what a delivery passes: HTTP, the handler, the publisher and NATS. A subscriber receives
// each message as it is published, even if the stream has it already.
type pipeline struct {
	t         *testing.T
	config    *config.Config
	publisher *publish.Publisher
	published *nats.Subscription
	js        jetstream.JetStream
}

// newPipeline starts a NATS server, and connects a publisher with the default subjects and stream.
func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	c, _, err := config.Load([]string{"FRIGADE_SECRETS=x"})
	expect.NoError(t, err)
	server, err := natsd.Start(natsd.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Log: zap.NewNop()})
	expect.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	r := &pipeline{t: t, config: c, js: natsdtest.Connect(t, server.URL())}
	if r.published, err = r.js.Conn().SubscribeSync(c.SubjectPrefix + ".>"); err != nil {
		t.Fatal(err)
	}
	r.publisher, err = publish.Open(publish.Config{
		Server: publish.Server{URL: server.URL()},
		Stream: publish.Stream{
			Name: c.StreamName, Prefix: c.SubjectPrefix, Manage: true,
			Replicas: c.StreamReplicas, MaxAge: c.StreamMaxAge, Duplicates: c.StreamDuplicates,
		},
		Timeout: time.Minute, Log: zap.NewNop(),
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		if err := r.publisher.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.publisher.AwaitChecks(t.Context(), time.Minute)
	return r
}

// send sends a webhook and returns the message that it became.
func (r *pipeline) send(d webhook) message {
	r.t.Helper()
	secrets := make([]secret.Secret, len(d.secrets))
	for i, s := range d.secrets {
		secrets[i] = secret.New(s)
	}
	server := serve(ingest.New(ingest.Config{
		Endpoints: []verify.Endpoint{{
			Name: d.endpoint, Provider: d.provider, Scheme: d.scheme, Freshness: d.freshness, Tolerance: d.tolerance,
			Secrets: func() []secret.Secret { return secrets },
		}},
		SubjectPrefix: r.config.SubjectPrefix, MaxBodyBytes: int64(r.config.MaxBodyBytes), MaxInFlightBytes: int64(r.config.MaxInFlightBytes),
		Publisher: direct{r.publisher}, Observe: func(*ingest.Record) {}, Now: func() time.Time { return d.now },
	}))
	defer server.Close()
	request, err := http.NewRequest(http.MethodPost, server.URL+"/webhooks/"+d.endpoint, strings.NewReader(d.body))
	expect.NoError(r.t, err)
	if d.header != nil {
		request.Header = d.header
	}
	for _, signature := range d.signatures {
		request.Header.Add(d.provider.Signature.Header, signature)
	}
	response, err := server.Client().Do(request)
	expect.NoError(r.t, err)
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: answered %s %s, %v", d.name, response.Status, answer, err)
	}
	m, err := r.published.NextMsg(10 * time.Second)
	expect.NoErrorf(r.t, err, "%s: nothing was published", d.name)
	return r.message(d.name, m.Subject, m.Header, m.Data)
}

// stored returns what the stream has, as a consumer receives it.
func (r *pipeline) stored() []message {
	r.t.Helper()
	consumer, err := r.js.OrderedConsumer(r.t.Context(), r.config.StreamName, jetstream.OrderedConsumerConfig{})
	expect.NoError(r.t, err)
	info, err := consumer.Info(r.t.Context())
	expect.NoError(r.t, err)
	batch, err := consumer.Fetch(int(info.NumPending))
	expect.NoError(r.t, err)
	var all []message
	for m := range batch.Messages() {
		all = append(all, r.message("", m.Subject(), m.Headers(), m.Data()))
	}
	if len(all) != int(info.NumPending) || batch.Error() != nil {
		r.t.Fatalf("of %d stored messages %d came: %v", info.NumPending, len(all), batch.Error())
	}
	return all
}

func (r *pipeline) message(vector, subject string, header nats.Header, payload []byte) message {
	r.t.Helper()
	m := message{Vector: vector, Subject: subject, Headers: make(map[string]string), Payload: string(payload)}
	for name, values := range header {
		if len(values) != 1 {
			r.t.Errorf("%s: the header %s has the values %q", vector, name, values)
		}
		m.Headers[name] = values[0]
	}
	return m
}

// direct publishes without a relay.
type direct struct{ *publish.Publisher }

func (d direct) Publish(ctx context.Context, _ time.Time, m publish.Message) (publish.Status, error) {
	return d.Publisher.Publish(ctx, m)
}
