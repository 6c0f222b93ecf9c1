package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
)

// always is --days without an end.
const always = "always"

func newNamespaceBuilds(a *app) *cobra.Command {
	var (
		days          string
		allow, forbid []string
	)
	cmd := a.does("builds NAMESPACE", "Say who may attach builds, and until when", "  clyde namespace builds acme\n  clyde namespace builds acme --days 30 --allow bob", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			ns, err := namespaceArg(args[0])
			if err != nil {
				return err
			}
			n := -1
			if days != "" && days != always {
				if n, err = strconv.Atoi(days); err != nil || n < 0 {
					return usagef("--days: %q is no number of days", days).fix("give one, or %s", always)
				}
			}
			p, err := c.BuildPolicy(ctx, ns)
			if err != nil {
				return err
			}
			if days != "" || len(allow)+len(forbid) > 0 {
				if days != "" {
					p.Days = n
				}
				p.Rebuilders = slices.DeleteFunc(append(p.Rebuilders, allow...), func(r string) bool { return slices.Contains(forbid, r) })
				slices.Sort(p.Rebuilders)
				p.Rebuilders = slices.Compact(p.Rebuilders)
				if p, err = c.SetBuildPolicy(ctx, ns, p); err != nil {
					return err
				}
			}
			if a.json {
				return a.emit("namespace", p)
			}
			return a.table([]column{{title: ""}, {title: ""}}, [][]string{
				{"builds accepted", daysText(p.Days)}, {"rebuilders", strings.Join(p.Rebuilders, " ")},
			})
		})
	f := cmd.Flags()
	f.StringVar(&days, "days", "", "days after its version in which a build may come, or "+always)
	f.StringSliceVar(&allow, "allow", nil, "let this one attach builds besides the publisher: a login, publisher:ID or token:ID")
	f.StringSliceVar(&forbid, "forbid", nil, "no longer let this one")
	return cmd
}

func daysText(n int) string {
	if n < 0 {
		return "for ever"
	}
	return "for " + plural(n, "day") + " after the version"
}
