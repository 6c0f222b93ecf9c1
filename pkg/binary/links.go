package binary

import "slices"

// Limits of what is kept of a build to compare it with others. Ours: zlib
// defines 90 symbols, OpenSSL's libcrypto 6,000; of a library with more the
// first in order are compared, which is those of any other that has them too.
const (
	MaxLinkSymbols = 20_000  // symbols of one build
	MaxLinkBytes   = 1 << 20 // bytes of their names, those of SONAMEs included
	MaxSONames     = 200     // shared libraries of one build
)

// Links is what a linker and a loader find in the files of a build.
type Links struct {
	SONames []string // of shared libraries, sorted
	Symbols []string // that no other file of a program may define, sorted
	Shared  bool     // Symbols are those of shared libraries, for want of archives
}

// Links returns what the files of the build bring into a program, within the
// limits. What is the same in its archives and its shared libraries counts as
// the archives'.
func (r *Report) Links() Links {
	l := Links{Shared: r.Archives == 0}
	of := Archive
	if l.Shared {
		of = Shared
	}
	for i := range r.Files {
		f := &r.Files[i]
		if f.SOName != "" {
			l.SONames = append(l.SONames, f.SOName)
		}
		if f.Kind == of {
			l.Symbols = append(l.Symbols, f.Strong...)
		}
	}
	room := MaxLinkBytes
	for _, list := range []struct {
		names *[]string
		most  int
	}{{&l.SONames, MaxSONames}, {&l.Symbols, MaxLinkSymbols}} {
		slices.Sort(*list.names)
		all := slices.Compact(*list.names)
		n := 0
		for n < min(len(all), list.most) && room >= len(all[n]) {
			room -= len(all[n])
			n++
		}
		*list.names = slices.Clone(all[:n])
	}
	return l
}
