// Package nats holds NATS' configuration for the bridge.
package nats

import _ "embed"

// Accounts is an account for webhooks with its users, in nats-server's configuration, for the default
// names of subjects and streams.
//
//go:embed accounts.conf
var Accounts string
