package web

import (
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

type buildsPage struct {
	head
	List []buildRow
}

// buildRow is a build with what its facts say, as far as a table has room.
type buildRow struct {
	catalog.Build
	Libc, Compiler, Stdlib, Linkage, Type string // "" where it does not apply
	SONames                               string
}

// builds shows the binary builds of a version: what each is for, and how to
// fetch it.
func (s *Web) builds(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "builds")
	if done || err != nil {
		return err
	}
	p := buildsPage{head: h}
	p.Title += " builds"
	all, err := s.o.Catalog.Builds(r.Context(), r.who, ref)
	if err != nil {
		return err
	}
	for _, b := range all {
		f, err := compat.Parse(b.Facts)
		if err != nil {
			return err
		}
		words := func(w ...string) string { return strings.Join(strings.Fields(strings.Join(w, " ")), " ") }
		var sonames string
		if b.Links != nil {
			sonames = words(b.Links.SONames...)
		}
		p.List = append(p.List, buildRow{
			Build: b, SONames: sonames, Libc: words(f.Libc.Family, f.Libc.Min), Compiler: words(f.Compiler.Family, f.Compiler.Version),
			Stdlib: words(f.CXXStdlib.Family, f.CXXStdlib.ABI), Linkage: f.Linkage, Type: f.BuildType,
		})
	}
	return s.render(w, r, http.StatusOK, "builds.html", p)
}
