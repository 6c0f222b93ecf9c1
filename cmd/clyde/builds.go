package main

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

// wantFlags say what is asked of a build besides that it fits this machine.
type wantFlags struct {
	linkage, buildType string
	traits             []string
}

func (f *wantFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.linkage, "linkage", "", "static or shared; the other one only where there is none")
	fl.StringVar(&f.buildType, "build-type", "", "Release (default), RelWithDebInfo, MinSizeRel or Debug")
	fl.StringArrayVar(&f.traits, "trait", nil, "a trait the build must have: name=value; may be repeated")
}

func (f *wantFlags) want() (compat.Want, error) {
	w := compat.Want{Linkage: f.linkage, AnyLinkage: true, BuildType: f.buildType, Traits: map[string]string{}}
	if f.linkage != "" && f.linkage != compat.Static && f.linkage != compat.Shared {
		return w, usagef("--linkage is static or shared, not %q", f.linkage)
	}
	for _, t := range f.traits {
		name, value, ok := strings.Cut(t, "=")
		if !ok {
			return w, usagef("--trait wants name=value, not %q", t)
		}
		w.Traits[name] = value
	}
	return w, nil
}

// fitting is one build as builds prints it.
type fitting struct {
	client.Build
	Class string `json:"class,omitempty"` // with --for-host
	Fact  string `json:"fact,omitempty"`
	Why   string `json:"why,omitempty"`
}

func newBuilds(a *app) *cobra.Command {
	var (
		forHost, explain bool
		flags            wantFlags
	)
	cmd := a.about(&cobra.Command{
		Use:   "builds NAME[@RANGE]",
		Short: "List the binary builds of a version, and which fit this machine",
		Long: "List the binary builds of the latest version, or of the newest in RANGE. With --for-host, those that fit\n" +
			"this machine and its compiler (CC, CXX, CFLAGS, CXXFLAGS), the best first; none is exit status 6. With\n" +
			"--explain the others too, each with the first fact that failed. In a pipe the columns are separated by\n" +
			"tabs: system, processor, compiler, standard library, linkage, build type, abi_id, bytes, day, class, why,\n" +
			"names of shared libraries, number of symbols that no other file of a program may define.",
		Example: "  clyde builds @acme/fastjson\n  clyde builds @acme/fastjson --for-host --explain\n  CXXFLAGS=-stdlib=libc++ CXX=clang++ clyde builds @acme/fastjson --for-host",
	}, func(ctx context.Context, c *client.Client, t target) error {
		forHost = forHost || explain
		want, err := flags.want()
		if err != nil {
			return err
		}
		r, err := a.release(ctx, c, t)
		if err != nil {
			return err
		}
		all, err := c.Builds(ctx, t.name, r.Version)
		if err != nil {
			return err
		}
		out := make([]fitting, 0, len(all))
		for _, b := range all {
			out = append(out, fitting{Build: b})
		}
		var host *compat.Host
		fit := 0
		if forHost {
			h, err := toolchain.Detect(ctx, toolchain.Options{})
			if err != nil {
				return err
			}
			host = &h
			out, fit = fitTo(h, want, all, explain)
		}
		if err := a.showBuilds(t.name, r.Version, host, out); err != nil {
			return err
		}
		if forHost && fit == 0 {
			return noBuild(t.name, r.Version, len(all), explain)
		}
		return nil
	})
	flags.register(cmd)
	cmd.Flags().BoolVar(&forHost, "for-host", false, "only those that fit this machine, the best first")
	cmd.Flags().BoolVar(&explain, "explain", false, "also those that do not, and why (implies --for-host)")
	return cmd
}

// fitTo orders builds by how well they fit, and counts those that do.
func fitTo(h compat.Host, w compat.Want, all []client.Build, losers bool) (out []fitting, fit int) {
	byDigest := map[string]client.Build{}
	var candidates []compat.Candidate
	for _, b := range all {
		byDigest[b.Digest] = b
		candidates = append(candidates, compat.Candidate{Digest: b.Digest, Facts: b.Facts})
	}
	out = []fitting{}
	for _, v := range compat.Match(h, w, candidates) {
		if v.Fits() {
			fit++
		}
		if v.Fits() || losers {
			out = append(out, fitting{byDigest[v.Candidate.Digest], v.Class.String(), v.Fact, v.Why})
		}
	}
	return out, fit
}

func noBuild(name clyde.Name, version string, n int, explained bool) error {
	what := "there is none"
	if n > 0 {
		what = "none of " + plural(n, "build") + " does"
	}
	e := clyde.Errorf(errNoVersion, "no build of %s %s fits this machine: %s", name, version, what).WithCode("no_build").
		Fix("clyde install builds it from source")
	if n > 0 && !explained {
		e.Fix("clyde builds %s@%s --explain", name, version)
	}
	return e
}

func (a *app) showBuilds(name clyde.Name, version string, host *compat.Host, builds []fitting) error {
	if a.json {
		return a.emit("builds", struct {
			Name    string       `json:"name"`
			Version string       `json:"version"`
			Host    *compat.Host `json:"host,omitempty"`
			Rules   int          `json:"rules_version"`
			Builds  []fitting    `json:"builds"`
		}{name.String(), version, host, compat.RulesVersion, builds})
	}
	var rows [][]string
	for _, b := range builds {
		f := b.Facts
		abi, bytes := b.ABIID, strconv.FormatInt(b.Size, 10)
		if isTerminal(a.stdout) {
			abi, bytes = abi[:min(len(abi), 16)], size(b.Size)
		}
		var sonames, symbols string // "" of what the registry did not measure yet
		if l := b.Links; l != nil {
			sonames, symbols = strings.Join(l.SONames, " "), strconv.Itoa(l.Symbols)
		}
		rows = append(rows, []string{
			b.OS, b.Arch, strings.TrimSpace(f.Compiler.Family + " " + f.Compiler.Version), f.CXXStdlib.Family, f.Linkage,
			cmp.Or(f.BuildType, "-"), abi, bytes, day(b.Attached), b.Class, b.Why, sonames, symbols,
		})
	}
	return a.table([]column{
		{title: "OS"}, {title: "ARCH"}, {title: "COMPILER", gives: true}, {title: "STDLIB"}, {title: "LINKAGE"}, {title: "TYPE"},
		{title: "ABI", gives: true}, {title: "SIZE", right: true}, {title: "DATE"}, {title: "CLASS"}, {title: "WHY", gives: true},
		{title: "SONAME", gives: true}, {title: "SYMBOLS", right: true},
	}, rows)
}
