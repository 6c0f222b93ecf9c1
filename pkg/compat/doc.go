// Package compat says what a binary build of a package is and which builds fit
// a machine: the facts of a build (build.json), the identity of its binary
// interface (abi_id), the facts of a host, and the rules between them. The
// rules are data with a version, and client and server run the same code.
//
// What must be the same on both sides is hashed; what may differ in one
// direction (an older libc, an older processor) is compared; everything else
// is only recorded. It does no I/O.
package compat

import "github.com/clydepm/clyde-registry/pkg/clyde"

// Limits of build.json. All are ours: several times what the largest build we
// made needs.
const (
	MaxFacts = 64 << 10 // bytes of the document
	MaxText  = 256      // bytes of one value
	MaxFlag  = 4 << 10  // bytes of one entry of flags
	MaxFlags = 1000     // entries of flags
	MaxDeps  = 1000     // entries of deps; that of requirements in package.yaml
	MaxNamed = 100      // entries of traits, of abi_defines and of sanitizers
	MaxDepth = 8        // levels of nesting; the format has three
)

// Version is the version of build.json, its member schema.
const Version = 1

// What Facts.Linkage may say.
const (
	Static     = "static"     // archives
	Shared     = "shared"     // shared libraries
	Both       = "both"       // of both kinds: fits whoever wants either
	Executable = "executable" // programs: nothing is linked to them
	Headers    = "headers"    // no binary at all
)

// Any stands for every os and arch, in the one build of a package of headers.
const Any = "any"

// Languages of the binary interface.
const (
	C   = "c"
	CPP = "cpp"
)

// invalid is an ErrInvalid error about build.json.
func invalid(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("build_invalid")
}
