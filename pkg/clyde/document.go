package clyde

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of package.yaml. Ours: the package format states them.
const (
	MaxManifestSize  = 256 << 10 // bytes
	MaxManifestDepth = 16        // mappings and lists inside each other, the document's own among them
	MaxRequirements  = 1000      // entries of requires, dev_requires, build_requires and conflicts together
	MaxKeyLen        = 200       // bytes of a key; with the depth it bounds the pointers of problems
	MaxProblems      = 100       // reported of one document; a last one says how many more there are

	// maxFound is how many problems are looked for, so that a document of
	// nothing else costs no more than others.
	maxFound = 10 * MaxProblems
)

// position is a place in a document, both from 1.
type position struct{ line, column int }

// value is one node of the document and the way to it.
type value struct {
	*yaml.Node
	at *step
}

// step is a key or an index on the way to a value; nil is the document. It is
// written out as a pointer only where one is shown: the pointers of all values
// together are as many times as large as a hostile document is deep or its keys
// are long.
type step struct {
	up  *step
	key string
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// child returns the value below key.
func (v value) child(key string, n *yaml.Node) value {
	return value{n, &step{v.at, key}}
}

// pointer writes v's RFC 6901 pointer.
func (v value) pointer() string {
	var keys []string
	for s := v.at; s != nil; s = s.up {
		keys = append(keys, "/"+pointerEscapes.Replace(s.key))
	}
	slices.Reverse(keys)
	return strings.Join(keys, "")
}

// parser collects what is wrong with one document.
type parser struct {
	problems Problems
	at       map[string]position // by pointer: of the document, its keys and theirs
	full     bool                // maxFound problems were found, which is one more
}

// add records a problem at v. The result may be changed until the next call.
func (p *parser) add(v value, code, format string, args ...any) *Problem {
	if p.full {
		return &Problem{}
	}
	p.problems = append(p.problems, Problem{Code: code, Pointer: v.pointer(), Line: v.Line, Column: v.Column, Msg: fmt.Sprintf(format, args...)})
	if len(p.problems) == maxFound {
		// An error, even where all were warnings: what follows is not looked at.
		p.full = true
		p.problems = append(p.problems, Problem{Code: "too_many_problems", Line: v.Line, Column: v.Column, Msg: fmt.Sprintf("more than %d problems: what follows was not looked at", maxFound)})
	}
	return &p.problems[min(len(p.problems), maxFound)-1]
}

// addErr records an error about v in the error's own words.
func (p *parser) addErr(v value, err error) *Problem {
	e := AsError(err)
	if e == nil {
		return p.add(v, "invalid", "%v", err)
	}
	return p.add(v, e.Code, "%s", sentence(e))
}

// sentence is an error with its remedies on one line.
func sentence(e *Error) string {
	return strings.Join(append([]string{e.Msg}, e.Fixes...), "; ")
}

// readDocument reads the one YAML document in data and checks what holds for
// all of it: size, characters, depth, and YAML 1.2 core without anchors,
// aliases, merge keys, tags and duplicate keys. It returns nil where nothing
// more can be said about the document.
func (p *parser) readDocument(data []byte) *yaml.Node {
	if len(data) > MaxManifestSize {
		p.problems = append(p.problems, Problem{Code: "document_too_large", Msg: fmt.Sprintf("the document is %d bytes long: the limit is %d", len(data), MaxManifestSize)})
		return nil
	}
	if !p.checkCharacters(data) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			p.problems = append(p.problems, Problem{Code: "document_empty", Line: 1, Column: 1, Msg: "the document is empty: it needs at least a name"})
		} else {
			p.syntax(data, err)
		}
		return nil
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		p.add(value{Node: &second}, "yaml_second_document", "a second document starts here: package.yaml is one document")
	} else if !errors.Is(err, io.EOF) {
		p.syntax(data, err)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		p.problems = append(p.problems, Problem{Code: "document_empty", Line: 1, Column: 1, Msg: "the document is empty: it needs at least a name"})
		return nil
	}
	p.walk(value{Node: doc.Content[0]}, 1)
	return doc.Content[0]
}

// checkCharacters refuses what is not UTF-8 and characters that a reader cannot
// see: controls, and those that turn the direction of writing, with which one
// text shows as another.
func (p *parser) checkCharacters(data []byte) bool {
	line, column, ok := 1, 1, true
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			p.problems = append(p.problems, Problem{Code: "not_utf8", Line: line, Column: column, Msg: "the document is not UTF-8 from here on"})
			return false
		}
		if hidden(r) && (i > 0 || r != '\uFEFF') {
			p.problems = append(p.problems, Problem{Code: "character_forbidden", Line: line, Column: column, Msg: fmt.Sprintf("character U+%04X is a control or direction character: remove it", r)})
			if ok = false; len(p.problems) >= MaxProblems {
				return false
			}
		}
		i, column = i+n, column+1
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return ok
}

// hidden reports whether r has no place in a manifest.
func hidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == '\u061c', r == '\u200e', r == '\u200f',
		r >= '\u2028' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\ufeff', r >= '\ufff9' && r <= '\ufffb':
		return true
	}
	return false
}

var (
	yamlLineRE  = regexp.MustCompile(`line ([0-9]+): `)
	needQuoteRE = regexp.MustCompile("(?:^|[:\\[{,-])\\s*([@%`*&!>|][^\\s,}\\]]*)")
)

// syntax records what the YAML parser said, with the remedy for the mistake
// that this format invites: names, ranges and * without quotes.
func (p *parser) syntax(data []byte, err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	pr := Problem{Code: "yaml_syntax", Line: 1, Column: 1}
	if m := yamlLineRE.FindStringSubmatch(msg); m != nil {
		pr.Line, _ = strconv.Atoi(m[1])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	pr.Msg = "this is not YAML: " + msg
	if strings.Contains(msg, "unknown anchor") {
		pr.Code, pr.Msg = "yaml_alias", "aliases are not allowed: write the value out, and quote \"*\" where a range is meant"
	}
	lines := bytes.Split(data, []byte("\n"))
	for i := max(0, pr.Line-2); i < min(len(lines), pr.Line+1); i++ { // the parser is off by one at times
		if loc := needQuoteRE.FindSubmatchIndex(lines[i]); loc != nil {
			pr.Line, pr.Column = i+1, utf8.RuneCount(lines[i][:loc[2]])+1
			pr.Msg += fmt.Sprintf("; quote %s", quoted(string(lines[i][loc[2]:loc[3]])))
			break
		}
	}
	p.problems = append(p.problems, pr)
}

// plainTags are the explicit tags that name what core YAML has anyway.
var plainTags = []string{"!!str", "!!map", "!!seq"}

// maxKnownKey is at least the length of every key that the format knows, in
// bytes.
const maxKnownKey = 32

// walk checks v and all below it, and notes where things are.
func (p *parser) walk(v value, depth int) {
	// Only these are asked for again. A long key with many below it is not ours.
	if v.at == nil || v.at.up == nil || v.at.up.up == nil && len(v.at.up.key) <= maxKnownKey {
		p.at[v.pointer()] = position{v.Line, v.Column}
	}
	if v.Kind == yaml.AliasNode {
		p.add(v, "yaml_alias", "aliases are not allowed: write the value out, and quote \"*\" where a range is meant")
		return
	}
	if v.Anchor != "" {
		p.add(v, "yaml_anchor", "anchors are not allowed: write the value out where it is needed, and quote a text that starts with &")
	}
	if v.Style&yaml.TaggedStyle != 0 && !slices.Contains(plainTags, v.ShortTag()) {
		p.add(v, "yaml_tag", "tag %s is not allowed: quote the value where text is meant", quoted(v.Tag))
	}
	if v.Kind == yaml.ScalarNode {
		p.checkScalar(v)
		return
	}
	if depth > MaxManifestDepth {
		p.add(v, "document_too_deep", "more than %d mappings and lists inside each other", MaxManifestDepth)
		return
	}
	if v.Kind == yaml.SequenceNode {
		for i, n := range v.Content {
			p.walk(v.child(strconv.Itoa(i), n), depth+1)
		}
		return
	}
	seen := make(map[string]int, len(v.Content)/2)
	for i := 0; i+1 < len(v.Content); i += 2 {
		key := v.child(v.Content[i].Value, v.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode:
			p.add(key, "yaml_key", "a key is plain text")
			continue
		case len(key.Value) > MaxKeyLen:
			p.add(v, "key_too_long", "a key is %d bytes long: the limit is %d", len(key.Value), MaxKeyLen)
			continue
		case key.Value == "<<" && key.Style == 0:
			p.add(key, "yaml_merge", "merge keys are not allowed: write the keys out")
		case seen[key.Value] > 0:
			p.add(key, "duplicate_key", "key %s is here a second time, after line %d", quoted(key.Value), seen[key.Value])
		}
		seen[key.Value] = key.Line
		if key.Anchor != "" {
			p.add(key, "yaml_anchor", "anchors are not allowed")
		}
		if key.Style&yaml.TaggedStyle != 0 && key.ShortTag() != "!!str" {
			p.add(key, "yaml_tag", "tag %s is not allowed", quoted(key.Tag))
		}
		p.checkScalar(key)
		p.walk(v.child(key.Value, v.Content[i+1]), depth+1)
	}
}

// checkScalar refuses hidden characters that escapes have smuggled in.
func (p *parser) checkScalar(v value) {
	for _, r := range v.Value {
		if hidden(r) || r == utf8.RuneError {
			p.add(v, "character_forbidden", "character U+%04X is a control or direction character: remove it", r)
			return
		}
	}
}

// scalarKind is what a scalar is in the core schema of YAML 1.2 (section
// 10.3.2). yaml.v3 resolves by 1.1 in places: dates, octals, underscores.
type scalarKind int

const (
	scalarText scalarKind = iota
	scalarNull
	scalarBool
	scalarNumber
)

var (
	yamlNumberRE = regexp.MustCompile(`^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	yamlBoolRE   = regexp.MustCompile(`^(?:true|True|TRUE|false|False|FALSE)$`)
	yamlNullRE   = regexp.MustCompile(`^(?:null|Null|NULL|~|)$`)
)

func kindOf(n *yaml.Node) scalarKind {
	const notPlain = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	switch {
	case n.Style&notPlain != 0:
		return scalarText
	case yamlNullRE.MatchString(n.Value):
		return scalarNull
	case yamlBoolRE.MatchString(n.Value):
		return scalarBool
	case yamlNumberRE.MatchString(n.Value):
		return scalarNumber
	}
	return scalarText
}

// isAlias reports whether v was refused by walk already.
func isAlias(v value) bool { return v.Kind == yaml.AliasNode }

// describe says what v is, for messages: `the number 1.1`.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch kindOf(n) {
	case scalarNull:
		return "empty"
	case scalarBool:
		return "the boolean " + strings.ToLower(n.Value)
	case scalarNumber:
		if text := numberText(n.Value); text != n.Value {
			return "the number " + text
		}
		return "a number"
	}
	return "text"
}

// numberText is a number as a program that reads it would print it.
func numberText(s string) string {
	if f, err := strconv.ParseFloat(s, 64); err == nil && len(s) < 16 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

// text returns v's text; anything else is refused with the reason.
func (p *parser) text(v value) (string, bool) {
	if v.Kind == yaml.ScalarNode {
		if k := kindOf(v.Node); k == scalarText {
			return v.Value, true
		} else if k == scalarNumber || k == scalarBool {
			p.add(v, "wrong_type", "%s is %s: quote it, \"%s\"", v.Value, describe(v.Node), v.Value)
			return "", false
		}
	}
	if !isAlias(v) {
		p.add(v, "wrong_type", "want text, not %s", orNothing(v.Node))
	}
	return "", false
}

func orNothing(n *yaml.Node) string {
	if d := describe(n); d != "empty" {
		return d
	}
	return "nothing: give a value or remove the key"
}

// boolean returns v's truth; YAML 1.2 knows true and false only.
func (p *parser) boolean(v value) (is, ok bool) {
	if v.Kind == yaml.ScalarNode && kindOf(v.Node) == scalarBool {
		return strings.EqualFold(v.Value, "true"), true
	}
	if !isAlias(v) {
		p.add(v, "wrong_type", "want true or false without quotes, not %s", orNothing(v.Node))
	}
	return false, false
}

// list calls each for every entry of v, which must be a list.
func (p *parser) list(v value, each func(value)) {
	if v.Kind != yaml.SequenceNode {
		switch {
		case isAlias(v):
		case v.Kind == yaml.ScalarNode && kindOf(v.Node) == scalarText:
			p.add(v, "wrong_type", "want a list, not text: write [%s]", quoted(v.Value))
		default:
			p.add(v, "wrong_type", "want a list, not %s", orNothing(v.Node))
		}
		return
	}
	for i, n := range v.Content {
		each(v.child(strconv.Itoa(i), n))
	}
}

// mapping calls each for every key of v, which must be a mapping.
func (p *parser) mapping(v value, each func(key, val value)) {
	if v.Kind != yaml.MappingNode {
		if !isAlias(v) {
			p.add(v, "wrong_type", "want a mapping, not %s", orNothing(v.Node))
		}
		return
	}
	for i := 0; i+1 < len(v.Content); i += 2 {
		key := v.Content[i]
		if key.Kind != yaml.ScalarNode || key.Value == "<<" && key.Style == 0 || len(key.Value) > MaxKeyLen {
			continue // walk has said so
		}
		each(v.child(key.Value, key), v.child(key.Value, v.Content[i+1]))
	}
}

// fields are the known keys of a mapping, each with what reads its value.
type fields map[string]func(value)

// object reads a mapping of known keys. other, where it is not nil, may take a
// key that is not known.
func (p *parser) object(v value, known fields, other func(key, val value) bool) {
	p.mapping(v, func(key, val value) {
		if read := known[key.Value]; read != nil {
			read(val)
			return
		}
		if other != nil && other(key, val) {
			return
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		near := nearest(key.Value, names)
		if habit := keyHabits[strings.ToLower(key.Value)]; known[habit] != nil {
			near = habit
		}
		p.add(key, "unknown_key", "key %s is not known here", quoted(key.Value)).Near = near
	})
}

// keyHabits is what other tools call our keys.
var keyHabits = map[string]string{
	"dependencies": "requires", "deps": "requires", "depends": "requires", "devdependencies": "dev_requires",
	"dev_dependencies": "dev_requires", "build_dependencies": "build_requires", "licence": "license", "licenses": "license",
	"author": "authors", "maintainers": "authors", "tags": "keywords", "topics": "keywords", "url": "homepage", "website": "homepage",
	"repo": "repository", "git": "repository", "source": "repository", "summary": "description", "std": "standard", "cxx_std": "standard",
	"headers": "include", "includes": "include", "src": "sources", "cxxflags": "cflags", "platforms": "supports",
	"options": "traits", "features": "traits", "bugs": "issues", "docs": "documentation", "exclude": "files",
	"c++": "cxx", "cpp": "cxx", "private": "registry",
}
