package index

import (
	"slices"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// operators are the words before a colon that ParseText understands, with the
// other spellings of each.
var operators = map[string]string{
	"namespace": "namespace", "ns": "namespace", "scope": "namespace",
	"license": "license", "licence": "license",
	"group": "group", "std": "std", "standard": "std",
	"lang": "lang", "language": "lang",
	"platform": "platform", "os": "platform",
	"kind": "kind", "type": "kind",
	"signed":  "signed",
	"build":   "build",
	"keyword": "keyword", "tag": "keyword",
	"category": "category",
	"depends":  "depends", "dep": "depends",
	"header": "header", "include": "header",
	"sort": "sort",
	"is":   "is",
}

// states are the values of is: and the filter each stands for.
var states = map[string]func(*Filters){
	"signed":      func(f *Filters) { f.Signed = append(f.Signed, "verified") },
	"verified":    func(f *Filters) { f.Signed = append(f.Signed, "verified") },
	"built":       func(f *Filters) { f.Build = append(f.Build, Built) },
	"unsigned":    func(f *Filters) { f.Signed = append(f.Signed, "unsigned") },
	"untrusted":   func(f *Filters) { f.Signed = append(f.Signed, "untrusted") },
	"header-only": func(f *Filters) { f.Kind = append(f.Kind, "header-only") },
	"library":     func(f *Filters) { f.Kind = append(f.Kind, "library") },
	"tool":        func(f *Filters) { f.Kind = append(f.Kind, "tool") },
	"application": func(f *Filters) { f.Kind = append(f.Kind, "application") },
}

// ParseText reads what a person typed into a search box: words, and operators
// of the form name:value or name:"some value", in any order.
//
//	json license:mit lang:cpp is:signed
//	header:fmt/core.h    depends:@acme/zlib    kind:tool,plugin    sort:downloads
//
// A colon after any other word is part of the text (std::vector). An is: or
// sort: with an unknown value is ErrInvalid, and so is a text over a limit of
// this package.
func ParseText(s string) (Query, error) {
	if len(s) > MaxQueryLen {
		return Query{}, clyde.Errorf(clyde.ErrInvalid, "the search text is %d bytes; the limit is %d", len(s), MaxQueryLen).
			WithCode("query_too_long").Fix("search for fewer words")
	}
	var (
		q     Query
		words []string
	)
	for _, f := range fields(s) {
		name, value, ok := strings.Cut(f, ":")
		op := operators[strings.ToLower(name)]
		value = strings.ReplaceAll(value, `"`, "")
		if !ok || op == "" || value == "" || value[0] == ':' {
			words = append(words, f)
			continue
		}
		if err := q.apply(op, value); err != nil {
			return Query{}, err
		}
	}
	q.Text = strings.Join(words, " ")
	return q.Check()
}

// apply adds one operator to q.
func (q *Query) apply(op, value string) error {
	switch op {
	case "is":
		set, ok := states[strings.ToLower(value)]
		if !ok {
			return clyde.Errorf(clyde.ErrInvalid, "is:%s is not known", clip(value)).WithCode("operator_invalid").
				Fix("use one of is:signed, is:unsigned, is:untrusted, is:built, is:header-only, is:library, is:tool, is:application")
		}
		set(&q.Filters)
	case "sort":
		q.Sort = Sort(strings.ToLower(value))
		if !slices.Contains(Sorts[:], q.Sort) {
			return clyde.Errorf(clyde.ErrInvalid, "sort:%s is not known", clip(value)).WithCode("operator_invalid").
				Fix("use one of sort:relevance, sort:downloads, sort:updated, sort:new, sort:name")
		}
	default:
		q.Filters.each(func(name string, values *[]string) {
			if name != op {
				return
			}
			for v := range strings.SplitSeq(value, ",") {
				if v = strings.TrimSpace(v); v != "" {
					*values = append(*values, v)
				}
			}
		})
	}
	return nil
}

// fields splits at white space outside of double quotes. A quote that is not
// closed is an ordinary character.
func fields(s string) []string {
	quoted := false
	left := strings.Count(s, `"`)
	return strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			left--
			quoted = !quoted && left > 0
		}
		return !quoted && unicode.IsSpace(r)
	})
}
