// Package texmath turns the mathematics of readmes, as TeX writes it, into
// MathML that browsers show by themselves. It knows a closed list of commands
// and defines none: there are no macros, so what comes out is bounded by what
// goes in. What it does not know is an error, and whoever asked shows the
// source instead.
package texmath

import (
	"errors"
	"fmt"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of one formula. Both are ours: the longest one in a hundred readmes of
// numeric libraries has 600 bytes and is 7 deep.
const (
	MaxInput = 4 << 10 // bytes of TeX
	MaxDepth = 40      // groups, fractions, roots, tables and brackets within each other
)

// ErrTeX is the kind of every error: the text is no TeX, or none that is known
// here.
var ErrTeX = errors.New("not known as mathematics")

// MathML returns tex as one <math> element; display sets it on lines of its
// own, in full size. Its elements and attributes are a closed list, and every
// text is escaped. Errors are ErrTeX.
func MathML(tex string, display bool) (string, error) {
	if len(tex) > MaxInput {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrTeX, MaxInput)
	}
	if !utf8.ValidString(tex) {
		return "", fmt.Errorf("%w: not UTF-8", ErrTeX)
	}
	p := &parser{in: tex, display: display}
	body, err := p.table("math-lines")
	if err == nil && p.at < len(p.in) {
		err = p.wrong("%q without its beginning", p.next())
	}
	if err != nil {
		return "", err
	}
	if display {
		return `<math display="block">` + body + `</math>`, nil
	}
	return "<math>" + body + "</math>", nil
}

// parser reads one formula from left to right.
type parser struct {
	in      string
	at      int
	depth   int
	display bool
	letters func(rune) string // of \mathbf and the like; nil for italic ones
}

// atom is one element and how it takes what follows.
type atom struct {
	ml       string
	limits   bool // scripts stand above and below
	function bool // a word like sin, with a little room around it
}

func (p *parser) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTeX, fmt.Sprintf(format, args...))
}

func (p *parser) space() {
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.at]) >= 0 {
		p.at++
	}
}

// next is what comes next without taking it: a command with its backslash, a
// character, or "" at the end.
func (p *parser) next() string {
	rest := p.in[p.at:]
	if rest == "" {
		return ""
	}
	if rest[0] != '\\' || len(rest) == 1 {
		_, n := utf8.DecodeRuneInString(rest)
		return rest[:n]
	}
	n := 1
	for n < len(rest) && isLetter(rest[n]) {
		n++
	}
	if n == 1 {
		_, n = utf8.DecodeRuneInString(rest[1:])
		n++
	}
	return rest[:n]
}

func (p *parser) take() string {
	t := p.next()
	p.at += len(t)
	return t
}

// taken takes t if it comes next, after spaces.
func (p *parser) taken(t string) bool {
	p.space()
	if p.next() != t {
		return false
	}
	p.at += len(t)
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// deeper counts what is open; the function that it returns closes it.
func (p *parser) deeper() (func(), error) {
	if p.depth == MaxDepth {
		return nil, p.wrong("nested deeper than %d", MaxDepth)
	}
	p.depth++
	return func() { p.depth-- }, nil
}

// ends are what a list stops before, whoever began it.
var ends = map[string]bool{"": true, "}": true, "&": true, `\\`: true, `\right`: true, `\end`: true, `\cr`: true}

// list reads atoms up to an end, or to stop, and leaves that.
func (p *parser) list(stop string) (string, error) {
	var b strings.Builder
	for {
		p.space()
		t := p.next()
		if ends[t] || t == stop {
			return b.String(), nil
		}
		a, err := p.scripted()
		if err != nil {
			return "", err
		}
		if a.function && b.Len() > 0 {
			b.WriteString(`<mspace width="0.17em"></mspace>`)
		}
		b.WriteString(a.ml)
		if a.function {
			p.space()
			if t := p.next(); !ends[t] && t != "(" && t != "[" && t != stop {
				b.WriteString(`<mspace width="0.17em"></mspace>`)
			}
		}
	}
}

// scripted reads an atom with what is above and below it.
func (p *parser) scripted() (atom, error) {
	var base atom
	if t := p.next(); t == "^" || t == "_" || t == "'" {
		base.ml = "<mrow></mrow>"
	} else {
		var err error
		if base, err = p.atom(); err != nil {
			return base, err
		}
	}
	var sub, sup, primes string
	for {
		p.space()
		to := &sup
		switch t := p.next(); t {
		case "'":
			p.take()
			primes += "′"
			continue
		case `\limits`, `\nolimits`:
			p.take()
			base.limits = t == `\limits`
			continue
		case "^":
		case "_":
			to = &sub
		default:
			if primes != "" {
				sup = "<mo>" + primes + "</mo>" + sup
				if sup != "<mo>"+primes+"</mo>" {
					sup = "<mrow>" + sup + "</mrow>"
				}
			}
			base.ml = base.with(sub, sup)
			return base, nil
		}
		p.take()
		if *to != "" {
			return base, p.wrong("two scripts at one place")
		}
		var err error
		if *to, err = p.argument(); err != nil {
			return base, err
		}
	}
}

// with puts scripts to an atom.
func (a atom) with(sub, sup string) string {
	below, above, both := "msub", "msup", "msubsup"
	if a.limits {
		below, above, both = "munder", "mover", "munderover"
	}
	switch {
	case sub != "" && sup != "":
		return element(both, a.ml, sub, sup)
	case sub != "":
		return element(below, a.ml, sub)
	case sup != "":
		return element(above, a.ml, sup)
	}
	return a.ml
}

func element(name string, parts ...string) string {
	return "<" + name + ">" + strings.Join(parts, "") + "</" + name + ">"
}

// argument reads a group, or one atom without scripts.
func (p *parser) argument() (string, error) {
	p.space()
	t := p.next()
	switch {
	case ends[t] || t == "^" || t == "_" || t == "'":
		return "", p.wrong("something is missing before %q", t)
	case len(t) == 1 && t[0] >= '0' && t[0] <= '9':
		p.take()
		return "<mn>" + t + "</mn>", nil
	}
	a, err := p.atom()
	return a.ml, err
}

// group reads up to the closing brace; the opening one was taken.
func (p *parser) group() (string, error) {
	body, err := p.list("}")
	if err != nil {
		return "", err
	}
	if !p.taken("}") {
		return "", p.wrong("a brace is not closed")
	}
	return "<mrow>" + body + "</mrow>", nil
}

// raw reads a braced text as it stands.
func (p *parser) raw() (string, error) {
	if !p.taken("{") {
		return "", p.wrong("a brace is missing")
	}
	text, _, ok := strings.Cut(p.in[p.at:], "}")
	if !ok || strings.ContainsAny(text, `{\$`) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return "", p.wrong("a text with commands")
	}
	p.at += len(text) + 1
	return text, nil
}

// atom reads one thing.
func (p *parser) atom() (atom, error) {
	up, err := p.deeper()
	if err != nil {
		return atom{}, err
	}
	defer up()
	t := p.take()
	if t[0] == '\\' {
		return p.command(t[1:])
	}
	r, _ := utf8.DecodeRuneInString(t)
	switch {
	case t == "{":
		ml, err := p.group()
		return atom{ml: ml}, err
	case r >= '0' && r <= '9' || r == '.' && p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9':
		return atom{ml: "<mn>" + p.number(t) + "</mn>"}, nil
	case t == "~":
		return atom{ml: `<mspace width="0.33em"></mspace>`}, nil
	case unicode.IsLetter(r):
		return atom{ml: p.letter(r)}, nil
	case strings.ContainsRune("()[]|", r):
		return atom{ml: `<mo stretchy="false">` + t + `</mo>`}, nil
	case strings.ContainsRune("%#$", r) || !unicode.IsGraphic(r):
		return atom{}, p.wrong("%q", t)
	}
	if o, ok := characters[r]; ok {
		t = o
	}
	return atom{ml: "<mo>" + html.EscapeString(t) + "</mo>"}, nil
}

// characters are those that TeX shows as others.
var characters = map[rune]string{'-': "−", '*': "∗", '`': "‘"}

// number reads the rest of one, which began with t.
func (p *parser) number(t string) string {
	start := p.at
	for p.at < len(p.in) && (p.in[p.at] >= '0' && p.in[p.at] <= '9' || p.in[p.at] == '.' && p.at+1 < len(p.in) && p.in[p.at+1] >= '0' && p.in[p.at+1] <= '9') {
		p.at++
	}
	t += p.in[start:p.at]
	if p.letters == nil {
		return t
	}
	var b strings.Builder
	for _, r := range t {
		b.WriteString(p.letters(r))
	}
	return b.String()
}

func (p *parser) letter(r rune) string {
	if p.letters == nil {
		return "<mi>" + string(r) + "</mi>"
	}
	if s := p.letters(r); s != string(r) {
		return "<mi>" + s + "</mi>"
	}
	return `<mi mathvariant="normal">` + string(r) + "</mi>"
}
