package binary_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/binary"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	archive := binary.File{Path: "lib/libz.a", Kind: binary.Archive, Strong: []string{"crc32", "deflate"}}
	shared := binary.File{Path: "lib/libz.so.1", Kind: binary.Shared, SOName: "libz.so.1", Strong: []string{"crc32", "inflate"}}
	tool := binary.File{Path: "bin/minigzip", Kind: binary.Executable, Strong: []string{"main"}}
	for _, tt := range []struct {
		name     string
		files    []binary.File
		so, syms string
		shared   bool
	}{
		{"both", []binary.File{shared, archive, tool}, "libz.so.1", "crc32 deflate", false},
		{"shared alone", []binary.File{shared, tool}, "libz.so.1", "crc32 inflate", true},
		{"an archive", []binary.File{archive, archive}, "", "crc32 deflate", false},
		{"nothing", nil, "", "", true},
	} {
		var r binary.Report
		for _, f := range tt.files {
			r.Add(&f)
		}
		l := r.Links()
		if strings.Join(l.SONames, " ") != tt.so || strings.Join(l.Symbols, " ") != tt.syms || l.Shared != tt.shared {
			t.Errorf("%s: Links = %+v; want %q, %q, shared %v", tt.name, l, tt.so, tt.syms, tt.shared)
		}
	}
}

func TestLinksLimits(t *testing.T) {
	t.Parallel()
	names := func(n, long int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("%0*d", long, i))
		}
		return all
	}
	for _, tt := range []struct {
		n, long, want int
	}{
		{binary.MaxLinkSymbols, 6, binary.MaxLinkSymbols},
		{binary.MaxLinkSymbols + 1, 6, binary.MaxLinkSymbols},
		{1024, 1024, binary.MaxLinkBytes / 1024},
		{1025, 1024, binary.MaxLinkBytes / 1024},
	} {
		var r binary.Report
		r.Add(&binary.File{Kind: binary.Archive, Strong: names(tt.n, tt.long)})
		if got := r.Links().Symbols; len(got) != tt.want || !slices.IsSorted(got) {
			t.Errorf("of %d symbols of %d bytes Links keeps %d; want %d", tt.n, tt.long, len(got), tt.want)
		}
	}
	var r binary.Report
	for _, name := range names(binary.MaxSONames+1, 3) {
		r.Add(&binary.File{Path: name, Kind: binary.Shared, SOName: name})
	}
	if got := r.Links().SONames; len(got) != binary.MaxSONames {
		t.Errorf("Links keeps %d SONAMEs; want %d", len(got), binary.MaxSONames)
	}
}
