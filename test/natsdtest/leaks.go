package natsdtest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyTestMain runs the tests and fails when one of them left a goroutine behind. What a
// nats-server in this process leaves is its own: one that is shut down in the instant in which a
// client has a stream made forgets that stream's store, with its two goroutines (seen with 2.15.2).
func VerifyTestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"))
}
