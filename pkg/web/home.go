package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// How much the pages show that lead into the registry.
const (
	homeRows   = 6  // packages of each list of the home page
	homeValues = 10 // values of each facet there
)

type homePage struct {
	base
	Stats    catalog.Stats
	Verified int // packages whose latest version has a verified signature
	Lists    []homeList
	Browse   []browseGroup
}

// homeList is one of the lists of packages of the home page.
type homeList struct {
	ID, Title string
	More      string // address of the whole list
	Items     []catalog.Package
}

// browseGroup is the values of one facet, each a link to what has it.
type browseGroup struct {
	ID, Title string
	Values    []choice
	More      string // address of the others; "" where these are all
}

// home is one page for all: it shows what anybody may see.
func (s *Web) home(w http.ResponseWriter, r request) error {
	p := homePage{base: s.base(r, "")}
	p.Home = true
	p.About = "Find, verify and install C and C++ libraries: a registry of OCI artifacts, signed with cosign."
	p.Canonical, p.Feeds = s.o.PublicURL+"/", []feed{siteFeed}
	p.Data = s.siteData()
	var err error
	if p.Stats, err = s.o.Catalog.Stats(r.Context()); err != nil {
		return err
	}
	for _, l := range []struct {
		id, title string
		q         index.Query
		more      url.Values
	}{
		{"new", "New", index.Query{Sort: index.SortNew}, url.Values{"sort": {"new"}}},
		{"used", "Most depended on", index.Query{Sort: index.SortRelevance}, nil},
		{"updated", "Just updated", index.Query{Sort: index.SortUpdated, Facets: true}, url.Values{"sort": {"updated"}}},
		{"signed", "Just updated, and signed", index.Query{Sort: index.SortUpdated, Filters: index.Filters{Signed: []string{"verified"}}}, url.Values{"sort": {"updated"}, "signed": {"verified"}}},
	} {
		l.q.Limit = homeRows
		found, err := s.o.Catalog.Search(r.Context(), account.Principal{}, l.q)
		if err != nil {
			return err
		}
		list := homeList{ID: l.id, Title: l.title, More: searchURL(l.more)}
		for _, h := range found.Items {
			if l.id != "used" || h.Dependents > 0 {
				list.Items = append(list.Items, h.Package)
			}
		}
		// While every package is as new as its latest version, these are one.
		twice := l.id == "updated" && len(p.Lists) > 0 && slices.EqualFunc(list.Items, p.Lists[0].Items, func(a, b catalog.Package) bool { return a.Name == b.Name })
		if len(list.Items) > 0 && !twice {
			p.Lists = append(p.Lists, list)
		}
		if l.id == "signed" {
			p.Verified = found.Total
		}
		if l.q.Facets {
			p.Browse = groups(found.Facets, homeValues)
		}
	}
	return s.render(w, r, http.StatusOK, "home.html", p)
}

// browsed are the facets by which people look around, in the order in which
// they stand.
var browsed = []string{
	index.FacetCategory, index.FacetKeyword, index.FacetLanguage, index.FacetKind, index.FacetLicense, index.FacetPlatform, index.FacetNamespace,
}

// groups makes the values of facets links, at most n of each.
func groups(facets []index.Facet, n int) []browseGroup {
	var out []browseGroup
	for _, name := range browsed {
		i := slices.IndexFunc(facets, func(f index.Facet) bool { return f.Name == name })
		j := slices.IndexFunc(filterParams, func(f filterParam) bool { return f.name == name })
		if i < 0 || j < 0 {
			continue
		}
		g := browseGroup{ID: name, Title: filterParams[j].title}
		for _, v := range facets[i].Values {
			if len(g.Values) == n {
				g.More = "/browse#" + name
				break
			}
			g.Values = append(g.Values, choice{Value: v.Value, Label: label(name, v.Value), Count: v.Count, URL: valueURL(name, v.Value)})
		}
		out = append(out, g)
	}
	return out
}

// valueURL is where one finds what has a value of a facet: a namespace has a
// page of its own.
func valueURL(facet, value string) string {
	if facet == index.FacetNamespace {
		return "/namespaces/" + url.PathEscape(value)
	}
	return searchURL(url.Values{facet: {value}})
}

type browsePage struct {
	base
	Total  int
	Groups []browseGroup
}

// browse shows what the registry has by category, keyword, namespace and the
// other facets: what anybody may see.
func (s *Web) browse(w http.ResponseWriter, r request) error {
	p := browsePage{base: s.base(r, "Browse")}
	p.About = "C and C++ packages by category, keyword, language, licence and namespace."
	p.Canonical = s.o.PublicURL + "/browse"
	found, err := s.o.Catalog.Search(r.Context(), account.Principal{}, index.Query{Limit: 1, Facets: true})
	if err != nil {
		return err
	}
	p.Total, p.Groups = found.Total, groups(found.Facets, index.MaxFacetValues)
	return s.render(w, r, http.StatusOK, "browse.html", p)
}

func (s *Web) about(w http.ResponseWriter, r request) error {
	b := s.base(r, "How it works")
	b.Canonical = s.o.PublicURL + "/about"
	return s.render(w, r, http.StatusOK, "about.html", struct {
		base
		Host, PublicURL string
	}{b, s.o.Host, s.o.PublicURL})
}
