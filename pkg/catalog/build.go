package catalog

import (
	"context"
	"encoding/json"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Build is one binary build of a version.
type Build struct {
	Digest    string          `json:"digest" doc:"OCI digest to pull by"`
	Reference string          `json:"reference" doc:"what oras, crane and cosign take: host/namespace/name@digest"`
	Tag       string          `json:"tag" doc:"version, _ and sixteen digits that follow from the facts" example:"1.3.1_0123456789abcdef"`
	ABIID     string          `json:"abi_id" doc:"identity of the binary interface: builds that have one can take each other's place"`
	OS        string          `json:"os" doc:"system it is for; any, of headers alone" example:"linux"`
	Arch      string          `json:"arch" doc:"processor it is for" example:"x86_64"`
	Size      int64           `json:"size" doc:"bytes of what is installed, compressed"`
	DebugSize int64           `json:"debug_size,omitempty" doc:"bytes of the debug symbols, compressed; absent where there are none"`
	Attached  time.Time       `json:"attached_at" doc:"when it was pushed"`
	Actor     string          `json:"attached_by" doc:"who pushed it"`
	Facts     json.RawMessage `json:"facts" doc:"build.json: what the build needs and how it was made"`
	Links     *Links          `json:"links,omitempty" doc:"what linkers and loaders find in it, measured from its files; absent until it was measured"`
}

// Links is what linkers and loaders find in a build.
type Links struct {
	SONames []string `json:"sonames" doc:"of its shared libraries, sorted" example:"libz.so.1"`
	Symbols int      `json:"symbols" doc:"how many it defines that no other file of a program may define"`
	Shared  bool     `json:"shared" doc:"the symbols are those that its shared libraries export, for want of archives"`
}

// Fit is what the rules say of one build for one host.
type Fit struct {
	Build
	Class compat.Class `json:"class" doc:"exact, other_build_type, other_linkage, older_cpu; no: it does not fit"`
	Fact  string       `json:"fact,omitempty" doc:"the first fact that failed"`
	Why   string       `json:"why,omitempty" doc:"a sentence about it"`
}

// Builds lists the builds of a version, oldest first.
func (c *Catalog) Builds(ctx context.Context, p account.Principal, ref Ref) ([]Build, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	rows, err := c.DB.Builds(ctx, r.Repo, r.VersionKey)
	if err != nil {
		return nil, err
	}
	links, err := c.DB.LinksOfBuilds(ctx, r.Repo, r.VersionKey)
	if err != nil {
		return nil, err
	}
	out := make([]Build, len(rows))
	for i, b := range rows {
		out[i] = c.build(ctx, b)
		if l, ok := links[b.Digest]; ok {
			out[i].Links = &Links{SONames: l.SONames, Symbols: l.Symbols, Shared: l.Shared}
		}
	}
	return out, nil
}

// BuildPlatforms lists what a version has builds for: "linux" and
// "linux-x86_64", each once, in order.
func (c *Catalog) BuildPlatforms(ctx context.Context, p account.Principal, ref Ref) ([]string, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	return c.DB.BuildPlatforms(ctx, r.Repo, r.VersionKey)
}

func (c *Catalog) build(ctx context.Context, b store.Build) Build {
	return Build{
		Digest: b.Digest, Reference: c.reference(ctx, b.Repo, b.Digest), Tag: b.Tag, ABIID: b.ABIID, OS: b.OS, Arch: b.Arch,
		Size: b.TreeSize, DebugSize: b.DebugSize, Attached: b.Attached, Actor: b.Actor, Facts: b.Facts,
	}
}

// BuildsFor judges the builds of a version for a host: those that fit, best
// first, then the others, each with the first fact that failed.
func (c *Catalog) BuildsFor(ctx context.Context, p account.Principal, ref Ref, h compat.Host, w compat.Want) ([]Fit, error) {
	builds, err := c.Builds(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	byDigest := make(map[string]Build, len(builds))
	candidates := make([]compat.Candidate, 0, len(builds))
	for _, b := range builds {
		f, err := compat.Parse(b.Facts)
		if err != nil {
			return nil, err
		}
		byDigest[b.Digest] = b
		candidates = append(candidates, compat.Candidate{Digest: b.Digest, Facts: f})
	}
	out := make([]Fit, 0, len(builds))
	for _, v := range compat.Match(h, w, candidates) {
		out = append(out, Fit{Build: byDigest[v.Candidate.Digest], Class: v.Class, Fact: v.Fact, Why: v.Why})
	}
	return out, nil
}

// chooseBuilds adds to an answer the build of each package that fits the host
// of the query best, and why the others do not. A build must have been made
// with what was chosen of its dependencies, so that those are judged first.
func (c *Catalog) chooseBuilds(ctx context.Context, p account.Principal, q resolve.Query, sol *resolve.Solution, out *resolve.Answer) error {
	wish := resolve.Wish{}
	if q.Want != nil {
		wish = *q.Want
	}
	views := make(map[clyde.Name]*resolve.PackageView, len(sol.Packages))
	for i := range sol.Packages {
		views[sol.Packages[i].Name] = &out.Packages[i]
	}
	lock := resolve.NewLock(sol, nil, nil)
	for _, name := range lock.Needed(resolve.Want{Platform: q.Platform, Dev: true}) {
		v := views[name]
		w := compat.Want{
			BuildType: wish.BuildType, Linkage: wish.Linkage, AnyLinkage: wish.AnyLinkage, PIC: wish.PIC, Traits: v.Traits, Deps: map[string]compat.Dep{},
		}
		if v.Traits["shared"] == "true" {
			w.Linkage = compat.Shared
		}
		for _, e := range lock.Edges(name, resolve.Want{Platform: q.Platform, NoBuild: true}) {
			d := compat.Dep{Name: views[e.Name].Name, Version: views[e.Name].Version}
			if b := views[e.Name].Build; b != nil {
				d.ABIID = b.ABIID
			}
			w.Deps[d.Name] = d
		}
		fits, err := c.BuildsFor(ctx, p, Ref{Name: name, Version: v.Version}, *q.Host, w)
		if err != nil {
			return err
		}
		for _, f := range fits {
			switch {
			case f.Class == compat.No && len(v.WhyNot) < resolve.MaxWhyNot:
				v.WhyNot = append(v.WhyNot, resolve.WhyNot{Digest: f.Digest, Fact: f.Fact, Why: f.Why})
			case f.Class != compat.No && v.Build == nil:
				v.Build = &resolve.BuildView{ABIID: f.ABIID, Digest: f.Digest, Platform: platformOf(f.OS, f.Arch), Class: f.Class.String()}
			}
		}
	}
	return nil
}

// platformOf names a platform as lists of them do.
func platformOf(system, arch string) string {
	if system == arch {
		return system
	}
	return system + "-" + arch
}
