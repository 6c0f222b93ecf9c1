package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Explanation is what a policy asks of one package, for a person.
type Explanation struct {
	Package      string   `json:"package"`
	Rule         string   `json:"rule"` // name, or what stands for it
	Asks         string   `json:"asks"`
	Authorities  []string `json:"authorities,omitempty"`
	Attestations []string `json:"attestations,omitempty"`
	Lists        []string `json:"lists,omitempty"` // namespaces whose lists must let it be used
}

// Explain says what p asks of a package.
func (p *Policy) Explain(n clyde.Name) Explanation {
	e := Explanation{Package: n.String()}
	for _, l := range p.Lists {
		e.Lists = append(e.Lists, "@"+l.Namespace)
	}
	r := p.For(n)
	switch {
	case r == nil:
		e.Rule = "none, so the default"
		e.Asks = map[Verdict]string{Allowed: "nothing", Warned: "nothing, with a warning", Denied: "that it be used by nobody"}[p.Default]
		return e
	case r.Mode == Off:
		e.Rule, e.Asks = r.Name, "nothing"
		return e
	}
	e.Rule = r.Name
	e.Asks = fmt.Sprintf("signatures by %d of %d authorities, each by somebody else", r.Require, len(r.Authorities))
	if r.Mode == Warn {
		e.Asks += "; without them it warns"
	}
	for _, a := range r.Authorities {
		e.Authorities = append(e.Authorities, a.describe()...)
	}
	for _, at := range r.Attestations {
		s := at.PredicateType + " by "
		if len(at.Authorities) == 0 {
			s += "any of them"
		} else {
			s += strings.Join(at.Authorities, " or ")
		}
		if len(at.Builder) > 0 {
			s += ", built by " + strings.Join(at.Builder, " or ")
		}
		e.Attestations = append(e.Attestations, s)
	}
	return e
}

// describe says who a is, a line for each identity.
func (a *Authority) describe() []string {
	tail := ""
	if a.signing.TransparencyLog > 0 {
		tail += fmt.Sprintf(", in %d logs", a.signing.TransparencyLog)
	}
	if a.signing.Timestamps > 0 {
		tail += fmt.Sprintf(", with %d proofs of time", a.signing.Timestamps)
	}
	if a.Trust != "" {
		tail += ", of the trust " + a.Trust
	}
	if !a.Valid.Start.IsZero() || !a.Valid.End.IsZero() {
		tail += fmt.Sprintf(", from %s to %s", day(a.Valid.Start), day(a.Valid.End))
	}
	if k := a.signing.Key; k != nil {
		return []string{a.Name + ": the key " + k.Fingerprint + tail}
	}
	var out []string
	for _, i := range a.signing.Keyless.Identities {
		who := i.Subject
		if who == "" {
			who = "who matches " + i.SubjectRegExp
		}
		by := i.Issuer
		if by == "" {
			by = "who matches " + i.IssuerRegExp
		}
		says := []string{a.Name + ": " + who, "vouched for by " + by}
		for _, k := range slices.Sorted(maps.Keys(i.Extensions)) {
			says = append(says, k+" "+i.Extensions[k])
		}
		out = append(out, strings.Join(says, ", ")+tail)
	}
	return out
}
