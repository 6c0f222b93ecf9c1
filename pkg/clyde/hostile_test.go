package clyde_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const named = "name: \"@acme/x\"\nversion: \"1.0.0\"\n"

// list writes n of format, counted, in brackets of YAML.
func list(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// What a document costs does not grow with the pointers of its values, which
// together can be thousands of times its size. Not parallel: it measures what
// the process allocates.
func TestManifestMemory(t *testing.T) {
	const most = raceCost * 256 << 20 // bytes; yaml.v3 itself takes some 50 MB for 100,000 values
	key := "x-" + strings.Repeat("~", clyde.MaxKeyLen-2)
	deep := func(leaf string) string {
		open := strings.Repeat("{"+key+": ", clyde.MaxManifestDepth-2)
		head := named + key + ": " + open + "["
		tail := "]" + strings.Repeat("}", clyde.MaxManifestDepth-2) + "\n"
		return head + strings.Repeat(leaf, (clyde.MaxManifestSize-len(head)-len(tail))/len(leaf)) + tail
	}
	long := named + "? x-" + strings.Repeat("k", 100_000) + "\n: ["
	for name, doc := range map[string]string{
		"one long key":    long + strings.Repeat("a,", (clyde.MaxManifestSize-len(long)-2)/2) + "]\n",
		"deep keys":       deep("a,"),
		"deep problems":   deep("!a b,"),
		"hidden":          deep("\"\\a\","),
		"unknown keys":    named + list("b%d:\n", 30_000),
		"other keywords":  named + "keywords: [" + list("k%d,", 36_000) + "]\n",
		"other warnings":  named + "requires: {" + list("A%d: ^1, ", 20_000) + "}\n",
		"unknown classes": named + "categories: [" + list("k%d,", 36_000) + "]\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := clyde.Validate([]byte(doc), clyde.ValidateOptions{Publish: true})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d bytes make the parser allocate %d", name, len(doc), n)
		}
		e := clyde.AsError(err)
		if name == "deep keys" {
			if err != nil {
				t.Errorf("%s: %.300s; want it accepted", name, err)
			}
		} else if e == nil || len(e.Problems) > clyde.MaxProblems {
			t.Errorf("%s: %.300v; want an error of at most %d problems", name, err, clyde.MaxProblems)
		}
	}
}

// A document that is all warnings is refused once there are too many of them:
// what is not looked at could hold anything.
func TestManifestTooManyFound(t *testing.T) {
	t.Parallel()
	_, ps := clyde.ParseManifest([]byte(named + "requires:\n" + list("  N%d: ^1\n", clyde.MaxProblems*10-1)))
	if len(ps.Errors()) > 0 {
		t.Errorf("just below: %.300s", listing(ps.Errors()))
	}
	_, ps = clyde.ParseManifest([]byte(named + "requires:\n" + list("  N%d: ^1\n", clyde.MaxProblems*10)))
	if e := ps.Errors(); len(e) == 0 || e[0].Code != "too_many_problems" {
		t.Errorf("at the limit: %.300s; want too_many_problems", listing(e))
	}
}
