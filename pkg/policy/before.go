package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Level is how much a package's signatures prove, beyond that they are there.
type Level string

// The levels, from the least. Empty is no signature that counts.
const (
	Signed     Level = "signed"     // by somebody who counts
	Logged     Level = "logged"     // and on record in a transparency log
	Provenance Level = "provenance" // and they state how it was built
)

var levels = []Level{"", Signed, Logged, Provenance}

// Known reports whether l is a level, "" among them.
func (l Level) Known() bool { return slices.Contains(levels, l) }

// Below reports whether l proves less than other.
func (l Level) Below(other Level) bool {
	return slices.Index(levels, l) < slices.Index(levels, other)
}

// Before is what a lock file remembers of a package's signatures.
type Before struct {
	Signers []string // as Decision.Signers said; one of them must sign again
	Level   Level    // the least that the signatures must prove; "" asks for nothing
}

// workflowRef is the part of a signer that changes with every release: the tag
// that its workflow ran for.
var workflowRef = regexp.MustCompile(`@refs/[^ ]*( \()`)

// SameSigner reports whether two signers, as signing.SignatureResult.Who writes them, are the same
// key or identity. A workflow is the same for every branch and tag.
func SameSigner(a, b string) bool { return stem(a) == stem(b) }

func stem(signer string) string { return workflowRef.ReplaceAllString(signer, "$1") }

// held holds what was found against what was before. A mode that only warns
// does not undo it.
func (b *Before) held(d *Decision) {
	if b == nil || len(b.Signers) == 0 {
		return
	}
	same := slices.ContainsFunc(d.Signers, func(now string) bool {
		return slices.ContainsFunc(b.Signers, func(was string) bool { return SameSigner(was, now) })
	})
	was, is := strings.Join(b.Signers, ", "), "nobody who counts"
	if len(d.Signers) > 0 {
		is = strings.Join(d.Signers, ", ")
	}
	switch {
	case !same:
		d.fail(SignerChanged, "it was signed by %s, and is signed by %s", was, is)
	case d.Level.Below(b.Level):
		d.fail(SignatureWeaker, "its signatures proved %q, and prove %q", b.Level, d.Level)
	default:
		return
	}
	d.Verdict = Denied
}

// Remembered makes the policy that a lock file amounts to by itself: one of
// those who signed before must have signed. Keys are those that somebody lists,
// of which the remembered ones count; trust is for identities, and may be nil
// where there are none. Where none of the signers can be recognised, everything
// is refused.
func Remembered(b Before, keys []signing.Key, trust *signing.Trust) *Policy {
	logs := 0
	if !b.Level.Below(Logged) {
		logs = 1
	}
	var list []signing.Authority
	for _, who := range b.Signers {
		if fingerprint, ok := strings.CutPrefix(who, keySigner); ok {
			i := slices.IndexFunc(keys, func(k signing.Key) bool { return k.Fingerprint == fingerprint })
			if i < 0 {
				continue
			}
			a := signing.Authority{Name: who, Key: &keys[i]}
			if logs > 0 && trust != nil {
				a.Trust, a.TransparencyLog = trust, logs
			}
			list = append(list, a)
			continue
		}
		subject, issuer, ok := strings.Cut(stem(who), " (")
		if !ok || trust == nil {
			continue
		}
		list = append(list, signing.Authority{
			Name: who, Trust: trust, TransparencyLog: logs, Timestamps: 1,
			Keyless: &signing.Keyless{Identities: []signing.Identity{{
				Issuer: strings.TrimSuffix(issuer, ")"), SubjectRegExp: regexp.QuoteMeta(subject) + `(?:@refs/.*)?`,
			}}},
		})
	}
	return Of(list...)
}

// NeedsTrust reports whether b names identities, or logs, which a trusted root
// is needed for.
func (b Before) NeedsTrust() bool {
	return !b.Level.Below(Logged) || slices.ContainsFunc(b.Signers, func(s string) bool { return !strings.HasPrefix(s, keySigner) })
}

// NeedsKeys reports whether b names keys.
func (b Before) NeedsKeys() bool {
	return slices.ContainsFunc(b.Signers, func(s string) bool { return strings.HasPrefix(s, keySigner) })
}
