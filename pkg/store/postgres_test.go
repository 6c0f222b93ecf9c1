package store_test

import (
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/store/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	migrated := server.Database(t)
	if err := open(t, store.Options{URL: migrated}).Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("Store", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
			return open(t, store.Options{URL: server.Copy(t, migrated), Now: now})
		})
	})
	t.Run("Replicas", func(t *testing.T) {
		storetest.RunReplicas(t, func(t *testing.T) [2]*store.DB {
			url := server.Copy(t, migrated)
			return [2]*store.DB{open(t, store.Options{URL: url}), open(t, store.Options{URL: url})}
		}, true)
	})
	t.Run("Versions", func(t *testing.T) {
		t.Parallel()
		url := server.Copy(t, migrated)
		here, there := open(t, store.Options{URL: url}), open(t, store.Options{URL: url})
		versionsAreShared(t, here, there)
	})
}

// What one process writes changes the versions that another caches by.
func versionsAreShared(t *testing.T, here, there *store.DB) {
	ctx := t.Context()
	version := func(repo string) uint64 {
		t.Helper()
		v, err := there.AccessVersion(ctx)
		if repo != "" {
			v, err = there.PackageVersion(ctx, repo)
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for what, tt := range map[string]struct {
		repo string
		do   func() error
		same bool
	}{
		"a setting": {repo: "acme/a", do: func() error {
			return here.SaveSetting(ctx, store.Setting{Repo: "acme/a", Private: true}, store.Change{}, store.AuditEntry{})
		}},
		"another's": {repo: "acme/a", same: true, do: func() error {
			return here.SaveSetting(ctx, store.Setting{Repo: "acme/b", Private: true}, store.Change{}, store.AuditEntry{})
		}},
		"everything": {repo: "acme/a", do: func() error { return here.DropDerived(ctx) }},
		"a token": {do: func() error {
			return here.AddToken(ctx, store.Token{ID: "t1", Hash: []byte("h")}, store.AuditEntry{})
		}},
		"an account": {do: func() error {
			_, err := here.AddAccount(ctx, store.Account{Login: "ada"}, nil, store.AuditEntry{})
			return err
		}},
	} {
		before := version(tt.repo)
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		if after := version(tt.repo); (after == before) != tt.same {
			t.Errorf("%s: version %d, then %d", what, before, after)
		}
	}
	before := version("")
	if err := here.RevokeToken(ctx, "t1", store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if version("") == before {
		t.Error("a revocation changes no version elsewhere")
	}
}
