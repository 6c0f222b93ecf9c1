package catalog

import (
	"context"
	"errors"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Withdrawal is what administrators decided about a version.
type Withdrawal struct {
	State  string `json:"state" enum:"quarantined,removed,erased"`
	Reason string `json:"reason"`
}

// withdrawn reports whether a release's state is that of a moderation.
func withdrawn(state string) bool {
	return state == store.ModerationQuarantined || state == store.ModerationRemoved || state == store.ModerationErased
}

// tombstone returns what withdraws the version that ref names, as
// clyde.ErrGone; absent where nothing does, or p may not see the package. The
// same is asked for a package that is private and one that is not there.
func (c *Catalog) tombstone(ctx context.Context, p account.Principal, ref Ref, absent error) error {
	set, err := c.DB.Setting(ctx, ref.Name.Repo())
	if err != nil {
		return err
	}
	key := "" // the package
	if v, err := clyde.ParseVersion(ref.Version); err == nil {
		key = v.Canonical()
	}
	m, err := c.DB.Moderation(ctx, ref.Name.Repo(), key)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		return absent
	case err != nil:
		return err
	case !account.Allowed(p, account.Pull, account.Resource{Repo: ref.Name.Repo(), Private: set.Private}):
		return absent
	}
	return account.Withdrawn(m)
}

// withdrawals marks the versions that are withdrawn, strips them of what came
// from their bytes, and adds those that were erased.
func (c *Catalog) withdrawals(ctx context.Context, name clyde.Name, rs []Release) ([]Release, error) {
	ms, err := c.DB.Moderations(ctx, name.Repo())
	if err != nil || len(ms) == 0 {
		return rs, err
	}
	by := make(map[string]store.Moderation, len(ms))
	for _, m := range ms {
		by[m.VersionKey] = m
	}
	found := map[string]bool{}
	for i, r := range rs {
		v, err := clyde.ParseVersion(r.Version)
		if err != nil {
			continue
		}
		m, ok := by[v.Canonical()]
		if !ok {
			m, ok = by[""]
		}
		found[v.Canonical()] = true
		if ok {
			rs[i] = Release{
				Name: r.Name, Version: r.Version, Digest: r.Digest, Published: r.Published, Publisher: r.Publisher,
				Signed: r.Signed, PURL: r.PURL, State: m.State, Withdrawn: &Withdrawal{State: m.State, Reason: m.Reason},
			}
		}
	}
	for _, m := range ms {
		if m.State != store.ModerationErased || found[m.VersionKey] {
			continue
		}
		claim, err := c.DB.Claim(ctx, name.Repo(), m.VersionKey)
		if errors.Is(err, clyde.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rs = append(rs, Release{
			Name: name.String(), Version: claim.Version, Digest: claim.Digest, Published: claim.Committed, Publisher: claim.Actor,
			PURL: PURL(name, claim.Version), Signed: "unsigned", State: m.State, Withdrawn: &Withdrawal{State: m.State, Reason: m.Reason},
		})
	}
	slices.SortStableFunc(rs, func(a, b Release) int {
		va, erra := clyde.ParseVersion(a.Version)
		vb, errb := clyde.ParseVersion(b.Version)
		if erra != nil || errb != nil {
			return 0
		}
		return clyde.Compare(vb, va)
	})
	return rs, nil
}

// goneLines are the lines of the index about what is withdrawn, lowest version
// first: they say so, and nothing that an installation needs but the digest.
func (c *Catalog) goneLines(ctx context.Context, name clyde.Name, rs []store.Release) ([]goneLine, error) {
	list := make([]Release, len(rs))
	for i, r := range rs {
		list[i] = Release{Name: name.String(), Version: r.Version, Digest: r.Digest}
	}
	list, err := c.withdrawals(ctx, name, list)
	if err != nil {
		return nil, err
	}
	var out []goneLine
	for _, r := range slices.Backward(list) {
		if r.Withdrawn != nil {
			out = append(out, goneLine{Schema: goneSchema, Name: r.Name, Version: r.Version, Digest: r.Digest, Withdrawn: r.State, Reason: r.Withdrawn.Reason})
		}
	}
	return out, nil
}
