package policy

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Words of a list's head, and the type that its signature is of.
const (
	ListKind          = "PackageList"
	ListPredicateType = "https://clyde.dev/package-list/v1"
)

// Limits of a list. Ours: an entry is about 100 bytes, and a list that nobody
// renews for a year is one that nobody looks after.
const (
	MaxListSize    = 1 << 20 // bytes of the document
	MaxListEntries = 10000   // allowed and denied together
	MaxListReason  = 500     // bytes of the reason of one entry
	MaxListLife    = 366 * 24 * time.Hour
	MaxListVersion = 1<<53 - 1 // what JSON readers count exactly

	// MaxLists is how many lists one policy follows.
	MaxLists = 16
)

type (
	listDocument struct {
		APIVersion string      `yaml:"apiVersion"`
		Kind       string      `yaml:"kind"`
		Namespace  string      `yaml:"namespace"`
		Version    int64       `yaml:"version"`
		Expires    time.Time   `yaml:"expires"`
		Default    string      `yaml:"default"`
		Allow      []ListEntry `yaml:"allow,omitempty"`
		Deny       []ListEntry `yaml:"deny,omitempty"`
	}
	listSourceFile struct {
		Namespace   string          `yaml:"namespace"`
		AtLeast     int64           `yaml:"atLeast,omitempty"`
		Authorities []authorityFile `yaml:"authorities"`
	}
)

// ListEntry is what a list says of some packages: those of a pattern, of all
// versions or of a range, or one by its digest.
type ListEntry struct {
	Package  string        `yaml:"package,omitempty"` // a pattern, as in Rule
	Versions string        `yaml:"versions,omitempty"`
	Digest   digest.Digest `yaml:"digest,omitempty"`
	Reason   string        `yaml:"reason,omitempty"` // for people

	within clyde.Range // Versions, read; zero is all
}

// List is which packages an organisation lets be used, and which not. It is
// signed by the organisation, so that who keeps it cannot change it; counted, so
// that an older one does not come back; and ends, so that a newer one is not held
// back forever.
type List struct {
	Namespace string // whose it is
	Version   int64  // grows with each change, from 1
	Expires   time.Time
	Default   Verdict // of what no entry is about: Allowed or Denied
	Allow     []ListEntry
	Deny      []ListEntry    // goes before Allow
	Digest    digest.Digest  // of the document
	SignedBy  []string       // authorities that signed it, as CheckList found
	Author    signing.Author // one of them
}

// ListSource is whose list a policy follows, and who may sign it.
type ListSource struct {
	Namespace   string
	AtLeast     int64 // the lowest version that counts, for machines that remember none
	Authorities []Authority
}

func badList(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, "the list: "+format, args...).WithCode("bad_list")
}

// aboutList makes an error that speaks of a policy one about a list.
func aboutList(err error) error {
	if e := clyde.AsError(err); e != nil {
		e.Msg, e.Code = strings.Replace(e.Msg, "the policy:", "the list:", 1), "bad_list"
	}
	return err
}

// ParseList reads a list, strictly, as Parse reads a policy. What is wrong is a
// clyde.ErrInvalid error with the code bad_list. Whether it ended is for
// CheckList to say.
func ParseList(data []byte) (*List, error) {
	if len(data) > MaxListSize {
		return nil, badList("it is %d bytes; the limit is %d", len(data), MaxListSize)
	}
	var f listDocument
	if err := decode(data, &f); err != nil {
		return nil, aboutList(err)
	}
	l := &List{Namespace: f.Namespace, Version: f.Version, Expires: f.Expires.UTC(), Allow: f.Allow, Deny: f.Deny, Digest: digest.FromBytes(data)}
	switch f.Default {
	case "allow":
		l.Default = Allowed
	case "deny":
		l.Default = Denied
	default:
		return nil, badList("default is %q; want allow or deny", f.Default)
	}
	switch err := clyde.CheckNamespace(f.Namespace); {
	case f.APIVersion != APIVersion || f.Kind != ListKind:
		return nil, badList("it is of %q, %q; want apiVersion %s and kind %s", f.APIVersion, f.Kind, APIVersion, ListKind)
	case err != nil:
		return nil, badList("its namespace %q is none", f.Namespace).Because(err)
	case l.Version < 1 || l.Version > MaxListVersion:
		return nil, badList("version is %d; want 1 for the first, and more for each that follows", l.Version)
	case l.Expires.IsZero():
		return nil, badList("it has no expires: an old one could be shown for ever").Fix("write expires: %s", time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)+"T00:00:00Z")
	case len(l.Allow)+len(l.Deny) > MaxListEntries:
		return nil, badList("it has %d entries; the limit is %d", len(l.Allow)+len(l.Deny), MaxListEntries)
	case l.Default == Allowed && len(l.Allow) > 0:
		return nil, badList("it allows everything, so that allow says nothing").Fix("write default: deny, or leave allow out")
	}
	for _, entries := range [][]ListEntry{l.Allow, l.Deny} {
		for i := range entries {
			if err := entries[i].read(); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// read checks an entry and reads its range.
func (e *ListEntry) read() error {
	switch {
	case (e.Package == "") == (e.Digest == ""):
		return badList("an entry wants one of package and digest")
	case e.Digest != "" && (e.Digest.Validate() != nil || e.Versions != ""):
		return badList("the entry %q is one package by its digest, without versions", e.Digest)
	case len(e.Reason) > MaxListReason:
		return badList("the reason of %s%s is %d bytes; the limit is %d", e.Package, e.Digest, len(e.Reason), MaxListReason)
	case e.Digest != "":
		return nil
	}
	if err := checkPattern(e.Package); err != nil {
		return aboutList(err)
	}
	if e.Versions == "" {
		return nil
	}
	r, err := clyde.ParseRange(e.Versions)
	if err != nil {
		return badList("the versions %q of %s are no range", e.Versions, e.Package).Because(err)
	}
	e.within = r
	return nil
}

// about reports whether the entry is about a package. A version that cannot be
// told counts as unknown says.
func (e *ListEntry) about(n clyde.Name, version string, d digest.Digest, unknown bool) bool {
	switch {
	case e.Digest != "":
		return e.Digest == d
	case fit(e.Package, n) < 0:
		return false
	case e.within.IsZero():
		return true
	}
	v, err := clyde.ParseVersion(version)
	if err != nil {
		return unknown
	}
	return e.within.Contains(v)
}

// Refuses says why the list does not let a package be used, if it does not. A
// version that is not known is in every range that is denied, and in none that
// is allowed.
func (l *List) Refuses(n clyde.Name, version string, d digest.Digest) (Reason, bool) {
	for i := range l.Deny {
		if e := &l.Deny[i]; e.about(n, version, d, true) {
			text := "the list of @" + l.Namespace + " denies it"
			if e.Reason != "" {
				text += ": " + e.Reason
			}
			return Reason{DeniedByList, text}, true
		}
	}
	if l.Default == Allowed {
		return Reason{}, false
	}
	for i := range l.Allow {
		if l.Allow[i].about(n, version, d, false) {
			return Reason{}, false
		}
	}
	return Reason{NotOnList, "the list of @" + l.Namespace + " does not allow it"}, true
}

// list reads whose list the policy follows.
func (p *Policy) list(f listSourceFile) (ListSource, error) {
	s := ListSource{Namespace: f.Namespace, AtLeast: f.AtLeast}
	if f.AtLeast < 0 || f.AtLeast > MaxListVersion {
		return s, bad("the list of @%s is to be of version %d at least, which is none", f.Namespace, f.AtLeast)
	}
	if err := clyde.CheckNamespace(f.Namespace); err != nil {
		return s, bad("it follows the list of %q, which is no namespace", f.Namespace).Because(err)
	}
	// Whoever may sign a list is checked as whoever may sign packages is.
	r, err := p.rule(ruleFile{Name: "list", Packages: []string{"*"}, Authorities: f.Authorities})
	if err != nil {
		if e := clyde.AsError(err); e != nil {
			e.Msg = strings.Replace(e.Msg, "the policy:", "the policy: the list of @"+f.Namespace+":", 1)
		}
		return s, err
	}
	s.Authorities = r.Authorities
	return s, nil
}

// CheckList reads a list and holds its signature, a sigstore bundle, against who
// may sign it by the policy. What is malformed is an ErrInvalid error with the
// code bad_list; one by somebody else, over other bytes, or of another namespace
// a clyde.ErrUnverified error with the code list_unverified; one that ended a
// clyde.ErrUnavailable error with the code list_expired.
func (p *Policy) CheckList(ctx context.Context, from ListSource, document, bundle []byte, now time.Time) (*List, error) {
	l, err := ParseList(document)
	if err != nil {
		return nil, err
	}
	unverified := func(format string, args ...any) error {
		return clyde.Errorf(clyde.ErrUnverified, "the list of @"+from.Namespace+" "+format, args...).WithCode("list_unverified")
	}
	if l.Namespace != from.Namespace {
		return nil, unverified("says that it is of @%s", l.Namespace)
	}
	rule := &Rule{Name: "list", Authorities: from.Authorities}
	authorities, err := p.authoritiesOf(ctx, rule)
	if err != nil {
		return nil, err
	}
	res, err := signing.VerifyDocument(bundle, ListPredicateType, document, authorities)
	if err != nil {
		return nil, err
	}
	why := &Decision{}
	l.SignedBy = p.counting(rule, res, now, why)
	if len(l.SignedBy) == 0 {
		return nil, unverified("is signed by nobody who counts: %s", res.Reason)
	}
	l.Author = res.Author()
	if l.Version < from.AtLeast {
		return nil, RolledBack(l, from.AtLeast)
	}
	switch life := l.Expires.Sub(now); {
	case life <= 0:
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the list of @%s, version %d, ended on %s", l.Namespace, l.Version, l.Expires.Format(time.RFC3339)).
			WithCode("list_expired").Fix("its owners publish a new one: clyde policy set-list @%s FILE", l.Namespace)
	case life > MaxListLife:
		return nil, badList("it ends on %s; a list holds for %d days at most", l.Expires.Format(time.RFC3339), MaxListLife/(24*time.Hour))
	}
	return l, nil
}

// RolledBack is the error about a list that is older than one that is known: a
// clyde.ErrUnverified with the code list_rolled_back.
func RolledBack(l *List, known int64) error {
	return clyde.Errorf(clyde.ErrUnverified, "the list of @%s has the version %d, and there was a newer one, %d: somebody shows an old one", l.Namespace, l.Version, known).
		WithCode("list_rolled_back").Fix("ask its owners which is the last one")
}

// Follows checks that a list may take the place of another: it is the same
// document, or of a higher version. Else it is a clyde.ErrConflict error with
// the code list_older.
func (l *List) Follows(version int64, document, was []byte) error {
	switch {
	case l.Version > version || l.Version == version && bytes.Equal(document, was):
		return nil
	case l.Version == version:
		return clyde.Errorf(clyde.ErrConflict, "the list of @%s has the version %d, and so had another one", l.Namespace, version).
			WithCode("list_older").Fix("raise its version")
	}
	return clyde.Errorf(clyde.ErrConflict, "the list of @%s has the version %d; there was a newer one, %d", l.Namespace, l.Version, version).
		WithCode("list_older").Fix("raise its version above %d", version)
}

// ListOf returns whom the policy lets sign the list of a namespace.
func (p *Policy) ListOf(namespace string) (ListSource, bool) {
	for _, s := range p.Lists {
		if s.Namespace == namespace {
			return s, true
		}
	}
	return ListSource{}, false
}
