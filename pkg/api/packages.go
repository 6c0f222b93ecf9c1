package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// PackagePath is the part of a path that names a package. It is exported so
// that huma finds it in other inputs.
type PackagePath struct {
	Namespace string `path:"namespace" maxLength:"64" doc:"Namespace, with or without a leading @." example:"acme"`
	Name      string `path:"name" maxLength:"128" doc:"Name without the namespace." example:"zlib"`
}

func (in PackagePath) name() (clyde.Name, error) { return packageName(in.Namespace, in.Name) }

type packageOutput struct{ Body catalog.Package }

type shortInput struct {
	Name string `path:"name" maxLength:"128" doc:"Bare name." example:"fmt"`
}

// Candidates are the packages with a bare name, for people to choose from.
type Candidates struct {
	Candidates []catalog.Package `json:"candidates"`
}

type shortOutput struct {
	Status   int
	Location string `header:"Location" doc:"the one package of that name, with status 307"`
	Body     Candidates
}

type dependentsInput struct {
	PackagePath
	Version    string `query:"version" maxLength:"111" doc:"Those whose requirement admits this version of the package." example:"1.3.1"`
	Range      string `query:"range" maxLength:"512" doc:"Those whose requirement admits a version in this range." example:"^1.2"`
	Transitive bool   `query:"transitive" doc:"Also those that require it by way of others."`
	Cursor     string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before."`
	Limit      int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Packages of a page. Where version or range is given, a page may be shorter and not be the last."`
}

// DependentsPage is one page of dependents.
type DependentsPage struct {
	Items      []catalog.Dependent `json:"items"`
	NextCursor string              `json:"next_cursor,omitempty" doc:"absent on the last page"`
	Truncated  bool                `json:"truncated,omitempty" doc:"there are more transitive ones than are looked at"`
}

type dependentsOutput struct {
	Link string `header:"Link" doc:"the next page, rel=next"`
	Body DependentsPage
}

type downloadsInput struct {
	PackagePath
	From  string `query:"from" format:"date" doc:"First UTC day; by default 30 days before the last." example:"2026-01-01"`
	To    string `query:"to" format:"date" doc:"Last UTC day; by default today." example:"2026-01-31"`
	Group string `query:"group" enum:"version-day,version,day,kind,client,platform" default:"version-day" doc:"What a count is of: a version on a day, a version, a day, a kind of who pulls, a client, or a platform."`
	Kind  string `query:"kind" enum:"people,ci,robot,all" doc:"Whose pulls: people's by default, all where they are grouped by kind."`
}

// Count is the pulls of what it names.
type Count struct {
	Version  string `json:"version,omitempty"`
	Day      string `json:"day,omitempty" doc:"2026-01-31, in UTC; a month such as 2025-01 after 400 days"`
	Kind     string `json:"kind,omitempty" enum:"people,ci,robot"`
	Client   string `json:"client,omitempty" doc:"family of programs, such as clyde or oras; other; unknown"`
	Platform string `json:"platform,omitempty" doc:"such as linux-x86_64; unknown"`
	Count    int64  `json:"count" doc:"one an address, version, client and day"`
	Raw      int64  `json:"raw" doc:"every answer"`
}

// Downloads are counts in the order of their fields, day first.
type Downloads struct {
	Items  []Count `json:"items"`
	Total  int64   `json:"total" doc:"all of count together"`
	Method string  `json:"method" doc:"where it is written how they are counted"`
}

type downloadsOutput struct{ Body Downloads }

func (s *server) packages() {
	add(s, operation{
		id: "get-package-by-short-name", method: "GET", path: base + "/packages/{name}", tag: "packages", summary: "Find packages by bare name",
		about:  "For people, never for installing: redirects to the package where you may see exactly one of that name, and lists them where there are several.",
		errors: []int{404},
	}, s.short)
	add(s, operation{
		id: "get-package", method: "GET", path: base + "/packages/{namespace}/{name}", tag: "packages", summary: "Get a package",
		about: "The package with its latest release, counts and what its owner decided about it.", errors: []int{404},
	}, func(ctx context.Context, in *PackagePath) (*packageOutput, error) {
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		p, err := s.Catalog.Package(ctx, callOf(ctx).who, name)
		return &packageOutput{p}, s.unknown(ctx, name, err)
	})
	add(s, operation{
		id: "list-dependents", method: "GET", path: base + "/packages/{namespace}/{name}/dependents", tag: "packages", summary: "List what requires a package",
		about: "Packages whose latest version requires this one, by name.", errors: []int{404},
	}, s.dependents)
	add(s, operation{
		id: "get-downloads", method: "GET", path: base + "/packages/{namespace}/{name}/downloads", tag: "packages", summary: "Count downloads",
		about: "Pulls of manifests: a person, version, client and day counts once, as far as addresses tell. CI and robots are apart. At most 366 days at once; what there is none of is left out.", errors: []int{404},
	}, s.downloads)
}

func (s *server) short(ctx context.Context, in *shortInput) (*shortOutput, error) {
	if err := clyde.CheckBase(in.Name); err != nil {
		return nil, err
	}
	ps, err := s.Catalog.Candidates(ctx, callOf(ctx).who, in.Name)
	if err != nil {
		return nil, err
	}
	switch len(ps) {
	case 0:
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no package called %s", in.Name).WithCode("package_unknown").
			Fix("Check the spelling, or search: clyde search %s.", in.Name)
	case 1:
		p := ps[0]
		to := base + "/packages/" + url.PathEscape(p.Namespace) + "/" + url.PathEscape(p.Base)
		return &shortOutput{Status: http.StatusTemporaryRedirect, Location: to, Body: Candidates{ps}}, nil
	}
	return &shortOutput{Status: http.StatusOK, Body: Candidates{ps}}, nil
}

// unknown adds to the failure of an unknown package those of the same bare
// name that the caller may see. It asks the same whether the package is absent
// or private to others.
func (s *server) unknown(ctx context.Context, name clyde.Name, err error) error {
	e := clyde.AsError(err)
	if e == nil || e.Code != "package_unknown" {
		return err
	}
	p := s.problem(ctx, err)
	ps, cerr := s.Catalog.Candidates(ctx, callOf(ctx).who, name.Base)
	if cerr != nil {
		return errors.Join(cerr, err)
	}
	for _, c := range ps[:min(len(ps), MaxCandidates)] {
		p.Candidates = append(p.Candidates, c.Name)
	}
	return p
}

// cursorPrefix tells our cursors, and their kind, from anything else.
const cursorPrefix = "d1:"

func encodeCursor(repo string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + repo))
}

func decodeCursor(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	repo, ok := strings.CutPrefix(string(b), cursorPrefix)
	if err == nil && ok {
		_, err = clyde.ParseName("@" + repo)
	}
	if err != nil || !ok {
		return "", badCursor()
	}
	return repo, nil
}

func badCursor() error {
	return clyde.Errorf(clyde.ErrInvalid, "the cursor does not belong to this list").WithCode("cursor_invalid").Fix("Start again without a cursor.")
}

// encodeKey makes the cursor of a list that is no list of packages.
func encodeKey(list, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + ":" + key))
}

// decodeKey reads it; "" is the beginning.
func decodeKey(list, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	key, ok := strings.CutPrefix(string(b), list+":")
	if err != nil || !ok || key == "" {
		return "", badCursor()
	}
	return key, nil
}

func (s *server) dependents(ctx context.Context, in *dependentsInput) (*dependentsOutput, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.Catalog.Dependents(ctx, callOf(ctx).who, name, catalog.DependentsQuery{
		Version: in.Version, Range: in.Range, Transitive: in.Transitive, After: after, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.unknown(ctx, name, err)
	}
	out := &dependentsOutput{Body: DependentsPage{Items: items(found.Items), Truncated: found.Truncated}}
	if found.Next != "" {
		out.Body.NextCursor = encodeCursor(found.Next)
		out.Link = s.next(ctx, "cursor", out.Body.NextCursor)
	}
	return out, nil
}

// day parses a day, or takes the one given for an empty text.
func day(param, text string, or time.Time) (time.Time, error) {
	if text == "" {
		return or, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, clyde.Errorf(clyde.ErrInvalid, "%s %q: want a day such as 2026-01-31", param, clip(text)).WithCode("day_invalid")
	}
	return t, nil
}

func (s *server) downloads(ctx context.Context, in *downloadsInput) (*downloadsOutput, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	to, err := day("to", in.To, s.Now().UTC().Truncate(24*time.Hour))
	if err != nil {
		return nil, err
	}
	from, err := day("from", in.From, to.AddDate(0, 0, 1-DefaultDays))
	if err != nil {
		return nil, err
	}
	if from.After(to) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "from %s is after to %s", from.Format(time.DateOnly), to.Format(time.DateOnly)).WithCode("day_invalid")
	}
	if days := int(to.Sub(from).Hours()/24) + 1; days > MaxDays {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%d days are too many; the limit is %d", days, MaxDays).WithCode("day_invalid").Fix("Ask for a year at a time.")
	}
	counts, err := s.Catalog.Downloads(ctx, callOf(ctx).who, name, from, to, in.by())
	if err != nil {
		return nil, s.unknown(ctx, name, err)
	}
	out := Downloads{Items: make([]Count, len(counts)), Method: s.PublicURL + "/about#downloads"}
	for i, c := range counts {
		out.Items[i] = Count{Version: c.Version, Day: c.Day, Kind: c.Kind, Client: c.Client, Platform: c.Platform, Count: c.Count, Raw: c.Raw}
		out.Total += c.Count
	}
	return &downloadsOutput{out}, nil
}

// by is what the counts are grouped by, and whose they are.
func (in *downloadsInput) by() store.CountBy {
	by := store.CountBy{
		Day: in.Group == "version-day" || in.Group == "day", Version: in.Group == "version-day" || in.Group == "version",
		Kind: in.Group == "kind", Client: in.Group == "client", Platform: in.Group == "platform",
	}
	switch {
	case in.Kind == "" && !by.Kind:
		by.Only = store.People
	case in.Kind != "all":
		by.Only = in.Kind
	}
	return by
}
