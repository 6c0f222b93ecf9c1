package policy

import (
	"math"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// rule checks one rule of the file.
func (p *Policy) rule(f ruleFile) (Rule, error) {
	r := Rule{Name: f.Name, Patterns: f.Packages, Mode: f.Mode, Require: 1, Attestations: f.Attestations}
	if r.Mode == "" {
		r.Mode = Enforce
	}
	if f.Require != nil {
		r.Require = *f.Require
	}
	switch {
	case r.Name == "":
		return r, bad("it has no name")
	case len(r.Patterns) == 0:
		return r, bad("it is about no packages")
	case r.Mode != Enforce && r.Mode != Warn && r.Mode != Off:
		return r, bad("mode is %q; want enforce, warn or off", r.Mode)
	case r.Mode != Off && len(f.Authorities) == 0:
		return r, bad("it names no authorities: nobody could sign, or anybody").Fix("write mode: off if the packages need no signature")
	case len(f.Authorities) > MaxAuthorities:
		return r, bad("it has %d authorities; the limit is %d", len(f.Authorities), MaxAuthorities)
	case r.Mode != Off && r.Require < 1:
		return r, bad("require is %d: anybody would do", r.Require)
	case r.Mode != Off && r.Require > len(f.Authorities):
		return r, bad("require is %d of %d authorities, which can never be", r.Require, len(f.Authorities))
	}
	for _, pattern := range r.Patterns {
		if err := checkPattern(pattern); err != nil {
			return r, err
		}
	}
	keys := map[string]string{}
	for _, f := range f.Authorities {
		a, err := p.authority(f)
		if err != nil {
			return r, err
		}
		if r.authority(a.Name) != nil {
			return r, bad("the authority %q is there twice", a.Name)
		}
		if k := a.signing.Key; k != nil {
			if other, ok := keys[k.Fingerprint]; ok {
				return r, bad("the authorities %q and %q have the same key", other, a.Name)
			}
			keys[k.Fingerprint] = a.Name
		}
		r.Authorities = append(r.Authorities, a)
	}
	for _, at := range r.Attestations {
		u, err := url.Parse(at.PredicateType)
		if err != nil || !u.IsAbs() {
			return r, bad("the predicateType %q is no URI", at.PredicateType)
		}
		for _, name := range at.Authorities {
			if r.authority(name) == nil {
				return r, bad("an attestation is to be by %q, which is none of its authorities", name)
			}
		}
	}
	return r, nil
}

func (p *Policy) authority(f authorityFile) (Authority, error) {
	a := Authority{Name: f.Name, Trust: f.Trust, signing: signing.Authority{Name: f.Name}}
	fail := func(format string, args ...any) (Authority, error) {
		return a, bad("the authority %q "+format, append([]any{f.Name}, args...)...)
	}
	if f.Name == "" || (f.Key == nil) == (f.Keyless == nil) {
		return fail("wants a name, and one of key and keyless")
	}
	if f.ValidFor != nil {
		a.Valid = *f.ValidFor
		if a.Valid.Start.IsZero() && a.Valid.End.IsZero() || !a.Valid.End.IsZero() && !a.Valid.Start.Before(a.Valid.End) {
			return fail("is valid at no time, or at any: give validFor a start before its end")
		}
	}
	log, stamps := 0, 0
	if f.Key != nil {
		k, err := signing.ParsePublicKey([]byte(f.Key.Data))
		if err != nil {
			return fail("has a key that cannot be read: %v", err)
		}
		k.Name = f.Name
		a.signing.Key = &k
	} else {
		log, stamps = 1, 1
		if f.Keyless.Trust != "" {
			if f.Trust != "" {
				return fail("names its trust twice")
			}
			a.Trust = f.Keyless.Trust
		}
		if len(f.Keyless.Identities) == 0 {
			return fail("names no identities: anybody would do")
		}
		a.signing.Keyless = &signing.Keyless{IgnoreSCT: f.Keyless.InsecureIgnoreSCT}
		for _, i := range f.Keyless.Identities {
			id := signing.Identity(i)
			if err := id.Check(); err != nil {
				return fail("has an identity that will not do: %v", err)
			}
			a.signing.Keyless.Identities = append(a.signing.Keyless.Identities, id)
		}
	}
	if f.TransparencyLog != nil {
		log = *f.TransparencyLog
	}
	if f.Timestamps != nil {
		stamps = *f.Timestamps
	}
	a.signing.TransparencyLog, a.signing.Timestamps = log, stamps
	src := p.trust(a.Trust)
	switch {
	case log < 0 || stamps < 0 || log > MaxTrusts || stamps > MaxTrusts:
		return fail("asks for %d log entries and %d timestamps", log, stamps)
	case f.Keyless != nil && stamps == 0:
		return fail("asks for no timestamps: certificates end in minutes, so nothing could ever be verified")
	case a.Trust != "" && src == nil:
		return fail("relies on the trust %q, which is not among them", a.Trust)
	case a.Trust == "" && (f.Keyless != nil || log+stamps > 0):
		return fail("relies on certificates, logs or timestamps: name the trust they are of")
	case f.Keyless != nil && log == 0 && src.Public:
		return fail("asks for no transparency log: at the public sigstore a stolen token would leave no trace")
	}
	return a, nil
}

func (r *Rule) authority(name string) *Authority {
	for i := range r.Authorities {
		if r.Authorities[i].Name == name {
			return &r.Authorities[i]
		}
	}
	return nil
}

// checkPattern: "*", or "namespace/name" with at most one "*", at its end. So
// of two patterns that fit a package, one is always the more specific.
func checkPattern(pattern string) error {
	s := strings.TrimPrefix(pattern, "@")
	if s == "*" {
		return nil
	}
	namespace, base, ok := strings.Cut(s, "/")
	stem, wild := strings.CutSuffix(base, "*")
	if !ok || strings.ContainsAny(namespace+stem, "*?[]{}\\") || strings.Contains(base, "/") || namespace == "" || base == "" {
		return bad("the pattern %q is none", pattern).Fix("write namespace/name, namespace/*, namespace/prefix* or *")
	}
	if err := clyde.CheckNamespace(namespace); err != nil {
		return bad("the pattern %q: %v", pattern, err)
	}
	if !wild {
		if err := clyde.CheckBase(base); err != nil {
			return bad("the pattern %q: %v", pattern, err)
		}
	}
	return nil
}

// fit returns how specific a pattern is about a package, and -1 where it is
// about others.
func fit(pattern string, n clyde.Name) int {
	s := strings.TrimPrefix(pattern, "@")
	stem, wild := strings.CutSuffix(s, "*")
	switch {
	case s == "*":
		return 0
	case wild && strings.HasPrefix(n.Identity(), identityOf(stem)):
		return len(stem)
	case !wild && identityOf(s) == n.Identity():
		return math.MaxInt
	}
	return -1
}

// identityOf is what a name is known by, whatever its spelling.
func identityOf(repo string) string {
	namespace, base, _ := strings.Cut(repo, "/")
	return clyde.Name{Namespace: namespace, Base: base}.Identity()
}

// checkPatterns refuses a pattern that is there twice: which rule holds would
// depend on their order.
func (p *Policy) checkPatterns() error {
	seen := map[string]bool{}
	for _, r := range p.Rules {
		for _, pattern := range r.Patterns {
			s := strings.TrimPrefix(pattern, "@")
			if s != "*" {
				s = identityOf(s)
			}
			if seen[s] {
				return bad("the pattern %q is there twice", pattern)
			}
			seen[s] = true
		}
	}
	return nil
}

// For returns the rule about a package: the one whose pattern is the most
// specific, alone, never a union. It is nil where there is none.
func (p *Policy) For(n clyde.Name) *Rule {
	var best *Rule
	most := -1
	for i := range p.Rules {
		for _, pattern := range p.Rules[i].Patterns {
			if f := fit(pattern, n); f > most {
				best, most = &p.Rules[i], f
			}
		}
	}
	return best
}
