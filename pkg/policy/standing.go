package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Unchecked is the code of what could not be found out yet.
const Unchecked Code = "unchecked"

// Standing is what a registry found out about one version under the policy of
// its namespace, and keeps: a Decision without the signatures themselves.
type Standing struct {
	// Verdict is that of the namespace's policy; "" where it has none.
	Verdict Verdict  `json:"verdict,omitempty" enum:"allow,warn,deny" doc:"of the namespace's policy; absent where it has none"`
	Rule    string   `json:"rule,omitempty" doc:"of the policy that is about the package"`
	Matched []string `json:"matched" doc:"authorities of the rule that have signed"`
	Reasons []Reason `json:"reasons" doc:"what is not in order"`
	// Authors are Signers, decoded.
	Authors []signing.Author `json:"authors,omitempty" doc:"the same in words and in parts"`
	// Signers are all whose signature is verified, by Decision.Signers' words.
	Signers      []string           `json:"signers" doc:"who has signed: a key by its fingerprint, an identity by its subject and issuer"`
	Attestations []signing.Attested `json:"attestations" doc:"verified statements about the version, besides signatures"`
	Policy       digest.Digest      `json:"policy,omitempty" doc:"digest of the policy that was asked"`
}

// Stand says what a report and, where there is a policy, its decision amount to.
func Stand(rep *signing.Report, d *Decision, p *Policy) Standing {
	s := Standing{Matched: []string{}, Reasons: []Reason{}, Signers: []string{}, Attestations: []signing.Attested{}}
	for i := range rep.Signatures {
		if rep.Signatures[i].State == signing.StateVerified {
			if a := rep.Signatures[i].Author(); !slices.Contains(s.Signers, a.Who) {
				s.Signers, s.Authors = append(s.Signers, a.Who), append(s.Authors, a)
			}
		}
	}
	slices.Sort(s.Signers)
	slices.SortFunc(s.Authors, func(a, b signing.Author) int { return strings.Compare(a.Who, b.Who) })
	for _, a := range rep.Attestations {
		if a.State == signing.StateVerified {
			s.Attestations = append(s.Attestations, signing.Describe(a))
		}
	}
	if d != nil {
		s.Verdict, s.Rule, s.Matched, s.Reasons = d.Verdict, d.Rule, d.Matched, d.Reasons
		s.Policy = p.Hash
	}
	return s
}

// Moment says on which side of every bound of the policy now is: what its
// verdict depends on besides the signatures.
func (p *Policy) Moment(now time.Time) string {
	var b strings.Builder
	for _, r := range p.Rules {
		for _, a := range r.Authorities {
			fmt.Fprintf(&b, "%t%t", !now.Before(a.Valid.Start), a.Valid.End.IsZero() || now.Before(a.Valid.End))
		}
	}
	return b.String()
}

// Judges reports whether p says by itself what the signatures of a key are worth
// for a package: its rule names the key, or it is revoked.
func (p *Policy) Judges(n clyde.Name, fingerprint string) bool {
	for _, r := range p.Revoked {
		if r.KeyFingerprint == fingerprint {
			return true
		}
	}
	r := p.For(n)
	return r != nil && r.Mode != Off && slices.ContainsFunc(r.Authorities, func(a Authority) bool {
		return a.signing.Key != nil && a.signing.Key.Fingerprint == fingerprint
	})
}

// CheckNamespace reports why p cannot be what a namespace says of its own
// packages: it is about those of others, asks for nothing, or relies on a
// sigstore that the registry does not know. It is a clyde.ErrInvalid error with
// the code bad_policy.
func (p *Policy) CheckNamespace(namespace string, known []TrustSource) error {
	asks := p.Default != Allowed
	for _, r := range p.Rules {
		asks = asks || r.Mode != Off
		for _, pattern := range r.Patterns {
			if ns, _, _ := strings.Cut(strings.TrimPrefix(pattern, "@"), "/"); ns != namespace {
				return bad("the pattern %q is about packages outside @%s", pattern, namespace).Fix("write %s/* for all of them", namespace)
			}
		}
	}
	for _, l := range p.Lists {
		if l.Namespace != namespace {
			return bad("it names who may sign the list of @%s, and is of @%s", l.Namespace, namespace)
		}
	}
	if !asks && len(p.Revoked)+len(p.Lists) == 0 {
		return bad("it asks for nothing: anybody would do").Fix("take the policy away if the packages need no signature: clyde policy unset @%s", namespace)
	}
	for _, t := range p.Trusts {
		if _, err := t.among(known); err != nil {
			return err
		}
	}
	return nil
}

// among returns which of the sigstores that a registry knows t means: the public
// one, or the one of its name. What t says of files and mirrors is for those who
// use the policy elsewhere.
func (t TrustSource) among(known []TrustSource) (TrustSource, error) {
	var names []string
	for _, k := range known {
		if t.Public && k.Public || !t.Public && !k.Public && k.Name == t.Name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	e := bad("this registry does not know the sigstore %q", t.Name)
	if len(names) == 0 {
		return t, e.Fix("ask its administrator to add it to signing.trust in the configuration")
	}
	return t, e.Fix("it knows %s; its administrator can add others", strings.Join(names, ", "))
}

// unready is the error about a trusted root that is not there yet.
func unready(name string, because error) error {
	return clyde.Errorf(clyde.ErrUnavailable, "the trusted root of %s is not there yet", name).WithCode(codeUnready).Because(because)
}

const codeUnready = "trust_root_unavailable"

// Unready reports whether err says that a trusted root is missing, which is
// mended by time and not by asking again at once.
func Unready(err error) bool {
	e := clyde.AsError(err)
	return e != nil && e.Code == codeUnready
}
