// Package providers lists the vendors that the bridge knows.
package providers

//go:generate go test -run TestDocuments . -update-documents

import (
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/frigade"
)

// All has every provider, each with a folder of its own.
var All = []*verify.Provider{
	&flock.Provider,
	&frigade.Provider,
}

// ByName returns the provider of that name, nil where there is none.
func ByName(name string) *verify.Provider {
	i := slices.IndexFunc(All, func(p *verify.Provider) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return All[i]
}

// Names lists the providers' names.
func Names() (names []string) {
	for _, p := range All {
		names = append(names, p.Name)
	}
	return names
}
