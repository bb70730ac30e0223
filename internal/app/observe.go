package app

//go:generate go test -run TestMetricsDocument . -update-documents

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// observer logs and counts the outcome of each request.
type observer struct {
	log      *zap.Logger
	refused  *zap.Logger // sampled
	drift    *zap.Logger // logs each message at most once in ten minutes
	metrics  *telemetry.Metrics
	keyrings map[string]*keyring // by endpoint
	series   map[string]series   // by endpoint

	read, verify, publish prometheus.Observer // durations of the stages
}

// series has an endpoint's most used metrics, because looking one up by its labels takes longer than
// counting.
type series struct {
	deliveries    map[string]prometheus.Counter // by outcome
	duration, age prometheus.Observer
}

func newObserver(log, sampled *zap.Logger, metrics *telemetry.Metrics, keyrings map[string]*keyring) *observer {
	// Each series begins at 0: Prometheus doesn't see an increase that comes with a new series.
	all := make(map[string]series)
	for name := range keyrings {
		metrics.Drift.WithLabelValues(name)
		deliveries := make(map[string]prometheus.Counter)
		for _, s := range []publish.Status{publish.Stored, publish.Duplicate, publish.Spooled, publish.Kept} {
			deliveries[string(s)] = metrics.Deliveries.WithLabelValues(name, string(s))
		}
		for _, r := range ingest.Refusals {
			deliveries[r.Outcome] = metrics.Deliveries.WithLabelValues(name, r.Outcome)
		}
		all[name] = series{deliveries, metrics.Duration.WithLabelValues(name), metrics.Age.WithLabelValues(name)}
		for _, reason := range ingest.Reasons() {
			metrics.Quarantined.WithLabelValues(name, reason)
		}
	}
	for r := range ingest.ConnRefusals {
		metrics.RefusedConns.WithLabelValues(string(r))
	}
	for kind := range publish.Kind(publish.Kinds) {
		metrics.Possible.WithLabelValues(kind.String())
		for _, way := range []string{relay.Direct, relay.FromSpool} {
			for _, outcome := range publishOutcomes(way) {
				metrics.Published.WithLabelValues(kind.String(), way, outcome)
			}
		}
	}
	stage := metrics.Stages.WithLabelValues
	return &observer{
		log: log, refused: sampled, drift: telemetry.Sampled(log, 10*time.Minute, 1, 0, metrics.LogDropped.Inc),
		metrics: metrics, keyrings: keyrings, series: all,
		read: stage("read"), verify: stage("verify"), publish: stage("publish"),
	}
}

func publishOutcomes(way string) []string {
	all := []string{string(publish.Stored), string(publish.Duplicate)}
	if way == relay.FromSpool {
		all = append(all, relay.Found)
	}
	for _, cause := range publish.Causes {
		all = append(all, string(cause))
	}
	return all
}

// severity returns the level and the message of a refusal in the log.
func severity(err error) (zapcore.Level, string) {
	switch {
	case errors.Is(err, publish.ErrUnavailable), errors.Is(err, publish.ErrTooLarge) && !verify.IsAuthentic(err):
		return zap.ErrorLevel, "delivery could not be kept"
	case errors.Is(err, publish.ErrNoRoom), errors.Is(err, publish.ErrTooLarge):
		return zap.WarnLevel, "signed delivery refused, and not kept in quarantine"
	case verify.IsAuthentic(err), errors.Is(err, verify.OtherScheme):
		return zap.WarnLevel, "signed delivery refused"
	case errors.Is(err, ingest.ErrWrongPath):
		return zap.WarnLevel, "delivery refused for its path: register the address exactly as the error gives it"
	case errors.Is(err, ingest.ErrInternal):
		return zap.ErrorLevel, "delivery failed on an internal error"
	}
	return zap.WarnLevel, "delivery refused"
}

// Observe counts a delivery and logs it in one line. A refusal is logged with its reason; an accepted
// delivery, or one to a path that no vendor has, at debug level.
func (o *observer) Observe(r *ingest.Record) {
	at, known := o.series[r.Endpoint]
	if !known {
		o.metrics.Deliveries.WithLabelValues(r.Endpoint, r.Outcome).Inc()
		if errors.Is(r.Err, ingest.ErrNotConfigured) {
			o.logRefusal(r)
		} else {
			o.refused.Debug("no such endpoint", zap.String("remote", r.Remote))
		}
		return
	}
	at.deliveries[r.Outcome].Inc()
	if errors.Is(r.Err, ingest.ErrWrongPath) {
		o.logRefusal(r)
		return
	}
	at.duration.Observe(r.Duration.Seconds())
	observe(o.read, r.Stages.Read)
	observe(o.verify, r.Stages.Verify)
	observe(o.publish, r.Stages.Publish)
	if r.Claims.SignedText != nil {
		o.observeSignature(r, at.age)
	}
	if r.Kept != "" {
		o.metrics.Quarantined.WithLabelValues(r.Endpoint, r.Kept).Inc()
	}
	switch {
	case r.Err != nil:
		o.logRefusal(r)
	case r.Kept != "":
		o.refused.Warn("signed delivery can't be read as an event and is in quarantine: see `bridge quarantine list`",
			zap.String("endpoint", r.Endpoint), zap.String("id", r.ID), zap.String("remote", r.Remote), traceID(r))
	default:
		o.observeAccepted(r)
	}
}

// observeSignature counts an authentic delivery by its secret, scheme and age.
func (o *observer) observeSignature(r *ingest.Record, age prometheus.Observer) {
	c := r.Claims
	if !c.Occurred.IsZero() {
		age.Observe(r.Received.Sub(c.Occurred).Seconds())
	}
	if position, first := o.keyrings[r.Endpoint].verified(c.Scheme, r.Secrets[c.Secret], r.Received); first {
		o.log.Info("first delivery with this scheme and secret since the start",
			zap.String("endpoint", r.Endpoint), zap.String("scheme", c.Scheme), zap.Int("secret", position))
	}
}

func (o *observer) observeAccepted(r *ingest.Record) {
	if member := r.Claims.Drift; member != "" {
		o.metrics.Drift.WithLabelValues(r.Endpoint).Inc()
		const message = "a member of an accepted delivery isn't as the vendor documents it: check whether consumers use it"
		if entry := checkSampled(o.drift, zap.InfoLevel, message, r.Endpoint+member); entry != nil {
			entry.Write(zap.String("endpoint", r.Endpoint), zap.String("member", member), zap.String("id", r.ID), traceID(r))
		}
	}
	o.metrics.Accepted.WithLabelValues(r.Endpoint).SetToCurrentTime()
	if entry := o.log.Check(zap.DebugLevel, "delivery accepted"); entry != nil {
		entry.Write(zap.String("endpoint", r.Endpoint), zap.String("outcome", r.Outcome), zap.String("id", r.ID),
			zap.String("type", r.Event.Type), zap.String("signed", r.Claims.Scheme), zap.Int("secret", r.Claims.Secret),
			zap.Duration("duration", r.Duration), traceID(r))
	}
}

// logRefusal logs a refused delivery. A flood of one outcome at one endpoint leaves out no other line.
func (o *observer) logRefusal(r *ingest.Record) {
	level, message := severity(r.Err)
	key := r.Endpoint + " " + r.Outcome
	if errors.Is(r.Err, ingest.ErrNotConfigured) { // it names the vendor
		key = r.Err.Error()
	}
	if entry := checkSampled(o.refused, level, message, key); entry != nil {
		entry.Write(zap.String("endpoint", r.Endpoint), zap.String("outcome", r.Outcome), zap.Error(r.Err),
			zap.Bool("quarantined", r.Kept != ""), zap.String("remote", r.Remote), zap.Duration("duration", r.Duration), age(r), traceID(r))
	}
}

// checkSampled returns the line to write, or nil if sampling drops it, before its fields are made. Sampling
// tells lines apart by level and message, so it gets the key as part of the message.
func checkSampled(log *zap.Logger, level zapcore.Level, message, key string) *zapcore.CheckedEntry {
	entry := log.Check(level, message+": "+key)
	if entry != nil {
		entry.Message = message
	}
	return entry
}

// RefusedConn counts and logs a refused connection, with advice. Each kind of refusal has its own message,
// so that sampling keeps them apart.
func (o *observer) RefusedConn(c ingest.RefusedConn) {
	o.metrics.RefusedConns.WithLabelValues(string(c.Refusal)).Inc()
	o.refused.Warn("connection refused: "+c.Refusal.Remedy(),
		zap.String("kind", string(c.Refusal)), zap.String("answer", c.Answer), zap.String("remote", c.Remote))
}

func observe(stage prometheus.Observer, took time.Duration) {
	if took > 0 {
		stage.Observe(took.Seconds())
	}
}

// age returns a log field with the age of an authentic delivery. It is negative if the delivery's time is
// in the future. If the delivery is too old, the older of its times counts.
func age(r *ingest.Record) zap.Field {
	from := r.Claims.Occurred
	if created := r.Claims.Created; errors.Is(r.Err, verify.Stale) && !created.IsZero() && created.Before(from) {
		from = created
	}
	if from.IsZero() || verify.IsMilliseconds(from) { // then the error says enough
		return zap.Skip()
	}
	return zap.Duration("age", r.Received.Sub(from).Round(time.Millisecond))
}

// traceID returns a log field with the trace's id, if there is one.
func traceID(r *ingest.Record) zap.Field {
	if r.Trace == "" {
		return zap.Skip()
	}
	return zap.String("trace_id", r.Trace)
}

func (o *observer) Published(kind publish.Kind, way, outcome string) {
	o.metrics.Published.WithLabelValues(kind.String(), way, outcome).Inc()
}

func (o *observer) PossiblyDuplicate(kind publish.Kind) {
	o.metrics.Possible.WithLabelValues(kind.String()).Inc()
}
