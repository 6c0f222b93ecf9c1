package api

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Highlight is a text and the half-open ranges of its bytes that matched.
type Highlight struct {
	Text  string   `json:"text"`
	Spans [][2]int `json:"spans" doc:"half-open ranges of bytes that matched"`
}

// Hit is one search result.
type Hit struct {
	catalog.Package
	Highlights map[string]Highlight `json:"highlights,omitempty" doc:"by field: name, description, header, keywords, alias"`
}

// FacetValue is a value of a facet.
type FacetValue struct {
	Value string `json:"value"`
	Count int    `json:"count" doc:"results that have it"`
}

// Facet counts the values of one field, as if it were not filtered by.
type Facet struct {
	Name   string       `json:"name" enum:"license,license_group,standard,language,platform,type,signed,build,keyword,category,namespace"`
	Values []FacetValue `json:"values"`
}

// SearchPage is one page of results.
type SearchPage struct {
	Items      []Hit   `json:"items"`
	NextCursor string  `json:"next_cursor,omitempty" doc:"absent on the last page"`
	Total      int     `json:"total" doc:"results on all pages"`
	Facets     []Facet `json:"facets,omitempty"`
	DidYouMean string  `json:"did_you_mean,omitempty"`
	Notice     string  `json:"notice,omitempty" doc:"set when the answer is less than usual, and why"`
}

type searchInput struct {
	Q         string   `query:"q" maxLength:"256" doc:"Words, a name, or a header as in #include; and operators: lang: license: kind: platform: namespace: keyword: category: depends: header: is: sort:" example:"json lang:cpp"`
	Namespace []string `query:"namespace,explode" maxItems:"32" doc:"Only of these namespaces."`
	License   []string `query:"license,explode" maxItems:"32" doc:"Only with these licences: an SPDX expression, one of its identifiers, or a group such as permissive."`
	Group     []string `query:"license_group,explode" maxItems:"32" doc:"Only with licences that ask for this: public-domain, permissive, weak-copyleft, library-copyleft, strong-copyleft, network-copyleft, …"`
	Standard  []string `query:"standard,explode" maxItems:"32" doc:"Only what needs one of these: c11, c++17, …"`
	Language  []string `query:"language,explode" maxItems:"32" doc:"c or cpp."`
	Platform  []string `query:"platform,explode" maxItems:"32" doc:"linux, macos, windows, …"`
	Kind      []string `query:"type,explode" maxItems:"32" doc:"library, header-only, application, …"`
	Signed    []string `query:"signed,explode" maxItems:"32" doc:"verified, untrusted, unsigned or invalid."`
	Build     []string `query:"build,explode" maxItems:"32" doc:"What the latest version has binary builds for: linux, linux-x86_64, …; any, of headers alone; yes, for anything." example:"linux-x86_64"`
	Host      string   `query:"host" maxLength:"4096" doc:"A machine, as JSON: only packages with a build that fits it. Host of POST /resolve says what there is to say; what is left out is not known, and a build that needs it does not fit." example:"{\"os\":\"linux\",\"arch\":\"x86_64\",\"libc\":{\"family\":\"glibc\",\"version\":\"2.36\"}}"`
	Sort      string   `query:"sort" enum:"relevance,downloads,updated,new,name" doc:"Order; relevance where there is none."`
	Limit     int      `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Results of a page."`
	Cursor    string   `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before, of the same search."`
	Facets    bool     `query:"facets" default:"true" doc:"Count facets."`
}

type searchOutput struct {
	Link string `header:"Link" doc:"the next page, rel=next"`
	Body SearchPage
}

type suggestInput struct {
	Q string `query:"q" required:"true" maxLength:"256" doc:"What was typed so far." example:"zl"`
}

// Suggestions are names offered while typing.
type Suggestions struct {
	Items []catalog.Suggestion `json:"items" maxItems:"8"`
}

type suggestOutput struct{ Body Suggestions }

func (s *server) search() {
	add(s, operation{
		id: "search", method: "GET", path: base + "/search", tag: "find", summary: "Search for packages",
		about: "Finds packages by name, word or header, with a tolerance for typing mistakes. Filters given more than once widen the search within their field. Without text everything is listed.",
	}, func(ctx context.Context, in *searchInput) (*searchOutput, error) {
		q, err := index.ParseText(in.Q)
		if err != nil {
			return nil, err
		}
		f := &q.Filters
		f.Namespace = append(f.Namespace, in.Namespace...)
		f.License = append(f.License, in.License...)
		f.LicenseGroup = append(f.LicenseGroup, in.Group...)
		f.Standard = append(f.Standard, in.Standard...)
		f.Language = append(f.Language, in.Language...)
		f.Platform = append(f.Platform, in.Platform...)
		f.Kind = append(f.Kind, in.Kind...)
		f.Signed = append(f.Signed, in.Signed...)
		f.Build = append(f.Build, in.Build...)
		if in.Host != "" {
			if err := catalog.ForHost(&q, []byte(in.Host)); err != nil {
				return nil, err
			}
		}
		if in.Sort != "" {
			q.Sort = index.Sort(in.Sort)
		}
		q.Limit, q.Cursor, q.Facets = in.Limit, in.Cursor, in.Facets
		page, err := s.Catalog.Search(ctx, callOf(ctx).who, q)
		if err != nil {
			return nil, err
		}
		out := &searchOutput{Body: searchPage(page)}
		if page.NextCursor != "" {
			out.Link = s.next(ctx, "cursor", page.NextCursor)
		}
		return out, nil
	})
	add(s, operation{
		id: "suggest", method: "GET", path: base + "/suggest", tag: "find", summary: "Names while typing",
		about: "At most eight packages whose name begins with the text, or nearly so, the most used first.",
	}, func(ctx context.Context, in *suggestInput) (*suggestOutput, error) {
		found, err := s.Catalog.Suggest(ctx, callOf(ctx).who, in.Q)
		return &suggestOutput{Body: Suggestions{Items: items(found)}}, err
	})
}

// searchPage gives a page its JSON form.
func searchPage(p catalog.SearchPage) SearchPage {
	out := SearchPage{Items: make([]Hit, len(p.Items)), NextCursor: p.NextCursor, Total: p.Total, DidYouMean: p.DidYouMean, Notice: p.Notice}
	for i, h := range p.Items {
		out.Items[i].Package = h.Package
		if len(h.Highlights) == 0 {
			continue
		}
		out.Items[i].Highlights = map[string]Highlight{}
		for field, hl := range h.Highlights {
			spans := make([][2]int, len(hl.Spans))
			for j, sp := range hl.Spans {
				spans[j] = [2]int{sp.Start, sp.End}
			}
			out.Items[i].Highlights[field] = Highlight{Text: hl.Text, Spans: spans}
		}
	}
	for _, f := range p.Facets {
		facet := Facet{Name: f.Name, Values: make([]FacetValue, len(f.Values))}
		for i, v := range f.Values {
			facet.Values[i] = FacetValue(v)
		}
		out.Facets = append(out.Facets, facet)
	}
	return out
}

// items makes an absent list an empty one: JSON readers want [].
func items[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
