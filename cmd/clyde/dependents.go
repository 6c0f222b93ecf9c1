package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
)

// maxDependents is how many dependents are listed: as many as the registry looks
// at.
const maxDependents = 10_000

func newDependents(a *app) *cobra.Command {
	var q client.DependentsQuery
	cmd := a.about(&cobra.Command{
		Use:   "dependents NAME[@RANGE]",
		Short: "List the packages that require one",
		Long: "List the packages whose latest version requires the one named, as far as you may see them. With RANGE, those\n" +
			"that admit a version in it; an exact version is =1.2.3. With --transitive also those that need it by way of\n" +
			"others. Columns in a pipe: name, version, range, steps away, next package on the way.",
		Example: "  clyde dependents @acme/zlib\n  clyde dependents '@acme/zlib@=1.3.1' --transitive",
	}, func(ctx context.Context, c *client.Client, t target) error {
		if !t.rng.IsZero() {
			if q.Range = t.rng.String(); strings.HasPrefix(q.Range, "=") {
				q.Version, q.Range = strings.TrimSpace(q.Range[1:]), ""
			}
		}
		all := client.DependentsPage{Items: []client.Dependent{}}
		for q.Limit = maxPage; ; {
			page, err := c.Dependents(ctx, t.name, q)
			if err != nil {
				return err
			}
			all.Items, all.Truncated = append(all.Items, page.Items...), page.Truncated
			if q.Cursor = page.NextCursor; q.Cursor == "" || len(all.Items) >= maxDependents {
				break
			}
		}
		return a.showDependents(all)
	})
	cmd.Flags().BoolVar(&q.Transitive, "transitive", false, "also those that need it by way of others")
	return cmd
}

func (a *app) showDependents(all client.DependentsPage) error {
	if a.json {
		return a.emit("dependents", all)
	}
	if len(all.Items) == 0 {
		a.say("nothing requires it")
		return nil
	}
	var rows [][]string
	for _, d := range all.Items {
		steps, via := "1", d.Via
		if d.Depth > 0 {
			steps = strconv.Itoa(d.Depth)
		}
		rng := d.Range
		if rng == "" {
			rng = "*"
		}
		rows = append(rows, []string{d.Name, d.Version, rng, steps, via})
	}
	err := a.table([]column{{title: "PACKAGE"}, {title: "VERSION"}, {title: "REQUIRES", gives: true}, {title: "STEPS", right: true}, {title: "BY WAY OF", gives: true}}, rows)
	if all.Truncated {
		a.say("there are more than the registry looks at")
	}
	return err
}
