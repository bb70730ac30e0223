package natsdtest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyTestMain runs the tests and fails if one of them left a goroutine behind. Goroutines of a
// nats-server in this process don't count: one that is shut down while a client makes a stream
// leaks that stream's store, with its two goroutines (seen with 2.15.2).
func VerifyTestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"))
}
