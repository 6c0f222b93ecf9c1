package resolve

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of one resolution. Ours: several times what vcpkg's and Conan's whole
// graphs need for any one package.
const (
	MaxPackages = 10_000    // packages looked at
	MaxVersions = 5_000     // versions of one package
	MaxSteps    = 1_000_000 // choices and conflicts together
)

// maxFetches is how many packages are asked for at once. Ours: what a browser
// opens to one host, twice.
const maxFetches = 12

// universe remembers what the Source said, so that several attempts at one
// request ask once and see the same.
type universe struct {
	src  Source
	kept Keeper               // src, where it is one
	pkgs map[string]*Versions // by clyde.Name.Identity
}

func newUniverse(src Source) *universe {
	u := &universe{src: src, pkgs: map[string]*Versions{}}
	u.kept, _ = src.(Keeper)
	return u
}

// load asks for those of names that are not known yet, several at a time.
func (u *universe) load(ctx context.Context, names ...clyde.Name) error {
	var fresh []clyde.Name
	for _, n := range names {
		id := n.Identity()
		if _, ok := u.pkgs[id]; !ok {
			u.pkgs[id] = nil // its place is taken, also by another spelling
			fresh = append(fresh, n)
		}
	}
	if len(u.pkgs) > MaxPackages {
		return clyde.Errorf(clyde.ErrTooLarge, "more than %d packages would have to be looked at", MaxPackages).WithCode("resolve_limit")
	}
	if err := ctx.Err(); err != nil && len(fresh) > 0 {
		return err
	}
	if len(fresh) == 1 {
		k, err := u.fetch(ctx, fresh[0])
		u.pkgs[fresh[0].Identity()] = k
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxFetches)
	got, errs := make([]*Versions, len(fresh)), make([]error, len(fresh))
	for i, n := range fresh {
		slots <- struct{}{}
		wg.Go(func() {
			got[i], errs[i] = u.fetch(ctx, n)
			<-slots
		})
	}
	wg.Wait()
	for i, n := range fresh {
		if errs[i] != nil {
			return errs[i]
		}
		u.pkgs[n.Identity()] = got[i]
	}
	return nil
}

func (u *universe) fetch(ctx context.Context, n clyde.Name) (k *Versions, err error) {
	var cs []Candidate
	if u.kept != nil {
		k, err = u.kept.Prepared(ctx, n)
	} else if cs, err = u.src.Versions(ctx, n); err == nil {
		k, err = Prepare(n, cs)
	}
	if !errors.Is(err, clyde.ErrNotFound) {
		return k, err
	}
	k = &Versions{name: n, why: n.String() + " does not exist", mark: new(mark)}
	if e := clyde.AsError(err); e != nil && e.Msg != "" {
		k.why = e.Msg
	}
	return k, nil
}

// closure loads everything that any version of anything loaded could need.
func (u *universe) closure(ctx context.Context) error {
	seen := map[string]bool{}
	for {
		var names []clyde.Name
		for id, k := range u.pkgs {
			if k == nil || seen[id] {
				continue
			}
			seen[id] = true
			for i := range k.cands {
				for j := range k.cands[i].Requires {
					if q := k.cands[i].Requires[j]; q.Kind != Dev {
						names = append(names, q.Name)
					}
				}
			}
		}
		if len(names) == 0 {
			return nil
		}
		slices.SortFunc(names, compareNames)
		if err := u.load(ctx, slices.Compact(names)...); err != nil {
			return err
		}
	}
}

// asksFor reports whether anything loaded asks a value of a package's trait.
func (u *universe) asksFor(id, trait string) bool {
	for _, k := range u.pkgs {
		if k == nil {
			continue
		}
		for i := range k.cands {
			for j := range k.cands[i].Requires {
				q := k.cands[i].Requires[j]
				if _, ok := q.Traits[trait]; ok && q.Name.Identity() == id {
					return true
				}
			}
		}
	}
	return false
}
