package indextest

import (
	"embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/index"
)

//go:embed testdata/packages.jsonl testdata/relevance.txt
var testdata embed.FS

// Floors of the project's own set of judgements. They are what a good engine
// reaches, not the most: a change of ranking that falls below one of them has
// made finding packages worse.
var floors = map[string]Figures{
	"":        {Recall: .93, MRR: .95},
	"exact":   {Recall: 1, MRR: 1},
	"header":  {Recall: 1, MRR: 1},
	"typo":    {Recall: .95, MRR: .95},
	"prefix":  {Recall: .9, MRR: .9},
	"concept": {Recall: .85, MRR: .9},
}

// Run checks the engines that fresh makes: what index.Engine promises, and
// that they find what people mean. An engine from fresh is empty; Run closes
// it.
func Run(t *testing.T, fresh func(t *testing.T) index.Engine) {
	Conform(t, fresh)
	t.Run("relevance", func(t *testing.T) {
		t.Parallel()
		e := fresh(t)
		t.Cleanup(func() { _ = e.Close() })
		relevance(t, e)
	})
}

// Conform checks what index.Engine promises, and not how well is found.
func Conform(t *testing.T, fresh func(t *testing.T) index.Engine) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := fresh(t)
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.check(t, e)
		})
	}
}

func relevance(t *testing.T, e index.Engine) {
	dir := t.TempDir()
	for _, name := range []string{"packages.jsonl", "relevance.txt"} {
		b, err := testdata.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := ReadPackages(filepath.Join(dir, "packages.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := ReadJudgements(filepath.Join(dir, "relevance.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Put(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	got := Judge(t, e, set)
	for kind, want := range floors {
		t.Logf("%-8s %v", kind, got[kind])
		if got[kind].Recall < want.Recall || got[kind].MRR < want.MRR {
			t.Errorf("%q: %v; want at least R@5 %.2f, MRR %.2f", kind, got[kind], want.Recall, want.MRR)
		}
	}
}
