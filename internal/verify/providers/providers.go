// Package providers lists the vendors that the bridge knows.
package providers

//go:generate go test -run TestDocuments . -update-documents

import (
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/frigade"
	"github.com/ade15e70/webhook-bridge/internal/verify/hmac"
)

// All lists the providers that have a folder. Each has its own endpoint, with variables that begin
// with its name.
var All = []*verify.Provider{
	&flock.Provider,
	&frigade.Provider,
}

// Described lists the providers that are described by settings, which an endpoint may override.
var Described = hmac.Providers

// ByName returns the provider of that name; nil if there is none. One that is described by settings
// must be configured before it can verify.
func ByName(name string) *verify.Provider {
	for _, p := range slices.Concat(All, Described) {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Names lists the providers' names.
func Names() (names []string) {
	for _, p := range slices.Concat(All, Described) {
		names = append(names, p.Name)
	}
	return names
}
