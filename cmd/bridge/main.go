// Command bridge receives webhooks and publishes them to NATS JetStream.
package main

import (
	"os"

	"github.com/ade15e70/webhook-bridge/internal/cli"
)

func main() { os.Exit(cli.Main()) }
