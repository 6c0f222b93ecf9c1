package account

import (
	"context"
	"errors"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Packages is what is known of packages and of who owns them; *store.DB
// implements it.
type Packages interface {
	Setting(ctx context.Context, repo string) (store.Setting, error)
	HasVersions(ctx context.Context, repo string) (bool, error)
	PackageOwner(ctx context.Context, repo string) (store.Owner, error)
	Namespace(ctx context.Context, name string) (store.Namespace, error)
	Org(ctx context.Context, id int64) (store.Org, error)
}

// ResourceOf describes "acme/zlib", or "acme/*", for Authorize as it is now:
// private, new, and what its organisation asks.
func ResourceOf(ctx context.Context, db Packages, repo string) (r Resource, err error) {
	defer clyde.Wrap(&err, "account.ResourceOf(%s)", repo)
	r.Repo = repo
	if !strings.HasSuffix(repo, "/*") {
		set, err := db.Setting(ctx, repo)
		if err != nil {
			return r, err
		}
		known, err := db.HasVersions(ctx, repo)
		if err != nil {
			return r, err
		}
		r.Private, r.New = set.Private, !known
	}
	s, err := SwitchesOf(ctx, db, repo)
	r.TrustedOnly = s.TrustedOnly
	return r, err
}

// SwitchesOf returns what the organisation that owns "acme/zlib" asks of it;
// zero where no organisation owns it. A package that was handed to another
// organisation answers to that one.
func SwitchesOf(ctx context.Context, db Packages, repo string) (store.Switches, error) {
	o, err := db.PackageOwner(ctx, repo)
	switch {
	case err == nil && o.Kind == store.OwnerOrg:
		org, err := db.Org(ctx, o.ID)
		return org.Switches, err
	case err == nil:
		return store.Switches{}, nil
	case !errors.Is(err, clyde.ErrNotFound):
		return store.Switches{}, err
	}
	ns, _, _ := strings.Cut(repo, "/")
	n, err := db.Namespace(ctx, ns)
	if errors.Is(err, clyde.ErrNotFound) {
		return store.Switches{}, nil
	}
	return n.Switches, err
}

// Resource is ResourceOf over the accounts' own store.
func (a *Accounts) Resource(ctx context.Context, repo string) (Resource, error) {
	return ResourceOf(ctx, a.db, repo)
}

// Publication is what is stored about p with a release that it publishes.
func (p Principal) Publication() store.Publication {
	v := store.Publication{Account: p.Account, Token: p.ID}
	if p.Run != nil {
		v.Run = []byte(asJSON(p.Run))
	}
	return v
}

// SeesPending reports whether p may see versions of "acme/zlib" that wait for
// signatures: who publishes there, and may sign them.
func SeesPending(p Principal, repo string) bool {
	r := Resource{Repo: repo}
	return Allowed(p, Publish, r) || Allowed(p, PublishNew, r)
}
