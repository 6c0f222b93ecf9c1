package clyde

import (
	"regexp"
	"slices"
	"strings"
)

// MaxRangeLen is the longest range accepted, in bytes. Ours: more than four of
// the longest versions, and a bound on the number of comparators as well.
const MaxRangeLen = 512

// Range is a set of versions. The zero Range contains every release that is
// not a prerelease.
type Range struct {
	raw  string
	sets [][]comparator // any of these, all comparators of which hold
}

// comparator holds for a version v where v's key, compared with key, is as op
// says.
type comparator struct {
	op  string // "=", ">", ">=", "<", "<="
	key string // of a version, or coreKey alone: before everything with these numbers
	pre string // coreKey of the prerelease it names, else ""
}

// ParseRange parses a range: comparators (^ ~ = > >= < <=) separated by spaces,
// all of which must hold, in sets separated by ||, one of which must.
//
//	1.2.3     exactly that version
//	1.2 1.2.* every version that starts with 1.2
//	^1.2.3    up to the next change of the first number that is not zero
//	~1.2.3    up to the next change of the last number but one
//	*         any
//
// A comparator with a prerelease admits prereleases with the same numbers;
// nothing else does. On dates ^ and ~ mean nothing and are refused.
func ParseRange(s string) (Range, error) {
	if len(s) > MaxRangeLen {
		return Range{}, rangeError("range %s is %d bytes long: the limit is %d", quoted(s), len(s), MaxRangeLen)
	}
	r := Range{raw: strings.TrimSpace(s)}
	if r.raw == "" {
		return Range{}, rangeError("the range is empty").Fix("write * for any version")
	}
	if strings.Contains(s, ",") {
		return Range{}, rangeError("range %s has a comma", quoted(s)).
			Fix("separate comparators by spaces: %s", strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' }), " "))
	}
	for part := range strings.SplitSeq(r.raw, "||") {
		set, err := parseSet(part)
		if err != nil {
			return Range{}, err
		}
		r.sets = append(r.sets, set)
	}
	return r, nil
}

// parseSet parses comparators that must all hold.
func parseSet(s string) ([]comparator, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, rangeError("one side of || is empty").Fix("write * for any version")
	}
	set := []comparator{}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "-" {
			return nil, rangeError("%s: ranges with a hyphen are not understood", quoted(s)).Fix("write >=1.2.0 <=1.4.0")
		}
		op := word[:len(word)-len(strings.TrimLeft(word, "^~=<>!"))]
		text := word[len(op):]
		if text == "" && i+1 < len(words) { // ">= 1.2"
			i++
			text = words[i]
		}
		cs, err := parseComparator(op, text)
		if err != nil {
			return nil, err
		}
		set = append(set, cs...)
	}
	return set, nil
}

var (
	starRE = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)*(?:\.\*)+$`)
	xRE    = regexp.MustCompile(`^(?:[0-9]+\.)*[xX](?:\.[xX])*$`)
)

// parseComparator translates one comparator into at most two plain ones.
func parseComparator(op, text string) ([]comparator, error) {
	switch op {
	case "", "^", "~", "=", ">", ">=", "<", "<=":
	default:
		return nil, rangeError("%s is not a comparator", quoted(op)).Fix("use one of ^ ~ = > >= < <=")
	}
	if text == "*" {
		if op != "" {
			return nil, rangeError("* after %s says nothing", quoted(op)).Fix("write * alone for any version")
		}
		return nil, nil
	}
	if text == "" {
		return nil, rangeError("no version follows %s", quoted(op)).Fix("write the version after it: %s1.2.0", op)
	}
	if xRE.MatchString(text) {
		return nil, rangeError("%s is not a version", quoted(text)).Fix("write %s", strings.NewReplacer("x", "*", "X", "*").Replace(text))
	}
	star := starRE.MatchString(text)
	if star {
		text = text[:strings.IndexByte(text, '*')-1]
	}
	v, err := ParseVersion(text)
	if err != nil {
		e := AsError(err)
		return nil, &Error{Kind: ErrInvalid, Code: "range_invalid", Msg: "range: " + e.Msg, Fixes: rangeFixes(op, text, e)}
	}
	if v.kind == KindDate && (op == "^" || op == "~") {
		return nil, rangeError("%s%s: a date promises no compatibility, so %s means nothing on it", op, v, op).Fix("write >=%s", v)
	}
	// partial: what was written names every version that starts so.
	partial := star || v.parts < 3 && v.kind == KindDotted && v.pre == ""
	at := comparator{op: ">=", key: v.key}
	if v.pre != "" {
		at.pre = coreKey(v.nums)
	}
	switch op {
	case "^":
		return []comparator{at, before(v, caretPart(v))}, nil
	case "~":
		return []comparator{at, before(v, tildePart(v))}, nil
	}
	if !partial {
		if at.op = op; op == "" {
			at.op = "="
		}
		return []comparator{at}, nil
	}
	next := before(v, v.parts-1)
	switch op {
	case ">":
		next.op, next.key = ">=", next.key+releaseSuffix
		return []comparator{next}, nil
	case ">=":
		return []comparator{at}, nil
	case "<":
		return []comparator{{op: "<", key: coreKey(v.nums)}}, nil
	case "<=":
		return []comparator{next}, nil
	default:
		return []comparator{at, next}, nil
	}
}

// releaseSuffix completes a coreKey to the key of the dotted release.
const releaseSuffix = "!~0"

// rangeFixes keeps of a version's remedies those that help in a range.
func rangeFixes(op, text string, e *Error) []string {
	if len(text) > 1 && (text[0] == 'v' || text[0] == 'V') {
		if _, err := ParseVersion(text[1:]); err == nil {
			return []string{"write " + op + text[1:]}
		}
	}
	if plain, _, ok := strings.Cut(text, "+"); ok && plain != "" {
		return []string{"write " + op + plain}
	}
	var fixes []string
	for _, f := range e.Fixes {
		if !strings.Contains(f, "upstream_version") {
			fixes = append(fixes, f)
		}
	}
	return fixes
}

// caretPart returns which number of v a caret allows no change of: the first
// that is not zero, or the last written.
func caretPart(v Version) int {
	for i, n := range v.nums[:v.parts] {
		if n != "0" {
			return i
		}
	}
	return v.parts - 1
}

// tildePart returns which number of v a tilde allows no change of: the last but
// one, or the last of one or two, as npm has it.
func tildePart(v Version) int {
	if v.parts <= 2 {
		return v.parts - 1
	}
	return v.parts - 2
}

// before returns the comparator that holds below v with its number i raised by
// one, prereleases of that excluded.
func before(v Version, i int) comparator {
	nums := v.nums
	nums[i] = increment(nums[i])
	for j := i + 1; j < len(nums); j++ {
		nums[j] = "0"
	}
	return comparator{op: "<", key: coreKey(nums)}
}

func rangeError(format string, args ...any) *Error {
	return Errorf(ErrInvalid, format, args...).WithCode("range_invalid")
}

// String returns the range as written, or "*" for the zero Range.
func (r Range) String() string {
	if r.raw == "" {
		return "*"
	}
	return r.raw
}

// IsAny reports whether r contains every release.
func (r Range) IsAny() bool {
	for _, set := range r.sets {
		if len(set) == 0 {
			return true
		}
	}
	return len(r.sets) == 0
}

// IsZero reports whether r is the zero Range.
func (r Range) IsZero() bool { return r.raw == "" }

// Equal reports whether r and s are written alike.
func (r Range) Equal(s Range) bool { return r.String() == s.String() }

// Contains reports whether v is in r. The zero Version is in no range. A
// prerelease is contained only where a comparator of the same set names a
// prerelease with the same numbers: who asks for ^1.2.0 does not get
// 1.3.0-beta.
func (r Range) Contains(v Version) bool {
	if v.IsZero() {
		return false
	}
	if len(r.sets) == 0 {
		return !v.IsPrerelease()
	}
	for _, set := range r.sets {
		if containsAll(set, v) {
			return true
		}
	}
	return false
}

// Admits is Contains without the rule that a prerelease must be asked for:
// 1.3.0-beta lies in ^1.2.0, and 2.0.0-beta does not.
func (r Range) Admits(v Version) bool {
	if v.IsZero() {
		return false
	}
	for _, set := range r.sets {
		if !slices.ContainsFunc(set, func(c comparator) bool { return !c.holds(v) }) {
			return true
		}
	}
	return len(r.sets) == 0
}

func containsAll(set []comparator, v Version) bool {
	asked := !v.IsPrerelease()
	core := ""
	if !asked {
		core = coreKey(v.nums)
	}
	for _, c := range set {
		if !c.holds(v) {
			return false
		}
		asked = asked || c.pre == core
	}
	return asked
}

func (c comparator) holds(v Version) bool {
	d := strings.Compare(v.key, c.key)
	switch c.op {
	case ">":
		return d > 0
	case ">=":
		return d >= 0
	case "<":
		return d < 0
	case "<=":
		return d <= 0
	default:
		return d == 0
	}
}

// Newest returns the greatest of versions that r contains, and whether there is
// one.
func (r Range) Newest(versions []Version) (Version, bool) {
	var best Version
	for _, v := range versions {
		if r.Contains(v) && (best.IsZero() || Compare(v, best) > 0) {
			best = v
		}
	}
	return best, !best.IsZero()
}

// MarshalText returns String.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRange; empty text gives the zero Range.
func (r *Range) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*r = Range{}
		return nil
	}
	*r, err = ParseRange(string(b))
	return err
}
