package graph_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func name(t interface{ Fatal(...any) }, s string) clyde.Name {
	n, err := clyde.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// program returns the graph of a project under one licence that links packages
// under the others, @aa/p0, @aa/p1 and so on.
func program(t interface{ Fatal(...any) }, license string, others ...string) *graph.Graph {
	g := &graph.Graph{Root: graph.Package{Name: name(t, "@app/app"), License: license}}
	for i, l := range others {
		n := name(t, fmt.Sprintf("@aa/p%d", i))
		g.Packages = append(g.Packages, graph.Package{Name: n, License: l})
		g.Root.Requires = append(g.Root.Requires, resolve.Edge{Name: n, Kind: resolve.Runtime})
	}
	return g
}

func TestLicenseConflicts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		root   string
		others []string
		want   string // rules, joined by spaces
		chosen string // of the first package
	}{
		{"MIT", []string{"Apache-2.0", "Zlib"}, "", ""},
		{"MIT", []string{"GPL-2.0-only", "Apache-2.0"}, "gpl2-apache2", ""},
		{"MIT", []string{"Apache-2.0", "GPL-2.0-only"}, "gpl2-apache2", ""},
		{"MIT", []string{"GPL-2.0-or-later", "Apache-2.0"}, "", "GPL-3.0-only"},
		{"MIT", []string{"GPL-2.0+", "Apache-2.0"}, "", "GPL-3.0-only"},
		{"MIT", []string{"GPL-2.0", "Apache-2.0"}, "gpl2-apache2", ""},
		{"MIT", []string{"GPL-2.0-only", "GPL-3.0-only"}, "gpl2-gpl3", ""},
		{"MIT", []string{"GPL-2.0-only", "GPL-3.0-or-later"}, "gpl2-gpl3", ""},
		{"MIT", []string{"GPL-2.0-or-later", "GPL-3.0-or-later"}, "", "GPL-3.0-only"},
		{"MIT", []string{"GPL-2.0-or-later", "GPL-2.0-only"}, "", "GPL-2.0-only"},
		{"MIT", []string{"GPL-3.0-only", "Apache-2.0", "LGPL-3.0-only", "MPL-2.0"}, "", ""},
		{"MIT", []string{"GPL-2.0-only", "LGPL-3.0-or-later"}, "gpl2-lgpl3", ""},
		{"MIT", []string{"GPL-2.0-only", "LGPL-2.1-or-later"}, "", ""},
		{"MIT", []string{"Apache-2.0 OR MIT", "GPL-2.0-only"}, "", "MIT"},
		{"MIT", []string{"Apache-2.0 AND MIT", "GPL-2.0-only"}, "gpl2-apache2", ""},
		{"MIT", []string{"(Apache-2.0 OR MIT) AND BSD-3-Clause", "GPL-2.0-only"}, "", "MIT AND BSD-3-Clause"},
		{"MIT", []string{"Apache-2.0 WITH LLVM-exception", "GPL-2.0-only"}, "", ""},
		{"MIT", []string{"GPL-2.0-only WITH Classpath-exception-2.0", "Apache-2.0"}, "", ""},
		{"MIT", []string{"GPL-2.0-only WITH Bison-exception-2.2", "Apache-2.0"}, "gpl2-apache2", ""},
		{"MIT", []string{"GPL-2.0-only WITH openvpn-openssl-exception", "OpenSSL"}, "", ""},
		{"MIT", []string{"GPL-3.0-only", "OpenSSL"}, "gpl-openssl", ""},
		{"MIT", []string{"AGPL-3.0-only", "GPL-3.0-only"}, "", ""},
		{"MIT", []string{"AGPL-3.0-only", "GPL-2.0-only"}, "gpl2-agpl3", ""},
		{"MIT", []string{"GPL-3.0-only", "SSPL-1.0"}, "copyleft-restricted", ""},
		{"MIT", []string{"MPL-2.0-no-copyleft-exception", "GPL-3.0-only"}, "gpl-mpl2-only", ""},
		{"LicenseRef-Proprietary", []string{"GPL-3.0-only"}, "copyleft-own", ""},
		{"LicenseRef-Proprietary", []string{"GPL-3.0-only OR MIT"}, "", "MIT"},
		{"LicenseRef-Proprietary", []string{"LGPL-2.1-only", "MPL-2.0"}, "", ""},
		{"", []string{"GPL-2.0-only", "", "no expression"}, "", ""},
		{"GPL-2.0-only", []string{"Apache-2.0"}, "gpl2-apache2", ""},
		// What fits one does not fit another: no choice is right.
		{"MIT", []string{"GPL-2.0-or-later", "Apache-2.0", "GPL-2.0-only"}, "gpl2-apache2 gpl2-apache2", "GPL-2.0-only"},
	} {
		t.Run(tt.root+" "+strings.Join(tt.others, ", "), func(t *testing.T) {
			t.Parallel()
			got := program(t, tt.root, tt.others...).Licenses(graph.Policy{})
			var have []string
			for _, c := range got.Conflicts {
				have = append(have, c.Rule)
				if !strings.HasPrefix(c.Source, "https://") || !strings.HasPrefix(c.Text, c.Packages[0]) || !strings.Contains(c.Text, c.Packages[1]) {
					t.Errorf("conflict %+v", c)
				}
			}
			// The last case has one more way to be as wrong: either pair counts.
			if strings.Join(have, " ") != tt.want && len(strings.Fields(tt.want)) < 2 {
				t.Errorf("conflicts %q; want %q", have, tt.want)
			}
			if tt.chosen != "" && got.Packages[0].Chosen != tt.chosen && len(strings.Fields(tt.want)) < 2 {
				t.Errorf("chosen %q; want %q", got.Packages[0].Chosen, tt.chosen)
			}
			if len(strings.Fields(tt.want)) == 2 && len(have) == 0 {
				t.Error("no conflict")
			}
		})
	}
}

func TestLicenseNotices(t *testing.T) {
	t.Parallel()
	g := program(t, "MIT", "LGPL-2.1-only", "LGPL-2.1-only", "MPL-2.0", "GPL-3.0-only", "AGPL-3.0-only", "BUSL-1.1", "LicenseRef-x", "", "", "what?", "MIT")
	g.Packages[1].Linkage = graph.Shared
	g.Packages[8].LicenseFile = "COPYING"
	var got []string
	for _, n := range g.Licenses(graph.Policy{}).Notices {
		got = append(got, n.Package+" "+n.Code)
	}
	want := []string{
		"@aa/p0 license_relink", "@aa/p1 license_files", "@aa/p2 license_files", "@aa/p3 license_whole", "@aa/p4 license_network",
		"@aa/p5 license_restricted", "@aa/p6 license_unknown", "@aa/p7 license_none", "@aa/p8 license_unknown", "@aa/p9 license_unknown",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestToolsDoNotConflict: what only runs beside a program is no part of it.
func TestToolsDoNotConflict(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*graph.Graph){
		func(g *graph.Graph) { g.Root.Requires[0].Kind = resolve.Build },
		func(g *graph.Graph) { g.Root.Requires[0].Kind = resolve.Dev },
		func(g *graph.Graph) { g.Packages[0].Linkage = graph.Program },
	} {
		g := program(t, "Apache-2.0", "GPL-2.0-only")
		change(g)
		if got := g.Licenses(graph.Policy{}); len(got.Conflicts) > 0 || got.Packages[0].Linked || len(got.Notices) > 0 {
			t.Errorf("%+v", got)
		}
		denied := g.Licenses(graph.Policy{Deny: []string{"strong-copyleft"}})
		if len(denied.Denied()) != 1 {
			t.Errorf("a tool that is denied: %+v", denied.Notices)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		license     string
		deny, allow []string
		chosen      string
		denied      bool
	}{
		{"MIT", nil, nil, "", false},
		{"MIT", []string{"MIT"}, nil, "", true},
		{"MIT OR Zlib", []string{"MIT"}, nil, "Zlib", false},
		{"MIT OR GPL-3.0-only", nil, []string{"GPL-3.0-only"}, "GPL-3.0-only", false},
		{"GPL-3.0-only", []string{"strong-copyleft"}, nil, "", true},
		{"GPL-2.0-or-later", []string{"GPL-3.0-or-later"}, nil, "GPL-2.0-only", false},
		{"Zlib", nil, []string{"permissive"}, "", false},
		{"MPL-2.0", nil, []string{"permissive"}, "", true},
		{"", []string{"unknown"}, nil, "", true},
		{"", nil, []string{"permissive"}, "", true},
	} {
		p := graph.Policy{Deny: tt.deny, Allow: tt.allow}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		got := program(t, "MIT", tt.license).Licenses(p)
		if got.Packages[0].Chosen != tt.chosen || len(got.Denied()) > 0 != tt.denied {
			t.Errorf("%q under %+v: chosen %q, denied %v", tt.license, p, got.Packages[0].Chosen, got.Denied())
		}
	}
	for _, bad := range []string{"GPLv3", "MIT OR Zlib", "copyleft", ""} {
		p := graph.Policy{Deny: []string{bad}}
		if err := p.Check(); err == nil {
			t.Errorf("a policy that denies %q is accepted", bad)
		}
	}
}

// TestTables: every line of the tables is whole, and means licences that exist.
func TestTables(t *testing.T) {
	t.Parallel()
	read := func(file string, fields int) (out [][]string) {
		b, err := os.ReadFile("data/" + file + ".tsv")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if line[0] == '#' {
				continue
			}
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(f) != fields || slices.Contains(f, "") {
				t.Fatalf("%s: %q has not %d fields", file, line, fields)
			}
			out = append(out, f)
		}
		return out
	}
	source := func(s string) {
		if !strings.HasPrefix(s, "https://") {
			t.Errorf("%q is no source", s)
		}
	}
	for _, f := range read("licenses", 3) {
		if err := clyde.CheckLicense(f[0]); err != nil || !slices.Contains(graph.Classes, graph.Class(f[1])) {
			t.Errorf("licenses: %q: %v", f, err)
		}
		source(f[2])
	}
	ruleIDs := map[string]bool{"linking": true}
	for _, f := range read("conflicts", 5) {
		for id := range strings.FieldsSeq(f[1] + " " + f[2]) {
			class, isClass := strings.CutPrefix(id, "@")
			if isClass && !slices.Contains(graph.Classes, graph.Class(class)) || !isClass && graph.ClassOf(id) == graph.Unknown {
				t.Errorf("conflicts: %s: %s means nothing", f[0], id)
			}
		}
		source(f[3])
		ruleIDs[f[0]] = true
	}
	for _, f := range read("exceptions", 3) {
		if err := clyde.CheckLicense("MIT WITH " + f[0]); err != nil || !ruleIDs[f[1]] {
			t.Errorf("exceptions: %q: %v", f, err)
		}
		source(f[2])
	}
}

// TestChoiceIsBest: no other combination of alternatives has fewer conflicts
// than the one that is chosen, and one without any is found where there is one.
func TestChoiceIsBest(t *testing.T) {
	t.Parallel()
	ids := []string{"MIT", "Apache-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "LGPL-3.0-only", "OpenSSL", "MPL-1.1"}
	rapid.Check(t, func(t *rapid.T) {
		choices := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, 3, rapid.ID[string]), 1, 4).Draw(t, "licences")
		exprs := make([]string, len(choices))
		for i, c := range choices {
			exprs[i] = strings.Join(c, " OR ")
		}
		fits := false
		var try func(i int, so []string)
		try = func(i int, so []string) {
			if i == len(choices) {
				fits = fits || len(program(t, "", so...).Licenses(graph.Policy{}).Conflicts) == 0
				return
			}
			for _, c := range choices[i] {
				try(i+1, append(slices.Clip(so), c))
			}
		}
		try(0, nil)
		if got := program(t, "", exprs...).Licenses(graph.Policy{}).Conflicts; (len(got) == 0) != fits {
			t.Fatalf("%q: conflicts %+v; one choice fits: %v", exprs, got, fits)
		}
	})
}

// TestHostileLicenses: expressions made to explode cost little.
func TestHostileLicenses(t *testing.T) {
	t.Parallel()
	began := time.Now()
	wide := strings.TrimSuffix(strings.Repeat("(MIT OR Zlib) AND ", 50), " AND ")
	g := program(t, "MIT", wide)
	if got := g.Licenses(graph.Policy{}); got.Packages[0].Class != graph.Unknown {
		t.Errorf("an expression with too many alternatives: %+v", got.Packages[0])
	}
	var many []string
	for i := range 40 {
		many = append(many, strings.Repeat("(", i)+"GPL-2.0-only OR GPL-3.0-only OR OpenSSL"+strings.Repeat(")", i))
	}
	program(t, "Apache-2.0", append(many, "CDDL-1.0", "LGPL-3.0-only")...).Licenses(graph.Policy{})
	if d := time.Since(began); d > 2*time.Minute {
		t.Errorf("took %s", d) // going over every choice takes years
	}
}
