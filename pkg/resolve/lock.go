package resolve

import "github.com/clydepm/clyde-registry/pkg/clyde"

// Lock is stub.
type Lock struct {
	Packages map[clyde.Name]*LockedPackage
}

// LockedPackage x.
type LockedPackage struct {
	Version clyde.Version
	Digest  string
}
