package clyde

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of the text in package.yaml. Ours, so that a result and a page hold
// them.
const (
	MaxDescriptionLen = 300 // characters, on one line
	MaxKeywords       = 10
	MaxKeywordLen     = 24  // bytes
	MaxTextLen        = 200 // bytes, of names of people, upstream versions and the like
)

// The closed lists of package.yaml.
var (
	types        = []string{"library", "application", "foreign", "header-only", "plugin", "tool", "meta"}
	languages    = map[string]string{"c": "c", "cpp": "cpp", "cxx": "cpp", "c++": "cpp"}
	cStandards   = []string{"89", "90", "99", "11", "17", "23"}
	cxxStandards = []string{"98", "03", "11", "14", "17", "20", "23", "26"}
	compilers    = map[string]string{"gcc": "gcc", "gxx": "gxx", "g++": "gxx", "clang": "clang", "clangxx": "clangxx", "clang++": "clangxx", "msvc": "msvc"}
	buildSystems = []string{"cmake", "meson", "make", "autotools", "clyde", "none"}
	abiPolicies  = []string{"semver", "soname", "none"}
	accesses     = []string{"public", "private"}
)

var (
	keywordRE = regexp.MustCompile(`^[a-z0-9][a-z0-9+#-]{0,23}$`)
	wordRE    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	emailRE   = regexp.MustCompile(`^[^@\s<>]+@[^@\s<>]+$`)
	githubRE  = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$`)
	commitRE  = regexp.MustCompile(`^[0-9a-f]{40}(?:[0-9a-f]{24})?$`)
	authorRE  = regexp.MustCompile(`^([^<>]*)<([^<>]*)>$`)
	// clydeNameRE is what today's client calls a name: more than can be
	// published.
	clydeNameRE = regexp.MustCompile(`^(?:@[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+$`)
	// clydeVersionRE is a SemVer as today's client reads it: with +build, and
	// with leading zeros in the prerelease.
	clydeVersionRE = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$`)
)

// manifestParser fills in one Manifest.
type manifestParser struct {
	parser
	m            *Manifest
	requirements int
}

// ParseManifest reads a package.yaml as a work tree may have it. The manifest
// is never nil; it holds what could be read. Problems come in document order,
// at most MaxProblems of them; where Problems.Errors is empty the document is
// right, and warnings name what CheckPublish would refuse.
func ParseManifest(data []byte) (*Manifest, Problems) {
	p := &manifestParser{parser: parser{at: map[string]position{}}, m: &Manifest{
		Type: "library", Include: []string{"include"}, Registry: Registry{Publish: true, Access: "public"},
	}}
	if root := p.readDocument(data); root != nil {
		p.root(value{Node: root})
	}
	p.m.written.at = p.at
	return p.m, tidy(p.problems)
}

// tidy sorts problems into document order and cuts them to MaxProblems, errors
// before warnings where both cannot stay.
func tidy(ps Problems) Problems {
	inOrder := func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	}
	slices.SortStableFunc(ps, inOrder)
	if len(ps) <= MaxProblems {
		return ps
	}
	kept := append(ps.Errors(), ps.Warnings()...)[:MaxProblems-1]
	slices.SortStableFunc(kept, inOrder)
	last := Problem{Code: "too_many_problems", Msg: fmt.Sprintf("%d more problems are not listed", len(ps)-len(kept))}
	last.Warning = len(ps.Errors()) == 0
	return append(kept, last)
}

// unpublishable records what a work tree may have and a registry may not.
func (p *manifestParser) unpublishable(v value, code, format string, args ...any) {
	if p.full {
		return
	}
	pr := p.add(v, code, format, args...)
	p.m.written.unpublishable = append(p.m.written.unpublishable, *pr)
	pr.Warning = true
}

func (p *manifestParser) root(v value) {
	m := p.m
	p.object(v, fields{
		"schema":           p.schema,
		"name":             p.name,
		"version":          p.version,
		"upstream_version": p.line(&m.UpstreamVersion, MaxTextLen),
		"type":             p.enum(&m.Type, types),
		"language":         p.language,
		"standard":         p.standard,
		"description":      p.line(&m.Description, MaxDescriptionLen),
		"license":          p.license,
		"license_file":     p.path(&m.LicenseFile),
		"authors":          p.authors,
		"homepage":         p.url(&m.Homepage),
		"repository":       p.url(&m.Repository),
		"documentation":    p.url(&m.Documentation),
		"issues":           p.url(&m.Issues),
		"changelog":        p.path(&m.Changelog),
		"readme":           p.path(&m.Readme),
		"keywords":         p.keywords,
		"categories":       p.categories,
		"sources":          p.paths(&m.Sources),
		"include":          p.paths(&m.Include),
		"files": func(v value) {
			p.object(v, fields{"include": p.paths(&m.Files.Include), "exclude": p.paths(&m.Files.Exclude)}, nil)
		},
		"cflags":         p.flags(&m.CFlags),
		"ldflags":        p.flags(&m.LDFlags),
		"requires":       p.requires(&m.Requires),
		"dev_requires":   p.requires(&m.DevRequires),
		"build_requires": p.requires(&m.BuildRequires),
		"conflicts":      p.requires(&m.Conflicts),
		"overrides":      p.overrides,
		"system":         p.system,
		"provides":       p.words(&m.Provides),
		"replaces":       p.replaces,
		"traits":         p.traits,
		"variants":       p.variants,
		"supports":       p.supports,
		"build": func(v value) {
			p.object(v, fields{"system": p.enum(&m.Build.System, buildSystems), "args": p.texts(&m.Build.Args)}, nil)
		},
		"exports": func(v value) { p.object(v, fields{"components": p.components}, nil) },
		"abi": func(v value) {
			p.object(v, fields{"policy": p.enum(&m.ABI.Policy, abiPolicies), "soname": p.word(&m.ABI.SOName)}, nil)
		},
		"security": p.security,
		"registry": func(v value) {
			p.object(v, fields{"publish": p.flag(&m.Registry.Publish), "access": p.enum(&m.Registry.Access, accesses)}, nil)
		},
	}, func(key, val value) bool {
		if !strings.HasPrefix(key.Value, "x-") {
			return false
		}
		if m.Extra == nil {
			m.Extra = map[string]any{}
		}
		m.Extra[key.Value] = anyValue(val.Node, 1)
		return true
	})
	if v.Kind != yaml.MappingNode {
		return
	}
	if _, ok := p.at["/name"]; !ok {
		p.add(v, "name_missing", "the package has no name: want name: \"@namespace/name\"")
	}
	if _, ok := p.at["/version"]; !ok {
		p.unpublishable(v, "version_missing", "the package has no version, without which it cannot be published: want version: \"1.0.0\"")
	}
}

func (p *manifestParser) schema(v value) {
	if v.Kind == yaml.ScalarNode && v.Value == "1" && kindOf(v.Node) == scalarNumber {
		p.m.Schema = 1
		return
	}
	if !isAlias(v) {
		p.add(v, "schema_unknown", "want schema: 1, the only one there is")
	}
}

func (p *manifestParser) name(v value) {
	s, ok := p.text(v)
	if !ok {
		return
	}
	p.m.written.name = s
	var err error
	if strings.HasPrefix(s, "@") {
		p.m.Name, err = ParseName(s)
	} else if err = CheckBase(s); err == nil {
		p.m.Name = Name{Base: s}
	}
	switch {
	case err == nil:
	case clydeNameRE.MatchString(s):
		p.unpublishable(v, "name_invalid", "%s", sentence(AsError(err)))
	default:
		p.addErr(v, err)
	}
}

func (p *manifestParser) version(v value) {
	s, ok := p.text(v)
	if !ok {
		return
	}
	p.m.written.version = s
	var err error
	if p.m.Version, err = ParseVersion(s); err == nil {
		return
	}
	if clydeVersionRE.MatchString(s) {
		p.unpublishable(v, "version_invalid", "%s", sentence(AsError(err)))
		return
	}
	p.addErr(v, err)
}

func (p *manifestParser) language(v value) {
	s, ok := p.text(v)
	if !ok {
		return
	}
	if p.m.Language, ok = languages[s]; !ok {
		near := languages[strings.ToLower(s)]
		p.add(v, "value_unknown", "language %s is not known: want c or cpp", quoted(s)).Near = near
	}
}

func (p *manifestParser) standard(v value) {
	p.object(v, fields{"c": p.enum(&p.m.Standard.C, cStandards), "cxx": p.enum(&p.m.Standard.CXX, cxxStandards)}, nil)
}

func (p *manifestParser) license(v value) {
	s, ok := p.text(v)
	if !ok {
		return
	}
	p.m.License = s
	l, err := parseLicense(s)
	if err != nil {
		p.addErr(v, err)
		return
	}
	for _, w := range l.warnings {
		pr := p.add(v, "license_spelling", "%s", w.msg)
		pr.Warning, pr.Near = true, w.near
	}
}

func (p *manifestParser) authors(v value) {
	p.list(v, func(v value) {
		var a Author
		if v.Kind == yaml.MappingNode {
			p.object(v, fields{"name": p.line(&a.Name, MaxTextLen), "email": p.line(&a.Email, MaxTextLen), "github": p.line(&a.GitHub, MaxTextLen)}, nil)
		} else {
			var s string
			p.line(&s, MaxTextLen)(v)
			if a.Name = s; authorRE.MatchString(s) {
				m := authorRE.FindStringSubmatch(s)
				a.Name, a.Email = strings.TrimSpace(m[1]), strings.TrimSpace(m[2])
			} else if strings.ContainsAny(s, "<>") {
				p.add(v, "author_invalid", "author %s: want \"Name <address@example.org>\"", quoted(s))
				return
			}
			if s == "" {
				return
			}
		}
		switch {
		case a.Name == "" && a.GitHub == "" && a.Email == "":
			p.add(v, "author_invalid", "an author has a name, an email or a github login")
		case a.Email != "" && !emailRE.MatchString(a.Email):
			p.add(v, "author_invalid", "%s is not an email address", quoted(a.Email))
		case a.GitHub != "" && !githubRE.MatchString(a.GitHub):
			p.add(v, "author_invalid", "%s is not a GitHub login", quoted(a.GitHub))
		default:
			p.m.Authors = append(p.m.Authors, a)
		}
	})
}

func (p *manifestParser) keywords(v value) {
	p.list(v, func(v value) {
		s, ok := p.text(v)
		switch {
		case !ok, len(p.m.Keywords) > MaxKeywords: // too many, as is said below
		case !keywordRE.MatchString(s):
			pr := p.add(v, "keyword_invalid", "keyword %s: use at most %d of a-z, 0-9, +, # and -, and start with a letter or digit", quoted(s), MaxKeywordLen)
			if near := strings.ReplaceAll(asciiLower(s), " ", "-"); keywordRE.MatchString(near) {
				pr.Near = near
			}
		case slices.Contains(p.m.Keywords, s):
			p.add(v, "keyword_invalid", "keyword %s is here a second time", quoted(s))
		default:
			p.m.Keywords = append(p.m.Keywords, s)
		}
	})
	if n := len(v.Content); n > MaxKeywords && v.Kind == yaml.SequenceNode {
		p.add(v, "too_many", "%d keywords: the limit is %d", n, MaxKeywords)
	}
}

func (p *manifestParser) categories(v value) {
	p.list(v, func(v value) {
		var s string
		p.enum(&s, categories)(v)
		if slices.Contains(p.m.Categories, s) {
			p.add(v, "category_twice", "category %s is here a second time", quoted(s))
		} else if s != "" {
			p.m.Categories = append(p.m.Categories, s)
		}
	})
	if n := len(v.Content); n > MaxCategories && v.Kind == yaml.SequenceNode {
		p.add(v, "too_many", "%d categories: the limit is %d", n, MaxCategories)
	}
}

func (p *manifestParser) supports(v value) {
	s, ok := p.text(v)
	if !ok {
		return
	}
	p.m.Supports = s
	var unknown []string
	_, err := Supports(s, func(id string) bool {
		if !slices.Contains(platforms, id) && !slices.Contains(unknown, id) {
			unknown = append(unknown, id)
		}
		return true
	})
	if err != nil {
		p.addErr(v, err)
		return
	}
	for _, id := range unknown {
		pr := p.add(v, "platform_unknown", "platform %s is not one that the registry knows", quoted(id))
		pr.Warning, pr.Near = true, nearest(id, platforms)
	}
}

func (p *manifestParser) security(v value) {
	s := &p.m.Security
	p.object(v, fields{
		"policy": func(v value) {
			if strings.HasPrefix(v.Value, "http") && strings.Contains(v.Value, "://") {
				p.url(&s.Policy)(v)
				return
			}
			p.path(&s.Policy)(v)
		},
		"cpe": func(v value) {
			if p.line(&s.CPE, MaxTextLen)(v); s.CPE != "" && !strings.HasPrefix(s.CPE, "cpe:2.3:") {
				p.add(v, "cpe_invalid", "want a CPE 2.3 name: cpe:2.3:a:vendor:product")
			}
		},
		"upstream": func(v value) {
			p.object(v, fields{
				"url": p.url(&s.UpstreamURL),
				"commit": func(v value) {
					if p.line(&s.UpstreamCommit, MaxTextLen)(v); s.UpstreamCommit != "" && !commitRE.MatchString(s.UpstreamCommit) {
						p.add(v, "commit_invalid", "want a whole commit hash, 40 or 64 of 0-9 and a-f")
					}
				},
			}, nil)
		},
	}, nil)
}

// line reads one line of text, at most limit characters.
func (p *manifestParser) line(to *string, limit int) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		switch n := utf8.RuneCountInString(s); {
		case !ok:
		case strings.TrimSpace(s) == "":
			p.add(v, "text_empty", "the text is empty: write it or remove the key")
		case strings.ContainsAny(strings.TrimRight(s, "\n"), "\n\r"):
			p.add(v, "text_lines", "the text has more than one line")
		case n > limit:
			p.add(v, "text_too_long", "the text is %d characters long: the limit is %d", n, limit)
		default:
			*to = strings.TrimSpace(s)
		}
	}
}

// enum reads one of a closed list.
func (p *manifestParser) enum(to *string, allowed []string) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if slices.Contains(allowed, s) {
			*to = s
			return
		}
		msg := "%s is not one of the values known here"
		if len(allowed) <= 12 {
			msg += ": " + strings.Join(allowed, ", ")
		}
		p.add(v, "value_unknown", msg, quoted(s)).Near = nearest(s, allowed)
	}
}

func (p *manifestParser) flag(to *bool) func(value) {
	return func(v value) {
		if is, ok := p.boolean(v); ok {
			*to = is
		}
	}
}

func (p *manifestParser) url(to *string) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if wrong := checkURL(s); wrong != "" {
			p.add(v, "url_invalid", "%s %s", quoted(s), wrong)
			return
		}
		*to = s
	}
}

func (p *manifestParser) path(to *string) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if wrong := checkPath(s); wrong != "" {
			p.add(v, "path_invalid", "path %s %s", quoted(s), wrong)
			return
		}
		*to = s
	}
}

func (p *manifestParser) paths(to *[]string) func(value) {
	return func(v value) {
		*to = []string{}
		p.list(v, func(v value) {
			var s string
			if p.path(&s)(v); s != "" {
				*to = append(*to, s)
			}
		})
	}
}

func (p *manifestParser) texts(to *[]string) func(value) {
	return func(v value) {
		p.list(v, func(v value) {
			if s, ok := p.text(v); ok {
				*to = append(*to, s)
			}
		})
	}
}

// word reads a name of something that a linker or build system knows.
func (p *manifestParser) word(to *string) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if !wordRE.MatchString(s) || len(s) > MaxTextLen {
			p.add(v, "word_invalid", "%s: use letters, digits, _, ., + and -, and start with a letter, digit or _", quoted(s))
			return
		}
		*to = s
	}
}

func (p *manifestParser) words(to *[]string) func(value) {
	return func(v value) {
		p.list(v, func(v value) {
			var s string
			if p.word(&s)(v); s != "" {
				*to = append(*to, s)
			}
		})
	}
}
