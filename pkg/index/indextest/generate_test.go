package indextest_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
)

// Packages say no more than they must; there are queries for them all the same.
func TestQueriesOfBareDocuments(t *testing.T) {
	t.Parallel()
	docs := []index.Document{{Name: clyde.Name{Namespace: "acme", Base: "z"}}}
	n := 0
	for q := range indextest.Queries(docs, 1) {
		if q.Text == "z.h" {
			return
		}
		if n++; n == 1000 {
			t.Fatal("a thousand queries, and none for a header")
		}
	}
}
