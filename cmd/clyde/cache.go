package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/install"
)

// storeVar names the folder of the store.
const storeVar = "CLYDE_STORE"

// defaultUnused is how long an item of the store is kept without being used.
const defaultUnused = 30 * 24 * time.Hour

// store opens the store: CLYDE_STORE, else what the configuration says, else
// store beside the cache of indexes.
func (a *app) store() (*install.Store, error) {
	dir := os.Getenv(storeVar)
	if dir == "" {
		dir = a.settings.Store
	}
	if dir == "" {
		cache, err := cacheDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(cache, "store")
	}
	return install.OpenStore(dir)
}

func newCache(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look after the packages that installing keeps",
		Long: "Installing keeps what it fetched, unpacked and built in a store that all projects of a user share:\n" +
			"CLYDE_STORE, else the setting store, else clyde/store in the folder of caches. Projects have copies of\n" +
			"their own, so that nothing breaks when the store is cleaned.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	var all bool
	var unused string
	cleanCmd := &cobra.Command{
		Use: "clean [flags]", Short: "Remove what was not used for 30 days, or --unused, or all", Args: wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			age := defaultUnused
			if unused != "" {
				if all {
					return usagef("--all and --unused exclude each other")
				}
				var err error
				if age, err = parseAge(unused); err != nil {
					return err
				}
			}
			before := time.Now().Add(-age)
			if all {
				before = time.Now().Add(24 * time.Hour) // and what a wrong clock has used tomorrow
			}
			return a.cacheClean(cmd.Context(), before)
		},
	}
	cleanCmd.Flags().BoolVar(&all, "all", false, "remove everything")
	cleanCmd.Flags().StringVar(&unused, "unused", "", "remove what was not used for this long: 30d, 12h")
	cmd.AddCommand(
		&cobra.Command{
			Use: "ls", Short: "List what is there, with sizes", Args: wants(0, 0),
			RunE: func(*cobra.Command, []string) error { return a.cacheList() },
		},
		&cobra.Command{
			Use: "verify", Short: "Read everything again, and remove what is damaged", Args: wants(0, 0),
			RunE: func(cmd *cobra.Command, _ []string) error { return a.cacheVerify(cmd.Context()) },
		},
		cleanCmd,
		&cobra.Command{
			Use: "path", Short: "Print where the store is", Args: wants(0, 0),
			RunE: func(*cobra.Command, []string) error {
				s, err := a.store()
				if err != nil {
					return err
				}
				if a.json {
					return a.emit("cache", map[string]string{"path": s.Dir()})
				}
				return a.printf("%s\n", s.Dir())
			},
		},
	)
	return cmd
}

// parseAge reads a duration in days, or as Go writes it.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, usagef("%q is no duration", s).fix("write it like 30d or 12h")
	}
	return d, nil
}

// cacheJSON is what cache ls and cache clean print.
type cacheJSON struct {
	Path  string         `json:"path"`
	Size  int64          `json:"size"` // bytes
	Items []install.Item `json:"items"`
}

func (a *app) cacheList() error {
	s, err := a.store()
	if err != nil {
		return err
	}
	items, err := s.List()
	if err != nil {
		return err
	}
	out := cacheJSON{Path: s.Dir(), Items: append([]install.Item{}, items...)}
	var rows [][]string
	for _, it := range items {
		out.Size += it.Size
		what := it.Label
		if what == "" {
			what = it.Key[:min(len(it.Key), 16)]
		}
		rows = append(rows, []string{string(it.Kind), size(it.Size), it.Used.Local().Format(time.DateOnly), what})
	}
	if a.json {
		return a.emit("cache", out)
	}
	if err := a.table([]column{{title: "KIND"}, {title: "SIZE"}, {title: "USED"}, {title: "WHAT"}}, rows); err != nil {
		return err
	}
	a.say("%s, %s in %s", plural(len(items), "item"), size(out.Size), s.Dir())
	return nil
}

func (a *app) cacheClean(ctx context.Context, before time.Time) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	gone, err := s.Clean(ctx, before, func() { a.say("waiting for a clyde that installs") })
	if err != nil {
		return err
	}
	out := cacheJSON{Path: s.Dir(), Items: append([]install.Item{}, gone...)}
	for _, it := range gone {
		out.Size += it.Size
	}
	if a.json {
		return a.emit("cache", out)
	}
	a.say("removed %s, %s", plural(len(gone), "item"), size(out.Size))
	return nil
}

func (a *app) cacheVerify(ctx context.Context) error {
	s, err := a.store()
	if err != nil {
		return err
	}
	checked, wrong, err := s.Verify(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.emit("cache", struct {
			Path    string           `json:"path"`
			Checked int              `json:"checked"`
			Damaged []install.Damage `json:"damaged"`
		}{s.Dir(), checked, append([]install.Damage{}, wrong...)})
		if err != nil {
			return err
		}
	} else {
		for _, d := range wrong {
			what := d.Label
			if what == "" {
				what = d.Key
			}
			if err := a.printf("%s %s: %s\n", d.Kind, clean(what), clean(strings.Join(d.Files, ", "))); err != nil {
				return err
			}
		}
		a.say("%s checked, %d damaged", plural(checked, "item"), len(wrong))
	}
	if len(wrong) == 0 {
		return nil
	}
	e := clyde.Errorf(clyde.ErrUnverified, "%s of the store was damaged and is removed", plural(len(wrong), "item")).WithCode("store_damaged").
		Fix("run clyde install: what is needed is fetched and built again")
	if a.json {
		a.explain(e)
		return shownError{e}
	}
	return e
}
