package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// BenchmarkRead measures what a pull and a page of results ask, on 5,000
// packages.
func BenchmarkRead(b *testing.B) {
	ctx := b.Context()
	db := open(b, store.Options{Path: filepath.Join(b.TempDir(), "clyde.db")})
	var page []string
	for i := range 5000 {
		repo := fmt.Sprintf("acme/p%d", i)
		m := manifest(repo, i)
		if err := db.RestoreManifest(ctx, m, []string{"1.0.0"}); err != nil {
			b.Fatal(err)
		}
		p := store.Package{Repo: repo, Latest: "1.0.0", Doc: make([]byte, 800), Versions: 1}
		r := store.Release{Repo: repo, VersionKey: "1.0.0", Version: "1.0.0", Digest: m.Digest, State: "visible"}
		if err := db.SaveRelease(ctx, p, r, nil, store.Change{}); err != nil {
			b.Fatal(err)
		}
		if i%250 == 0 {
			page = append(page, repo)
		}
	}
	for _, bb := range []struct {
		name string
		run  func() error
	}{
		{"Tag", func() error { _, err := db.Tag(ctx, "acme/p77", "1.0.0"); return err }},
		{"Manifest", func() error { _, err := db.Manifest(ctx, "acme/p77", manifest("", 77).Digest); return err }},
		{"Hydrate20", func() error { _, err := db.Hydrate(ctx, page); return err }},
		{"ClaimNone", func() error { _, err := db.ClaimEvents(ctx, 4, time.Minute); return err }},
		{"Stats", func() error { _, _, err := db.Stats(ctx); return err }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if err := bb.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
