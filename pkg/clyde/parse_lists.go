package clyde

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	visibilities   = []string{"public", "private", "interface"}
	componentTypes = []string{"archive", "dylib", "module", "interface", "executable", "symbolic"}
	traitTypes     = []string{"bool", "enum", "string"}
)

var (
	managerRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	// systemRE keeps what a person may paste after "apt install": no space,
	// no option, nothing that a shell would read.
	systemRE = regexp.MustCompile(`^[A-Za-z0-9@][A-Za-z0-9@/+._:-]*$`)
	// componentRE is "@y/fmt:fmt", "@y/fmt", or ":other" of the same package.
	componentRE = regexp.MustCompile(`^(@[^:@]+|[a-z0-9._-]*)(?::([A-Za-z0-9_][A-Za-z0-9_.+-]*))?$`)
)

// requires reads one list of requirements.
func (p *manifestParser) requires(to *[]Requirement) func(value) {
	return func(v value) {
		p.mapping(v, func(key, val value) {
			if p.requirements++; p.requirements > MaxRequirements {
				if p.requirements == MaxRequirements+1 {
					p.add(key, "too_many", "more than %d requirements", MaxRequirements)
				}
				return
			}
			r := Requirement{Name: key.Value, Visibility: "public"}
			p.requirementName(key)
			if val.Kind == yaml.MappingNode {
				p.object(val, fields{
					"version":    p.requirementSpec(&r),
					"traits":     p.traitValues(&r),
					"visibility": p.enum(&r.Visibility, visibilities),
					"optional":   p.flag(&r.Optional),
					"when":       p.condition(&r.When),
				}, nil)
			} else {
				p.requirementSpec(&r)(val)
			}
			*to = append(*to, r)
		})
		slices.SortFunc(*to, func(a, b Requirement) int { return strings.Compare(a.Name, b.Name) })
	}
}

// overrides reads what a project puts in place of the ranges of others. Whoever
// installs the package would not get them, so it is published without.
func (p *manifestParser) overrides(v value) {
	if v.Kind == yaml.MappingNode && len(v.Content) > 0 {
		p.unpublishable(v, "overrides_unpublishable", "overrides count in this project alone, and whoever requires the package would get other versions than it was made with: take them out to publish, and write what is needed into requires")
	}
	p.mapping(v, func(key, val value) {
		if p.requirements++; p.requirements > MaxRequirements {
			if p.requirements == MaxRequirements+1 {
				p.add(key, "too_many", "more than %d requirements", MaxRequirements)
			}
			return
		}
		name, err := ParseName(key.Value)
		if err != nil {
			p.addErr(key, err)
			return
		}
		s, ok := p.text(val)
		if !ok {
			return
		}
		r, err := ParseRange(s)
		if err != nil {
			p.addErr(val, err)
			return
		}
		if p.m.Overrides == nil {
			p.m.Overrides = map[Name]Range{}
		}
		p.m.Overrides[name] = r
	})
}

// requirementName checks the key of a requirement; one without a namespace is
// fine in a work tree.
func (p *manifestParser) requirementName(key value) {
	s := key.Value
	var err error
	if strings.HasPrefix(s, "@") {
		_, err = ParseName(s)
	} else {
		err = CheckBase(s)
	}
	switch {
	case err == nil:
	case clydeNameRE.MatchString(s):
		p.unpublishable(key, "name_invalid", "%s", sentence(AsError(err)))
	default:
		p.addErr(key, err)
	}
}

// requirementSpec reads a range, local:path or git:reference.
func (p *manifestParser) requirementSpec(r *Requirement) func(value) {
	return func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if path, ok := strings.CutPrefix(s, "local:"); ok {
			if r.Local = path; path == "" {
				p.add(v, "requirement_invalid", "no path follows local:")
				return
			}
			p.unpublishable(v, "requirement_local", "%s is required from a folder: publish it, and require a range of its versions", quoted(r.Name))
			return
		}
		if ref, ok := strings.CutPrefix(s, "git:"); ok {
			if r.Git = ref; ref == "" {
				p.add(v, "requirement_invalid", "no branch, tag or commit follows git:")
				return
			}
			p.unpublishable(v, "requirement_git", "%s is required from git: require a range of published versions", quoted(r.Name))
			return
		}
		var err error
		if r.Range, err = ParseRange(s); err == nil {
			return
		}
		if plain := strings.TrimLeft(s, "^~=<> "); clydeVersionRE.MatchString(plain) {
			p.unpublishable(v, "range_invalid", "%s", sentence(AsError(err)))
			return
		}
		p.addErr(v, err)
	}
}

// condition reads when, which resolving has to understand.
func (p *manifestParser) condition(to *string) func(value) {
	return func(v value) {
		p.line(to, MaxConditionLen)(v)
		if _, err := ParseCondition(*to); err != nil {
			p.addErr(v, err)
		}
	}
}

// traitText reads the value of a trait; booleans are what the documentation of
// today's client shows for "true" and "false".
func (p *manifestParser) traitText(v value) (string, bool) {
	if v.Kind == yaml.ScalarNode && kindOf(v.Node) == scalarBool {
		return strings.ToLower(v.Value), true
	}
	return p.text(v)
}

func (p *manifestParser) traitValues(r *Requirement) func(value) {
	return func(v value) {
		r.Traits = map[string]string{}
		p.mapping(v, func(key, val value) {
			p.checkWord(key, "trait")
			if s, ok := p.traitText(val); ok {
				r.Traits[key.Value] = s
			}
		})
	}
}

func (p *manifestParser) checkWord(key value, what string) {
	if !wordRE.MatchString(key.Value) || len(key.Value) > MaxTextLen {
		p.add(key, "word_invalid", "%s %s: use letters, digits, _, ., + and -, and start with a letter, digit or _", what, quoted(key.Value))
	}
}

// traits reads the switches of the package, sorted by name.
func (p *manifestParser) traits(v value) {
	p.mapping(v, func(key, val value) {
		p.checkWord(key, "trait")
		t := Trait{Name: key.Value, Type: "string"}
		if val.Kind != yaml.MappingNode {
			s, ok := p.traitText(val)
			if !ok {
				return
			}
			if t.Default = s; s == "true" || s == "false" {
				t.Type = "bool"
			}
			p.m.Traits = append(p.m.Traits, t)
			return
		}
		p.object(val, fields{
			"type": p.enum(&t.Type, traitTypes),
			"default": func(v value) {
				t.Default, _ = p.traitText(v)
			},
			"values": func(v value) {
				p.list(v, func(v value) {
					if s, ok := p.traitText(v); ok {
						t.Values = append(t.Values, s)
					}
				})
			},
			"abi":         p.flag(&t.ABI),
			"description": p.line(&t.Description, MaxDescriptionLen),
		}, nil)
		switch {
		case t.Type == "bool" && t.Default != "" && t.Default != "true" && t.Default != "false":
			p.add(val, "trait_invalid", "trait %s is a bool and its default is %s", quoted(t.Name), quoted(t.Default))
		case t.Type == "enum" && len(t.Values) == 0:
			p.add(val, "trait_invalid", "trait %s is an enum and lists no values", quoted(t.Name))
		case t.Type == "enum" && t.Default != "" && !slices.Contains(t.Values, t.Default):
			p.add(val, "trait_invalid", "trait %s has the default %s, which is none of its values", quoted(t.Name), quoted(t.Default)).Near = nearest(t.Default, t.Values)
		}
		p.m.Traits = append(p.m.Traits, t)
	})
	slices.SortFunc(p.m.Traits, func(a, b Trait) int { return strings.Compare(a.Name, b.Name) })
}

// variants are kept as they are; only their shape is checked.
func (p *manifestParser) variants(v value) {
	p.m.Variants = map[string]any{}
	p.mapping(v, func(key, val value) {
		p.checkWord(key, "variant")
		p.mapping(val, func(value, value) {})
		p.m.Variants[key.Value] = anyValue(val.Node, 1)
	})
}

// flags reads flags by compiler, split as a shell would where they are text.
func (p *manifestParser) flags(to *map[string][]string) func(value) {
	return func(v value) {
		*to = map[string][]string{}
		p.mapping(v, func(key, val value) {
			name, ok := compilers[key.Value]
			if !ok {
				p.add(key, "unknown_key", "compiler %s is not known: want gcc, gxx, clang, clangxx or msvc", quoted(key.Value)).Near = compilerNear(key.Value)
				return
			}
			if _, twice := (*to)[name]; twice {
				p.add(key, "duplicate_key", "%s and another spelling of it are both here", quoted(key.Value))
				return
			}
			(*to)[name] = []string{}
			if val.Kind == yaml.SequenceNode {
				p.list(val, func(v value) {
					if s, ok := p.text(v); ok {
						(*to)[name] = append((*to)[name], s)
					}
				})
				return
			}
			s, ok := p.text(val)
			if !ok {
				return
			}
			words, ok := splitFlags(s)
			if !ok {
				p.add(val, "flags_invalid", "flags %s: a quote is not closed", quoted(s))
				return
			}
			(*to)[name] = append((*to)[name], words...)
		})
	}
}

func compilerNear(s string) string {
	return nearest(s, []string{"gcc", "gxx", "g++", "clang", "clangxx", "clang++", "msvc"})
}

// system reads the packages of other managers, which are declared and never
// installed by anything of ours.
func (p *manifestParser) system(v value) {
	p.m.System = map[string][]string{}
	p.mapping(v, func(key, val value) {
		if !managerRE.MatchString(key.Value) {
			p.add(key, "word_invalid", "%s is not the name of a package manager: use a-z, 0-9, - and _", quoted(key.Value))
			return
		}
		p.m.System[key.Value] = []string{}
		p.list(val, func(v value) {
			s, ok := p.text(v)
			if !ok {
				return
			}
			if !systemRE.MatchString(s) || len(s) > MaxTextLen {
				p.add(v, "word_invalid", "%s is not the name of a system package", quoted(s))
				return
			}
			p.m.System[key.Value] = append(p.m.System[key.Value], s)
		})
	})
}

func (p *manifestParser) replaces(v value) {
	p.list(v, func(v value) {
		s, ok := p.text(v)
		if !ok {
			return
		}
		if _, err := ParseName(s); err != nil {
			p.addErr(v, err)
			return
		}
		p.m.Replaces = append(p.m.Replaces, s)
	})
}

// components reads exports.components.
func (p *manifestParser) components(v value) {
	p.m.Components = map[string]Component{}
	p.mapping(v, func(key, val value) {
		p.checkWord(key, "component")
		var c Component
		p.object(val, fields{
			"type":             p.enum(&c.Type, componentTypes),
			"includes":         p.paths(&c.Includes),
			"definitions":      p.texts(&c.Definitions),
			"compile_features": p.words(&c.CompileFeatures),
			"requires":         p.componentRequires(&c.Requires),
			"link_libraries":   p.words(&c.LinkLibraries),
			"location":         p.path(&c.Location),
		}, nil)
		p.m.Components[key.Value] = c
	})
}

func (p *manifestParser) componentRequires(to *[]string) func(value) {
	return func(v value) {
		p.list(v, func(v value) {
			s, ok := p.text(v)
			if !ok {
				return
			}
			m := componentRE.FindStringSubmatch(s)
			bad := m == nil || s == ""
			if !bad && strings.HasPrefix(m[1], "@") {
				_, err := ParseName(m[1])
				bad = err != nil
			} else if !bad && m[1] != "" {
				bad = CheckBase(m[1]) != nil
			}
			if bad {
				p.add(v, "component_invalid", "%s: want \"@namespace/name:component\", or \":component\" of this package", quoted(s))
				return
			}
			*to = append(*to, s)
		})
	}
}

// anyValue converts a node that walk has accepted into what encoding/json can
// write: text where JSON has no such number.
func anyValue(n *yaml.Node, depth int) any {
	if depth > MaxManifestDepth {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = anyValue(n.Content[i+1], depth+1)
		}
		return m
	case yaml.SequenceNode:
		l := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			l = append(l, anyValue(c, depth+1))
		}
		return l
	case yaml.ScalarNode:
	default:
		return nil
	}
	switch kindOf(n) {
	case scalarNull:
		return nil
	case scalarBool:
		return strings.EqualFold(n.Value, "true")
	case scalarNumber:
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f-f == 0 {
			return f
		}
	}
	return n.Value
}
