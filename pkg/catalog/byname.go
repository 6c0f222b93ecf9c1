package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// noEngine is the notice over what is found while the search engine is away.
const noEngine = "Search does not answer right now. These packages were found by the beginning of their name alone, without the filters and the order asked for."

// searchByName answers from the database while the search engine does not: one
// page, by name.
func (c *Catalog) searchByName(ctx context.Context, p account.Principal, q index.Query) (SearchPage, error) {
	q, err := q.Check()
	if err != nil {
		return SearchPage{}, err
	}
	keys, err := c.named(ctx, q.Text, index.MaxLimit)
	if err != nil {
		return SearchPage{}, err
	}
	rows, err := c.rows(ctx, p, keys)
	if err != nil {
		return SearchPage{}, err
	}
	out := SearchPage{Items: []Hit{}, Notice: noEngine}
	for _, k := range keys {
		if pkg, ok := rows[k]; ok && len(out.Items) < q.Limit {
			out.Items = append(out.Items, Hit{Package: pkg})
		}
	}
	out.Total = len(out.Items)
	return out, nil
}

// named lists at most n keys of packages whose bare name is, or begins with, a
// word of text, the exact ones first; without text, the first packages there
// are. Private ones are among them: rows leaves out what may not be seen.
func (c *Catalog) named(ctx context.Context, text string, n int) ([]string, error) {
	var keys, longer []string
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		all, err := c.DB.PublicPackages(ctx, 0, n)
		for _, l := range all {
			keys = append(keys, l.Name.Repo())
		}
		return keys, err
	}
	for _, w := range words[:min(len(words), index.MaxWords)] {
		w = strings.TrimPrefix(w, "@")
		ns, base, scoped := strings.Cut(w, "/")
		if !scoped {
			base = w
		}
		ps, err := c.DB.PackagesByPrefix(ctx, base, n)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			switch {
			case scoped && p.Name.Namespace != ns:
			case p.Name.Base == base:
				keys = append(keys, p.Repo)
			default:
				longer = append(longer, p.Repo)
			}
		}
	}
	var out []string
	for _, k := range append(keys, longer...) {
		if !slices.Contains(out, k) && len(out) < n {
			out = append(out, k)
		}
	}
	return out, nil
}
