package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// migrated is what migrate prints as JSON.
type migrated struct {
	Rows   int64         `json:"rows"`
	Tables []store.Table `json:"tables"`
}

func newMigrate(a *app) *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use: "migrate", Short: "Move what the registry knows from one database to another", Args: exactly(0),
		Long: "Copies everything from one database into another that is empty, and compares both, row by\n" +
			"row. Stop the servers first. Blobs stay where they are. The original is left as it is.",
		Example: "  clyde-registry migrate --from sqlite:/var/lib/clyde/clyde.db --to postgres://clyde@db/clyde\n" +
			"  CLYDE_DATABASE_URL=postgres://… clyde-registry migrate --from sqlite:data/clyde.db",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usageError{fmt.Errorf("say where from: --from sqlite:PATH or --from postgres://…")}
			}
			if to == "" {
				cfg, err := a.read()
				if err != nil {
					return err
				}
				if to, err = cfg.Database.Address(); err != nil {
					return err
				}
			}
			if to == "" {
				return usageError{fmt.Errorf("say where to: --to, or database.url in the configuration")}
			}
			tables, err := server.Migrate(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			out := migrated{Tables: tables}
			for _, t := range tables {
				out.Rows += t.Rows
			}
			return a.result(out, "%d rows of %d tables are copied, and the same on both sides.", out.Rows, len(tables))
		},
	}
	c.Flags().StringVar(&from, "from", "", "the database that is (sqlite:PATH or postgres://…)")
	c.Flags().StringVar(&to, "to", "", "the empty one (default: database.url)")
	return c
}
