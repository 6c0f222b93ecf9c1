package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// filterParam is one parameter that narrows a search.
type filterParam struct {
	name, title string
	field       func(*index.Filters) *[]string
}

// filterParams are all of them, in the order in which their chips stand; most
// are facets too.
var filterParams = []filterParam{
	{index.FacetLanguage, "Language", func(f *index.Filters) *[]string { return &f.Language }},
	{index.FacetStandard, "Standard", func(f *index.Filters) *[]string { return &f.Standard }},
	{index.FacetKind, "Type", func(f *index.Filters) *[]string { return &f.Kind }},
	{index.FacetLicenseGroup, "Licence asks for", func(f *index.Filters) *[]string { return &f.LicenseGroup }},
	{index.FacetLicense, "Licence", func(f *index.Filters) *[]string { return &f.License }},
	{index.FacetPlatform, "Platform", func(f *index.Filters) *[]string { return &f.Platform }},
	{index.FacetBuild, "Has a build", func(f *index.Filters) *[]string { return &f.Build }},
	{index.FacetSigned, "Signature", func(f *index.Filters) *[]string { return &f.Signed }},
	{index.FacetCategory, "Category", func(f *index.Filters) *[]string { return &f.Category }},
	{index.FacetKeyword, "Keyword", func(f *index.Filters) *[]string { return &f.Keyword }},
	{index.FacetNamespace, "Namespace", func(f *index.Filters) *[]string { return &f.Namespace }},
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
	Label string // the value as people write it
	Count int
	URL   string
	On    bool
}

// shownValues is how many values of a facet are listed before the others are
// folded away.
const shownValues = 8

type facet struct {
	Title  string
	Values []choice
	Rest   []choice // folded away
	Open   bool
}

type searchPage struct {
	base
	Result catalog.SearchPage
	Facets []facet
	Chips  []choice // filters that are on; the link takes one away
	Sorts  []choice
	Next   string
	First  string // set on pages after the first
	Mean   string // link to what was perhaps meant
	Clear  string // the text without its filters

	Elsewhere string // how the rest of the world calls what was not found; "" for no word
	Operators []operator
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
	p.NoRobo, p.Searching, p.Operators = r.URL.RawQuery != "", true, operators // searches have no end; the list of all is one page
	p.About = "Search C and C++ packages by name, header, licence, language, platform and who signed them."
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
			p.Chips = append(p.Chips, choice{Title: f.title, Value: v, Label: label(f.name, v), URL: without(keep, f.name, v)})
			p.Kept = append(p.Kept, choice{Title: f.name, Value: v})
		}
		i := slices.IndexFunc(p.Result.Facets, func(x index.Facet) bool { return x.Name == f.name })
		if i < 0 {
			continue
		}
		fc := facet{Title: f.title, Open: len(p.Facets) < 4 || len(keep[f.name]) > 0}
		for _, v := range p.Result.Facets[i].Values {
			c := choice{Value: v.Value, Label: label(f.name, v.Value), Count: v.Count, On: slices.Contains(keep[f.name], v.Value)}
			if c.On {
				c.URL = without(keep, f.name, v.Value)
			} else {
				c.URL = with(keep, f.name, v.Value)
			}
			if len(fc.Values) < shownValues || c.On {
				fc.Values = append(fc.Values, c)
			} else {
				fc.Rest = append(fc.Rest, c)
			}
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
		p.Kept = append(p.Kept, choice{Title: "sort", Value: sort})
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
	if q.Text != "" && p.Result.Total == 0 {
		p.Elsewhere = "https://repology.org/projects/?" + url.Values{"search": {q.Text}}.Encode()
	}
}

// operator is one thing that may be typed into the search box.
type operator struct{ Example, About string }

// URL is the search that the example stands for.
func (o operator) URL() string { return searchURL(url.Values{"q": {o.Example}}) }

// operators explain what index.ParseText reads.
var operators = []operator{
	{"depends:fmt", "packages that require one of this name"},
	{"header:zlib.h", "packages that have this header, by the end of its path"},
	{"is:signed", "with a verified signature; also is:unsigned, is:header-only, is:library, is:tool"},
	{"license:mit", "by licence: an SPDX identifier, or a group such as permissive"},
	{"group:permissive", "by what the licence asks for: public-domain, permissive, weak-copyleft, strong-copyleft"},
	{"lang:c++", "written in C++; lang:c for C"},
	{"std:c++17,c++20", "that need this standard"},
	{"is:built", "with binary builds; build:linux-x86_64 with one for that"},
	{"kind:header-only,tool", "of one of these types"},
	{"platform:windows", "that support it"},
	{"namespace:acme", "of one namespace; also keyword: and category:"},
	{"sort:updated", "in another order: downloads, updated, new, name"},
}

// label is a value of a filter as people write it.
func label(filter, value string) string {
	switch filter {
	case index.FacetLanguage:
		return language(value)
	case index.FacetStandard:
		return strings.ToUpper(value)
	case index.FacetLicenseGroup:
		return strings.ReplaceAll(value, "-", " ")
	case index.FacetBuild:
		if value == index.Built {
			return "any"
		}
	case index.FacetNamespace:
		return "@" + strings.TrimPrefix(value, "@")
	case index.FacetPlatform:
		if l, ok := platforms[value]; ok {
			return l
		}
	}
	return value
}

// platforms are systems as their makers write them.
var platforms = map[string]string{
	"linux": "Linux", "macos": "macOS", "windows": "Windows", "ios": "iOS", "android": "Android", "wasm": "WebAssembly", "freebsd": "FreeBSD",
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
