package inspect

import (
	"slices"
	"strings"
	"time"
)

// toRead returns the APIs that reading a stream needs, with consumers whose names have this prefix.
func toRead(stream, consumers string) (apis []string) {
	return []string{
		"STREAM.INFO." + stream + ".", "CONSUMER.CREATE." + stream + "." + consumers, "CONSUMER.MSG.NEXT." + stream + "." + consumers,
	}
}

// lacks returns a permission that NATS has denied since a time, for one of the APIs or for the
// inbox; "": none. An API is the beginning of a subject after $JS.API, with a dot after each whole
// token.
func (s *Server) lacks(since time.Time, apis []string) string {
	isRequest := func(subject string) bool { return strings.HasPrefix(subject, "$JS.") }
	subject := s.denied.Find(since, func(subject string) bool {
		return !isRequest(subject) || slices.ContainsFunc(apis, func(api string) bool { return strings.Contains(subject+".", "."+api) })
	})
	switch {
	case subject == "":
		return ""
	case isRequest(subject):
		return "publish on " + subject
	}
	return "subscribe to " + subject
}
