package publish

import (
	"errors"
	"strings"
	"time"
)

var errForbidden = errors.New("our account may not publish on this subject")

// forbiddenFor is how long nothing is sent on a subject that the server has denied. It ends because
// the right may be granted while the connection lasts.
const forbiddenFor = 10 * time.Second

// isForbidden reports whether the server has denied the subject.
func (s *session) isForbidden(subject string) bool {
	return s.denied.Find(time.Now().Add(-forbiddenFor), func(denied string) bool { return denied == subject }) != ""
}

// forbiddenRequest returns the subject of a denied request to JetStream about the stream or, with
// kind CONSUMER rather than STREAM, its consumers; "" if none is. Deleting a consumer doesn't count:
// the server removes an unused one by itself.
func (s *session) forbiddenRequest(kind, stream string) string {
	return s.denied.Find(time.Now().Add(-forbiddenFor), func(denied string) bool {
		isAbout := strings.HasPrefix(denied, "$JS.") && strings.Contains(denied, "."+kind+".") && strings.Contains(denied+".", "."+stream+".")
		return isAbout && !strings.Contains(denied, ".DELETE.")
	})
}
