package clyde

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// MaxLicenseLen is the longest licence expression accepted, in bytes. Ours: it
// bounds the depth of the parser.
const MaxLicenseLen = 1000

var (
	//go:embed spdx/licenses.txt
	spdxLicenses string
	//go:embed spdx/deprecated.txt
	spdxDeprecated string
	//go:embed spdx/exceptions.txt
	spdxExceptions string
)

// spdxList is one list of identifiers; byLower leads from the lower-case form
// to the right spelling, since SPDX matches without regard to case.
type spdxList struct {
	ids     []string
	byLower map[string]string
}

func readList(text string) spdxList {
	l := spdxList{byLower: map[string]string{}}
	for line := range strings.Lines(text) {
		if id := strings.TrimSpace(line); id != "" && id[0] != '#' {
			l.ids = append(l.ids, id)
			l.byLower[strings.ToLower(id)] = id
		}
	}
	return l
}

var (
	licenseList    = sync.OnceValue(func() spdxList { return readList(spdxLicenses) })
	deprecatedList = sync.OnceValue(func() spdxList { return readList(spdxDeprecated) })
	exceptionList  = sync.OnceValue(func() spdxList { return readList(spdxExceptions) })
)

// licenseHabits is what people write for what SPDX calls otherwise.
var licenseHabits = map[string]string{
	"apache": "Apache-2.0", "apache2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
	"boost": "BSL-1.0", "bsd": "BSD-3-Clause", "bsd2": "BSD-2-Clause", "bsd3": "BSD-3-Clause",
	"gpl": "GPL-3.0-or-later", "gplv2": "GPL-2.0-only", "gplv3": "GPL-3.0-only", "lgpl": "LGPL-2.1-or-later",
	"lgplv2.1": "LGPL-2.1-only", "lgplv3": "LGPL-3.0-only", "public domain": "CC0-1.0", "public-domain": "CC0-1.0",
	"x11/mit": "MIT", "zlib/libpng": "Zlib",
}

var (
	licenseRefRE   = regexp.MustCompile(`^(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+$`)
	additionRefRE  = regexp.MustCompile(`^(?:DocumentRef-[A-Za-z0-9.-]+:)?AdditionRef-[A-Za-z0-9.-]+$`)
	licenseTokenRE = regexp.MustCompile(`\(|\)|[^\s()]+`)
)

// CheckLicense returns nil where s is an SPDX license expression over known
// identifiers (SPDX 2.3, annex D), else an ErrInvalid error that suggests the
// nearest one. LicenseRef- names are allowed.
func CheckLicense(s string) error {
	_, err := ParseLicense(s)
	return err
}

// LicenseIDs returns the licence identifiers in an expression, each once, in
// order, spelt as SPDX does; nothing where s is no expression.
func LicenseIDs(s string) []string {
	p, err := parseLicense(s)
	if err != nil {
		return nil
	}
	return p.ids
}

// Operators of a License that has terms.
const (
	LicenseAnd = "AND"
	LicenseOr  = "OR"
)

// License is a parsed SPDX expression: one licence, or terms joined by an
// operator.
type License struct {
	ID        string // as SPDX spells it, without "+"; "" where there are terms
	OrLater   bool   // of ID, written as "+"
	Exception string // after WITH
	Op        string // LicenseAnd or LicenseOr
	Terms     []License
}

// ParseLicense reads an expression; errors are those of CheckLicense.
func ParseLicense(s string) (License, error) {
	p, err := parseLicense(s)
	if err != nil {
		return License{}, err
	}
	return p.tree, nil
}

// licenseParser walks the tokens of one expression by recursive descent; the
// depth is bounded by MaxLicenseLen.
type licenseParser struct {
	raw      string
	tokens   []string
	ids      []string
	tree     License
	warnings []licenseWarning
}

// licenseWarning is an identifier that SPDX understands but writes otherwise.
type licenseWarning struct{ msg, near string }

func parseLicense(s string) (_ *licenseParser, err error) {
	if len(s) > MaxLicenseLen {
		return nil, licenseError("", "license is %d bytes long: the limit is %d", len(s), MaxLicenseLen)
	}
	p := &licenseParser{raw: s, tokens: licenseTokenRE.FindAllString(s, -1)}
	if near := licenseHabits[strings.ToLower(strings.TrimSpace(s))]; near != "" {
		return nil, licenseError(near, "license %s is not an SPDX expression", quoted(s))
	}
	if p.tree, err = p.or(); err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, p.unexpected()
	}
	return p, nil
}

func licenseError(near, format string, args ...any) *Error {
	e := Errorf(ErrInvalid, format, args...).WithCode("license_invalid")
	if near != "" {
		e.Fix("write %s", near)
	}
	return e
}

func (p *licenseParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *licenseParser) take(want string) bool {
	if p.peek() != want {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *licenseParser) unexpected() error {
	tok := p.peek()
	switch up := strings.ToUpper(tok); {
	case tok == "":
		return licenseError("", "license %s ends where a licence is expected", quoted(p.raw))
	case up != tok && slices.Contains([]string{"AND", "OR", "WITH"}, up):
		return licenseError(up, "license %s: operators are upper case", quoted(p.raw))
	case tok == "/" || tok == "," || tok == "|" || tok == "||":
		return licenseError("", "license %s: %s is no operator", quoted(p.raw), quoted(tok)).Fix("join licences by AND, OR or WITH")
	}
	return licenseError("", "license %s: %s is not expected there", quoted(p.raw), quoted(tok)).Fix("join licences by AND, OR or WITH")
}

func (p *licenseParser) or() (License, error) { return p.join(LicenseOr, p.and) }

func (p *licenseParser) and() (License, error) { return p.join(LicenseAnd, p.term) }

// join reads terms with op between them; one alone stands for itself.
func (p *licenseParser) join(op string, term func() (License, error)) (License, error) {
	l, err := term()
	if err != nil || p.peek() != op {
		return l, err
	}
	l = License{Op: op, Terms: []License{l}}
	for p.take(op) {
		t, err := term()
		if err != nil {
			return l, err
		}
		l.Terms = append(l.Terms, t)
	}
	return l, nil
}

func (p *licenseParser) term() (License, error) {
	if p.take("(") {
		l, err := p.or()
		if err != nil {
			return l, err
		}
		if !p.take(")") {
			if p.peek() == "" {
				return l, licenseError("", "license %s: a parenthesis is not closed", quoted(p.raw))
			}
			return l, p.unexpected()
		}
		return l, nil
	}
	tok := p.peek()
	if tok == "" || tok == ")" || slices.Contains([]string{"AND", "OR", "WITH"}, strings.ToUpper(tok)) {
		return License{}, p.unexpected()
	}
	l, err := p.license(tok)
	if err != nil {
		return l, err
	}
	p.tokens = p.tokens[1:]
	if !p.take("WITH") {
		return l, nil
	}
	if l.Exception, err = p.exception(p.peek()); err != nil {
		return l, err
	}
	p.tokens = p.tokens[1:]
	return l, nil
}

func (p *licenseParser) license(tok string) (License, error) {
	if licenseRefRE.MatchString(tok) {
		return p.add(tok, false), nil
	}
	// "GPL-2.0+" is itself in the list of deprecated identifiers.
	if id, ok := deprecatedList().byLower[strings.ToLower(tok)]; ok {
		p.deprecated(id)
		return p.add(id, false), nil
	}
	plain := strings.TrimSuffix(tok, "+")
	if id, ok := licenseList().byLower[strings.ToLower(plain)]; ok {
		p.spelling(plain, id)
		return p.add(id, plain != tok), nil
	}
	if id, ok := deprecatedList().byLower[strings.ToLower(plain)]; ok {
		p.deprecated(id)
		return p.add(id, plain != tok), nil
	}
	near := licenseHabits[strings.ToLower(tok)]
	if near == "" {
		near = nearest(plain, licenseList().ids)
	}
	if near == "" && strings.Contains(tok, "/") {
		return License{}, licenseError("", "license %s: %s is not an SPDX identifier", quoted(p.raw), quoted(tok)).Fix("join licences by OR or AND, not /")
	}
	e := licenseError(near, "license %s: %s is not an SPDX identifier", quoted(p.raw), quoted(tok))
	if near == "" {
		e.Fix("choose one of https://spdx.org/licenses, write LicenseRef-… for one of your own, or name a file in license_file")
	}
	return License{}, e
}

func (p *licenseParser) exception(tok string) (string, error) {
	if additionRefRE.MatchString(tok) {
		return tok, nil
	}
	id, ok := exceptionList().byLower[strings.ToLower(tok)]
	if !ok {
		return "", licenseError(nearest(tok, exceptionList().ids), "license %s: %s is not an SPDX exception", quoted(p.raw), quoted(tok))
	}
	p.spelling(tok, id)
	return id, nil
}

func (p *licenseParser) add(id string, later bool) License {
	if !slices.Contains(p.ids, id) {
		p.ids = append(p.ids, id)
	}
	return License{ID: id, OrLater: later}
}

func (p *licenseParser) spelling(got, want string) {
	if got != want {
		p.warnings = append(p.warnings, licenseWarning{"SPDX writes " + want + ", not " + got, want})
	}
}

func (p *licenseParser) deprecated(id string) {
	near := ""
	if base, ok := strings.CutSuffix(id, "+"); ok {
		near = base + "-or-later"
	} else if _, ok := licenseList().byLower[strings.ToLower(id+"-only")]; ok {
		near = id + "-only"
	}
	p.warnings = append(p.warnings, licenseWarning{"SPDX calls the identifier " + id + " deprecated", near})
}
