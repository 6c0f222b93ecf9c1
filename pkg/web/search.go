package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// homeRows is how many packages each list of the home page shows.
const homeRows = 8

type homePage struct {
	base
	Stats   catalog.Stats
	Updated []catalog.Package
	Used    []catalog.Package
	Host    string
}

func (s *Web) home(w http.ResponseWriter, r request) error {
	p := homePage{base: s.base(r, ""), Host: s.o.Host}
	p.Home = true
	var err error
	if p.Stats, err = s.o.Catalog.Stats(r.Context()); err != nil {
		return err
	}
	// The home page is one for all: it shows what anybody may see.
	if p.Updated, err = s.o.Catalog.Recent(r.Context(), account.Principal{}, index.SortUpdated, homeRows); err != nil {
		return err
	}
	if p.Used, err = s.o.Catalog.Recent(r.Context(), account.Principal{}, index.SortRelevance, homeRows); err != nil {
		return err
	}
	p.Used = slices.DeleteFunc(slices.Clone(p.Used), func(p catalog.Package) bool { return p.Dependents == 0 })
	return s.render(w, r, http.StatusOK, "home.html", p)
}

// filterParams are the parameters that narrow a search, in the order in which
// their chips stand; most are facets too.
var filterParams = []struct {
	name, title string
	field       func(*index.Filters) *[]string
}{
	{index.FacetNamespace, "Namespace", func(f *index.Filters) *[]string { return &f.Namespace }},
	{index.FacetLanguage, "Language", func(f *index.Filters) *[]string { return &f.Language }},
	{index.FacetKind, "Type", func(f *index.Filters) *[]string { return &f.Kind }},
	{index.FacetLicense, "Licence", func(f *index.Filters) *[]string { return &f.License }},
	{index.FacetPlatform, "Platform", func(f *index.Filters) *[]string { return &f.Platform }},
	{index.FacetBuild, "Has a build", func(f *index.Filters) *[]string { return &f.Build }},
	{index.FacetSigned, "Signature", func(f *index.Filters) *[]string { return &f.Signed }},
	{index.FacetCategory, "Category", func(f *index.Filters) *[]string { return &f.Category }},
	{index.FacetKeyword, "Keyword", func(f *index.Filters) *[]string { return &f.Keyword }},
	{"depends", "Depends on", func(f *index.Filters) *[]string { return &f.DependsOn }},
	{"header", "Header", func(f *index.Filters) *[]string { return &f.Header }},
}

var sortTitles = []struct {
	sort  index.Sort
	title string
}{
	{index.SortRelevance, "Best match"}, {index.SortDownloads, "Most pulled"}, {index.SortUpdated, "Last updated"},
	{index.SortNew, "Newest"}, {index.SortName, "Name"},
}

// choice is a link that changes the search.
type choice struct {
	Title string // of what it belongs to: "Licence"
	Value string
	Count int
	URL   string
	On    bool
}

type facet struct {
	Title  string
	Values []choice
	Open   bool
}

type searchPage struct {
	base
	Result catalog.SearchPage
	Facets []facet
	Chips  []choice // filters that are on; the link takes one away
	Sorts  []choice
	Hidden []choice // what the search form keeps
	Next   string
	First  string // set on pages after the first
	Mean   string // link to what was perhaps meant
	Clear  string // the text without its filters
}

func (s *Web) search(w http.ResponseWriter, r request) error {
	v := r.URL.Query()
	q, err := index.ParseText(v.Get("q"))
	if err != nil {
		return err
	}
	keep := url.Values{}
	if text := v.Get("q"); text != "" {
		keep.Set("q", text)
	}
	for _, f := range filterParams {
		values := v[f.name]
		if len(values) > index.MaxFilterValues {
			return clyde.Errorf(clyde.ErrInvalid, "The search has more than %d filters of one kind.", index.MaxFilterValues)
		}
		for _, val := range values {
			if val != "" && !slices.Contains(keep[f.name], val) {
				keep.Add(f.name, val)
				field := f.field(&q.Filters)
				*field = append(*field, val)
			}
		}
	}
	if sort := v.Get("sort"); sort != "" {
		q.Sort = index.Sort(sort)
		keep.Set("sort", sort)
	}
	q.Cursor, q.Limit, q.Facets = v.Get("cursor"), index.DefaultLimit, true
	p := searchPage{base: s.base(r, "Search")}
	p.Query = v.Get("q")
	p.NoRobo = true
	if p.Query != "" {
		p.Title = p.Query
	}
	if p.Result, err = s.o.Catalog.Search(r.Context(), r.who, q); err != nil {
		return err
	}
	p.links(keep, q)
	return s.render(w, r, http.StatusOK, "search.html", p)
}

// links fills in everything that leads to another search.
func (p *searchPage) links(keep url.Values, q index.Query) {
	for _, f := range filterParams {
		for _, v := range keep[f.name] {
			p.Chips = append(p.Chips, choice{Title: f.title, Value: v, URL: without(keep, f.name, v)})
			p.Hidden = append(p.Hidden, choice{Title: f.name, Value: v})
		}
		i := slices.IndexFunc(p.Result.Facets, func(x index.Facet) bool { return x.Name == f.name })
		if i < 0 {
			continue
		}
		fc := facet{Title: f.title, Open: len(p.Facets) < 4 || len(keep[f.name]) > 0}
		for _, v := range p.Result.Facets[i].Values {
			c := choice{Value: v.Value, Count: v.Count, On: slices.Contains(keep[f.name], v.Value)}
			if c.On {
				c.URL = without(keep, f.name, v.Value)
			} else {
				c.URL = with(keep, f.name, v.Value)
			}
			fc.Values = append(fc.Values, c)
		}
		p.Facets = append(p.Facets, fc)
	}
	current := q.Sort
	if current == "" {
		current = index.SortRelevance
	}
	for _, o := range sortTitles {
		u := clone(keep)
		u.Set("sort", string(o.sort))
		p.Sorts = append(p.Sorts, choice{Title: o.title, URL: searchURL(u), On: o.sort == current})
	}
	if sort := keep.Get("sort"); sort != "" {
		p.Hidden = append(p.Hidden, choice{Title: "sort", Value: sort})
	}
	if p.Result.NextCursor != "" {
		u := clone(keep)
		u.Set("cursor", p.Result.NextCursor)
		p.Next = searchURL(u)
	}
	if q.Cursor != "" {
		p.First = searchURL(keep)
	}
	if p.Result.DidYouMean != "" {
		u := clone(keep)
		u.Set("q", p.Result.DidYouMean)
		p.Mean = searchURL(u)
	}
	if len(p.Chips) > 0 {
		p.Clear = searchURL(url.Values{"q": keep["q"]})
	}
}

func clone(v url.Values) url.Values {
	out := url.Values{}
	for k, vs := range v {
		out[k] = slices.Clone(vs)
	}
	return out
}

func with(keep url.Values, name, value string) string {
	u := clone(keep)
	u.Add(name, value)
	return searchURL(u)
}

func without(keep url.Values, name, value string) string {
	u := clone(keep)
	u[name] = slices.DeleteFunc(u[name], func(v string) bool { return v == value })
	return searchURL(u)
}

func searchURL(v url.Values) string {
	if e := v.Encode(); e != "" {
		return "/search?" + e
	}
	return "/search"
}

func (s *Web) namespace(w http.ResponseWriter, r request) error {
	ns := r.PathValue("ns")
	if len(ns) > 0 && ns[0] == '@' {
		ns = ns[1:]
	}
	if err := clyde.CheckNamespace(ns); err != nil {
		return err
	}
	http.Redirect(w, r.Request, searchURL(url.Values{"namespace": {ns}}), http.StatusFound)
	return nil
}

func (s *Web) about(w http.ResponseWriter, r request) error {
	return s.render(w, r, http.StatusOK, "about.html", struct {
		base
		Host, PublicURL string
	}{s.base(r, "How it works"), s.o.Host, s.o.PublicURL})
}
