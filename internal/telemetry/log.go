// Package telemetry has the logger, the metrics, the traces, and the admin listener, which serves probes
// and metrics. None of them ever holds a secret, a signature or a body. Metric labels hold nothing that a
// sender chose; logs and traces do only once its signature is verified.
//
// A nil [Tracer] and the zero [Span] do nothing, so callers needn't check for them.
package telemetry

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger is a logger whose level can be changed while it is in use.
type Logger struct {
	*zap.Logger
	Level  zap.AtomicLevel
	always *zap.Logger // logs at any level
	lines  *lineWriter
}

// OnDropped sets f to be called for each line that is dropped because nobody reads the log.
func (l *Logger) OnDropped(f func()) { l.lines.dropped.Store(&f) }

// NewLogger returns a logger that writes to w. Format and level are those of LOG_FORMAT and LOG_LEVEL.
func NewLogger(w io.Writer, format, level string) *Logger {
	parsed := zap.NewAtomicLevel()
	_ = parsed.UnmarshalText([]byte(level)) // config has checked it
	c := zap.NewProductionEncoderConfig()
	c.TimeKey, c.MessageKey = "time", "message"
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(c)
	if format == "console" {
		c.EncodeTime = zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(c)
	}
	lines := &lineWriter{to: w, turn: make(chan struct{}, 1)}
	out := zapcore.AddSync(lines)
	return &Logger{zap.New(zapcore.NewCore(encoder, out, parsed)), parsed, zap.New(zapcore.NewCore(encoder, out, zapcore.DebugLevel)), lines}
}

// lineWriter writes one line at a time. While one waits for longer than linePatience, such as for a reader
// of a full pipe, it drops further ones: the log must not stop deliveries.
type lineWriter struct {
	to      io.Writer
	turn    chan struct{}             // holds a value while a line is written
	since   atomic.Pointer[time.Time] // when that line was begun; nil if there is none
	dropped atomic.Pointer[func()]
}

const linePatience = 100 * time.Millisecond

// Write never fails: there is nowhere to report it.
func (l *lineWriter) Write(line []byte) (int, error) {
	if dropped := l.dropped.Load(); !l.write(bytes.Clone(line)) && dropped != nil {
		(*dropped)()
	}
	return len(line), nil
}

// write waits until the line is written, or for linePatience. It reports whether the line isn't dropped.
func (l *lineWriter) write(line []byte) bool {
	late := time.After(linePatience)
	if since := l.since.Load(); since != nil && time.Since(*since) >= linePatience {
		return false
	}
	select {
	case l.turn <- struct{}{}:
	case <-late:
		return false
	}
	now, written := time.Now(), make(chan struct{})
	l.since.Store(&now)
	go func() {
		_, _ = l.to.Write(line)
		l.since.Store(nil)
		<-l.turn
		close(written)
	}()
	select {
	case <-written:
	case <-late: // it is written later
	}
	return true
}

// Sampled returns a logger with which a flood can't fill the disk. Of the equal messages in each interval
// it logs the first ones and then every nth, or no more if nth is 0. It calls dropped for each other one.
func Sampled(log *zap.Logger, interval time.Duration, first, nth int, dropped func()) *zap.Logger {
	count := zapcore.SamplerHook(func(_ zapcore.Entry, d zapcore.SamplingDecision) {
		if d&zapcore.LogDropped != 0 {
			dropped()
		}
	})
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return lazySampler{core, sync.OnceValue(func() zapcore.Core {
			return zapcore.NewSamplerWithOptions(core, interval, first, nth, count)
		})}
	}))
}

// lazySampler makes its sampler only for the first message. A sampler holds 0.7 MB of counters, a fifth of
// the heap of a bridge that refuses nothing.
type lazySampler struct {
	zapcore.Core
	sampler func() zapcore.Core
}

func (l lazySampler) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !l.Enabled(e.Level) {
		return to
	}
	return l.sampler().Check(e, to)
}

func (l lazySampler) With(fields []zapcore.Field) zapcore.Core { return l.sampler().With(fields) }
