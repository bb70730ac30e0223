package natsd

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
)

// logger passes the server's log on, its notices as debug.
type logger struct {
	log   *zap.SugaredLogger
	fatal atomic.Pointer[string]
}

// Noticef skips lines that are empty.
func (l *logger) Noticef(format string, v ...any) {
	if text := strings.TrimSpace(fmt.Sprintf(format, v...)); text != "" {
		l.log.Debug(text)
	}
}

func (l *logger) Warnf(format string, v ...any) { l.log.Warnf(format, v...) }

const remedy = "free disk space or replace the disk, then restart the bridge: until then events wait in the spool"

// Errorf adds to an error that does not pass by itself what to do. After a failed write, the server
// stores nothing more in the stream, even if the disk has room again (stream.go, setWriteErr).
func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, "critical write error") {
		l.log.Errorw(text, "remedy", remedy)
		return
	}
	l.log.Error(text)
}

func (l *logger) Debugf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Tracef(string, ...any)          {} // it would show payloads

// Fatalf keeps the text for Start instead of ending the program.
func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.Store(&text)
}

func (l *logger) fatalError() error {
	if text := l.fatal.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}
