package resolve

import (
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Answer is a Solution as a server sends it.
type Answer struct {
	Traits       map[string]string `json:"traits,omitempty" doc:"values of the project's own traits"`
	Dependencies []EdgeView        `json:"dependencies" doc:"of the project"`
	Packages     []PackageView     `json:"packages" doc:"one version of every package needed, by name"`
	Steps        int               `json:"steps" doc:"choices and conflicts that it took"`
}

// EdgeView is an Edge in JSON.
type EdgeView struct {
	Name       string            `json:"name" example:"@acme/zlib"`
	Kind       Kind              `json:"kind" enum:"requires,build_requires,dev_requires"`
	Range      string            `json:"range" example:"^1.3"`
	When       string            `json:"when,omitempty" doc:"condition on the platform that stays"`
	Traits     map[string]string `json:"traits,omitempty" doc:"values that it asks of the other's traits"`
	Visibility string            `json:"visibility,omitempty" doc:"absent: public"`
	Optional   bool              `json:"optional,omitempty"`
}

// PackageView is a Package in JSON.
type PackageView struct {
	Name         string            `json:"name" example:"@acme/zlib"`
	Version      string            `json:"version" example:"1.3.1"`
	Registry     string            `json:"registry" doc:"host of its OCI repository" example:"localhost:8080"`
	Digest       string            `json:"digest" doc:"of the manifest: what is fetched"`
	Checksum     string            `json:"checksum,omitempty" doc:"digest of the source archive"`
	Size         int64             `json:"size" doc:"bytes of the source archive"`
	License      string            `json:"license,omitempty"`
	Supports     string            `json:"supports,omitempty" doc:"expression over platforms"`
	Provides     []string          `json:"provides,omitempty" doc:"link names"`
	Traits       map[string]string `json:"traits,omitempty" doc:"all of them, defaults too"`
	Dependencies []EdgeView        `json:"dependencies" doc:"what it requires, of what is needed"`
	Yanked       string            `json:"yanked,omitempty" doc:"why; such a version is chosen only where lock names it"`
	Signed       string            `json:"signed,omitempty" doc:"what the registry found; whoever cares verifies again"`
	Build        *BuildView        `json:"build,omitempty" doc:"with host: the build that fits it best; absent where none does"`
	WhyNot       []WhyNot          `json:"why_not,omitempty" doc:"with host: builds that do not fit, at most 32"`
}

// Answer returns a solution as it is sent; whether packages are signed, and
// their builds, are for the caller to add.
func (sol *Solution) Answer() Answer {
	a := Answer{Traits: sol.TraitValues, Dependencies: edgeViews(sol.Dependencies), Packages: make([]PackageView, len(sol.Packages)), Steps: sol.Steps}
	for i := range sol.Packages {
		p := &sol.Packages[i]
		a.Packages[i] = PackageView{
			Name: p.Name.String(), Version: p.Version.String(), Registry: p.Registry, Digest: p.Digest, Checksum: p.Checksum, Size: p.Size,
			License: p.License, Supports: p.Supports, Provides: p.Provides, Traits: p.TraitValues, Dependencies: edgeViews(p.Dependencies), Yanked: p.Yanked,
			Signed: p.Signed, Build: p.Build, WhyNot: p.WhyNot,
		}
	}
	return a
}

func edgeViews(edges []Edge) []EdgeView {
	all := make([]EdgeView, len(edges))
	for i, e := range edges {
		all[i] = EdgeView{Name: e.Name.String(), Kind: e.Kind, Range: e.Range.String(), When: e.When.String(), Traits: e.Traits, Visibility: e.Visibility, Optional: e.Optional}
	}
	return all
}

// Solution reads an answer to a request about the project called name. The
// answer comes from a server: anything that is not what it should be, a
// dependency that is not in it, and a package twice refuse the whole with an
// ErrInvalid error of the code "answer_invalid".
func (a *Answer) Solution(name clyde.Name) (*Solution, error) {
	bad := func(format string, args ...any) (*Solution, error) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the registry's answer cannot be used: "+format, args...).WithCode("answer_invalid")
	}
	if len(a.Packages) > MaxPackages {
		return bad("it has %d packages: the limit is %d", len(a.Packages), MaxPackages)
	}
	sol := &Solution{Name: name, TraitValues: a.Traits, Steps: a.Steps}
	if sol.TraitValues == nil {
		sol.TraitValues = map[string]string{}
	}
	have := map[string]bool{}
	for i := range a.Packages {
		v := &a.Packages[i]
		n, err := clyde.ParseName(v.Name)
		if err != nil {
			return bad("%s", clyde.AsError(err).Msg)
		}
		if have[n.Identity()] {
			return bad("%s is in it twice", n)
		}
		have[n.Identity()] = true
		if !digestRE.MatchString(v.Digest) || v.Checksum != "" && !digestRE.MatchString(v.Checksum) {
			return bad("%s has no sha256 digest", n)
		}
		if v.Build != nil && !digestRE.MatchString(v.Build.Digest) {
			return bad("the build of %s has no sha256 digest", n)
		}
		p := Package{Name: n, TraitValues: v.Traits, Signed: v.Signed, Build: v.Build, WhyNot: v.WhyNot, Candidate: Candidate{
			Registry: v.Registry, Digest: v.Digest, Checksum: v.Checksum, Size: v.Size, License: v.License, Supports: v.Supports, Provides: v.Provides, Yanked: v.Yanked,
		}}
		if p.TraitValues == nil {
			p.TraitValues = map[string]string{}
		}
		if p.Version, err = clyde.ParseVersion(v.Version); err != nil {
			return bad("%s: %s", n, clyde.AsError(err).Msg)
		}
		if p.Dependencies, err = readEdges(v.Dependencies); err != nil {
			return bad("%s: %s", n, clyde.AsError(err).Msg)
		}
		sol.Packages = append(sol.Packages, p)
	}
	var err error
	if sol.Dependencies, err = readEdges(a.Dependencies); err != nil {
		return bad("%s", clyde.AsError(err).Msg)
	}
	slices.SortFunc(sol.Packages, func(a, b Package) int { return compareNames(a.Name, b.Name) })
	for i := -1; i < len(sol.Packages); i++ {
		edges := sol.Dependencies
		if i >= 0 {
			edges = sol.Packages[i].Dependencies
		}
		for _, e := range edges {
			if !have[e.Name.Identity()] {
				return bad("it lacks %s, which is required", e.Name)
			}
		}
	}
	return sol, nil
}

func readEdges(views []EdgeView) ([]Edge, error) {
	p := &queryReader{}
	edges := make([]Edge, 0, len(views))
	for _, v := range views {
		e := Edge{Name: p.name(v.Name), Kind: v.Kind, Range: p.ranged(v.Range), Traits: v.Traits, Visibility: v.Visibility, Optional: v.Optional}
		if e.Kind != Runtime && e.Kind != Build && e.Kind != Dev {
			p.read(clyde.Errorf(clyde.ErrInvalid, "%q is no kind of requirement", clipped(string(v.Kind))))
		}
		var err error
		e.When, err = clyde.ParseCondition(v.When)
		p.read(err)
		edges = append(edges, e)
	}
	if err := p.problems.Err("dependencies"); err != nil {
		return nil, err
	}
	slices.SortStableFunc(edges, compareEdges)
	return edges, nil
}
