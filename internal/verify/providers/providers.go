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

// Of returns the provider whose own endpoint has that name; nil if there is none.
func Of(endpoint string) *verify.Provider { return named(All, endpoint) }

// ByName returns the provider of that name; nil if there is none. One that is described by settings
// must be configured before it can verify.
func ByName(name string) *verify.Provider { return named(slices.Concat(All, Described), name) }

func named(list []*verify.Provider, name string) *verify.Provider {
	i := slices.IndexFunc(list, func(p *verify.Provider) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return list[i]
}

// Names lists the providers' names.
func Names() (names []string) {
	for _, p := range slices.Concat(All, Described) {
		names = append(names, p.Name)
	}
	return names
}
