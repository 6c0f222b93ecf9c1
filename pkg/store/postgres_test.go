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
		})
	})
}
