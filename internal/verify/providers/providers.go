// Package providers lists the vendors that the bridge knows.
package providers

//go:generate go test -run TestDocuments . -update-documents

import (
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

// Presets lists the providers that are described by settings, which an endpoint may override.
var Presets = hmac.Presets

// ByName returns the provider of that name that has a folder; nil if there is none.
func ByName(name string) *verify.Provider {
	for _, p := range All {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Preset returns the preset of that name; nil if there is none.
func Preset(name string) *hmac.Preset {
	for _, p := range Presets {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Names lists the names of all providers.
func Names() (names []string) {
	for _, p := range All {
		names = append(names, p.Name)
	}
	for _, p := range Presets {
		names = append(names, p.Name)
	}
	return names
}
