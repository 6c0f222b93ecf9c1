package web

import (
	"strings"

	"github.com/clydepm/clyde-registry/pkg/catalog"
)

// origin is the CI run that published a version, as its page tells it. Its
// addresses are of the web, or empty.
type origin struct {
	Repository string // address
	Commit     string
	Short      string // of the commit
	CommitURL  string
	RunURL     string
	Run        string // its number
}

// originOf returns where a version came from, or nil where no CI run published
// it by its identity.
func originOf(r catalog.Release) *origin {
	by := r.PublishedBy
	if by == nil || by.Kind != catalog.ByRun {
		return nil
	}
	o := &origin{Repository: webURL(by.Repository), Commit: by.Commit, Short: by.Commit, RunURL: webURL(by.RunURL), Run: "of CI"}
	const short = 12 // of a commit: what Git itself shows in large repositories
	if len(o.Short) > short {
		o.Short = strings.ToValidUTF8(o.Short[:short], "")
	}
	if o.Repository != "" && isHex(o.Commit) {
		switch by.Provider {
		case "github", "forgejo":
			o.CommitURL = o.Repository + "/commit/" + o.Commit
		case "gitlab":
			o.CommitURL = o.Repository + "/-/commit/" + o.Commit
		}
	}
	for _, mark := range []string{"/actions/runs/", "/-/pipelines/"} {
		if _, rest, ok := strings.Cut(o.RunURL, mark); ok {
			o.Run, _, _ = strings.Cut(rest, "/")
		}
	}
	return o
}

// isHex reports whether s is a Git commit: SHA-1 or SHA-256.
func isHex(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
