package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/server"
)

func newGC(a *app) *cobra.Command {
	var args server.Collect
	c := &cobra.Command{
		Use: "gc", Short: "Remove blobs that no manifest names, beside running pushes", Args: exactly(0),
		Long: "gc removes blobs that no manifest names and that are older than registry.gc_grace. It\n" +
			"never removes what a version, a signature, an SBOM or a build needs, quarantined ones\n" +
			"included, and runs beside pushes. The server does the same every registry.gc_every.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var c registry.Collection
			if err := a.ask(cmd, "gc", args, &c); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(c)
			}
			done := "Removed"
			if c.DryRun {
				done = "Would remove"
				for _, g := range c.Garbage {
					if g.Repo == "" {
						fmt.Fprintf(a.stdout, "%s  %d bytes\n", g.Digest, g.Size)
					} else {
						fmt.Fprintf(a.stdout, "%s  link of @%s\n", g.Digest, g.Repo)
					}
				}
			}
			fmt.Fprintf(a.stdout, "%s %d of %d blobs, %d bytes, and %d links, in %s. %d manifests keep what they name; %d blobs and links are within the grace of %s.\n",
				done, c.Removed, c.Blobs, c.Freed, c.Links, c.Took.Round(time.Millisecond), c.Manifests, c.Young, c.Grace)
			if c.Unknown > 0 {
				fmt.Fprintf(a.stdout, "%d manifests are in the files and not in the database: clyde-registry reindex takes them in.\n", c.Unknown)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&args.DryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return c
}
