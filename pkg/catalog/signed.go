package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Attested is what a verified attestation says.
type Attested = signing.Attested

// Signatures is what verification found, for one release.
type Signatures struct {
	State    string          `json:"state" enum:"verified,untrusted,unsigned,invalid" doc:"verified: by somebody whom the namespace allows; untrusted: by others; invalid: about something else"`
	Report   json.RawMessage `json:"report" doc:"each signature and what became of it; null where nothing was looked at"`
	Checked  *time.Time      `json:"checked_at,omitempty" doc:"absent where it is not known"`
	Standing policy.Standing `json:"standing" doc:"what they amount to under the policy of the namespace"`
	Before   *SignedBefore   `json:"before,omitempty" doc:"the version published before it that was signed; absent where none was"`
	Change   string          `json:"change,omitempty" enum:"lost,signer" doc:"lost: a version before it was signed, and this one is not; signer: by nobody who signed that one"`
}

// SignatureBytes returns the bytes of one signature or attestation of a version,
// by the digest that its report states; clyde.ErrNotFound of any other digest.
func (c *Catalog) SignatureBytes(ctx context.Context, p account.Principal, ref Ref, d digest.Digest) ([]byte, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	var rep signing.Report
	if len(r.Report) > 0 {
		if err := json.Unmarshal(r.Report, &rep); err != nil {
			return nil, err
		}
	}
	for _, s := range append(rep.Signatures, rep.Attestations...) {
		if s.Layer == d && d != "" {
			return c.Blob(ctx, r.Repo, d, signing.MaxBlob)
		}
	}
	return nil, clyde.Errorf(clyde.ErrNotFound, "%s %s has no signature %s", ref.Name, r.Version, d).WithCode("signature_unknown")
}

// SignedBefore is an earlier version that was signed.
type SignedBefore struct {
	Version string   `json:"version" doc:"which"`
	Signers []string `json:"signers" doc:"who signed that"`
}

// Kinds of Signatures.Change.
const (
	SignatureLost = "lost"
	SignerChanged = "signer"
)

// Signatures returns what verification found when something last arrived.
func (c *Catalog) Signatures(ctx context.Context, p account.Principal, ref Ref) (Signatures, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return Signatures{}, err
	}
	out := Signatures{State: r.Signed, Report: r.Report}
	if len(out.Report) == 0 {
		out.Report = json.RawMessage("null")
	}
	if !r.Checked.IsZero() {
		out.Checked = &r.Checked
	}
	if out.Standing, err = c.standing(ctx, r); err != nil {
		return Signatures{}, err
	}
	if out.Before, err = c.signedBefore(ctx, r); err != nil || out.Before == nil {
		return out, err
	}
	switch {
	case r.Signed != string(signing.StateVerified):
		out.Change = SignatureLost
	case !slices.ContainsFunc(out.Before.Signers, func(s string) bool { return slices.Contains(out.Standing.Signers, s) }):
		out.Change = SignerChanged
	}
	return out, nil
}

// standing reads what follows from the signatures of a release.
func (c *Catalog) standing(ctx context.Context, r store.Release) (s policy.Standing, err error) {
	row, err := c.DB.Standing(ctx, r.Repo, r.VersionKey)
	if err != nil {
		return s, err
	}
	if len(row.JSON) > 0 {
		if err := json.Unmarshal(row.JSON, &s); err != nil {
			return s, err
		}
	}
	s.Matched, s.Signers = list(s.Matched), list(s.Signers)
	s.Reasons, s.Attestations = append([]policy.Reason{}, s.Reasons...), append([]Attested{}, s.Attestations...)
	return s, nil
}

// signedBefore returns the last version before r, by when they came to be seen,
// that is signed; nil where none is. Versions that waited count from when they
// did not any longer.
func (c *Catalog) signedBefore(ctx context.Context, r store.Release) (*SignedBefore, error) {
	rs, err := c.DB.Releases(ctx, r.Repo) // the newest first
	if err != nil {
		return nil, err
	}
	for _, o := range rs {
		earlier := r.State == store.StatePending || o.Published.Before(r.Published)
		if o.VersionKey == r.VersionKey || !earlier || o.State != "visible" || o.Signed != string(signing.StateVerified) {
			continue
		}
		s, err := c.standing(ctx, o)
		if err != nil {
			return nil, err
		}
		return &SignedBefore{Version: o.Version, Signers: s.Signers}, nil
	}
	return nil, nil
}

// stand fills in what is shown of the signatures with one version.
func (c *Catalog) stand(ctx context.Context, out *Release, r store.Release) error {
	s, err := c.standing(ctx, r)
	if err != nil {
		return err
	}
	out.Signers, out.Authors, out.Policy = s.Signers, s.Authors, string(s.Verdict)
	if r.State == store.StatePending {
		out.Missing = s.Reasons
	}
	for _, a := range s.Attestations {
		switch a.Kind {
		case signing.KindProvenance:
			out.Provenance = append(out.Provenance, a)
		case signing.KindSBOM:
			out.SBOM = append(out.SBOM, a)
		}
	}
	return nil
}

// pending lists the versions of a package that wait for signatures, highest
// first, for those who publish there.
func (c *Catalog) pending(ctx context.Context, p account.Principal, repo string) ([]string, error) {
	if ok, err := c.DB.AnyWaits(ctx, repo); err != nil || !ok || !account.SeesPending(p, repo) {
		return nil, err
	}
	rs, err := c.sorted(ctx, repo)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rs {
		if r.State == store.StatePending {
			out = append(out, r.Version)
		}
	}
	return out, nil
}
