package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release is set when a release is built: -ldflags "-X github.com/ade15e70/webhook-bridge/internal/cli.release=v1.2.3".
var release string

// version returns the release, or else the version that the Go toolchain recorded.
func version() string { return thisBuild().Version }

// build describes this build. It is the output of `bridge version --json`.
type build struct {
	Version   string `json:"version"`
	GoVersion string `json:"goversion"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	Revision  string `json:"revision,omitempty"` // of the source
	Time      string `json:"time,omitempty"`     // of that revision
	Modified  bool   `json:"modified,omitempty"` // the source had changes on top of that revision
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo() // never nil in a binary built with modules
	settings := make(map[string]string)
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	return build{
		Version:   cmp.Or(release, strings.Trim(info.Main.Version, "()")), // "(devel)" without a commit
		GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Revision: settings["vcs.revision"], Time: settings["vcs.time"], Modified: settings["vcs.modified"] == "true",
	}
}

// String returns the version in one line, with the commit and its date if they are known.
func (b build) String() string {
	source := ""
	if b.Revision != "" {
		source = fmt.Sprintf(" (commit %.12s of %.10s)", b.Revision, b.Time)
	}
	return fmt.Sprintf("bridge %s%s %s %s/%s", b.Version, source, b.GoVersion, b.OS, b.Arch)
}

func versionCommand(prog program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the commit and its date",
		Example: "  bridge version\n  bridge version --json",
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(prog.out).Encode(b)
			}
			prog.print("%s", b)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object: version, goversion, os, arch and, if known, revision, time, modified")
	return c
}
