package clyde

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// MaxVersionLen is the longest version accepted, in bytes, so that "_" and
// sixteen hex digits of an abi_id still fit an OCI tag of 128.
const MaxVersionLen = 111

// MaxVersionParts is how many dotted numbers a version may have. Ours: the
// package format states it.
const MaxVersionParts = 6

// VersionKind is the way a version is written.
type VersionKind string

// The kinds of version.
const (
	KindSemVer VersionKind = "semver" // 1.2.3, exactly three numbers without leading zeros
	KindDotted VersionKind = "dotted" // 26.2, 5.2.10.0, 2024.01
	KindDate   VersionKind = "date"   // 2024-01-02, 2024-01-02.1
	KindLetter VersionKind = "letter" // 1.1.1w, 2007f, 0.9.8zh
)

// Version is a release number in one of four kinds with one total order: SemVer
// 2.0.0, dotted numbers of one to six parts, dates, and letter suffixes. The
// zero Version is no version and sorts before every other.
//
// The order compares the numbers (missing ones are zero, a date counts as
// year.month.day.N), then the letters (none first), then the prerelease by
// SemVer's rules (none last); where all are equal a dotted version comes before
// a date, so that only versions with one canonical form are equal.
type Version struct {
	raw    string
	kind   VersionKind
	nums   [MaxVersionParts]string // decimal without leading zeros; "0" where missing
	parts  int                     // how many numbers were written
	letter string
	pre    string
	key    string
}

var (
	versionRE   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)*)([a-z]*)(?:-(.*))?$`)
	dateRE      = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.([0-9]+))?(?:-(.*))?$`)
	looseDateRE = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[.-]|$)`)
	monthRE     = regexp.MustCompile(`^(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])$`)
	// letterRE is one letter, or z and one letter: what OpenSSL did after
	// 0.9.8z. Longer suffixes ("rc", "beta") would sort after the release.
	letterRE = regexp.MustCompile(`^z?[a-z]$`)
	preRE    = regexp.MustCompile(`^[0-9A-Za-z-]+$`)
)

// ParseVersion parses a version in any of the four kinds. Whatever else a
// project calls a version belongs into upstream_version; the ErrInvalid error
// says so.
func ParseVersion(s string) (Version, error) {
	switch {
	case s == "":
		return Version{}, versionError("the version is empty")
	case len(s) > MaxVersionLen:
		return Version{}, versionError("version %s is %d bytes long: the limit is %d", quoted(s), len(s), MaxVersionLen).
			Fix("put it into upstream_version and choose a shorter version")
	case strings.Contains(s, "+"):
		e := versionError("version %s has a +build part, which an OCI tag cannot hold", quoted(s))
		if plain, _, _ := strings.Cut(s, "+"); plain != "" {
			return Version{}, e.Fix("leave out everything from the + on: %s; the whole may stand in upstream_version", plain)
		}
		e.Fix("put it into upstream_version and choose a version beside it")
		return Version{}, e
	}
	if s[0] == 'v' || s[0] == 'V' {
		if v, err := ParseVersion(s[1:]); err == nil {
			return Version{}, versionError("version %s starts with %c: the tag is the version alone", quoted(s), s[0]).
				Fix("write %s; the project's own spelling may stand in upstream_version", v)
		}
	}
	if looseDateRE.MatchString(s) {
		return parseDate(s)
	}
	if monthRE.MatchString(s) {
		return Version{}, versionError("version %s looks like a year and a month", quoted(s)).
			Fix("write the whole date, %s-01, or %s, and the project's own spelling in upstream_version", s, strings.Replace(s, "-", ".", 1))
	}
	m := versionRE.FindStringSubmatch(s)
	if m == nil {
		return Version{}, notVersion(s)
	}
	v := Version{raw: s, letter: m[2], pre: m[3]}
	if m[2] != "" && !letterRE.MatchString(m[2]) {
		e := notVersion(s)
		if m[3] == "" {
			e.Fix("a prerelease has a hyphen before it: %s-%s", m[1], m[2])
		}
		return Version{}, e
	}
	nums := strings.Split(m[1], ".")
	if len(nums) > MaxVersionParts {
		return Version{}, versionError("version %s has %d numbers: the limit is %d", quoted(s), len(nums), MaxVersionParts).
			Fix("put it into upstream_version and choose a version of at most %d numbers", MaxVersionParts)
	}
	v.kind = KindDotted
	if m[2] != "" {
		v.kind = KindLetter
	} else if len(nums) == 3 && !hasLeadingZero(nums) {
		v.kind = KindSemVer
	}
	return v.finish(nums, strings.Contains(s, "-"))
}

func parseDate(s string) (Version, error) {
	m := dateRE.FindStringSubmatch(s)
	if m == nil {
		return Version{}, versionError("version %s looks like a date but is none", quoted(s)).
			Fix("write a date as YYYY-MM-DD or YYYY-MM-DD.N, or put the spelling into upstream_version")
	}
	if _, err := time.Parse(time.DateOnly, m[1]); err != nil {
		return Version{}, versionError("version %s looks like a date, and the calendar has no such day", quoted(s)).
			Fix("correct it, or put it into upstream_version and choose a version beside it")
	}
	nums := strings.Split(m[1], "-")
	if m[2] != "" {
		nums = append(nums, m[2])
	}
	v := Version{raw: s, kind: KindDate, pre: m[3]}
	return v.finish(nums, strings.Contains(s[len(m[1]):], "-"))
}

// finish fills in nums and the key, and checks the prerelease.
func (v Version) finish(nums []string, hyphen bool) (Version, error) {
	if hyphen {
		for id := range strings.SplitSeq(v.pre, ".") {
			switch {
			case id == "":
				return Version{}, versionError("version %s has an empty prerelease identifier", quoted(v.raw)).
					Fix("put one of 0-9, A-Z, a-z or - between the dots, or the whole into upstream_version")
			case !preRE.MatchString(id):
				return Version{}, notVersion(v.raw)
			case isDigits(id) && len(id) > 1 && id[0] == '0':
				return Version{}, versionError("version %s has a prerelease number with a leading zero, which SemVer forbids", quoted(v.raw)).
					Fix("write %s for %s, or put it into upstream_version", trimZeros(id), id)
			}
		}
	}
	v.parts = len(nums)
	for i := range v.nums {
		v.nums[i] = "0"
		if i < len(nums) {
			v.nums[i] = trimZeros(nums[i])
		}
	}
	v.key = v.makeKey()
	return v, nil
}

func hasLeadingZero(nums []string) bool {
	for _, n := range nums {
		if len(n) > 1 && n[0] == '0' {
			return true
		}
	}
	return false
}

func versionError(format string, args ...any) *Error {
	return Errorf(ErrInvalid, format, args...).WithCode("version_invalid")
}

func notVersion(s string) *Error {
	return versionError("%s is not a version: want numbers with dots (1.4.0, 26.2), a date (2024-01-31) or a letter suffix (1.1.1w), each with an optional -prerelease", quoted(s)).
		Fix("put the project's own spelling into upstream_version and choose a version beside it")
}

// String returns the version as written.
func (v Version) String() string { return v.raw }

// IsZero reports whether v is no version.
func (v Version) IsZero() bool { return v.raw == "" }

// IsPrerelease reports whether v has a -prerelease part.
func (v Version) IsPrerelease() bool { return v.pre != "" }

// Prerelease returns what follows the hyphen, or "".
func (v Version) Prerelease() string { return v.pre }

// Kind returns how v is written, or "" for the zero Version.
func (v Version) Kind() VersionKind { return v.kind }

// Canonical returns the identity of v: 1.2, 1.2.0 and 1.02.0.0 give "1.2.0".
// It is itself a version that equals v.
func (v Version) Canonical() string {
	if v.IsZero() {
		return ""
	}
	var b strings.Builder
	if v.kind == KindDate {
		fmt.Fprintf(&b, "%04s-%02s-%02s", v.nums[0], v.nums[1], v.nums[2])
		if v.nums[3] != "0" {
			b.WriteString("." + v.nums[3])
		}
	} else {
		n := MaxVersionParts
		for n > 3 && v.nums[n-1] == "0" {
			n--
		}
		b.WriteString(strings.Join(v.nums[:n], "."))
		b.WriteString(v.letter)
	}
	if v.pre != "" {
		b.WriteString("-" + v.pre)
	}
	return b.String()
}

// SortKey returns printable ASCII that sorts, byte by byte, as versions do, and
// is equal only for equal versions. It is not meant to be shown.
func (v Version) SortKey() string { return v.key }

// coreKey encodes numbers so that their order is the order of the bytes: two
// hexadecimal digits of length before the decimal digits of each.
func coreKey(nums [MaxVersionParts]string) string {
	b := make([]byte, 0, 64)
	for _, n := range nums {
		b = append(appendLen(b, n), n...)
	}
	return string(b)
}

// appendLen appends the length of s, which fits a byte, in two hexadecimal digits.
func appendLen(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	return append(b, digits[len(s)>>4&0xf], digits[len(s)&0xf])
}

// makeKey relies on ' ' < '!' < '-' < '0' < 'A' < 'a' < '~': the shorter of two
// lists ends with the smaller byte, and a release ('~') follows its
// prereleases ('!').
func (v Version) makeKey() string {
	var b strings.Builder
	b.WriteString(coreKey(v.nums))
	b.WriteString(v.letter + "!")
	if v.pre == "" {
		b.WriteString("~")
	} else {
		b.WriteString("!")
		for id := range strings.SplitSeq(v.pre, ".") {
			if isDigits(id) {
				b.WriteString("0" + string(appendLen(nil, id)) + id)
			} else {
				b.WriteString("A" + id + " ")
			}
		}
		b.WriteString("!")
	}
	if v.kind == KindDate {
		b.WriteString("1")
	} else {
		b.WriteString("0")
	}
	return b.String()
}

// Compare returns -1, 0 or +1 as a sorts before, with or after b. It is 0 only
// where the canonical forms are identical.
func Compare(a, b Version) int { return strings.Compare(a.key, b.key) }

// Compare is Compare(v, w).
func (v Version) Compare(w Version) int { return Compare(v, w) }

// Equal reports whether v and w are one version, however written.
func (v Version) Equal(w Version) bool { return v.key == w.key }

// MarshalText returns the version as written.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.raw), nil }

// UnmarshalText is ParseVersion; empty text gives the zero Version.
func (v *Version) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*v = Version{}
		return nil
	}
	*v, err = ParseVersion(string(b))
	return err
}
