package web_test

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// shelf is a catalog with a handful of packages in memory.
type shelf struct {
	pkg      catalog.Package
	rels     []catalog.Release
	files    map[string]string
	readme   string
	hits     []catalog.Hit
	facets   []index.Facet
	mean     string
	deps     []catalog.Dependency
	users    []catalog.Dependent
	whole    catalog.Whole
	wholeErr error
	asked    atomic.Pointer[index.Query] // last query
	err      error                       // of every call, when set
}

func (s *shelf) Search(_ context.Context, _ account.Principal, q index.Query) (catalog.SearchPage, error) {
	if _, err := q.Check(); err != nil {
		return catalog.SearchPage{}, err
	}
	s.asked.Store(&q)
	p := catalog.SearchPage{Items: s.hits, Total: len(s.hits), Facets: s.facets, DidYouMean: s.mean}
	if q.Cursor == "" && len(s.hits) > 0 {
		p.NextCursor = "c2"
	}
	return p, s.err
}

func (s *shelf) Public(_ context.Context, skip, _ int) ([]catalog.Listed, error) {
	if skip > 0 || s.pkg.Private {
		return nil, s.err
	}
	n, err := clyde.ParseName(s.pkg.Name)
	return []catalog.Listed{{Name: n, Updated: s.pkg.Updated}}, err
}

func (s *shelf) Downloads(_ context.Context, _ account.Principal, _ clyde.Name, _, to time.Time, _ catalog.CountBy) ([]catalog.Count, error) {
	return []catalog.Count{{Day: to.Format(time.DateOnly), Count: 12}, {Day: to.AddDate(0, 0, -7).Format(time.DateOnly), Count: 30}}, s.err
}

func (s *shelf) Package(_ context.Context, p account.Principal, n clyde.Name) (catalog.Package, error) {
	if s.err != nil {
		return catalog.Package{}, s.err
	}
	if n.String() != s.pkg.Name || s.pkg.Private && p.Anonymous() {
		return catalog.Package{}, clyde.Errorf(clyde.ErrNotFound, "package %s was not found", n)
	}
	return s.pkg, nil
}

func (s *shelf) Versions(context.Context, account.Principal, clyde.Name) ([]catalog.Release, error) {
	return s.rels, s.err
}

func (s *shelf) Editions(context.Context, account.Principal, clyde.Name) (out []catalog.Edition, _ error) {
	for _, r := range s.rels {
		e := catalog.Edition{Version: r.Version, Published: r.Published, State: r.State}
		if r.Yanked != nil {
			e.Yanked = r.Yanked.Reason
		}
		out = append(out, e)
	}
	return out, s.err
}

func (s *shelf) Release(_ context.Context, _ account.Principal, ref catalog.Ref) (catalog.Release, error) {
	for _, r := range s.rels {
		if r.Version == ref.Version || ref.Version == "" && r.Version == s.pkg.Latest {
			return r, nil
		}
	}
	return catalog.Release{}, clyde.Errorf(clyde.ErrNotFound, "%s has no version %s", ref.Name, ref.Version)
}

func (s *shelf) Readme(context.Context, account.Principal, catalog.Ref) (catalog.Readme, error) {
	if s.readme == "" {
		return catalog.Readme{}, clyde.Errorf(clyde.ErrNotFound, "no readme")
	}
	return catalog.Readme{Path: "README.md", HTML: s.readme}, nil
}

func (s *shelf) Signatures(context.Context, account.Principal, catalog.Ref) (catalog.Signatures, error) {
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	return catalog.Signatures{Checked: &at}, s.err
}

func (s *shelf) Files(context.Context, account.Principal, catalog.Ref) ([]catalog.File, error) {
	var out []catalog.File
	for p, b := range s.files {
		out = append(out, catalog.File{Path: p, Size: int64(len(b))})
	}
	slices.SortFunc(out, func(a, b catalog.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func (s *shelf) OpenFile(_ context.Context, _ account.Principal, _ catalog.Ref, p string) (io.ReadCloser, catalog.File, error) {
	b, ok := s.files[p]
	if !ok {
		return nil, catalog.File{}, clyde.Errorf(clyde.ErrNotFound, "no file")
	}
	return io.NopCloser(strings.NewReader(b)), catalog.File{Path: p, Size: int64(len(b))}, nil
}

func (s *shelf) Dependencies(context.Context, account.Principal, catalog.Ref) ([]catalog.Dependency, error) {
	return s.deps, nil
}

func (s *shelf) Dependents(context.Context, account.Principal, clyde.Name, catalog.DependentsQuery) (catalog.Dependents, error) {
	return catalog.Dependents{Items: s.users, Next: "c2"}, nil
}

func (s *shelf) Builds(_ context.Context, _ account.Principal, ref catalog.Ref) ([]catalog.Build, error) {
	if ref.Version != "1.3.1" {
		return nil, nil
	}
	f := compat.Facts{
		Schema: compat.Version, Language: compat.C, OS: "linux", Arch: "x86_64", Libc: compat.Libc{Family: "glibc", Min: "2.34"},
		Compiler: compat.Compiler{Family: "gcc", Version: "12.2.0"}, BuildType: "Release", Linkage: compat.Static, SourceDigest: "sha256:" + strings.Repeat("0", 64),
	}
	facts, err := f.Encode()
	return []catalog.Build{{
		Digest: "sha256:" + strings.Repeat("b", 64), Reference: "localhost:8080/acme/zlib@sha256:" + strings.Repeat("b", 64), Tag: f.Tag("1.3.1"), ABIID: f.ABIID(),
		OS: "linux", Arch: "x86_64", Size: 2048, Facts: facts, Links: &catalog.Links{SONames: []string{"libz.so.1", "<b>"}, Symbols: 88},
	}}, err
}

func (s *shelf) BuildPlatforms(_ context.Context, _ account.Principal, ref catalog.Ref) ([]string, error) {
	if ref.Version != "1.3.1" {
		return nil, nil
	}
	return []string{"linux", "linux-x86_64"}, nil
}

func (s *shelf) Whole(context.Context, account.Principal, catalog.Ref) (catalog.Whole, error) {
	return s.whole, s.wholeErr
}

func (s *shelf) Candidates(_ context.Context, _ account.Principal, base string) ([]catalog.Package, error) {
	switch base {
	case s.pkg.Base:
		return []catalog.Package{s.pkg}, nil
	case "two":
		return []catalog.Package{s.pkg, s.pkg}, nil
	}
	return nil, nil
}

func (s *shelf) Recent(context.Context, account.Principal, index.Sort, int) ([]catalog.Package, error) {
	return []catalog.Package{s.pkg}, s.err
}

func (s *shelf) Stats(context.Context) (catalog.Stats, error) {
	return catalog.Stats{Packages: 3658, Releases: 12345}, s.err
}

func (s *shelf) SetAccess(_ context.Context, _ account.Principal, _ clyde.Name, private bool) (catalog.Package, error) {
	s.pkg.Private = private
	return s.pkg, s.err
}

func (s *shelf) Deprecate(_ context.Context, _ account.Principal, _ clyde.Name, d catalog.Deprecation) (catalog.Package, error) {
	s.pkg.Deprecated, s.pkg.ReplacedBy = d.Message, d.ReplacedBy
	return s.pkg, s.err
}

func (s *shelf) Yank(_ context.Context, p account.Principal, ref catalog.Ref, req catalog.YankRequest) (catalog.Release, error) {
	for i := range s.rels {
		if s.rels[i].Version != ref.Version {
			continue
		}
		s.rels[i].Yanked = nil
		if req.Yanked {
			s.rels[i].Yanked = &store.Yank{Reason: req.Reason, Text: req.Text, By: p.String()}
		}
		return s.rels[i], nil
	}
	return catalog.Release{}, clyde.Errorf(clyde.ErrNotFound, "%s has no version %s", ref.Name, ref.Version)
}

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func newShelf() *shelf {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	p := catalog.Package{
		Name: "@acme/zlib", Namespace: "acme", Base: "zlib", Latest: "1.3.1", Description: "A lossless data-compression library that is not encumbered by patents.",
		License: "Zlib", Language: "c", Kind: "library", Standard: "c11", Keywords: []string{"compression", "deflate"}, Platforms: []string{"linux", "macos", "windows"},
		Homepage: "https://zlib.net", Repository: "https://github.com/madler/zlib", Signed: "verified", Versions: 2, Dependents: 42, Downloads: 123456, Created: at, Updated: at,
	}
	rel := catalog.Release{
		Name: p.Name, Version: "1.3.1", Digest: digest, Reference: "localhost:8080/acme/zlib@" + digest, Size: 1512333, SourceDigest: digest,
		SourceType: "application/vnd.clyde.package.source.v1.tar+gzip", Published: at, Publisher: "admin", Signed: "verified", Signer: "release (SHA256:abcd)", State: "visible",
		Downloads: 1234, PURL: "pkg:clyde/acme/zlib@1.3.1", Headers: []string{"zconf.h", "zlib.h"},
		Manifest: json.RawMessage(`{"name":"@acme/zlib","authors":[{"name":"Jean-loup Gailly"},"Mark Adler"],"issues":"https://github.com/madler/zlib/issues"}`),
	}
	old := rel
	old.Version, old.Signed, old.Signer = "1.2.13", "unsigned", ""
	old.Yanked = &store.Yank{Reason: "security", Text: "CVE-2023-45853", By: "admin", At: at}
	hit := catalog.Hit{Package: p, Highlights: map[string]index.Highlight{
		"name": {Text: "acme/zlib", Spans: []index.Span{{Start: 5, End: 9}}}, "header": {Text: "zlib.h", Spans: []index.Span{{Start: 0, End: 6}}},
	}}
	return &shelf{
		pkg: p, rels: []catalog.Release{rel, old}, hits: []catalog.Hit{hit},
		readme: `<h2 id="readme-zlib">zlib</h2><p>Compress <em>things</em>.</p><pre><code><span class="hl-t">int</span> main();</code></pre>`,
		files: map[string]string{"README.md": "# zlib\n", "include/zlib.h": "/* zlib\n   header */\nint deflate(void);\n", "src/deflate.c": "int deflate(void) { return 0; }\n",
			"logo.png": "\x89PNG", "page.html": "<script>alert(1)</script>\n", "bin": "\x00\x01", "big.c": strings.Repeat("int x;\n", 200_000), "empty": "", "a b/ü?.txt": "x"},
		facets: []index.Facet{{Name: "license", Values: []index.FacetValue{{Value: "Zlib", Count: 1}, {Value: "MIT", Count: 7}}}, {Name: "type", Values: []index.FacetValue{{Value: "library", Count: 1}}}},
		deps:   []catalog.Dependency{{Name: "@acme/base", Range: "^1.0", Kind: "requires", Known: true}, {Name: "@else/where", Kind: "dev_requires", Optional: true}},
		users:  []catalog.Dependent{{Name: "@acme/png", Version: "1.6.0", Range: "^1.3"}},
		whole: catalog.Whole{
			Packages: []resolve.PackageView{
				{Name: "@acme/base", Version: "1.2.0", License: "GPL-2.0-only", Size: 2048, Dependencies: []resolve.EdgeView{{Name: "@acme/low", Kind: resolve.Runtime, Range: "^2"}}},
				{Name: "@acme/low", Version: "2.0.0", License: "<b>", Size: 1024, Dependencies: []resolve.EdgeView{{Name: "@acme/base", Kind: resolve.Build, Range: "*"}}},
			},
			Direct: []resolve.EdgeView{{Name: "@acme/base", Kind: resolve.Runtime, Range: "^1.0"}, {Name: "@acme/low", Kind: resolve.Runtime}},
			Sizes:  graph.Sizes{Total: 3072, Packages: 2, Each: []graph.PackageSize{{Name: "@acme/base", Own: 2048, Whole: 3072, Needs: 1}, {Name: "@acme/low", Own: 1024, Whole: 1024}}},
			Licenses: graph.Licenses{
				Summary:   []graph.LicenseCount{{License: "GPL-2.0-only", Packages: 1}},
				Conflicts: []graph.LicenseConflict{{Text: "one excludes the other", Source: "https://example.org/why"}},
				Notices:   []graph.LicenseNotice{{Text: "look at @acme/low"}},
			},
			Collisions: []graph.Collision{{Text: "both have <zlib.h>"}},
			Duplicates: []graph.Duplicate{{Packages: [2]string{"@acme/base", "@else/base"}, Evidence: []string{"both are called base"}}},
		},
	}
}

func (s *shelf) Problems(context.Context, account.Principal, clyde.Name) ([]catalog.Refusal, error) {
	return nil, nil
}
