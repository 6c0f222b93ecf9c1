// Package index defines what a search engine of the registry does: documents
// in, ranked hits, facets and suggestions out. Engines are in the packages
// below it (index/memory is the embedded one) and all pass indextest.Run.
//
// An index is a cache: it is rebuilt from the database, and SQL has the last
// word on what a person may see.
package index

import (
	"context"
	"iter"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of queries. All are ours: they bound what one request may cost, and
// lie well above what people type.
const (
	MaxQueryLen     = 256  // bytes of Query.Text; longer is ErrInvalid
	MaxWords        = 12   // words of Query.Text that are searched for; more set Result.Truncated
	MaxFilterValues = 32   // values of one filter; more is ErrInvalid
	MaxFilterLen    = 128  // bytes of one filter value; longer is ErrInvalid
	MaxCursorLen    = 1024 // bytes of Query.Cursor; longer is ErrInvalid
	DefaultLimit    = 20   // hits of a page when Query.Limit is 0
	MaxLimit        = 100  // hits of a page; a greater limit is ErrInvalid
	MaxSuggest      = 8    // names of a Suggest call; a greater limit means this one
	MaxFacetValues  = 20   // values of one facet, the most frequent ones
)

// Limits of documents. What exceeds them is cut, not refused: the document was
// admitted by rules of its own, and a search index may know less than all.
const (
	MaxReadmeLen     = 16 << 10 // bytes of Document.Readme that are indexed
	MaxDescription   = 1 << 10  // bytes of Document.Description that are indexed
	MaxHeaders       = 2000     // headers of one document; Debian's 99th percentile is 873
	MaxDocumentTerms = 32       // aliases, keywords, categories and platforms of one document, each
	MaxProfiles      = 64       // build profiles of one document: builds that ask different things of a machine
)

// Document is what an engine knows of a package: its latest release and what
// the registry says about it. Engines do not keep the slices they are given.
type Document struct {
	Key             string     // "acme/zlib": the repository; identifies the document
	Name            clyde.Name //
	Aliases         []string   // other names people look for it by
	Version         string     // latest
	UpstreamVersion string     // as upstream spells it; may be empty
	Description     string     // plain text
	Keywords        []string   //
	Categories      []string   //
	License         string     // SPDX expression
	LicenseGroup    string     // a graph.Class: permissive, strong-copyleft, …; may be empty
	Language        string     // c | cpp; may be empty
	Standard        string     // "c11", "c++17"; may be empty
	Platforms       []string   //
	Builds          []string   // what its latest version has builds for: "linux", "linux-x86_64", "any"; Built besides. Not in Encode
	Profiles        []string   // what each of those builds asks of a machine; opaque to the engine. Not in Encode
	Kind            string     // type in the manifest: library, header-only, …
	Headers         []string   // "fmt/core.h", as written in #include
	Readme          string     // plain text
	Dependencies    []string   // "acme/zlib"
	Dependents      int        // packages that depend on it directly
	Downloads       int64      // of all versions
	Signed          string     // verified | untrusted | unsigned | invalid
	Deprecated      bool       //
	Yanked          bool       // every version is, or the latest
	Updated         time.Time  // when the latest version was published
	Created         time.Time  // when the first version was published
	Private         bool       // seen only by those for whom Query.Visible says so
}

// Built is the value of Document.Builds that every document with a build has.
const Built = "yes"

// Sort is an order of hits. Ties are broken by key.
type Sort string

// The orders of hits.
const (
	SortRelevance Sort = "relevance" // default; without text: dependents, then downloads
	SortDownloads Sort = "downloads" // most first
	SortUpdated   Sort = "updated"   // latest first
	SortNew       Sort = "new"       // last created first
	SortName      Sort = "name"      // by base name, then namespace
)

// Sorts is every Sort, the default first.
var Sorts = [...]Sort{SortRelevance, SortDownloads, SortUpdated, SortNew, SortName}

// Filters narrow a search: a document passes when, for every filter that has
// values, it matches at least one of them. Values are compared without regard
// to case.
type Filters struct {
	Namespace    []string
	License      []string // whole expression, one of its identifiers, or a license group
	LicenseGroup []string // what the licence asks for: permissive, strong-copyleft, …
	Standard     []string // c11, c++17
	Language     []string // c | cpp; "c++" means cpp
	Platform     []string
	Kind         []string
	Signed       []string // verified | untrusted | unsigned | invalid
	Build        []string // Built, or what the builds are for: "linux-x86_64"
	Keyword      []string
	Category     []string
	DependsOn    []string // "acme/zlib", "@acme/zlib", or a base name
	Header       []string // "fmt/core.h": matches the end of an include path
}

// Query asks for one page of hits.
type Query struct {
	Text    string // words, a name, or a header; empty matches everything
	Filters Filters
	Sort    Sort   // empty means SortRelevance
	Limit   int    // hits of the page, 1 to MaxLimit; 0 means DefaultLimit
	Cursor  string // Result.NextCursor of the page before, of the same query; empty for the first page
	Facets  bool   // count Result.Facets

	// Fits, unless nil, lets a document pass when it is true of one of its
	// Profiles. It is asked about each profile that any document has, must
	// answer alike during one call, and belongs to the query by FitsKey, which
	// differs where it does.
	Fits    func(profile string) bool
	FitsKey string

	// Visible says whether the asker may see the private document with this
	// key. It is asked about private documents only. Nil means none of them.
	// It must be quick, and answer alike during one call.
	Visible func(key string) bool
}

// Span is a half-open range of bytes in a text.
type Span struct{ Start, End int }

// Highlight is a text as it was indexed and the places in it that matched, in
// order and without overlap, on rune boundaries. It is no markup: whoever
// shows it escapes the text between the spans.
type Highlight struct {
	Text  string
	Spans []Span
}

// Fields that Hit.Highlights knows.
const (
	FieldName        = "name" // of the form "acme/zlib"
	FieldDescription = "description"
	FieldHeader      = "header" // the header that matched
	FieldKeywords    = "keywords"
	FieldAlias       = "alias" // the alias that matched
)

// Hit is one document found.
type Hit struct {
	Key        string
	Score      float64 // comparable within one result only
	Highlights map[string]Highlight
}

// FacetValue is a value of a facet and in how many of the results it occurs.
type FacetValue struct {
	Value string
	Count int
}

// Facet counts the values of one field. Filters on that field itself are left
// out of the count, so that it shows what choosing another value would give.
type Facet struct {
	Name   string       // a Facet… constant
	Values []FacetValue // most frequent first, then by value; at most MaxFacetValues, and those filtered by
}

// The names of facets, in the order in which Result has them.
const (
	FacetLicense      = "license"
	FacetLicenseGroup = "license_group" // what licences ask for: permissive, strong-copyleft, …
	FacetStandard     = "standard"      // c11, c++17
	FacetLanguage     = "language"
	FacetPlatform     = "platform"
	FacetKind         = "type"
	FacetSigned       = "signed"
	FacetBuild        = "build"
	FacetKeyword      = "keyword"
	FacetCategory     = "category"
	FacetNamespace    = "namespace"
)

// Result is one page of hits.
type Result struct {
	Hits       []Hit
	Total      int     // documents that match, on all pages
	Facets     []Facet // when Query.Facets; those without any value are left out
	NextCursor string  // empty on the last page
	DidYouMean string  // the text with its unknown words corrected; empty when there is nothing to correct
	Truncated  bool    // part of the query was left out because a limit was reached
}

// Engine finds packages. Its methods may be called at once from many
// goroutines. A Search sees the index as it was at one moment; whatever a call
// changed is found by every Search that starts after the call has returned.
type Engine interface {
	// Put adds documents and replaces those with the same key. A document
	// without a key is ErrInvalid, and then none is put.
	Put(ctx context.Context, docs ...Document) error
	// Delete removes documents; keys that are not there are ignored.
	Delete(ctx context.Context, keys ...string) error
	// Search returns a page of hits. A query over a limit, an unknown sort or a
	// cursor that is not of this query is ErrInvalid.
	Search(ctx context.Context, q Query) (Result, error)
	// Suggest returns packages whose name begins with text, or nearly so, the
	// most used first; limit 0 means MaxSuggest. Visible is as in Query.
	Suggest(ctx context.Context, text string, limit int, visible func(key string) bool) ([]Hit, error)
	// Rebuild replaces the whole content by docs. Searches see the old content
	// until it returns without error, and for good when docs yields an error;
	// changes made in the meantime are kept.
	Rebuild(ctx context.Context, docs iter.Seq2[Document, error]) error
	// Len is the number of documents, private ones included.
	Len() int
	// Close frees what the engine holds. Other methods fail afterwards.
	Close() error
}
