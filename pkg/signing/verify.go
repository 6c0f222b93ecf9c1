package signing

import (
	"context"
	"errors"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Verify reads all signatures of sub and says what they amount to under keys;
// State says how. An error means that nothing could be found out: the registry
// could not be read in time (clyde.ErrUnavailable), or sub or keys are no good
// (clyde.ErrInvalid). It is never a verdict.
func Verify(ctx context.Context, src Source, sub Subject, keys []Key, lim Limits) (*Report, error) {
	list := make([]Authority, len(keys))
	for i := range keys {
		list[i] = Authority{Name: keys[i].Name, Key: &keys[i]}
	}
	return VerifyBy(ctx, src, sub, list, lim)
}

// VerifyBy is Verify under authorities of both kinds. Every signature is tried
// by all of them, and lists whose it is: one may be asked for by several.
func VerifyBy(ctx context.Context, src Source, sub Subject, authorities []Authority, lim Limits) (*Report, error) {
	return Inspect(ctx, src, sub, authorities, nil, lim)
}

// Inspect is VerifyBy that also says who signed where nobody who counts has: by
// a certificate that one of roots vouches for, which is asked when there is one.
// That is for people to read, and changes no state. A nil roots knows none.
func Inspect(ctx context.Context, src Source, sub Subject, authorities []Authority, roots func() []*Trust, lim Limits) (*Report, error) {
	if len(authorities) > MaxKeys {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%d keys and identities are too many to try; the limit is %d", len(authorities), MaxKeys)
	}
	checkers := make([]*checker, len(authorities))
	for i, a := range authorities {
		if a.Keyless != nil && len(a.Keyless.Identities) == 0 {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the authority %q names no identity: anybody's signature would count", clip(a.Name)).WithCode("bad_authority")
		}
		c, err := newAuthority(a)
		if err != nil {
			return nil, err
		}
		checkers[i] = c
	}
	return verifyWith(ctx, src, sub, checkers, witnessesOf(roots), lim)
}

// witnessesOf returns what asks roots once, when it is first called.
func witnessesOf(roots func() []*Trust) func() []*checker {
	return sync.OnceValue(func() (out []*checker) {
		if roots == nil {
			return nil
		}
		for _, tr := range roots() {
			c, err := newAuthority(Authority{Name: tr.Name, Keyless: &Keyless{}, Trust: tr, TransparencyLog: 1, Timestamps: 1})
			if err == nil { // else it is for people to read, and they do without
				out = append(out, c)
			}
		}
		return out
	})
}

func verifyWith(ctx context.Context, src Source, sub Subject, authorities []*checker, witnesses func() []*checker, lim Limits) (*Report, error) {
	lim = lim.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, lim.Timeout)
	defer cancel()
	found, err := discover(ctx, src, sub.Repo, sub.Digest, lim)
	if err != nil {
		return nil, err
	}
	rep := &Report{
		Repo: sub.Repo, Digest: sub.Digest, Problems: found.problems,
		Signatures: []SignatureResult{}, Attestations: []SignatureResult{},
	}
	j := judge{sub: sub, authorities: authorities, witnesses: witnesses, states: statedOnce(ctx, src, sub, lim)}
	for i := range found.entries {
		if err := ctx.Err(); err != nil {
			return nil, clyde.Errorf(clyde.ErrUnavailable, "the signatures of %s@%s could not be checked in time", sub.Repo, sub.Digest).Because(err)
		}
		res, attestation := j.entry(&found.entries[i])
		if attestation {
			rep.Attestations = append(rep.Attestations, res)
		} else {
			rep.Signatures = append(rep.Signatures, res)
		}
	}
	rep.State = verdict(rep.Signatures, found.truncated)
	failed := errors.Join(found.failed, j.failed)
	if rep.State != StateVerified && failed != nil {
		return nil, failed
	}
	return rep, nil
}

// verdict sums up: one verified signature is enough, whatever lies next to it;
// without one, a wrong signature is worse than a stranger's. Absence is only
// stated when everything was examined.
func verdict(signatures []SignatureResult, truncated bool) State {
	state := StateUnsigned
	if truncated {
		state = StateUntrusted
	}
	for _, s := range signatures {
		switch s.State {
		case StateVerified:
			return StateVerified
		case StateInvalid:
			state = StateInvalid
		case StateUntrusted:
			if state == StateUnsigned {
				state = StateUntrusted
			}
		}
	}
	return state
}

// judge checks the entries of one subject.
type judge struct {
	sub         Subject
	authorities []*checker
	witnesses   func() []*checker // say who it was where it is by none of those
	states      func() error      // whether the package's own manifest says what sub does
	failed      error             // why states could not be asked, an ErrUnavailable error
}

// entry checks one entry and says whether it is an attestation.
func (j *judge) entry(e *Entry) (res SignatureResult, attestation bool) {
	res = SignatureResult{Format: e.Format, Manifest: e.Manifest, Layer: e.Layer, State: StateUntrusted}
	// Until the statement is read, the place is all there is to go by.
	attestation = e.Format == FormatLegacyAtt
	refuse := func(err error) (SignatureResult, bool) {
		res.refuse(err, e.cause)
		return res, attestation
	}
	if e.Err != nil {
		return refuse(e.Err)
	}
	var over artifact
	if e.Format == FormatLegacySig {
		p, err := parsePayload(e.data)
		if err != nil {
			return refuse(err)
		}
		res.Subject = clip(p.purl())
		if res.Subject == "" {
			res.Subject = clip(p.Critical.Identity.DockerReference)
		}
		if err := p.check(j.sub); err != nil {
			return refuse(err)
		}
		if err := j.bound(p.purl()); err != nil {
			return refuse(err)
		}
		over = artifact{payload: e.data}
	} else {
		s, err := parseStatement(e.bundle)
		if err != nil {
			return refuse(err)
		}
		res.PredicateType, res.Statement = clip(s.PredicateType), s.Payload
		attestation = s.PredicateType != predicateSign
		name, err := s.check(j.sub)
		res.Subject = clip(name)
		if err != nil {
			return refuse(err)
		}
		if err := j.bound(name); err != nil {
			return refuse(err)
		}
		if over, err = artifactOf(j.sub); err != nil {
			return refuse(err)
		}
	}
	j.prove(&res, e, over)
	return res, attestation
}

// prove asks every authority whether the entry is its own.
func (j *judge) prove(res *SignatureResult, e *Entry, over artifact) {
	why, invalid := errNotTheirs, false
	for _, a := range j.authorities {
		p, err := a.prove(e.bundle, over)
		switch other, _ := errors.AsType[*errSomeoneElse](err); {
		case err == nil:
			res.proven(a, p)
		case other != nil:
			res.Certificate, res.Logs, res.Times, res.Trust = other.certificate, other.logs, other.times, a.Trust.Name
			why = err
		case a.claims(e.bundle):
			why, invalid = errors.New("it claims to be made with a key that did not make it"), true
		case a.Keyless != nil && hasCertificate(e.bundle):
			why = err // forged, expired, or by another sigstore: its own authority says which
		case errors.Is(err, errOnlyKeysCount) && errors.Is(why, errNotTheirs):
			why = err
		}
	}
	if res.State == StateVerified {
		return
	}
	if res.Certificate == nil && !invalid && hasCertificate(e.bundle) {
		for _, w := range j.witnesses() {
			if p, err := w.prove(e.bundle, over); err == nil {
				res.Certificate, res.Logs, res.Times, res.Trust = p.certificate, p.logs, p.times, w.Trust.Name
				res.Reason = clip("it is by " + p.certificate.String() + ", who does not count here")
				return
			}
		}
	}
	res.Reason = clip(why.Error())
	if u, _ := errors.AsType[*unsupportedError](why); u != nil || errors.Is(why, errOnlyKeysCount) {
		res.Unsupported = true
	}
	if invalid {
		res.State = StateInvalid
	}
}

// bound sees to it that a signature which names no package and version of ours
// counts only for the package and version that the manifest itself states: the
// digest alone goes into any repository, under any tag.
func (j *judge) bound(name string) error {
	if j.sub.Name.IsZero() {
		return nil
	}
	if _, v, ok := parsePURL(name); ok && v != "" {
		return nil // Subject.namedBy has compared it
	}
	err := j.states()
	if err != nil && errors.Is(err, clyde.ErrUnavailable) {
		j.failed = err
		return unsupported("it names no package, and what the package calls itself could not be read")
	}
	return err
}

// proven notes that a made the signature.
func (r *SignatureResult) proven(a *checker, p *proof) {
	if r.State != StateVerified {
		r.State, r.Reason = StateVerified, ""
		r.Certificate, r.Logs, r.Times = p.certificate, p.logs, p.times
		r.Trust = ""
		if p.certificate != nil {
			r.Trust = a.Trust.Name
		}
		if a.Key != nil {
			r.KeyFingerprint, r.KeyName = a.Key.Fingerprint, a.Key.Name
		}
	}
	// One authority may ask for more than another, and so know more.
	if len(p.times) > len(r.Times) {
		r.Times = p.times
	}
	if len(p.logs) > len(r.Logs) {
		r.Logs = p.logs
	}
	r.Authorities = append(r.Authorities, a.Name)
}

// refuse notes why the entry is not what it should be.
func (r *SignatureResult) refuse(err, cause error) {
	r.Reason = clip(err.Error())
	switch _, unbound := errors.AsType[*unboundError](err); {
	case (Entry{Err: err, cause: cause}).Unsupported():
		r.Unsupported = true
	case !unbound:
		r.State = StateInvalid
	}
}
