package memory_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// TestRelevanceShared is the gate on the larger set of judgements, which is
// not part of the project.
func TestRelevanceShared(t *testing.T) {
	t.Parallel()
	docs, err := indextest.ReadPackages(indextest.Shared(t, "packages.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := indextest.ReadJudgementLines(indextest.Shared(t, "relevance-dev.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	e := memory.New(patient)
	if err := e.Put(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	got := indextest.Judge(t, e, set)
	for _, kind := range []string{"", "exact", "prefix", "typo", "concept"} {
		t.Logf("%-8s %v", kind, got[kind])
	}
	for _, tt := range []struct {
		what      string
		got, want float64
	}{
		{"R@5", got[""].Recall, .82},
		{"MRR", got[""].MRR, .90},
		{"exact names' MRR", got["exact"].MRR, 1},
		{"typos' R@5", got["typo"].Recall, .95},
	} {
		if tt.got < tt.want {
			t.Errorf("%s = %.3f; want at least %.3f", tt.what, tt.got, tt.want)
		}
	}
}
