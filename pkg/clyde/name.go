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
	// deviceRE matches what Windows takes for a device, whatever follows a
	// dot: "con", "aux.h" (Microsoft, "Naming Files, Paths, and Namespaces").
	deviceRE = regexp.MustCompile(`^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.|$)`)
)

// Name identifies a package: "@acme/zlib". The zero Name is invalid.
type Name struct {
	Namespace string // "acme"
	Base      string // "zlib"
}

// ParseName parses "@namespace/name". Names are lower case: it returns an
// ErrInvalid error rather than folding, so that two spellings never meet.
func ParseName(s string) (Name, error) {
	rest, ok := strings.CutPrefix(s, "@")
	if !ok {
		e := nameError("%s is not a package name: want @namespace/name", quoted(s))
		if _, err := ParseRepo(s); err == nil {
			e.Fix("write @%s", s)
		}
		return Name{}, e
	}
	namespace, base, found := strings.Cut(rest, "/")
	if !found {
		return Name{}, nameError("%s is not a package name: want @namespace/name", quoted(s))
	}
	return newName(namespace, base)
}

// ParseRepo parses a repository below the registry's prefix, "namespace/name",
// by the rules of ParseName.
func ParseRepo(s string) (Name, error) {
	namespace, base, found := strings.Cut(s, "/")
	if !found {
		return Name{}, nameError("%s is not a package repository: want namespace/name", quoted(s))
	}
	return newName(namespace, base)
}

func newName(namespace, base string) (Name, error) {
	if err := CheckNamespace(namespace); err != nil {
		return Name{}, err
	}
	if err := CheckBase(base); err != nil {
		return Name{}, err
	}
	return Name{namespace, base}, nil
}

// CheckNamespace returns an ErrInvalid error where s cannot be a namespace:
// "acme", two to 39 bytes of a-z and 0-9 with single hyphens between them.
func CheckNamespace(s string) error {
	return checkPart("namespace", s, MinNamespaceLen, MaxNamespaceLen, namespaceRE, "single - between them")
}

// CheckBase returns an ErrInvalid error where s cannot be the part of a name
// after the slash: at most 64 bytes of a-z and 0-9 with single -, _ or .
// between them.
func CheckBase(s string) error {
	return checkPart("name", s, 1, MaxBaseLen, baseRE, "single -, _ or . between them")
}

func checkPart(what, s string, least, most int, re *regexp.Regexp, between string) error {
	switch {
	case s == "":
		return nameError("the %s is empty: want @namespace/name", what)
	case len(s) < least || len(s) > most:
		return nameError("%s %s is %d bytes long: the limits are %d and %d", what, quoted(s), len(s), least, most)
	case re.MatchString(s):
		if deviceRE.MatchString(s) {
			return nameError("%s %s is a device name on Windows, where nobody could unpack it: choose another", what, quoted(s))
		}
		return nil
	}
	if lower := asciiLower(s); lower != s && re.MatchString(lower) {
		return nameError("%s %s has upper case: names are lower case", what, quoted(s)).Fix("write %s", lower)
	}
	return nameError("%s %s: use a-z and 0-9, with %s", what, quoted(s), between)
}

func nameError(format string, args ...any) *Error {
	return Errorf(ErrInvalid, format, args...).WithCode("name_invalid")
}

// asciiLower folds A-Z only: folding more would turn a Kelvin sign into a k.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// String returns "@acme/zlib", or "zlib" for a name in a work tree that leaves
// its namespace out.
func (n Name) String() string {
	if n.Namespace == "" {
		return n.Base
	}
	return "@" + n.Namespace + "/" + n.Base
}

// Repo returns the OCI repository below the registry's prefix: "acme/zlib".
func (n Name) Repo() string { return n.Namespace + "/" + n.Base }

// Identity returns the form under which two spellings of one name meet: "-",
// "_" and "." are alike in it.
func (n Name) Identity() string {
	base := n.Base
	if strings.ContainsAny(base, "_.") {
		base = strings.Map(func(r rune) rune {
			if r == '_' || r == '.' {
				return '-'
			}
			return r
		}, base)
	}
	return n.Namespace + "/" + base
}

// IsZero reports whether n is the zero Name.
func (n Name) IsZero() bool { return n == Name{} }

// MarshalText returns String, or nothing for the zero Name.
func (n Name) MarshalText() ([]byte, error) {
	if n.IsZero() {
		return nil, nil
	}
	return []byte(n.String()), nil
}

// UnmarshalText is ParseName; empty text gives the zero Name.
func (n *Name) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*n = Name{}
		return nil
	}
	*n, err = ParseName(string(b))
	return err
}
