// A consumer of .ci/outside.
package main

import (
	"fmt"
	"os"

	"github.com/ade15e70/webhook-bridge/event"
)

func main() {
	e := event.New(event.Facts{ID: "1", Endpoint: "flock", Provider: "flock", Name: "invitee.accepted", Signed: "payload", Body: []byte("{}")})
	parsed, err := event.Parse(e.Append(nil))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(event.Subject("webhooks", "flock", parsed.Event))
}
