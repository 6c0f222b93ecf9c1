package resolve

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Source knows the versions of packages. Solve asks for each package once, for
// several at the same time.
type Source interface {
	// Versions returns every version of a package in any order; the caller
	// changes nothing in them. A package that does not exist is an
	// ErrNotFound error, which rules out what requires it; every other error
	// ends the resolution.
	Versions(ctx context.Context, name clyde.Name) ([]Candidate, error)
}

// Keeper is a Source that keeps what it has prepared from one resolution to the
// next. Solve asks it for nothing else.
type Keeper interface {
	Source
	// Prepared returns what Prepare makes of Versions.
	Prepared(ctx context.Context, name clyde.Name) (*Versions, error)
}

// Memory is a Source of packages in memory.
type Memory map[clyde.Name][]Candidate

// Versions returns the candidates of name.
func (m Memory) Versions(_ context.Context, name clyde.Name) ([]Candidate, error) {
	cs, ok := m[name]
	if !ok {
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no package %s", name)
	}
	return cs, nil
}

// Overlay returns a Source that answers from over where it has the package, and
// from under otherwise: for packages in folders, which take the place of the
// published ones.
func Overlay(under Source, over Memory) Source { return overlay{under, over} }

type overlay struct {
	under Source
	over  Memory
}

func (o overlay) Versions(ctx context.Context, name clyde.Name) ([]Candidate, error) {
	if cs, ok := o.over[name]; ok {
		return cs, nil
	}
	return o.under.Versions(ctx, name)
}
