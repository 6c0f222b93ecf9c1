package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what this program was made from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// thisBuild asks the Go linker: a module version or a pseudo-version of the
// commit, "(devel)" without version control.
func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the version of this program",
		Args:        wants(0, 0),
		Annotations: unread(),
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if a.json {
				return a.emit("version", b)
			}
			return a.printf("clyde %s %s %s/%s\n", b.Version, b.Go, b.OS, b.Arch)
		},
	}
}

// userAgent is how clyde names itself to registries. In continuous integration,
// whose providers all set CI, it says so: counts of people leave it out.
func userAgent() string {
	b := thisBuild()
	ci := ""
	if v := os.Getenv("CI"); v != "" && v != "false" && v != "0" {
		ci = "; ci"
	}
	return "clyde/" + b.Version + " (" + b.OS + "; " + b.Arch + ci + ")"
}
