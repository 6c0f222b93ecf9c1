package clyde

import (
	"regexp"
	"strings"
)

// Limits of names, in bytes. Ours: the OCI distribution spec bounds host plus
// repository to 255, and 39 is GitHub's bound for logins.
const (
	MinNamespaceLen = 2
	MaxNamespaceLen = 39
	MaxBaseLen      = 64
)

var (
	namespaceRE = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)*$`)
	baseRE      = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)
)

// Name identifies a package: "@acme/zlib". The zero Name is invalid.
type Name struct {
	Namespace string // "acme"
	Base      string // "zlib"
}

// String returns "@acme/zlib".
func (n Name) String() string { return "@" + n.Namespace + "/" + n.Base }

// Repo returns the OCI repository below the registry's prefix: "acme/zlib".
func (n Name) Repo() string { return n.Namespace + "/" + n.Base }

// Identity returns the form under which two spellings of one name meet: "-",
// "_" and "." are alike in it (rulings: Names and versions).
func (n Name) Identity() string {
	return n.Namespace + "/" + strings.NewReplacer("_", "-", ".", "-").Replace(n.Base)
}

// IsZero reports whether n is the zero Name.
func (n Name) IsZero() bool { return n == Name{} }
