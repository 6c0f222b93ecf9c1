package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func newTrustFetch(a *app) *cobra.Command {
	v := verification{app: a}
	var output, policyFile, trustedRoot string
	cmd := &cobra.Command{
		Use: "fetch [REFERENCE]...", DisableFlagsInUseLine: true,
		Short: "Bring signatures and trusted roots to where there is no network",
		Long: "Fetch every signature of the packages of a lock file, or of references, and the trusted roots of a policy,\n" +
			"into one folder. clyde verify --offline decides with that alone.",
		Example: "  clyde trust fetch --lock --policy policy.yaml\n  clyde verify --lock --policy policy.yaml --offline",
		Args:    wants(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.who.policy, v.who.trustedRoot = policyFile, trustedRoot
			return v.fetch(cmd.Context(), args, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&v.lock, "lock", "", "of every package of this lock file")
	f.Lookup("lock").NoOptDefVal = lockFile
	f.BoolVar(&v.builds, "builds", false, "with --lock: of the builds in it, too")
	f.StringVar(&policyFile, "policy", "", "the trusted roots of this policy (env "+policyVar+")")
	f.StringVar(&trustedRoot, "trusted-root", "", "trusted root in place of those that would have to be fetched")
	f.StringVarP(&output, "output", "o", filepath.FromSlash(trustDir), "folder to write")
	return cmd
}

// fetch records what a later check without a network asks for. What was there
// is replaced when everything has come.
func (v *verification) fetch(ctx context.Context, args []string, dir string) error {
	a := v.app
	if v.lock == "" && len(args) == 0 {
		return usagef("clyde trust fetch: the signatures of what?").fix("give --lock, or name references")
	}
	var list []*checked
	if v.lock != "" {
		var err error
		if list, err = v.locked(); err != nil {
			return err
		}
	}
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err != nil {
			return err
		}
		l, _, err := a.locate(ctx, t)
		if err != nil {
			return err
		}
		list = append(list, &checked{located: l})
	}
	archive, err := signing.CreateArchive(dir)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(checksAtOnce)
	for _, c := range list {
		g.Go(func() error {
			oc, err := a.oci(c.at)
			if err != nil {
				return err
			}
			return signing.Fetch(ctx, archive.Record(c.at.host, oc), c.subject)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	roots, err := v.fetchRoots(ctx, dir)
	if err != nil {
		return err
	}
	if err := v.fetchLists(ctx, dir); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if a.json {
		return a.emit("trust", struct {
			Directory string `json:"directory"`
			Packages  int    `json:"packages"`
			Roots     int    `json:"roots"`
		}{filepath.ToSlash(dir), len(list), roots})
	}
	a.say("fetched the signatures of %s and %s", plural(len(list), "package"), plural(roots, "trusted root"))
	return a.printf("%s\n", filepath.ToSlash(dir))
}

// fetchRoots writes the trusted roots of the policy, or the public sigstore's
// where there is none, and returns how many.
func (v *verification) fetchRoots(ctx context.Context, dir string) (int, error) {
	a := v.app
	p, _, err := a.policyOf(ctx, v.who)
	if err != nil {
		return 0, err
	}
	sources := []policy.TrustSource{{Name: publicSigstore, Public: true}}
	base := "."
	if p != nil {
		sources, base = p.Trusts, filepath.Dir(policyPath(v.who))
	}
	if err := os.MkdirAll(filepath.Join(dir, "roots"), 0o755); err != nil {
		return 0, err
	}
	n := 0
	for _, src := range sources {
		tr, err := a.roots(v.who, base)(ctx, src)
		if err != nil && p == nil && errors.Is(err, clyde.ErrUnavailable) {
			a.say("%s the public sigstore's trusted root could not be fetched; keys can be checked without it", a.paint(a.stderr, yellow, "warning:"))
			continue
		}
		if err != nil {
			return n, err
		}
		if err := os.WriteFile(archivedRoot(dir, src.Name), tr.JSON, 0o644); err != nil {
			return n, fmt.Errorf("write the trusted root %s: %w", src.Name, err)
		}
		n++
	}
	return n, nil
}
