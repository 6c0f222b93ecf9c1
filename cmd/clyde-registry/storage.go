package main

import (
	"fmt"
	"strings"
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

func newScrub(a *app) *cobra.Command {
	var args server.ScrubAll
	c := &cobra.Command{
		Use: "scrub", Short: "Hash every blob again, and heal what is damaged", Args: exactly(0),
		Long: "scrub reads every blob and compares it with its digest. What is damaged is set aside and\n" +
			"fetched from registry.mirror, where there is one; else pushing the same version again heals\n" +
			"it. The packages that a damage hits are listed, and show it as a problem. It exits with 1\n" +
			"when something is damaged and not healed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s registry.Scrub
			if err := a.ask(cmd, "scrub", args, &s); err != nil {
				return err
			}
			if a.json {
				if err := a.printJSON(s); err != nil {
					return err
				}
			} else {
				a.printScrub(s)
			}
			if n := s.Open(); n > 0 {
				return fmt.Errorf("%d blobs are damaged", n)
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&args.DryRun, "dry-run", false, "only report: set nothing aside, heal nothing")
	f.Int64Var(&args.Rate, "rate", 0, "bytes to read a second; -1 is as fast as it goes (default registry.scrub_rate)")
	return c
}

func (a *app) printScrub(s registry.Scrub) {
	for _, d := range s.Damages {
		healed := ""
		if d.Healed {
			healed = ", healed from the mirror"
		}
		fmt.Fprintf(a.stdout, "%s is %s%s\n", d.Digest, d.Problem, healed)
		for _, h := range d.Hits {
			what := h.Manifest
			if len(h.Tags) > 0 {
				what = strings.Join(h.Tags, ", ")
			}
			if h.Subject != "" {
				what += ", which belongs to " + h.Subject
			}
			fmt.Fprintf(a.stdout, "  hits @%s: %s\n", h.Repo, what)
		}
		if len(d.Hits) == 0 {
			fmt.Fprintf(a.stdout, "  no manifest needs it\n")
		}
	}
	fmt.Fprintf(a.stdout, "Hashed %d blobs, %d bytes, in %s: %d damaged, %d of them healed.\n", s.Blobs, s.Bytes, s.Took.Round(time.Millisecond), len(s.Damages), s.Healed)
}
