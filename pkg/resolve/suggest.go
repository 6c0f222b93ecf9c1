package resolve

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of the attempts to mend a failure. Ours: a person reads three, and the
// attempts together may cost about what the resolution did.
const (
	maxFixes      = 3
	maxTrials     = 24
	maxTrialSteps = 5_000 // of one attempt
)

// FixKind says what a Fix changes.
type FixKind string

// The kinds of fix.
const (
	FixRange      FixKind = "range"      // Range of a requirement of the project
	FixTrait      FixKind = "trait"      // leave out the traits asked of a requirement of the project
	FixPrerelease FixKind = "prerelease" // ask for prereleases of Name
	FixOverride   FixKind = "override"   // override what others require of Name by Range
	FixRemove     FixKind = "remove"     // do not require Name
)

// Fix is one change with which a request can be met; it was tried.
type Fix struct {
	Kind  FixKind     `json:"kind"`
	Name  clyde.Name  `json:"name"`
	Range clyde.Range `json:"range,omitzero"`
	Text  string      `json:"text"` // an imperative sentence
}

// suggest tries what would make a request possible that failed with err, and
// adds it to the error: ranges and traits of the project's own requirements,
// prereleases, overrides, leaving a requirement out.
func suggest(ctx context.Context, u *universe, req *Request, err *clyde.Error) {
	f, ok := err.Err.(*Failure) //nolint:errorlint // set by unsatisfiable, never wrapped
	if !ok {
		return
	}
	m := &mender{u: u, req: req, f: f}
	m.unknown(err)
	names := slices.Clone(f.Packages)
	for _, q := range req.Root.Requires { // what a proof of one step may leave out
		if !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	for _, try := range []func(context.Context, clyde.Name){m.early, m.widen, m.drop, m.override, m.remove} {
		for _, n := range names {
			if len(f.Fixes) < maxFixes && ctx.Err() == nil {
				try(ctx, n)
			}
		}
	}
	for _, fix := range f.Fixes {
		err.Fix("%s", fix.Text)
	}
	if len(f.Fixes) == 0 && len(err.Fixes) == 0 {
		err.Fix("no single range, override or prerelease mends this: begin with line 1 and ask the maintainers of %s for a version that fits, or do without one of your requirements", and(quote(f.Packages)))
	}
}

func quote(names []clyde.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, n.String())
	}
	if len(all) > maxFixes {
		all = append(all[:maxFixes:maxFixes], "the others named")
	}
	return all
}

type mender struct {
	u      *universe
	req    *Request
	f      *Failure
	trials int
}

// unknown is about packages that do not exist: no attempt is needed.
func (m *mender) unknown(err *clyde.Error) {
	for _, n := range m.f.Packages {
		if k := m.u.pkgs[n.Identity()]; k != nil && k.why != "" {
			err.Fix("check the spelling of %s; clyde search %s finds what there is", n, n.Base)
		}
	}
}

// attempt returns the version that package n has under a changed request.
func (m *mender) attempt(ctx context.Context, n clyde.Name, req Request) (clyde.Version, bool) {
	if m.trials++; m.trials > maxTrials {
		return clyde.Version{}, false
	}
	req.NoSuggestions = true
	req.MaxSteps = maxTrialSteps
	s, failure, err := attempt(ctx, m.u, &req)
	if err != nil || failure != nil {
		return clyde.Version{}, false
	}
	if i, ok := s.byID[n.Identity()]; ok && s.vars[i].chosen > 0 {
		return s.vars[i].known.cands[s.vars[i].chosen-1].Version, true
	}
	return clyde.Version{}, true
}

// own returns where the project requires n, or -1.
func (m *mender) own(n clyde.Name) int {
	return slices.IndexFunc(m.req.Root.Requires, func(q Requirement) bool {
		return q.Name.Identity() == n.Identity() && q.Local == "" && q.Git == ""
	})
}

// with returns the request with another list of the project's requirements.
func (m *mender) with(change func([]Requirement) []Requirement) Request {
	r := *m.req
	r.Root.Requires = change(slices.Clone(r.Root.Requires))
	return r
}

// around returns a range that begins at v.
func around(v clyde.Version) clyde.Range {
	r, err := clyde.ParseRange("^" + v.String())
	if err != nil {
		r, _ = clyde.ParseRange(">=" + v.String())
	}
	return r
}

func (m *mender) widen(ctx context.Context, n clyde.Name) {
	i := m.own(n)
	if i < 0 || m.req.Root.Requires[i].Range.IsAny() {
		return
	}
	was := m.req.Root.Requires[i].Range
	v, ok := m.attempt(ctx, n, m.with(func(qs []Requirement) []Requirement { qs[i].Range = clyde.Range{}; return qs }))
	if !ok || v.IsZero() {
		return
	}
	m.f.Fixes = append(m.f.Fixes, Fix{FixRange, n, around(v), fmt.Sprintf("require %s %s in place of %s", n, around(v), was)})
}

func (m *mender) drop(ctx context.Context, n clyde.Name) {
	i := m.own(n)
	if i < 0 || len(m.req.Root.Requires[i].Traits) == 0 {
		return
	}
	if _, ok := m.attempt(ctx, n, m.with(func(qs []Requirement) []Requirement { qs[i].Traits = nil; return qs })); ok {
		m.f.Fixes = append(m.f.Fixes, Fix{FixTrait, n, clyde.Range{}, fmt.Sprintf("leave out the traits that your requirement of %s asks for", n)})
	}
}

func (m *mender) early(ctx context.Context, n clyde.Name) {
	k := m.u.pkgs[n.Identity()]
	if k == nil || !slices.ContainsFunc(k.cands, func(c *Candidate) bool { return c.Version.IsPrerelease() }) {
		return
	}
	r := *m.req
	r.Prereleases = append(slices.Clone(r.Prereleases), n)
	if v, ok := m.attempt(ctx, n, r); ok && v.IsPrerelease() {
		m.f.Fixes = append(m.f.Fixes, Fix{FixPrerelease, n, around(v), fmt.Sprintf("ask for a prerelease of %s: require %s", n, around(v))})
	}
}

func (m *mender) override(ctx context.Context, n clyde.Name) {
	if slices.ContainsFunc(m.f.Fixes, func(f Fix) bool { return f.Name == n && f.Kind != FixTrait }) {
		return // a gentler way was found
	}
	r := *m.req
	r.Overrides = maps.Clone(r.Overrides)
	if r.Overrides == nil {
		r.Overrides = map[clyde.Name]clyde.Range{}
	}
	r.Overrides[n] = clyde.Range{}
	if v, ok := m.attempt(ctx, n, r); ok && !v.IsZero() {
		m.f.Fixes = append(m.f.Fixes, Fix{FixOverride, n, around(v), fmt.Sprintf("override %s with %s, against what other packages ask of it, and test that they work with it", n, around(v))})
	}
}

func (m *mender) remove(ctx context.Context, n clyde.Name) {
	i := m.own(n)
	if i < 0 {
		return
	}
	if _, ok := m.attempt(ctx, n, m.with(func(qs []Requirement) []Requirement { return slices.Delete(qs, i, i+1) })); ok {
		m.f.Fixes = append(m.f.Fixes, Fix{FixRemove, n, clyde.Range{}, fmt.Sprintf("do without %s: the other requirements can be met", n)})
	}
}
