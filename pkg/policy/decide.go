package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/provenance"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Verdict is what a policy says about a package.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allow"
	Warned  Verdict = "warn" // not in order, and the policy lets it pass with a warning
	Denied  Verdict = "deny"
)

// Code says why a package is not in order, for programs.
type Code string

// The reasons. They stay what they are: reports and annotations name them.
const (
	Unsigned       Code = "unsigned"            // no signature at all
	Untrusted      Code = "untrusted"           // signatures, by nobody who counts
	Invalid        Code = "invalid"             // a signature that is wrong: forged, or of something else
	Threshold      Code = "threshold"           // fewer authorities than required
	NoAttestation  Code = "attestation_missing" // a required attestation is not there
	RevokedPackage Code = "revoked"             // the package, or whose signature it carries
	OutOfTime      Code = "out_of_time"         // signed when the authority did not count
	NoRule         Code = "no_rule"             // no rule is about it, and the default is not to allow
	SignerChanged  Code = "signer_changed"      // not by whom the lock file remembers

	DeniedByList Code = "denied_by_list" // an organisation's list denies it
	NotOnList    Code = "not_on_list"    // an organisation's list allows others

	TooYoung        Code = "too_young"        // it has not been there for long enough
	SignatureWeaker Code = "signature_weaker" // the lock file remembers more than its signatures prove
)

// Codes lists every reason with what it means, in a fixed order.
func Codes() []struct {
	Code Code
	Text string
} {
	return []struct {
		Code Code
		Text string
	}{
		{Unsigned, "The package carries no signature."},
		{Untrusted, "Nobody whose signature counts has signed the package."},
		{Invalid, "A signature of the package is wrong."},
		{Threshold, "Too few of those who must sign the package have."},
		{NoAttestation, "An attestation that the policy requires is missing."},
		{RevokedPackage, "The package, or the key or log entry of its signature, is revoked."},
		{OutOfTime, "The package was signed at a time when the signer did not count."},
		{NoRule, "No rule of the policy is about the package."},
		{SignerChanged, "The package is not signed by whom the lock file remembers."},
		{DeniedByList, "An organisation's list, which the policy follows, denies the package."},
		{NotOnList, "An organisation's list, which the policy follows, does not allow the package."},
		{TooYoung, "The package has not been there for as long as is asked for."},
		{SignatureWeaker, "The signatures of the package prove less than the lock file remembers."},
	}
}

// Reason is one thing that is not in order.
type Reason struct {
	Code Code   `json:"code" doc:"for programs: unsigned, untrusted, invalid, threshold, attestation_missing, revoked, out_of_time, no_rule, signer_changed, signature_weaker, too_young, denied_by_list, not_on_list, unchecked"`
	Text string `json:"text" doc:"for people, a sentence without its full stop"` // a sentence without its full stop
}

// Decision is a verdict with all that led to it.
type Decision struct {
	Package string          `json:"package"` // "@acme/zlib"
	Version string          `json:"version"`
	Digest  string          `json:"digest"`
	Verdict Verdict         `json:"verdict"`
	Rule    string          `json:"rule,omitempty"`       // name; empty where the default decided
	Matched []string        `json:"matched"`              // authorities that have signed, sorted
	Signers []string        `json:"signed_by"`            // who they are, sorted: what a lock file keeps
	Level   Level           `json:"level,omitempty"`      // what they prove: likewise
	Reasons []Reason        `json:"reasons"`              // empty where the verdict is allow
	Report  *signing.Report `json:"signatures,omitempty"` // what was found; nil where nothing was asked

	// discounted is why signatures that verify do not count. It says something
	// only where too few do: who has a revoked key could else have any package
	// refused.
	discounted []Reason
}

// Err returns nil for a package that may be used, and else a
// clyde.ErrUnverified error with the first reason's code.
func (d *Decision) Err() error {
	if d.Verdict != Denied {
		return nil
	}
	what := d.Package
	if d.Version != "" {
		what += " " + d.Version
	}
	e := clyde.Errorf(clyde.ErrUnverified, "%s is refused: %s", what, d.Reasons[0].Text).WithCode(string(d.Reasons[0].Code))
	for _, r := range d.Reasons[1:] {
		e.Fix("mind also: %s", r.Text)
	}
	if slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Code == SignerChanged || r.Code == SignatureWeaker }) {
		e.Fix("ask its publisher; if it is meant, take signed_by and signed_level of %s out of clyde.lock, in a change that others read", d.Package)
	}
	return e
}

// Refuse denies the package for a reason that is no matter of signatures.
func (d *Decision) Refuse(code Code, why string) {
	d.Verdict = Denied
	d.fail(code, "%s", why)
}

func (d *Decision) fail(code Code, format string, args ...any) {
	d.Reasons = append(d.Reasons, Reason{code, fmt.Sprintf(format, args...)})
}

func (d *Decision) discount(code Code, format string, args ...any) {
	d.discounted = append(d.discounted, Reason{code, fmt.Sprintf(format, args...)})
}

// Roots reads a trusted root. It is asked once for each, when a rule needs it.
type Roots func(ctx context.Context, t TrustSource) (*signing.Trust, error)

// Roots sets what reads the trusted roots that the policy names. Without it,
// rules that need one cannot be asked.
func (p *Policy) Roots(read Roots) { p.read, p.roots = read, map[string]*signing.Trust{} }

// root returns the trusted root of that name.
func (p *Policy) root(ctx context.Context, name string) (*signing.Trust, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tr, ok := p.roots[name]; ok {
		return tr, nil
	}
	src := p.trust(name)
	if p.read == nil || src == nil {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the trusted root %q of the policy was not read", name).WithCode("trust_root_unavailable")
	}
	tr, err := p.read(ctx, *src)
	if err == nil {
		p.roots[name] = tr
	}
	return tr, err
}

// Check decides about one package: it reads its signatures from src and holds
// them against the rule about it. Before is what a lock file remembers of them,
// which must still hold; nil is nothing. Now counts where a signature has no
// proven time.
//
// An error means that nothing could be found out (clyde.ErrUnavailable); it is
// never a verdict.
func (p *Policy) Check(ctx context.Context, src signing.Source, sub signing.Subject, before *Before, now time.Time) (*Decision, error) {
	var locked []string
	if before != nil {
		locked = before.Signers
	}
	d := &Decision{
		Package: sub.Name.String(), Version: sub.Version, Digest: sub.Digest.String(),
		Verdict: Allowed, Matched: []string{}, Signers: []string{}, Reasons: []Reason{},
	}
	if sub.Name.IsZero() && !p.anyName {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a policy is about packages by name, and %s has none", sub.Digest)
	}
	for _, r := range p.Revoked {
		if r.Digest == sub.Digest {
			d.Verdict = Denied
			d.fail(RevokedPackage, "its digest %s is revoked", sub.Digest)
			return d, nil
		}
	}
	rule := p.For(sub.Name)
	switch {
	case rule == nil && p.Default == Allowed && len(locked) == 0, rule != nil && rule.Mode == Off && len(locked) == 0:
		if rule != nil {
			d.Rule = rule.Name
		}
		return d, nil
	case rule == nil:
		d.Verdict = p.Default
		if p.Default != Allowed {
			d.fail(NoRule, "no rule of the policy is about %s", sub.Name)
		}
		if len(locked) > 0 && p.Default != Denied {
			d.Verdict = Denied
			d.fail(SignerChanged, "it was signed by %s, and no rule of the policy says how to check that", strings.Join(locked, ", "))
		}
		return d, nil
	}
	d.Rule = rule.Name
	if err := p.apply(ctx, src, sub, rule, d, now); err != nil {
		return nil, err
	}
	if len(d.Reasons) > 0 {
		d.Verdict = Denied
		if rule.Mode == Warn {
			d.Verdict = Warned
		}
	}
	before.held(d) // once signed, always signed
	return d, nil
}

// apply holds the signatures of sub against a rule.
func (p *Policy) apply(ctx context.Context, src signing.Source, sub signing.Subject, rule *Rule, d *Decision, now time.Time) error {
	list, err := p.authoritiesOf(ctx, rule)
	if err != nil {
		return err
	}
	rep, err := signing.VerifyBy(ctx, src, sub, list, signing.Limits{})
	if err != nil {
		return err
	}
	d.Report = rep
	signed := map[string][]string{} // signers by authority
	for i := range rep.Signatures {
		for _, name := range p.counting(rule, &rep.Signatures[i], now, d) {
			if d.Level.Below(Logged) {
				d.Level = Signed
				if len(rep.Signatures[i].Logs) > 0 {
					d.Level = Logged
				}
			}
			signed[name] = append(signed[name], rep.Signatures[i].Who())
		}
	}
	for i := range rep.Attestations {
		p.counting(rule, &rep.Attestations[i], now, &Decision{}) // what is wrong with others is no reason
	}
	if rep.State == signing.StateVerified && len(signed) == 0 {
		rep.State = signing.StateUntrusted // by whom, is no longer asked for
	}
	for name, who := range signed {
		d.Matched = append(d.Matched, name)
		d.Signers = append(d.Signers, who...)
	}
	if d.Level == Logged && p.attested(rule, AttestationRule{PredicateType: provenance.PredicateType}, now, d) {
		d.Level = Provenance
	}
	slices.Sort(d.Matched)
	slices.Sort(d.Signers)
	d.Signers = slices.Compact(d.Signers)
	if n := distinct(signed); n < rule.Require && rule.Mode != Off {
		d.tooFew(rule, n)
	}
	for _, want := range rule.Attestations {
		if rule.Mode != Off && !p.attested(rule, want, now, d) {
			name := want.PredicateType
			if want.Name != "" {
				name = want.Name + " (" + name + ")"
			}
			d.fail(NoAttestation, "it has no attestation %s by those who count", name)
		}
	}
	return nil
}

// authoritiesOf returns the authorities of a rule with their trusted roots.
func (p *Policy) authoritiesOf(ctx context.Context, rule *Rule) ([]signing.Authority, error) {
	list := make([]signing.Authority, len(rule.Authorities))
	for i, a := range rule.Authorities {
		list[i] = a.signing
		if a.Trust == "" {
			continue
		}
		tr, err := p.root(ctx, a.Trust)
		if err != nil {
			return nil, err
		}
		list[i].Trust = tr
	}
	return list, nil
}

// tooFew says why n authorities are not enough.
func (d *Decision) tooFew(rule *Rule, n int) {
	worst := d.Report.State
	d.Reasons = append(d.Reasons, d.discounted...)
	switch {
	case n == 0 && len(d.discounted) > 0:
		return // that is why
	case n > 0:
		d.fail(Threshold, "%d of %d authorities have signed it, of %s", n, rule.Require, names(rule))
		return
	case worst == signing.StateUnsigned && len(rule.Authorities) == 0:
		d.fail(Unsigned, "it is not signed, and no key is known that could have")
		return
	case worst == signing.StateUnsigned:
		d.fail(Unsigned, "it is not signed, and %s must have", names(rule))
		return
	}
	code, text := Untrusted, "none of its signatures counts"
	if worst == signing.StateInvalid {
		code, text = Invalid, "a signature of it is wrong"
	}
	for _, s := range d.Report.Signatures {
		if s.Reason != "" && (worst != signing.StateInvalid || s.State == signing.StateInvalid) {
			text += ": " + s.Reason
			break
		}
	}
	d.fail(code, "%s", text)
}

func names(rule *Rule) string {
	var out []string
	for _, a := range rule.Authorities {
		out = append(out, a.Name)
	}
	if len(out) > 4 {
		out = append(out[:4], "…")
	}
	return strings.Join(out, ", ")
}

// counting returns the authorities of rule for which a verified result counts:
// it is not revoked, and it was made when they count. One that counts for none is
// verified no longer, and says why.
func (p *Policy) counting(rule *Rule, res *signing.SignatureResult, now time.Time, d *Decision) (out []string) {
	if res.State != signing.StateVerified {
		return nil
	}
	before := len(d.discounted)
	defer func() {
		if len(out) > 0 {
			return
		}
		res.State = signing.StateUntrusted
		if len(d.discounted) > before {
			res.Reason = d.discounted[before].Text
		}
	}()
	if why := p.revoked(res); why != "" {
		d.discount(RevokedPackage, "the signature by %s counts no more: %s", res.Who(), why)
		return nil
	}
	for _, name := range res.Authorities {
		a := rule.authority(name)
		if a == nil {
			continue
		}
		if at, ok := a.Valid.holds(res.Times, now); !ok {
			d.discount(OutOfTime, "%s counts from %s to %s, and it was signed %s", name, day(a.Valid.Start), day(a.Valid.End), day(at))
			continue
		}
		out = append(out, name)
	}
	return out
}

func day(t time.Time) string {
	if t.IsZero() {
		return "any day"
	}
	return t.UTC().Format(time.DateOnly)
}

// holds reports whether all times are in the window, and which is not.
func (w Window) holds(times []time.Time, now time.Time) (time.Time, bool) {
	if len(times) == 0 {
		times = []time.Time{now}
	}
	for _, t := range times {
		if !w.Start.IsZero() && t.Before(w.Start) || !w.End.IsZero() && !t.Before(w.End) {
			return t, false
		}
	}
	return time.Time{}, true
}

// revoked says why a result counts no more, or "".
func (p *Policy) revoked(res *signing.SignatureResult) string {
	for _, r := range p.Revoked {
		if r.KeyFingerprint != "" && r.KeyFingerprint == res.KeyFingerprint {
			return "the key is revoked"
		}
		for _, l := range res.Logs {
			if r.LogIndex != nil && *r.LogIndex == l.Index && (r.Log == l.Log || strings.TrimRight(r.Log, "/") == strings.TrimRight(l.URL, "/")) {
				return fmt.Sprintf("entry %d of the log %s is revoked", l.Index, r.Log)
			}
		}
	}
	return ""
}

// keySigner begins what signing.SignatureResult.Who says of a key.
const keySigner = "key "

// distinct returns how many authorities can each be given a signer of their
// own: one key or person who fits two of them is one.
func distinct(signed map[string][]string) int {
	holder := map[string]string{} // authority by signer
	var place func(authority string, tried map[string]bool) bool
	place = func(authority string, tried map[string]bool) bool {
		for _, who := range signed[authority] {
			if tried[who] {
				continue
			}
			tried[who] = true
			if other, taken := holder[who]; !taken || place(other, tried) {
				holder[who] = authority
				return true
			}
		}
		return false
	}
	n := 0
	for authority := range signed {
		if place(authority, map[string]bool{}) {
			n++
		}
	}
	return n
}

// attested reports whether a required attestation is there.
func (p *Policy) attested(rule *Rule, want AttestationRule, now time.Time, d *Decision) bool {
	quiet := &Decision{}
	for i := range d.Report.Attestations {
		res := &d.Report.Attestations[i]
		if res.PredicateType != want.PredicateType {
			continue
		}
		for _, name := range p.counting(rule, res, now, quiet) {
			if (len(want.Authorities) == 0 || slices.Contains(want.Authorities, name)) &&
				(len(want.Builder) == 0 || slices.Contains(want.Builder, signing.Describe(*res).Builder)) {
				return true
			}
		}
	}
	return false
}

// Of makes the policy that authorities given by hand amount to: one of them
// must have signed, whatever the package is called. Of nobody, it refuses all.
func Of(authorities ...signing.Authority) *Policy {
	r := Rule{Name: "by hand", Patterns: []string{"*"}, Mode: Enforce, Require: 1}
	p := &Policy{Default: Denied, anyName: true, roots: map[string]*signing.Trust{}}
	for i, a := range authorities {
		if a.Name == "" || r.authority(a.Name) != nil {
			a.Name = fmt.Sprintf("%s#%d", a.Name, i+1)
		}
		x := Authority{Name: a.Name, signing: a}
		if a.Trust != nil {
			x.Trust = a.Trust.Name
			p.roots[a.Trust.Name] = a.Trust
		}
		r.Authorities = append(r.Authorities, x)
	}
	p.Rules = []Rule{r}
	return p
}
