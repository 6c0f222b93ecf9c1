package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// evidenceSchema is part of what a finding follows from: it grows when the same
// signatures come to amount to something else.
const evidenceSchema = "1"

// demand is who may sign a package, and what it must carry to be seen.
type demand struct {
	keys   []signing.Key  // of the namespace, in force
	policy *policy.Policy // nil: none
	signed bool           // a verified signature, whatever the policy says
}

// demandOf reads what a package's namespace and its organisation ask for.
func (in *Ingest) demandOf(ctx context.Context, name clyde.Name) (d demand, err error) {
	row, err := in.DB.SigningPolicy(ctx, name.Namespace)
	if err != nil {
		return d, err
	}
	if row.Policy != "" {
		if d.policy, err = policy.Parse([]byte(row.Policy)); err != nil {
			return d, fmt.Errorf("the signing policy of @%s: %w", name.Namespace, err)
		}
		d.policy.Roots(in.Trusts.Read)
	}
	switches, err := account.SwitchesOf(ctx, in.DB, name.Repo())
	if err != nil {
		return d, err
	}
	d.signed = switches.SignedOnly
	keys, err := in.DB.Keys(ctx, name.Namespace)
	if err != nil {
		return d, err
	}
	for _, k := range keys {
		if !k.Revoked.IsZero() || d.policy != nil && d.policy.Judges(name, k.Fingerprint) {
			continue
		}
		key, err := signing.ParsePublicKey([]byte(k.PEM))
		if err != nil {
			return d, fmt.Errorf("key %s of %s: %w", k.Fingerprint, k.Namespace, err)
		}
		key.Name = k.Name
		d.keys = append(d.keys, key)
	}
	return d, nil
}

// evidence hashes all that a finding about one manifest follows from: the
// signatures that there are, who may make them, the policy, and the roots.
func (in *Ingest) evidence(ctx context.Context, repo string, dgst digest.Digest, d demand) (string, error) {
	found, err := signing.Evidence(ctx, in.Source, repo, dgst)
	if err != nil {
		return "", err
	}
	parts := []string{evidenceSchema, found.String(), in.Trusts.Hash().String(), fmt.Sprint(d.signed)}
	for _, k := range d.keys {
		parts = append(parts, k.Fingerprint+" "+k.Name)
	}
	if d.policy != nil {
		parts = append(parts, d.policy.Hash.String(), d.policy.Moment(in.Now()))
	}
	return digest.FromString(strings.Join(parts, "\n")).String(), nil
}

// finding is what the signatures of one manifest amount to.
type finding struct {
	report     *signing.Report
	reportJSON []byte
	stored     store.Standing
	free       bool // it carries what it must to be seen
	unready    bool // a trusted root is missing: more is known later
}

// verify looks at every signature of a manifest: with the namespace's keys, and
// by its policy.
func (in *Ingest) verify(ctx context.Context, name clyde.Name, version string, dgst digest.Digest, size int64) (*finding, error) {
	d, err := in.demandOf(ctx, name)
	if err != nil {
		return nil, err
	}
	evidence, err := in.evidence(ctx, name.Repo(), dgst, d)
	if err != nil {
		return nil, err
	}
	return in.find(ctx, signing.Subject{
		Repo: name.Repo(), Name: name, Version: version, Digest: dgst, MediaType: ocispec.MediaTypeImageManifest, Size: size,
	}, d, evidence)
}

func (in *Ingest) find(ctx context.Context, sub signing.Subject, d demand, evidence string) (*finding, error) {
	authorities := make([]signing.Authority, len(d.keys))
	for i := range d.keys {
		authorities[i] = signing.Authority{Name: d.keys[i].Name, Key: &d.keys[i]}
	}
	rep, err := signing.Inspect(ctx, in.Source, sub, authorities, in.Trusts.Present, signing.Limits{})
	if err != nil {
		return nil, err
	}
	f := &finding{report: rep}
	var decision *policy.Decision
	if d.policy != nil {
		decision, err = d.policy.Check(ctx, in.Source, sub, nil, in.Now())
		switch {
		case policy.Unready(err):
			f.unready = true
			decision = &policy.Decision{
				Verdict: policy.Denied, Matched: []string{},
				Reasons: []policy.Reason{{Code: policy.Unchecked, Text: clyde.AsError(err).Msg + ", so its signatures could not be checked; they are once it is"}},
			}
		case err != nil:
			return nil, err
		case decision.Report != nil:
			rep.Join(decision.Report)
		}
	}
	standing := policy.Stand(rep, decision, d.policy)
	if d.signed && rep.State != signing.StateVerified && standing.Verdict != policy.Denied {
		standing.Verdict = policy.Denied
		standing.Reasons = append(standing.Reasons, policy.Reason{Code: policy.Unsigned, Text: "it is not signed by a key of @" + sub.Name.Namespace + ", as its owner asks"})
	}
	f.free = standing.Verdict != policy.Denied
	if f.reportJSON, err = json.Marshal(rep); err != nil {
		return nil, err
	}
	if f.stored.JSON, err = json.Marshal(standing); err != nil {
		return nil, err
	}
	if !f.unready {
		f.stored.Evidence = evidence
	}
	return f, nil
}

// hold makes a version wait that comes to a namespace which asks for
// signatures. What everybody has seen is not taken back.
func (a *Admitter) hold(ctx context.Context, repo string, spec *clyde.Manifest, c *store.Commit) error {
	ns, _, _ := strings.Cut(repo, "/")
	row, err := a.DB.SigningPolicy(ctx, ns)
	if err != nil {
		return err
	}
	switches, err := account.SwitchesOf(ctx, a.DB, repo)
	if err != nil || row.Policy == "" && !switches.SignedOnly {
		return err
	}
	seen, err := a.DB.Announced(ctx, spec.Name.String(), spec.Version.String(), c.Manifest.Digest)
	if err == nil && !seen {
		c.Hold = spec.Version.Canonical()
	}
	return err
}

// release says since when everybody may see a version, whether it still waits,
// and releases it where it need not any longer.
func (in *Ingest) release(ctx context.Context, r *store.Release, free bool) (held bool, err error) {
	h, err := in.DB.Held(ctx, r.Repo, r.Digest)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !h.Released.IsZero():
		r.Published = h.Released
	case !free:
		return true, nil
	default:
		// What is read later is the time of the row; this one is for the feed.
		r.Free, r.Published = true, in.Now().UTC()
	}
	return false, nil
}

// reverify looks again at the signatures of one stored manifest, unless nothing
// that they depend on is another, and reports whether they amount to something
// else than before. A version that waited for them is shown.
func (in *Ingest) reverify(ctx context.Context, repo, subject, actor string) (changed bool, err error) {
	r, err := in.DB.ReleaseByDigest(ctx, repo, subject)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil // staged, or no package: its release is verified when it appears
	}
	if err != nil {
		return false, err
	}
	name, err := clyde.ParseRepo(repo)
	if err != nil {
		return false, err
	}
	d, err := in.demandOf(ctx, name)
	if err != nil {
		return false, err
	}
	dgst, now := digest.Digest(r.Digest), in.Now().UTC()
	evidence, err := in.evidence(ctx, repo, dgst, d)
	if err != nil {
		return false, err
	}
	was, err := in.DB.Standing(ctx, repo, r.VersionKey)
	if err != nil {
		return false, err
	}
	if was.Evidence == evidence {
		return false, in.DB.SetChecked(ctx, repo, r.VersionKey, r.Signer, now)
	}
	f, err := in.find(ctx, signing.Subject{
		Repo: repo, Name: name, Version: r.Version, Digest: dgst, MediaType: ocispec.MediaTypeImageManifest, Size: int64(len(r.OCIManifest)),
	}, d, evidence)
	if err != nil {
		return false, err
	}
	pending := r.State == store.StatePending
	switch {
	case f.unready && len(was.JSON) > 0 && !pending:
		return false, nil // what was found with the root stands until it is back
	case pending && f.free:
		ev := clyde.Event{Action: clyde.ActionPush, Repo: repo, Tag: r.Version, Digest: r.Digest, Actor: actor}
		return true, in.applyRelease(ctx, nil, ev, dgst, r.OCIManifest, f) // ours: others are not held
	}
	v := store.Verification{Signed: string(f.report.State), Report: f.reportJSON, Signer: f.report.Signer(), Checked: now, Standing: f.stored}
	same := string(f.reportJSON) == string(r.Report)
	var change store.Change
	if !same && !pending { // nobody else knows yet that it is there
		change = store.Change{Time: now, Type: changeType(r.Report, f.report), Package: name.String(), Version: r.Version, Digest: r.Digest, Actor: actor}
	}
	p, err := in.DB.Package(ctx, repo)
	if err != nil {
		return false, err
	}
	var row *store.Package
	if p.Latest == r.Version && p.Signed != string(f.report.State) {
		p.Signed = string(f.report.State)
		row = &p
	}
	if err := in.DB.SaveVerification(ctx, repo, r.VersionKey, v, row, change); err != nil || same {
		return false, err
	}
	return true, in.Refresh(ctx, repo)
}

// changeType says whether signatures came, or what they are worth changed: a
// key was registered or revoked, a signature went.
func changeType(before []byte, after *signing.Report) string {
	var was signing.Report
	if err := json.Unmarshal(before, &was); err == nil &&
		len(was.Signatures)+len(was.Attestations) >= len(after.Signatures)+len(after.Attestations) {
		return "signature.changed"
	}
	return "signature.added"
}

// ReverifyNamespace looks again at every release of a namespace, for when its
// keys or its policy changed.
func (in *Ingest) ReverifyNamespace(ctx context.Context, namespace string) error {
	return in.reverifyFrom(ctx, namespace+"/", func(p store.Package) bool { return p.Name.Namespace == namespace })
}

// ReverifyAll looks again at every release, for when a trusted root changed.
func (in *Ingest) ReverifyAll(ctx context.Context) error {
	return in.reverifyFrom(ctx, "", func(store.Package) bool { return true })
}

// reverifyFrom looks again at the packages after one, as long as more says so.
func (in *Ingest) reverifyFrom(ctx context.Context, after string, more func(store.Package) bool) error {
	for {
		ps, err := in.DB.Packages(ctx, after, sweepPage)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if !more(p) {
				return nil
			}
			rs, err := in.DB.Releases(ctx, p.Repo)
			if err != nil {
				return err
			}
			for _, r := range rs {
				if _, err := in.reverifyLocked(ctx, p.Repo, r.Digest); err != nil {
					return err
				}
			}
		}
		if len(ps) < sweepPage {
			return nil
		}
		after = ps[len(ps)-1].Repo
	}
}

// reverifyLocked is reverify for callers that do not hold the repository.
func (in *Ingest) reverifyLocked(ctx context.Context, repo, subject string) (changed bool, err error) {
	release, err := in.hold(ctx, repo)
	if err != nil {
		return false, err
	}
	defer release()
	return in.reverify(ctx, repo, subject, "")
}

// countShown counts the versions that everybody knows of.
func countShown(rs []store.Release) int {
	return len(slices.DeleteFunc(slices.Clone(rs), func(r store.Release) bool { return r.State == store.StatePending }))
}

// applyDelete re-reads what a deletion may have taken away. A version that was
// once visible keeps its row: only its signatures may have changed.
// Whether one is gone from a foreign registry is for the sweep to find; here it
// is asked for the first time.
func (in *Ingest) applyDelete(ctx context.Context, from *upstream.Registry, ev clyde.Event) (changed bool, err error) {
	if subject := Refers(ev.Tag); subject != "" {
		return in.reverify(ctx, ev.Repo, subject, ev.Actor)
	}
	rs, err := in.DB.Releases(ctx, ev.Repo)
	if err != nil {
		return false, err
	}
	for _, r := range rs {
		if from != nil && r.State == "visible" {
			if _, err := in.missing(ctx, from, r); err != nil {
				return changed, err
			}
		}
		c, err := in.reverify(ctx, ev.Repo, r.Digest, ev.Actor)
		if err != nil {
			return changed, err
		}
		changed = changed || c
	}
	return changed, nil
}
