package content

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Roots and headers together cost no more than each alone. Not parallel: it
// measures what the process allocates.
func TestHeadersMany(t *testing.T) {
	const most = 256 << 20 // bytes
	entries := make([]entry, 30_000)
	for i := range entries {
		entries[i].Path = strings.Repeat("a/", 100) + fmt.Sprintf("%06d.h", i)
	}
	roots := slices.Repeat([]string{"a", "a/a", "./a/a/a/", "b"}, 25_000)
	for i := range 101 {
		roots = append(roots, strings.Repeat("a/", i))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := headers(entries, roots)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("%d roots and %d headers take %d bytes", len(roots), len(entries), n)
	}
	if len(got) != MaxHeaders || got[0] != "000000.h" || !slices.IsSorted(got) {
		t.Errorf("%d headers, the first %q; want %d and 000000.h", len(got), got[0], MaxHeaders)
	}
	small := headers([]entry{{File: File{Path: "x.h"}}, {File: File{Path: "in/x.h"}}, {File: File{Path: "in/y/z.hpp"}}, {File: File{Path: "in/n.c"}}}, []string{".", "in", "in/y"})
	if want := []string{"in/x.h", "in/y/z.hpp", "x.h", "y/z.hpp", "z.hpp"}; !slices.Equal(small, want) {
		t.Errorf("headers = %q; want %q", small, want)
	}
}
