package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// items is how the API wraps a list.
type items[T any] struct {
	Items []T `json:"items"`
}

// list gets a list that comes on one page.
func list[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	var out items[T]
	err := c.get(ctx, path, q, &out)
	return out.Items, err
}

func packagePath(name clyde.Name) string {
	return "/packages/" + url.PathEscape(name.Namespace) + "/" + url.PathEscape(name.Base)
}

func releasePath(name clyde.Name, version string) string {
	if version == "" {
		version = "latest"
	}
	return packagePath(name) + "/versions/" + url.PathEscape(version)
}

// SearchQuery asks for one page of search results.
type SearchQuery struct {
	Text      string // words and operators, as in the search box
	Namespace []string
	License   []string
	Language  []string
	Platform  []string
	Kind      []string
	Signed    []string
	Build     []string     // "linux-x86_64", "any"; "yes" for anything
	Host      *compat.Host // only packages with a build that fits it
	Sort      string       // relevance | downloads | updated | new | name
	Limit     int          // 1 to 100; 0 means the server's default
	Cursor    string       // SearchPage.NextCursor
	Facets    bool         // count facets
}

// Search returns one page of results.
func (c *Client) Search(ctx context.Context, q SearchQuery) (SearchPage, error) {
	v := url.Values{"q": {q.Text}}
	for k, values := range map[string][]string{
		"namespace": q.Namespace, "license": q.License, "language": q.Language,
		"platform": q.Platform, "type": q.Kind, "signed": q.Signed, "build": q.Build,
	} {
		if len(values) > 0 {
			v[k] = values
		}
	}
	if q.Host != nil {
		host, err := json.Marshal(q.Host)
		if err != nil {
			return SearchPage{}, err
		}
		v.Set("host", string(host))
	}
	set(v, "sort", q.Sort)
	set(v, "cursor", q.Cursor)
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	v.Set("facets", strconv.FormatBool(q.Facets))
	var out SearchPage
	err := c.get(ctx, "/search", v, &out)
	return out, err
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

// Suggest returns at most eight packages whose name begins with text.
func (c *Client) Suggest(ctx context.Context, text string) ([]Suggestion, error) {
	return list[Suggestion](ctx, c, "/suggest", url.Values{"q": {text}})
}

// Package returns one package with its latest release.
func (c *Client) Package(ctx context.Context, name clyde.Name) (Package, error) {
	var out Package
	err := c.get(ctx, packagePath(name), nil, &out)
	return out, err
}

// Candidates returns the packages with a bare name, for people to choose from:
// nothing installs by it. None is clyde.ErrNotFound.
func (c *Client) Candidates(ctx context.Context, base string) ([]Package, error) {
	var out struct {
		Candidates []Package `json:"candidates"`
		Package
	}
	if err := c.get(ctx, "/packages/"+url.PathEscape(base), nil, &out); err != nil {
		return nil, err
	}
	if out.Name != "" { // there is one, and the redirect led to it
		return []Package{out.Package}, nil
	}
	return out.Candidates, nil
}

// Versions returns a package's versions, highest first.
func (c *Client) Versions(ctx context.Context, name clyde.Name) ([]Release, error) {
	return list[Release](ctx, c, packagePath(name)+"/versions", nil)
}

// Builds returns the binary builds of a version, oldest first.
func (c *Client) Builds(ctx context.Context, name clyde.Name, version string) ([]Build, error) {
	builds, err := list[Build](ctx, c, releasePath(name, version)+"/builds", nil)
	for i := range builds {
		if builds[i].Facts == nil {
			builds[i].Facts = new(compat.Facts) // of which nothing is known: it fits nobody
		}
	}
	return builds, err
}

// Release returns one version; "" and "latest" mean the latest.
func (c *Client) Release(ctx context.Context, name clyde.Name, version string) (Release, error) {
	var out Release
	err := c.get(ctx, releasePath(name, version), nil, &out)
	return out, err
}

// Resolve returns the highest version in r that is not yanked.
func (c *Client) Resolve(ctx context.Context, name clyde.Name, r clyde.Range) (Release, error) {
	var out Release
	err := c.get(ctx, packagePath(name)+"/resolve", url.Values{"range": {r.String()}}, &out)
	return out, err
}

// Solve has the registry choose a version of every package that q needs, among
// those that it has. Requirements that exclude each other are an ErrConflict
// error whose cause is a *resolve.Failure.
func (c *Client) Solve(ctx context.Context, q resolve.Query) (Resolution, error) {
	var out Resolution
	err := c.call(ctx, http.MethodPost, "/resolve", q, &out, nil)
	return out, err
}

// Manifest returns a version's package.yaml byte for byte.
func (c *Client) Manifest(ctx context.Context, name clyde.Name, version string) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, releasePath(name, version)+"/manifest", nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.read(ctx, resp, MaxManifest)
}

// Readme returns a version's readme, or clyde.ErrNotFound when it has none.
func (c *Client) Readme(ctx context.Context, name clyde.Name, version string) (Readme, error) {
	var out Readme
	err := c.get(ctx, releasePath(name, version)+"/readme", nil, &out)
	return out, err
}

// Files returns the files of a version's source archive, by path.
func (c *Client) Files(ctx context.Context, name clyde.Name, version string) ([]File, error) {
	return list[File](ctx, c, releasePath(name, version)+"/files", nil)
}

// File opens one file of a version's source archive. The caller closes it.
func (c *Client) File(ctx context.Context, name clyde.Name, version, path string) (io.ReadCloser, error) {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	resp, err := c.send(ctx, http.MethodGet, releasePath(name, version)+"/files/"+strings.Join(parts, "/"), nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Dependencies returns what a version requires.
func (c *Client) Dependencies(ctx context.Context, name clyde.Name, version string) ([]Dependency, error) {
	return list[Dependency](ctx, c, releasePath(name, version)+"/dependencies", nil)
}

// Whole returns a version with everything that it needs.
func (c *Client) Whole(ctx context.Context, name clyde.Name, version string) (Whole, error) {
	var out struct {
		Whole Whole `json:"whole"`
	}
	err := c.get(ctx, releasePath(name, version)+"/dependencies", url.Values{"transitive": {"true"}}, &out)
	return out.Whole, err
}

// Dependents returns one page of the packages whose latest version requires
// name.
func (c *Client) Dependents(ctx context.Context, name clyde.Name, q DependentsQuery) (DependentsPage, error) {
	v := url.Values{}
	set(v, "version", q.Version)
	set(v, "range", q.Range)
	set(v, "cursor", q.Cursor)
	if q.Transitive {
		v.Set("transitive", "true")
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var out DependentsPage
	err := c.get(ctx, packagePath(name)+"/dependents", v, &out)
	return out, err
}

// Downloads returns people's pulls by version and UTC day, both days included.
func (c *Client) Downloads(ctx context.Context, name clyde.Name, from, to time.Time) ([]Downloads, error) {
	return list[Downloads](ctx, c, packagePath(name)+"/downloads", url.Values{
		"from": {from.UTC().Format(time.DateOnly)}, "to": {to.UTC().Format(time.DateOnly)},
	})
}

// Signatures returns what the server found about a version's signatures.
func (c *Client) Signatures(ctx context.Context, name clyde.Name, version string) (Signatures, error) {
	var out Signatures
	err := c.get(ctx, releasePath(name, version)+"/signatures", nil, &out)
	return out, err
}

// Problems lists what was pushed to a package and could not be taken, newest first.
func (c *Client) Problems(ctx context.Context, name clyde.Name) ([]Problem, error) {
	return list[Problem](ctx, c, packagePath(name)+"/problems", nil)
}

// WhoAmI returns who the registry takes this client for.
func (c *Client) WhoAmI(ctx context.Context) (Identity, error) {
	var out Identity
	err := c.get(ctx, "/whoami", nil, &out)
	return out, err
}

// WellKnown returns where everything of the registry is.
func (c *Client) WellKnown(ctx context.Context) (WellKnown, error) {
	var out WellKnown
	err := c.get(ctx, "/.well-known/clyde/registry.json", nil, &out)
	if err == nil && out.API == "" {
		err = clyde.Errorf(clyde.ErrUnavailable, "%s says nothing of an API", c.base.Host).WithCode("registry_failed")
	}
	return out, err
}
