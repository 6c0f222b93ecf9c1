package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// namespaceView is the page about a namespace: whose it is, what it vouches
// with, and what is in it.
type namespaceView struct {
	base
	Name    string
	Owner   account.Namespace // zero: nobody's
	Keys    []account.Key     // in force
	Manages bool
	Result  catalog.SearchPage
	Sorts   []choice
	More    string // address of the search that lists all; "" where these are all
	Groups  []browseGroup
}

// namespace shows a namespace. One that does not exist is an error page; one in
// which whoever asks sees nothing says no more than whose it is.
func (s *Web) namespace(w http.ResponseWriter, r request) error {
	ns, at := strings.CutPrefix(r.PathValue("ns"), "@")
	if err := clyde.CheckNamespace(ns); err != nil {
		return err
	}
	if at {
		return to(w, r, "/namespaces/"+ns, http.StatusMovedPermanently)
	}
	p := namespaceView{base: s.base(r, "@"+ns), Name: ns}
	p.About = "C and C++ packages of @" + ns + "."
	p.Canonical = s.o.PublicURL + "/namespaces/" + ns
	known := s.o.Accounts == nil
	if !known {
		owner, err := s.o.Accounts.Namespace(r.Context(), ns)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
		p.Owner, known = owner, err == nil
		p.Manages = r.who.Session != "" && account.Allowed(r.who, account.Manage, account.Resource{Repo: ns + "/*"})
	}
	found, err := s.o.Catalog.Search(r.Context(), r.who, index.Query{
		Sort: index.SortRelevance, Limit: index.MaxLimit, Facets: true, Filters: index.Filters{Namespace: []string{ns}},
	})
	if err != nil {
		return err
	}
	if !known && found.Total == 0 {
		return clyde.Errorf(clyde.ErrNotFound, "There is no namespace @%s.", ns).Fix("Check the spelling, or search for a package.")
	}
	p.Result = found
	if found.Total > 0 {
		p.Feeds = []feed{namespaceFeed(ns)}
	}
	if found.NextCursor != "" {
		p.More = searchURL(map[string][]string{"namespace": {ns}})
	}
	if s.o.Keys != nil {
		keys, err := s.o.Keys.Keys(r.Context(), ns)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Revoked.IsZero() {
				p.Keys = append(p.Keys, k)
			}
		}
	}
	return s.render(w, r, http.StatusOK, "namespace.html", p)
}
