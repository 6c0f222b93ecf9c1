package resolve

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// Query is a Request as it is sent to a server: names and ranges are text.
type Query struct {
	Name           string                       `json:"name,omitempty" maxLength:"111" doc:"of the project, for messages" example:"@acme/app"`
	Requires       map[string]Need              `json:"requires,omitempty" doc:"what the project requires: a name, and a range or more"`
	BuildRequires  map[string]Need              `json:"build_requires,omitempty" doc:"tools that run on the building machine"`
	DevRequires    map[string]Need              `json:"dev_requires,omitempty" doc:"counts with dev"`
	Conflicts      map[string]string            `json:"conflicts,omitempty" doc:"name → range that may not be in the graph"`
	Provides       []string                     `json:"provides,omitempty" maxItems:"1000" doc:"link names of the project"`
	Declares       []clyde.TraitView            `json:"declares,omitempty" maxItems:"1000" doc:"the project's own traits, on which its requirements may depend"`
	Traits         map[string]string            `json:"traits,omitempty" doc:"values of the project's own traits"`
	PackageTraits  map[string]map[string]string `json:"package_traits,omitempty" doc:"values asked of a package wherever it occurs: name → trait → value"`
	Platform       *Platform                    `json:"platform,omitempty" doc:"to resolve for; absent: all of them, and conditions stay in the answer"`
	Overrides      map[string]string            `json:"overrides,omitempty" doc:"name → range in place of what anybody requires"`
	Lock           map[string]Pin               `json:"lock,omitempty" doc:"versions to stay with where they can"`
	Update         []string                     `json:"update,omitempty" maxItems:"10000" doc:"names in lock to let go of"`
	UpdateAll      bool                         `json:"update_all,omitempty" doc:"let go of all"`
	Prereleases    []string                     `json:"prereleases,omitempty" maxItems:"10000" doc:"packages of which prereleases count in any range"`
	AllPrereleases bool                         `json:"all_prereleases,omitempty" doc:"of all packages"`
	Dev            bool                         `json:"dev,omitempty" doc:"with dev_requires"`
	NoBuild        bool                         `json:"no_build,omitempty" doc:"without build_requires"`
	Host           *compat.Host                 `json:"host,omitempty" doc:"the machine that will build or link: the answer says which binary build of each package fits it; what is left out is not known, and a build that needs it does not fit"`
	Want           *Wish                        `json:"want,omitempty" doc:"with host: what builds have to be besides"`
	Collisions     bool                         `json:"collisions,omitempty" doc:"the answer also names packages that get into each other's way when they are linked; at most 2,000 packages"`
}

// Need is what is required of one package: in JSON a range, or an object where
// there is more to say.
type Need struct {
	Version    string            `json:"version,omitempty" doc:"range; absent or * is any release" example:"^1.2"`
	Traits     map[string]string `json:"traits,omitempty" doc:"values that it asks of the other's traits"`
	Visibility string            `json:"visibility,omitempty" enum:"public,private,interface" doc:"who sees its headers; absent: public"`
	Optional   bool              `json:"optional,omitempty" doc:"counts only where the project's trait of that name is true"`
	When       string            `json:"when,omitempty" doc:"condition on the platform and the project's traits"`
}

// plainNeed is Need without its methods.
type plainNeed Need

// MarshalJSON writes a range where that says it all.
func (n Need) MarshalJSON() ([]byte, error) {
	if len(n.Traits) == 0 && n.Visibility == "" && !n.Optional && n.When == "" {
		return json.Marshal(n.Version)
	}
	return json.Marshal(plainNeed(n))
}

// UnmarshalJSON reads either form, and refuses unknown members.
func (n *Need) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte(`"`)) {
		*n = Need{}
		return json.Unmarshal(b, &n.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode((*plainNeed)(n))
}

// Pin is a locked version.
type Pin struct {
	Version string `json:"version" maxLength:"111"`
	Digest  string `json:"digest,omitempty" maxLength:"71" doc:"of the manifest; a server that has another refuses"`
}

// Query returns r as it is sent. Packages in folders cannot be sent: their names
// are left out, and so are the limits.
func (r *Request) Query() Query {
	q := Query{
		Provides: r.Root.Provides, Traits: r.RootTraits, Platform: r.Platform, UpdateAll: r.UpdateAll,
		AllPrereleases: r.AllPrereleases, Dev: r.Dev, NoBuild: r.NoBuild, Update: texts(r.Update), Prereleases: texts(r.Prereleases),
	}
	if !r.Name.IsZero() {
		q.Name = r.Name.String()
	}
	for i := range r.Root.Requires {
		d := &r.Root.Requires[i]
		if d.Local != "" || d.Git != "" {
			continue
		}
		n := Need{Version: d.Range.String(), Traits: d.Traits, Visibility: d.Visibility, Optional: d.Optional, When: d.When.String()}
		if n.Visibility == "public" {
			n.Visibility = ""
		}
		to := map[Kind]*map[string]Need{Runtime: &q.Requires, Build: &q.BuildRequires, Dev: &q.DevRequires}[d.Kind]
		put(to, d.Name.String(), n)
	}
	for _, d := range r.Root.Conflicts {
		put(&q.Conflicts, d.Name.String(), d.Range.String())
	}
	for _, t := range r.Root.Traits {
		q.Declares = append(q.Declares, clyde.TraitView(t))
	}
	for n, ts := range r.Traits {
		put(&q.PackageTraits, n.String(), ts)
	}
	for n, rng := range r.Overrides {
		put(&q.Overrides, n.String(), rng.String())
	}
	if r.Lock != nil {
		for n, p := range r.Lock.Packages {
			if p.Local == "" && p.Git == "" {
				put(&q.Lock, n.String(), Pin{p.Version.String(), p.Digest})
			}
		}
	}
	return q
}

func texts(names []clyde.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, n.String())
	}
	return all
}

// queryReader collects what is wrong with a query, each with its place.
type queryReader struct{ problems clyde.Problems }

// read notes a problem at a pointer into the query, unless err is nil.
func (p *queryReader) read(err error, pointer ...string) {
	if err == nil || len(p.problems) == clyde.MaxProblems {
		return
	}
	e := clyde.AsError(err)
	if e == nil {
		e = clyde.Errorf(clyde.ErrInvalid, "%s", err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for i := range pointer {
		pointer[i] = escape.Replace(pointer[i])
	}
	code := e.Code
	if code == "" {
		code = "query_invalid"
	}
	p.problems = append(p.problems, clyde.Problem{Code: code, Pointer: "/" + strings.Join(pointer, "/"), Msg: e.Msg})
}

func (p *queryReader) name(s string, pointer ...string) clyde.Name {
	n, err := clyde.ParseName(s)
	p.read(err, pointer...)
	return n
}

func (p *queryReader) names(list []string, member string) []clyde.Name {
	var all []clyde.Name
	for _, s := range list {
		all = append(all, p.name(s, member))
	}
	return all
}

// ranged reads a range; none is any release.
func (p *queryReader) ranged(s string, pointer ...string) clyde.Range {
	if s == "" || s == "*" {
		return clyde.Range{}
	}
	r, err := clyde.ParseRange(s)
	p.read(err, pointer...)
	return r
}

// needs reads one list of requirements, in the order of their names.
func (p *queryReader) needs(to *[]Requirement, kind Kind, from map[string]Need) {
	for _, s := range slices.Sorted(maps.Keys(from)) {
		n := from[s]
		r := Requirement{
			Name: p.name(s, string(kind), s), Range: p.ranged(n.Version, string(kind), s, "version"), Kind: kind,
			Traits: n.Traits, Visibility: n.Visibility, Optional: n.Optional,
		}
		var err error
		r.When, err = clyde.ParseCondition(n.When)
		p.read(err, string(kind), s, "when")
		if n.Visibility != "" && n.Visibility != "public" && n.Visibility != "private" && n.Visibility != "interface" {
			p.read(clyde.Errorf(clyde.ErrInvalid, "visibility %q: want public, private or interface", n.Visibility), string(kind), s, "visibility")
		}
		*to = append(*to, r)
	}
}

// Request reads a query. The error is of kind ErrInvalid with the code
// "query_invalid" and has every problem with its place.
func (q *Query) Request() (Request, error) {
	p := &queryReader{}
	r := Request{
		RootTraits: q.Traits, Platform: q.Platform, UpdateAll: q.UpdateAll, AllPrereleases: q.AllPrereleases, Dev: q.Dev, NoBuild: q.NoBuild,
		Update: p.names(q.Update, "update"), Prereleases: p.names(q.Prereleases, "prereleases"),
	}
	if q.Name != "" {
		if r.Name = (clyde.Name{Base: q.Name}); strings.HasPrefix(q.Name, "@") {
			r.Name = p.name(q.Name, "name")
		} else {
			p.read(clyde.CheckBase(q.Name), "name")
		}
	}
	r.Root.Provides = q.Provides
	for _, t := range q.Declares {
		r.Root.Traits = append(r.Root.Traits, clyde.Trait(t))
	}
	if n := len(q.Requires) + len(q.BuildRequires) + len(q.DevRequires) + len(q.Conflicts) + len(q.Overrides) + len(q.PackageTraits); n > clyde.MaxRequirements {
		return r, clyde.Errorf(clyde.ErrTooLarge, "%d requirements: the limit is %d", n, clyde.MaxRequirements).WithCode("too_large")
	}
	p.needs(&r.Root.Requires, Runtime, q.Requires)
	p.needs(&r.Root.Requires, Build, q.BuildRequires)
	p.needs(&r.Root.Requires, Dev, q.DevRequires)
	for _, s := range slices.Sorted(maps.Keys(q.Conflicts)) {
		r.Root.Conflicts = append(r.Root.Conflicts, Requirement{Name: p.name(s, "conflicts", s), Range: p.ranged(q.Conflicts[s], "conflicts", s), Kind: Runtime})
	}
	for _, s := range slices.Sorted(maps.Keys(q.PackageTraits)) {
		put(&r.Traits, p.name(s, "package_traits", s), q.PackageTraits[s])
	}
	for _, s := range slices.Sorted(maps.Keys(q.Overrides)) {
		rng, err := clyde.ParseRange(q.Overrides[s])
		p.read(err, "overrides", s)
		put(&r.Overrides, p.name(s, "overrides", s), rng)
	}
	p.pins(&r, q.Lock)
	slices.SortFunc(r.Root.Requires, compareRequirements)
	slices.SortFunc(r.Root.Conflicts, compareRequirements)
	if len(p.problems) > 0 {
		return r, &clyde.Error{Kind: clyde.ErrInvalid, Code: "query_invalid", Msg: "the query cannot be read: " + p.problems[0].Msg, Problems: p.problems}
	}
	return r, nil
}

// pins reads the locked versions.
func (p *queryReader) pins(r *Request, lock map[string]Pin) {
	if len(lock) == 0 {
		return
	}
	if len(lock) > MaxPackages {
		p.read(clyde.Errorf(clyde.ErrTooLarge, "%d locked packages: the limit is %d", len(lock), MaxPackages), "lock")
		return
	}
	r.Lock = &Lock{Packages: make(map[clyde.Name]*LockedPackage, len(lock))}
	for _, s := range slices.Sorted(maps.Keys(lock)) {
		pin := lock[s]
		v, err := clyde.ParseVersion(pin.Version)
		p.read(err, "lock", s, "version")
		if pin.Digest != "" && !digestRE.MatchString(pin.Digest) {
			p.read(clyde.Errorf(clyde.ErrInvalid, "%q is no sha256 digest", clipped(pin.Digest)), "lock", s, "digest")
		}
		r.Lock.Packages[p.name(s, "lock", s)] = &LockedPackage{Version: v, Digest: pin.Digest}
	}
}

// clipped shortens what a stranger wrote for a message.
func clipped(s string) string {
	const most = 80 // bytes
	return plain(s[:min(len(s), most)])
}
