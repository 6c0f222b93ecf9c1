package meili

// layout is counted up with every change of settings or record: an index of
// another layout is built again.
const layout = 1

// Bounds of one search, which Meilisearch keeps by its settings. Ours.
const (
	maxHits   = 10_000 // that can be reached by paging; its own default is 1,000
	maxValues = 1000   // of one facet that are counted, the most frequent ones; its own default is 100
)

// typoRules keep Meilisearch's typing mistakes to the search policy: none below
// four letters, one up to seven, two from eight. Its own default of five leaves
// zlib, curl and zilb without correction.
type typoRules struct {
	Enabled             bool           `json:"enabled"`
	MinWordSizeForTypos map[string]int `json:"minWordSizeForTypos"`
	DisableOnWords      []string       `json:"disableOnWords"`
	DisableOnAttributes []string       `json:"disableOnAttributes"`
}

// settings is the whole of an index's settings that we set. The order of
// searchable attributes is their weight; "sort" is the first rule, and does
// nothing unless a search asks for an order.
var settings = struct {
	Displayed  []string       `json:"displayedAttributes"`
	Searchable []string       `json:"searchableAttributes"`
	Filterable []string       `json:"filterableAttributes"`
	Sortable   []string       `json:"sortableAttributes"`
	Ranking    []string       `json:"rankingRules"`
	Typos      typoRules      `json:"typoTolerance"`
	Faceting   map[string]any `json:"faceting"`
	Pagination map[string]int `json:"pagination"`
	NonSep     []string       `json:"nonSeparatorTokens"`
	StopWords  []string       `json:"stopWords"`
}{
	Displayed:  []string{"id", "key", "doc", "headers", "dependents", "downloads", "updated", "created"},
	Searchable: []string{"names", "keywords", "namespace", "description", "readme"},
	Filterable: append([]string{"id", "private", "tags", "forms", "profiles", "profile_ids", "dependents", "downloads", "updated", "created"}, facetNames...),
	Sortable:   []string{"dependents", "downloads", "updated", "created", "base", "key"},
	Ranking:    []string{"sort", "words", "typo", "proximity", "attribute", "exactness", "dependents:desc", "downloads:desc", "key:asc"},
	Typos: typoRules{
		Enabled: true, MinWordSizeForTypos: map[string]int{"oneTypo": 4, "twoTypos": 8}, DisableOnWords: []string{}, DisableOnAttributes: []string{},
	},
	Faceting:   map[string]any{"maxValuesPerFacet": maxValues, "sortFacetValuesBy": map[string]string{"*": "count"}},
	Pagination: map[string]int{"maxTotalHits": maxHits},
	NonSep:     []string{"+", "#"}, // c++, c#
	StopWords:  []string{},
}
