package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// sees tells the engine which private documents the asker may see.
func sees(p account.Principal) func(key string) bool {
	return func(key string) bool {
		return account.Allowed(p, account.Pull, account.Resource{Repo: key, Private: true})
	}
}

// ForHost narrows a search to packages whose latest version has a build that
// fits a machine, which is a compat.Host as JSON.
func ForHost(q *index.Query, host []byte) error {
	var h compat.Host
	dec := json.NewDecoder(bytes.NewReader(host))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil || dec.More() {
		return clyde.Errorf(clyde.ErrInvalid, "host is no description of a machine").WithCode("host_invalid").Because(err).
			Fix(`write it as JSON: {"os":"linux","arch":"x86_64","libc":{"family":"glibc","version":"2.36"}}`).
			Fix("let clyde search --for-host say what there is to say of this machine")
	}
	if h.OS == "" || h.Arch == "" {
		return clyde.Errorf(clyde.ErrInvalid, "host says no os or no arch, without which no build fits").WithCode("host_invalid")
	}
	key, err := json.Marshal(h)
	if err != nil {
		return err
	}
	q.Fits, q.FitsKey = h.Suits, string(key)
	return nil
}

// Search returns one page of results. The engine finds; SQL has the last word
// on what is shown.
func (c *Catalog) Search(ctx context.Context, p account.Principal, q index.Query) (SearchPage, error) {
	q.Visible = sees(p)
	res, err := c.Engine.Search(ctx, q)
	if errors.Is(err, clyde.ErrUnavailable) {
		return c.searchByName(ctx, p, q)
	}
	if err != nil {
		return SearchPage{}, err
	}
	out := SearchPage{Items: []Hit{}, NextCursor: res.NextCursor, Total: res.Total, Facets: res.Facets, DidYouMean: res.DidYouMean}
	if res.Truncated {
		out.Notice = "The query was cut to what one search may cost; results may be missing."
	}
	keys := make([]string, len(res.Hits))
	for i, h := range res.Hits {
		keys[i] = h.Key
	}
	rows, err := c.rows(ctx, p, keys)
	if err != nil {
		return SearchPage{}, err
	}
	for _, h := range res.Hits {
		pkg, ok := rows[h.Key]
		if !ok {
			out.Total--
			continue
		}
		out.Items = append(out.Items, Hit{Package: pkg, Highlights: h.Highlights})
	}
	return out, nil
}

// rows returns those packages of keys that p may see, with their dependents.
func (c *Catalog) rows(ctx context.Context, p account.Principal, keys []string) (map[string]Package, error) {
	rows, err := c.DB.Hydrate(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Package, len(rows))
	for _, row := range rows {
		if !c.visible(ctx, p, row) {
			continue
		}
		if out[row.Repo], err = c.show(ctx, p, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Suggest returns at most index.MaxSuggest names while typing.
func (c *Catalog) Suggest(ctx context.Context, p account.Principal, text string) ([]Suggestion, error) {
	hits, err := c.Engine.Suggest(ctx, text, index.MaxSuggest, sees(p))
	keys := make([]string, len(hits))
	for i, h := range hits {
		keys[i] = h.Key
	}
	if errors.Is(err, clyde.ErrUnavailable) {
		keys, err = c.named(ctx, text, index.MaxSuggest)
	}
	if err != nil {
		return nil, err
	}
	rows, err := c.rows(ctx, p, keys)
	if err != nil {
		return nil, err
	}
	out := []Suggestion{}
	for _, k := range keys {
		if pkg, ok := rows[k]; ok {
			out = append(out, Suggestion{Name: pkg.Name, Description: pkg.Description})
		}
	}
	return out, nil
}

// Candidates lists packages of that bare name which p may see.
func (c *Catalog) Candidates(ctx context.Context, p account.Principal, base string) ([]Package, error) {
	rows, err := c.DB.PackagesByBase(ctx, base)
	if err != nil {
		return nil, err
	}
	out := []Package{}
	for _, row := range rows {
		if !c.visible(ctx, p, row) {
			continue
		}
		pkg, err := c.show(ctx, p, row)
		if err != nil {
			return nil, err
		}
		out = append(out, pkg)
	}
	return out, nil
}

// Recent lists packages in an order of the search engine, for the home page.
func (c *Catalog) Recent(ctx context.Context, p account.Principal, sort index.Sort, n int) ([]Package, error) {
	page, err := c.Search(ctx, p, index.Query{Sort: sort, Limit: n})
	if err != nil {
		return nil, err
	}
	out := make([]Package, len(page.Items))
	for i, h := range page.Items {
		out[i] = h.Package
	}
	return out, nil
}

// Stats returns true counts of public packages and their releases.
func (c *Catalog) Stats(ctx context.Context) (Stats, error) {
	p, r, err := c.DB.Stats(ctx)
	return Stats{Packages: p, Releases: r}, err
}

// Listed is a package in a list of all.
type Listed = store.Listed

// Public lists what anybody may see, by name: at most n packages, after the
// first skip. It is for sitemaps.
func (c *Catalog) Public(ctx context.Context, skip, n int) ([]Listed, error) {
	return c.DB.PublicPackages(ctx, skip, n)
}

// CountBy says what Downloads groups by.
type CountBy = store.CountBy

// Count is one group of Downloads.
type Count = store.Count

// PeopleByDay counts what people pulled, a day.
var PeopleByDay = CountBy{Day: true, Only: "people"}

// Downloads counts pulls between two UTC days, inclusive.
func (c *Catalog) Downloads(ctx context.Context, p account.Principal, name clyde.Name, from, to time.Time, by store.CountBy) ([]store.Count, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return nil, err
	}
	return c.DB.Counts(ctx, row.Repo, from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly), by)
}

// Changes lists feed entries after seq that p may see, at most n, and the last
// sequence number looked at.
func (c *Catalog) Changes(ctx context.Context, p account.Principal, after int64, n int) (items []store.Change, last int64, err error) {
	last = after
	cs, err := c.DB.Changes(ctx, after, n)
	if err != nil {
		return nil, last, err
	}
	// Asked of the settings, not of the package rows, which a rebuild empties
	// while readers of the new epoch start over.
	shown := map[string]bool{}
	for _, ch := range cs {
		if _, ok := shown[ch.Package]; ok {
			continue
		}
		name, err := clyde.ParseName(ch.Package)
		if err != nil {
			shown[ch.Package] = false
			continue
		}
		set, err := c.DB.Setting(ctx, name.Repo())
		if err != nil {
			return nil, last, err
		}
		shown[ch.Package] = account.Allowed(p, account.Pull, account.Resource{Repo: name.Repo(), Private: set.Private})
	}
	for _, ch := range cs {
		last = ch.Seq
		if shown[ch.Package] {
			items = append(items, ch)
		}
	}
	return items, last, nil
}

// ChangesReady is closed when the feed grows.
func (c *Catalog) ChangesReady() <-chan struct{} { return c.DB.ChangesReady() }

// Epoch identifies this history of the feed.
func (c *Catalog) Epoch(ctx context.Context) (string, error) { return c.DB.Epoch(ctx) }
