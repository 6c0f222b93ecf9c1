package compat

import "encoding/json"

// Profile is what a build asks of a machine, as a text that many builds share:
// its facts without those that are of the package alone, such as what it was
// built against. It is no format to store: Suits reads it, of the same release.
func (f *Facts) Profile() string {
	p := *f
	p.Schema, p.BuildType, p.PIC, p.SourceDigest, p.Builder = 0, "", false, "", Builder{}
	p.Traits, p.ABITraits, p.Deps, p.Flags = nil, nil, nil, nil
	if p.LTO == "" && p.Compiler.Family != "msvc" {
		p.Compiler = Compiler{} // whose code it is does not matter
	}
	b, err := json.Marshal(&p)
	if err != nil {
		return "" // a struct of strings always has a JSON form
	}
	return string(b)
}

// Suits reports whether a build of this profile fits the machine, whatever its
// traits, dependencies and linkage: what Match says of a Want that leaves all of
// them open.
func (h Host) Suits(profile string) bool {
	var f Facts
	if json.Unmarshal([]byte(profile), &f) != nil {
		return false
	}
	return judge(h, Want{AnyLinkage: true}, Candidate{Facts: &f}).Fits()
}
