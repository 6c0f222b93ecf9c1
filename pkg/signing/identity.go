package signing

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxIdentityText is the longest value or expression of an Identity, in bytes.
// Ours: a workflow's address on GitHub is under 300.
const MaxIdentityText = 2048

// Certificate is what a short-lived certificate says of whom it was given to:
// the CI run or the person that an OIDC issuer vouched for.
type Certificate struct {
	Subject string `json:"subject"` // a workflow's address, an e-mail address
	Issuer  string `json:"issuer"`  // OIDC issuer
	// Extensions are Fulcio's, by the names that ExtensionNames lists:
	// sourceRepositoryURI, runInvocationURI.
	Extensions map[string]string `json:"extensions,omitempty"`
}

// summarize reads the certificate as sigstore-go proved it.
func summarize(s *certificate.Summary) (*Certificate, error) {
	b, err := json.Marshal(s.Extensions)
	if err != nil {
		return nil, fmt.Errorf("its certificate cannot be described: %w", err)
	}
	c := &Certificate{Subject: s.SubjectAlternativeName, Issuer: s.Issuer}
	if err := json.Unmarshal(b, &c.Extensions); err != nil {
		return nil, fmt.Errorf("its certificate cannot be described: %w", err)
	}
	delete(c.Extensions, "issuer")
	return c, nil
}

// String says who it is, for a person.
func (c *Certificate) String() string {
	return clip(c.Subject) + " (" + clip(c.Issuer) + ")"
}

// ExtensionNames lists the extensions that an Identity may ask for, sorted
// (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md).
func ExtensionNames() []string {
	var names []string
	for f := range reflect.TypeFor[certificate.Extensions]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "issuer" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Identity says whose certificates count: those that agree with all of it.
// An issuer and a subject are required, each as text or as an expression.
type Identity struct {
	Issuer        string
	IssuerRegExp  string // RE2, of the whole issuer
	Subject       string
	SubjectRegExp string            // RE2, of the whole subject
	Extensions    map[string]string // exact values by name
}

// identityMatcher is an Identity that was checked.
type identityMatcher struct {
	Identity
	issuer, subject *regexp.Regexp
}

// Check reports what is wrong with i: a part that is missing or given twice, an
// expression that anything satisfies, an extension that no certificate has. It
// is a clyde.ErrInvalid error with the code bad_identity.
func (i Identity) Check() error {
	_, err := i.compile()
	return err
}

func (i Identity) compile() (*identityMatcher, error) {
	bad := func(format string, args ...any) (*identityMatcher, error) {
		return nil, clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("bad_identity")
	}
	m := &identityMatcher{Identity: i}
	for _, part := range []struct {
		name, text, expr string
		re               **regexp.Regexp
	}{{"issuer", i.Issuer, i.IssuerRegExp, &m.issuer}, {"subject", i.Subject, i.SubjectRegExp, &m.subject}} {
		switch {
		case part.text == "" && part.expr == "":
			return bad("an identity has no %s: whoever has any would count", part.name)
		case part.text != "" && part.expr != "":
			return bad("an identity gives its %s twice, as text and as an expression", part.name)
		case len(part.text) > MaxIdentityText || len(part.expr) > MaxIdentityText:
			return bad("the %s of an identity is longer than %d bytes", part.name, MaxIdentityText)
		case part.expr == "":
			continue
		}
		re, err := anchored(part.expr)
		if err != nil {
			return bad("the %s's expression: %v", part.name, err)
		}
		*part.re = re
	}
	known := ExtensionNames()
	for name, v := range i.Extensions {
		switch {
		case !slices.Contains(known, name):
			return bad("certificates have no extension %q", clip(name))
		case v == "" || len(v) > MaxIdentityText:
			return bad("the extension %s wants a value of 1 to %d bytes", name, MaxIdentityText)
		}
	}
	return m, nil
}

// strangers are texts of different shapes. An expression that each of them
// satisfies says nothing about anybody.
var strangers = []string{
	"x", "0", "mallory@example.net", "https://x.example", "https://mallory.example.net/a/b.yml@refs/heads/c",
}

// anchored compiles an expression of a whole text: without anchors,
// "github.com/acme/" is also in "https://evil.example/?github.com/acme/".
func anchored(expr string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expr); err != nil { // alone, so that no ")" of it closes our group
		return nil, err
	}
	re, err := regexp.Compile("^(?:" + expr + ")$")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(strangers, func(s string) bool { return !re.MatchString(s) }) {
		return nil, fmt.Errorf("%q matches anybody", clip(expr))
	}
	return re, nil
}

// match returns why c is not m, or nil.
func (m *identityMatcher) match(c *Certificate) error {
	for _, part := range []struct {
		name, want, got string
		re              *regexp.Regexp
	}{{"issuer", m.Issuer, c.Issuer, m.issuer}, {"subject", m.Subject, c.Subject, m.subject}} {
		switch {
		case part.got == "":
			return errors.New("its certificate has no " + part.name)
		case part.re != nil && !part.re.MatchString(part.got):
			return fmt.Errorf("its %s is %q, and is to match %s", part.name, clip(part.got), part.re)
		case part.re == nil && part.got != part.want:
			return fmt.Errorf("its %s is %q, and not %q", part.name, clip(part.got), clip(part.want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Extensions)) {
		if got := c.Extensions[name]; got != m.Extensions[name] {
			return fmt.Errorf("its %s is %q, and not %q", name, clip(got), clip(m.Extensions[name]))
		}
	}
	return nil
}
