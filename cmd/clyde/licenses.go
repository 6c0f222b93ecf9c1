package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/sbom"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// errPolicy is the kind of failure where a program would hold what somebody
// does not want in it.
var errPolicy = errors.New("policy")

// graph is what a lock of the project amounts to.
func (p *project) graph(l *resolve.Lock, w resolve.Want) *graph.Graph {
	m := p.manifest
	return graph.FromLock(graph.Package{
		Name: m.Name, Version: m.Version, License: m.License, LicenseFile: m.LicenseFile,
		Provides: m.Provides, Repository: m.Repository, Linkage: graph.TypeLinkage(m.Type),
	}, l, w)
}

// licensesJSON is what clyde licenses prints.
type licensesJSON struct {
	graph.Licenses
	OK bool `json:"ok"` // nothing excludes each other, and nothing is denied
}

func newLicenses(a *app) *cobra.Command {
	var d dependencyFlags
	var p graph.Policy
	var noDev, noBuild bool
	cmd := &cobra.Command{
		Use:   "licenses",
		Short: "List the licences of what the project needs, and what excludes each other",
		Long: "List the licences of what the project needs, from clyde.lock, and say which exclude each other in one\n" +
			"program, by SPDX identifiers and a table with a source for each rule. Of licences joined by OR the one that\n" +
			"fits is chosen. Tools and dev_requires are no part of the program: only --deny and --allow count for them.\n" +
			"Columns in a pipe: name, version, licence, what was chosen of it, class, linked or not. Exit status 11 means\n" +
			"a conflict, or a licence that is denied. It is a hint, not legal advice. Classes, from what asks for least:\n" +
			"public-domain, permissive, weak-copyleft, library-copyleft, strong-copyleft, network-copyleft, restricted,\n" +
			"proprietary, unknown.",
		Example: "  clyde licenses\n  clyde licenses --deny strong-copyleft,network-copyleft,unknown\n  clyde licenses --allow permissive,public-domain --json",
		Args:    wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.Check(); err != nil {
				return err
			}
			proj, lock, err := a.locked(cmd.Context(), d)
			if err != nil {
				return err
			}
			got := proj.graph(lock, resolve.Want{Dev: !noDev, NoBuild: noBuild}).Licenses(p)
			denied := got.Denied()
			var failure *clyde.Error
			switch {
			case len(denied) > 0:
				failure = clyde.Errorf(errPolicy, "%s under a licence that is denied", plural(len(denied), "package")).WithCode("license_denied").
					Fix("clyde why NAME shows through what a package is needed")
			case len(got.Conflicts) > 0:
				failure = clyde.Errorf(errPolicy, "%s of licences in one program", plural(len(got.Conflicts), "conflict")).WithCode("license_conflict").
					Fix("clyde why NAME shows through what a package is needed")
			}
			if a.json {
				if err := a.emit("licenses", licensesJSON{got, failure == nil}); err != nil || failure == nil {
					return err
				}
				return replied{failure}
			}
			if err := a.showLicenses(got); err != nil || failure == nil {
				return err
			}
			return failure
		},
	}
	d.register(cmd)
	d.pinned(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&p.Deny, "deny", nil, "fail if a package is under this licence or class; may be given several times")
	f.StringSliceVar(&p.Allow, "allow", nil, "fail if a package is under anything but these licences and classes")
	f.BoolVar(&noDev, "no-dev", false, "leave out what dev_requires need")
	f.BoolVar(&noBuild, "no-build", false, "leave out what build_requires need")
	return cmd
}

func (a *app) showLicenses(l graph.Licenses) error {
	var rows [][]string
	for _, p := range l.Packages {
		rows = append(rows, []string{p.Name, p.Version, p.License, p.Chosen, string(p.Class), map[bool]string{true: "linked", false: "beside"}[p.Linked]})
	}
	err := a.table([]column{{title: "PACKAGE"}, {title: "VERSION"}, {title: "LICENCE", gives: true}, {title: "CHOSEN", gives: true}, {title: "CLASS"}, {title: "USE"}}, rows)
	if err != nil {
		return err
	}
	for _, n := range l.Notices {
		kind := a.paint(a.stderr, yellow, "note:")
		if n.Code == "license_denied" {
			kind = a.paint(a.stderr, red, "denied:")
		}
		a.say("%s %s", kind, clean(n.Text))
	}
	for _, c := range l.Conflicts {
		a.say("%s %s (%s)", a.paint(a.stderr, red, "conflict:"), clean(c.Text), c.Source)
	}
	return nil
}

// Formats of clyde sbom.
const (
	formatCycloneDX = "cyclonedx"
	formatSPDX      = "spdx"
)

// bom writes what a lock of the project amounts to as a bill of materials.
func (p *project) bom(l *resolve.Lock, w resolve.Want, format string) ([]byte, error) {
	created, err := sourceDateEpoch()
	if err != nil {
		return nil, err
	}
	write := sbom.CycloneDX
	if format == formatSPDX {
		write = sbom.SPDX
	}
	return write(p.graph(l, w), sbom.Options{Tool: "clyde", ToolVersion: thisBuild().Version, Created: created, PURL: signing.PURL})
}

func newSBOM(a *app) *cobra.Command {
	var d dependencyFlags
	var format, output string
	var noDev, noBuild bool
	cmd := &cobra.Command{
		Use:   "sbom",
		Short: "Write a bill of materials of the project",
		Long: "Write what the project needs, from clyde.lock, as CycloneDX 1.6 or SPDX 2.3, both in JSON: versions, package\n" +
			"URLs, digests of the source archives, licences as declared, and what depends on what. The same lock file\n" +
			"gives the same bytes; a time stands in it only where SOURCE_DATE_EPOCH says one.",
		Example: "  clyde sbom --output app.cdx.json\n  clyde sbom --format spdx --locked",
		Args:    wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != formatCycloneDX && format != formatSPDX {
				return usagef("--format %q is neither %s nor %s", format, formatCycloneDX, formatSPDX)
			}
			p, lock, err := a.locked(cmd.Context(), d)
			if err != nil {
				return err
			}
			b, err := p.bom(lock, resolve.Want{Dev: !noDev, NoBuild: noBuild}, format)
			if err != nil {
				return err
			}
			if output == "" || output == "-" {
				_, err := a.stdout.Write(b)
				return err
			}
			if err := writeWhole(output, b, 0o644); err != nil {
				return err
			}
			a.say("wrote %s: %s", output, plural(len(lock.Packages), "package"))
			return nil
		},
	}
	d.register(cmd)
	d.pinned(cmd)
	f := cmd.Flags()
	f.StringVar(&format, "format", formatCycloneDX, "cyclonedx or spdx")
	f.StringVarP(&output, "output", "o", "", "file to write (default: standard output)")
	f.BoolVar(&noDev, "no-dev", false, "leave out what dev_requires need")
	f.BoolVar(&noBuild, "no-build", false, "leave out what build_requires need")
	return cmd
}
