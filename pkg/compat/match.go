package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Candidate is one build that might be taken.
type Candidate struct {
	Digest string // of its manifest
	Facts  *Facts
}

// Verdict is what Match says of one build.
type Verdict struct {
	Candidate Candidate
	Class     Class  // No: it does not fit
	Fact      string // the first fact that failed; "" where it fits
	Why       string // a sentence about it; where it fits but for an ideal, what is not ideal
}

// Fits reports whether the build can be used.
func (v Verdict) Fits() bool { return v.Class != No }

// Match judges builds for a host and a wish: those that fit first, the best
// one foremost, then the others with the first fact that failed. The order is
// the same for the same builds, however they come in.
func Match(h Host, w Want, builds []Candidate) []Verdict {
	out := make([]Verdict, 0, len(builds))
	for _, c := range builds {
		out = append(out, judge(h, w, c))
	}
	slices.SortFunc(out, func(a, b Verdict) int {
		return cmp.Or(
			cmp.Compare(a.Class, b.Class),
			-cmp.Compare(place(a), place(b)), // the newest processor that this one still is
			cmp.Compare(distance(w, a), distance(w, b)),
			-cmp.Compare(alike(h, a), alike(h, b)),
			cmp.Compare(a.Candidate.Digest, b.Candidate.Digest),
		)
	})
	return out
}

func place(v Verdict) int {
	_, p, _ := level(v.Candidate.Facts.CPUBaseline)
	return p
}

// distance counts, among builds of one class, what is not as it was wanted:
// linkage more than the build type.
func distance(w Want, v Verdict) int {
	n, f := 0, v.Candidate.Facts
	if !w.linkage(f) {
		n += 2
	}
	if !w.buildType(f) {
		n++
	}
	return n
}

// alike counts how much the compiler of a build is the host's: no reason to
// refuse one, but one to choose it.
func alike(h Host, v Verdict) int {
	c := v.Candidate.Facts.Compiler
	switch {
	case c.Family != h.Compiler.Family:
		return 0
	case c.Version != h.Compiler.Version:
		return 1
	}
	return 2
}

// linkage reports whether the build is of the linkage wanted.
func (w Want) linkage(f *Facts) bool {
	return !f.linked() || w.Linkage == "" || f.Linkage == w.Linkage || f.Linkage == Both
}

// buildType reports whether the build is of the type wanted.
func (w Want) buildType(f *Facts) bool {
	return f.BuildType == "" || strings.EqualFold(f.BuildType, cmp.Or(w.BuildType, DefaultBuildType))
}

func judge(h Host, w Want, c Candidate) Verdict {
	for _, r := range rules {
		if !r.applies(c.Facts) {
			continue
		}
		if why := r.check(h, w, c.Facts); why != "" {
			return Verdict{Candidate: c, Class: No, Fact: r.Fact, Why: why}
		}
	}
	v, f := Verdict{Candidate: c}, c.Facts
	if !w.buildType(f) {
		v.Class, v.Why = OtherType, fmt.Sprintf("it is a %s build; %s was asked for", f.BuildType, cmp.Or(w.BuildType, DefaultBuildType))
	}
	if !w.linkage(f) {
		v.Class, v.Why = OtherLinkage, fmt.Sprintf("it is %s; %s was asked for", f.Linkage, w.Linkage)
	}
	if _, p, ok := level(h.CPU); ok && f.Arch != Any && place(v) < p {
		v.Class, v.Why = OlderCPU, fmt.Sprintf("it is for any %s; this processor is %s", cmp.Or(f.CPUBaseline, "processor"), h.CPU)
	}
	return v
}

// check returns why the build fails the rule, or "".
func (r Rule) check(h Host, w Want, f *Facts) string {
	switch r.How {
	case Same:
		return r.same(f.fact(r.Fact), h.fact(r.Fact))
	case AtLeast:
		return r.atLeast(f.fact(r.Fact), h.fact(r.Fact))
	}
	switch r.Fact {
	case "traits":
		for _, name := range slices.Sorted(maps.Keys(w.Traits)) {
			if have, ok := f.Traits[name]; ok && have != w.Traits[name] {
				return fmt.Sprintf("it was built with trait %s=%s; %s was asked for", name, have, w.Traits[name])
			}
		}
	case "deps":
		return depends(w, f)
	case "pic":
		if w.PIC && !f.PIC && f.Linkage == Static {
			return "it is not position-independent, which a shared library or PIE needs"
		}
	case "linkage":
		if !w.linkage(f) && !w.AnyLinkage {
			return fmt.Sprintf("it is %s; %s was asked for", f.Linkage, w.Linkage)
		}
	}
	return ""
}

func depends(w Want, f *Facts) string {
	for _, d := range f.Deps {
		want, ok := w.Deps[d.Name]
		switch {
		case !ok || d.Embedded:
		case want.Version != "" && Line(d.Version) != Line(want.Version):
			return fmt.Sprintf("it was built with %s %s; %s was chosen here", d.Name, d.Version, want.Version)
		case want.ABIID != "" && d.ABIID != "" && want.ABIID != d.ABIID:
			return fmt.Sprintf("it was built with another binary interface of %s (%.16s) than the one chosen here (%.16s)", d.Name, d.ABIID, want.ABIID)
		}
	}
	return ""
}

// same compares two values; a build that says nothing demands nothing.
func (r Rule) same(build, host string) string {
	switch {
	case build == "" || build == Any || build == host:
		return ""
	case host == "":
		return fmt.Sprintf("%s: it is for %s; what this machine has is not known", r.What, build)
	}
	return fmt.Sprintf("%s: it is for %s; this machine has %s", r.What, build, host)
}

// atLeast compares what a build needs with what the host has.
func (r Rule) atLeast(build, host string) string {
	if build == "" {
		return ""
	}
	if host == "" {
		return fmt.Sprintf("%s: it needs %s; what this machine has is not known", r.What, build)
	}
	var enough bool
	switch list := standards[r.Fact]; {
	case r.Fact == "cpu_baseline":
		bf, bp, known := level(build)
		hf, hp, ok := level(host)
		enough = known && ok && bf == hf && bp <= hp
	case list != nil:
		b := slices.Index(list, build)
		enough = b >= 0 && b <= slices.Index(list, host)
	default:
		enough = CompareDotted(build, host) <= 0
	}
	if enough {
		return ""
	}
	return fmt.Sprintf("%s: it needs at least %s; this machine has %s", r.What, build, host)
}

// CompareDotted compares versions of dotted numbers, as libraries of the system
// have them: -1, 0 or +1. Missing numbers are zero.
func CompareDotted(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if c := cmp.Compare(number(x, i), number(y, i)); c != 0 {
			return c
		}
	}
	return 0
}

func number(parts []string, i int) uint64 {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.ParseUint(parts[i], 10, 32)
	if err != nil {
		return 0 // Parse lets digits alone through; a host's word is compared as it is
	}
	return n
}
