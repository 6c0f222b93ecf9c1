package meili

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// maxValue is the longest value that Meilisearch filters by, in bytes (468, of
// which some are kept for the name in front).
const maxValue = 440

// facetNames are the facets in the order in which a result has them.
var facetNames = []string{
	index.FacetLicense, index.FacetLicenseGroup, index.FacetStandard, index.FacetLanguage, index.FacetPlatform, index.FacetKind,
	index.FacetSigned, index.FacetBuild, index.FacetKeyword, index.FacetCategory, index.FacetNamespace,
}

// record is a document as Meilisearch has it. What is searched, filtered by and
// counted stands apart, so that each has the spelling it needs.
type record struct {
	ID  string `json:"id"` // of the key, which has characters that no ID may have
	Key string `json:"key"`
	Doc []byte `json:"doc"` // index.Document.Encode but for readme and headers, to be ranked again

	Names       []string `json:"names"` // searched, the more important first
	Keywords    []string `json:"keywords"`
	Description string   `json:"description"`
	Readme      string   `json:"readme"`
	Headers     []string `json:"headers"` // only shown

	Private    bool     `json:"private"`
	Tags       []string `json:"tags"`     // "license:mit", "header:core.h": what filters ask for
	Forms      []string `json:"forms"`    // names it is pinned by
	Profiles   []string `json:"profiles"` // counted, to learn which there are
	ProfileIDs []string `json:"profile_ids"`

	Base       string `json:"base"`
	Dependents int    `json:"dependents"`
	Downloads  int64  `json:"downloads"`
	Updated    int64  `json:"updated"` // Unix milliseconds
	Created    int64  `json:"created"`

	License      string   `json:"license"`
	LicenseGroup string   `json:"license_group"`
	Standard     string   `json:"standard"`
	Language     string   `json:"language"`
	Platform     []string `json:"platform"`
	Kind         string   `json:"type"`
	Signed       string   `json:"signed"`
	Build        []string `json:"build"`
	Keyword      []string `json:"keyword"`
	Category     []string `json:"category"`
	Namespace    string   `json:"namespace"`
}

// hashed is a key or a profile as an ID: 128 bits of its hash.
func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:16])
}

// safe spells a value that filters name: lower case, and without the characters
// that end or escape a string in a filter, so that no value can be read as an
// expression.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\'' || r == '\\' || unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '_'
		}
		return unicode.ToLower(r)
	}, s)
}

// tag is what a filter asks for, as a document has it.
func tag(filter, value string) string {
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue], "")
	}
	return filter + ":" + safe(value)
}

// check refuses what cannot be found again.
func check(d *index.Document) error {
	if d.Key == "" || d.Name.Base == "" {
		return clyde.Errorf(clyde.ErrInvalid, "a search document needs a key and a name: %q, %q", d.Key, d.Name.String())
	}
	return nil
}

// recordOf takes a document apart.
func recordOf(in index.Document) record {
	d := memory.Clean(in)
	r := record{
		ID: hashed(d.Key), Key: d.Key, Keywords: append(append([]string{}, d.Keywords...), d.Categories...), Description: d.Description, Readme: d.Readme,
		Headers: d.Headers, Private: d.Private, Base: d.Name.Base, Dependents: d.Dependents, Downloads: d.Downloads,
		Updated: d.Updated.UnixMilli(), Created: d.Created.UnixMilli(), License: d.License, LicenseGroup: d.LicenseGroup, Standard: d.Standard,
		Language: d.Language, Platform: d.Platforms, Kind: d.Kind, Signed: d.Signed, Build: d.Builds, Keyword: d.Keywords, Category: d.Categories,
		Namespace: d.Name.Namespace,
	}
	for _, p := range d.Profiles {
		if len(p) <= maxValue {
			r.Profiles, r.ProfileIDs = append(r.Profiles, p), append(r.ProfileIDs, hashed(p))
		}
	}
	name := func(s string) {
		joined := memory.Collapse(s)
		r.Names = append(r.Names, s, strings.ReplaceAll(joined, "/", ""))
		r.Forms = append(r.Forms, safe(joined))
		if rest, ok := strings.CutPrefix(joined, "lib"); ok && len(rest) > 1 {
			r.Names = append(r.Names, rest)
		}
	}
	name(d.Name.Base)
	r.Forms = append(r.Forms, safe(memory.Collapse(d.Name.Namespace)+"/"+memory.Collapse(d.Name.Base)))
	for _, a := range d.Aliases {
		name(a)
	}
	r.Tags = tags(&d)
	d.Headers, d.Readme = nil, ""
	r.Doc = d.Encode()
	return r
}

// tags lists what filters find a document by.
func tags(d *index.Document) []string {
	var out []string
	seen := map[string]bool{}
	add := func(filter string, values ...string) {
		for _, v := range values {
			if t := tag(filter, v); v != "" && !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	if d.License != "" {
		add("license", memory.LicenseNames(d.License)...)
	}
	add("license", d.LicenseGroup)
	add("group", d.LicenseGroup)
	add("std", d.Standard)
	add("lang", d.Language)
	add("platform", d.Platforms...)
	add("kind", d.Kind)
	add("signed", d.Signed)
	add("build", d.Builds...)
	add("keyword", d.Keywords...)
	add("category", d.Categories...)
	add("namespace", d.Name.Namespace)
	for _, dep := range d.Dependencies {
		add("depends", memory.DependencyNames(dep)...)
	}
	for _, h := range d.Headers {
		// Every end of the path that begins behind a slash.
		for rest := h; rest != ""; {
			add("header", rest)
			_, after, ok := strings.Cut(rest, "/")
			if !ok {
				break
			}
			rest = after
		}
	}
	return out
}

// filter is one condition of a search, and the facet whose count leaves it out;
// "" where there is none.
type filter struct {
	facet, expression string
	values            []string // as tags
}

// filters makes conditions of what was asked for.
func filters(f index.Filters) []filter {
	var out []filter
	add := func(facet, name string, values []string, spell func(string) string) {
		if len(values) == 0 {
			return
		}
		c := filter{facet: facet}
		for _, v := range values {
			if spell != nil {
				v = spell(v)
			}
			c.values = append(c.values, tag(name, v))
		}
		c.expression = "tags IN " + quoted(c.values)
		out = append(out, c)
	}
	at := func(v string) string { return strings.TrimPrefix(v, "@") }
	add(index.FacetLicense, "license", f.License, nil)
	add(index.FacetLicenseGroup, "group", f.LicenseGroup, nil)
	add(index.FacetStandard, "std", f.Standard, nil)
	add(index.FacetLanguage, "lang", f.Language, memory.Language)
	add(index.FacetPlatform, "platform", f.Platform, nil)
	add(index.FacetKind, "kind", f.Kind, nil)
	add(index.FacetSigned, "signed", f.Signed, nil)
	add(index.FacetBuild, "build", f.Build, nil)
	add(index.FacetKeyword, "keyword", f.Keyword, nil)
	add(index.FacetCategory, "category", f.Category, nil)
	add(index.FacetNamespace, "namespace", f.Namespace, at)
	add("", "depends", f.DependsOn, at)
	add("", "header", f.Header, func(v string) string { path, _ := memory.IncludePath(v); return path })
	return out
}

// quoted writes values that safe or hashed made as a list of a filter.
func quoted(values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `"%s"`, v)
	}
	return "[" + b.String() + "]"
}
