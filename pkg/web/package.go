package web

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// head is what every page about a package shows above its tabs.
type head struct {
	base
	Tab      string
	Package  catalog.Package
	Release  catalog.Release
	Latest   bool
	Pinned   string // version for links; "" on the package's own page
	Builds   bool   // the version has binary builds
	Security bool   // something is known of who signed it, or asked for
	Manages  bool   // who looks may open its settings
	Notice   string
	Behind   int               // versions that came after this one; 0 for the latest
	Others   []catalog.Edition // to switch to, highest first
	Below    string            // path of what is shown of the version, among its files or pages
	book     *outline          // never nil
}

// versioned are the tabs that every version has its own of.
var versioned = map[string]bool{"docs": true, "changelog": true, "files": true, "dependencies": true, "security": true, "builds": true}

// Switch is the address of what is shown, of another version.
func (h head) Switch(version string) string {
	if !versioned[h.Tab] {
		return packageURL(h.Package.Name, version)
	}
	if h.Below == "" {
		return packageURL(h.Package.Name, version, h.Tab)
	}
	return packageURL(h.Package.Name, version, h.Tab, h.Below)
}

// Docs and Changelog report what documentation the version has.
func (h head) Docs() bool      { return h.book.Root != "" }
func (h head) Changelog() bool { return h.book.Changelog != "" }

// shownVersions is how many versions the switcher offers; the tab has all.
const shownVersions = 12

// name reads the package's name out of the path. Done is true when the
// address was another spelling and a redirect has been sent.
func (s *Web) name(w http.ResponseWriter, r request) (n clyde.Name, done bool, err error) {
	ns := r.PathValue("ns")
	if rest, ok := strings.CutPrefix(ns, "@"); ok {
		path := strings.Replace(r.URL.Path, "/packages/@", "/packages/", 1)
		if _, err := clyde.ParseName("@" + rest + "/" + r.PathValue("name")); err != nil {
			return n, false, err
		}
		return n, true, to(w, r, path, http.StatusMovedPermanently)
	}
	n, err = clyde.ParseName("@" + ns + "/" + r.PathValue("name"))
	return n, false, err
}

// head finds the package and the version that the path names. A version
// "latest" is redirected to the one it means.
func (s *Web) head(w http.ResponseWriter, r request, tab string) (h head, ref catalog.Ref, done bool, err error) {
	n, done, err := s.name(w, r)
	if done || err != nil {
		return h, ref, done, err
	}
	ref = catalog.Ref{Name: n, Version: r.PathValue("version")}
	h.base, h.Tab, h.book = s.base(r, n.String()), tab, &outline{}
	if h.Package, err = s.o.Catalog.Package(r.Context(), r.who, n); err != nil {
		return h, ref, false, err
	}
	h.Manages = s.manages(r, h.Package, n)
	if r.who.Session != "" {
		h.Notice = notices[r.URL.Query().Get("done")]
	}
	if ref.Version == "latest" {
		path := strings.Replace(r.URL.Path, n.Repo()+"/latest", n.Repo()+"/"+h.Package.Latest, 1)
		return h, ref, true, to(w, r, path, http.StatusFound)
	}
	if ref.Version == "" && h.Package.Latest == "" && len(h.Package.Pending) == 0 {
		return h, ref, false, nil // no version is left: the page says so
	}
	if info := h.Package.LatestInfo; info != nil && (ref.Version == "" || ref.Version == info.Version) {
		h.Release = *info
	} else if h.Release, err = s.o.Catalog.Release(r.Context(), r.who, ref); err != nil {
		return h, ref, false, err
	}
	if ref.Version != "" && ref.Version != h.Release.Version {
		path := strings.Replace(r.URL.Path, n.Repo()+"/"+ref.Version, n.Repo()+"/"+h.Release.Version, 1)
		return h, ref, true, to(w, r, path, http.StatusMovedPermanently)
	}
	h.Pinned = ref.Version
	ref.Version = h.Release.Version
	h.Latest = h.Release.Version == h.Package.Latest
	platforms, err := s.o.Catalog.BuildPlatforms(r.Context(), r.who, ref)
	if err != nil {
		return h, ref, false, err
	}
	h.Builds = len(platforms) > 0
	if h.book, err = s.outline(r, ref, h.Release); err != nil {
		return h, ref, false, err
	}
	h.Security = h.Release.Signed != string(signing.StateUnsigned) || h.Release.Policy != "" || len(h.Release.Provenance)+len(h.Release.SBOM) > 0
	if err := s.aside(r, &h, n); err != nil {
		return h, ref, false, err
	}
	if h.Pinned != "" {
		h.Title += " " + h.Pinned
	}
	return h, ref, false, nil
}

// aside fills in what leads to other versions, and how the page is known to
// others: a version that is not the latest by its own address, the latest by
// the package's.
func (s *Web) aside(r request, h *head, n clyde.Name) error {
	all, err := s.o.Catalog.Editions(r.Context(), r.who, n)
	if err != nil {
		return err
	}
	h.Behind = max(0, slices.IndexFunc(all, func(e catalog.Edition) bool { return e.Version == h.Release.Version }))
	h.Others = all[:min(len(all), shownVersions)]
	if h.Latest {
		h.Behind = 0
	}
	if h.Package.Private {
		return nil
	}
	h.About, h.Feeds = h.Package.Description, []feed{packageFeed(h.Package)}
	if h.Release.Version != "" && h.Release.State != "pending" {
		h.Card = s.cardURL(n, h.Release.Version)
	}
	if h.Tab == "readme" && s.o.PublicURL != "" {
		h.Canonical = s.o.PublicURL + packageURL(n.String(), "")
		if !h.Latest {
			h.Canonical = s.o.PublicURL + packageURL(n.String(), h.Release.Version)
		}
	}
	return nil
}

// facts is what the rail of a package page lists: from the version's own
// manifest, or the package's where there is none.
type facts struct {
	Description, License, Kind, Language, Homepage, Repository, Docs, Issues, Upstream string
	Standards, Keywords, Platforms                                                     []string
	Authors                                                                            []string
}

type packagePage struct {
	head
	Facts   facts
	Readme  template.HTML
	Install []install
	Headers []string

	Problems []catalog.Refusal // what could not be taken

	Origin  *origin   // nil: not by a CI run
	Checked time.Time // when its signatures were last looked at; zero: it has none, or nobody knows
	More    int       // headers that are not shown
	Kinds   []string  // of reports; none where nobody takes one
	License []license
	First   time.Time // when the first version was published
	Owner   account.Namespace
	Weeks   weeks
	Badge   string // address of the badge of the version; "" for what no other page may show
}

// shownHeaders is how many public headers the page lists.
const shownHeaders = 12

// install is one way to get the package.
type install struct {
	Title string
	Note  string
	Text  string
}

func (s *Web) pkg(w http.ResponseWriter, r request) error {
	if done, err := s.toAPI(w, r); done || err != nil {
		return err
	}
	h, ref, done, err := s.head(w, r, "readme")
	if errors.Is(err, clyde.ErrNotFound) && r.PathValue("version") == "" {
		return s.neverTaken(w, r, err)
	}
	if done || err != nil {
		return err
	}
	p := packagePage{head: h, Facts: factsOf(h), Origin: originOf(h.Release), First: h.Package.Created}
	p.License = licenseOf(p.Facts.License)
	p.Data = s.packageData(h, p.Facts)
	if err := s.rail(r, &p, ref.Name); err != nil {
		return err
	}
	if s.o.Moderator != nil && r.who.Session != "" {
		p.Kinds = account.ReportKinds
	}
	if p.Problems, err = s.o.Catalog.Problems(r.Context(), r.who, ref.Name); err != nil {
		return err
	}
	if h.Release.Version != "" {
		readme, err := s.o.Catalog.Readme(r.Context(), r.who, ref)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
		p.Readme = template.HTML(readme.HTML) //nolint:gosec // the catalog's word: sanitised by pkg/markdown
		p.Install = s.installs(h, ref.Name)
		if h.Release.Signed != "unsigned" {
			sig, err := s.o.Catalog.Signatures(r.Context(), r.who, ref)
			if err != nil {
				return err
			}
			if sig.Checked != nil {
				p.Checked = *sig.Checked
			}
		}
		p.Headers = h.Release.Headers
		if n := len(p.Headers); n > shownHeaders {
			p.Headers, p.More = p.Headers[:shownHeaders], n-shownHeaders
		}
	}
	return s.render(w, r, http.StatusOK, "package.html", p)
}

// rail fills in what is known of the package beside its version.
func (s *Web) rail(r request, p *packagePage, n clyde.Name) (err error) {
	if !p.Package.Private {
		p.Badge = "/badges/" + n.Repo() + "/version.svg"
	}
	if s.o.Accounts != nil {
		if p.Owner, err = s.o.Accounts.Namespace(r.Context(), n.Namespace); err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
	}
	p.Weeks, err = s.weeks(r, n)
	return err
}

// neverTaken shows whoever may know why no version of a package could be taken;
// to everybody else it is not found.
func (s *Web) neverTaken(w http.ResponseWriter, r request, absent error) error {
	n, _, err := s.name(w, r)
	if err != nil {
		return absent
	}
	found, err := s.o.Catalog.Problems(r.Context(), r.who, n)
	if err != nil || len(found) == 0 {
		return absent
	}
	return s.render(w, r, http.StatusNotFound, "problems.html", struct {
		base
		Name     string
		Problems []catalog.Refusal
	}{s.base(r, n.String()), n.String(), found})
}

func (s *Web) pkgSlash(w http.ResponseWriter, r request) error {
	return to(w, r, strings.TrimSuffix(r.URL.Path, "/"), http.StatusMovedPermanently)
}

// installs lists ways that work as they stand, for this version.
func (s *Web) installs(h head, n clyde.Name) []install {
	rel := h.Release
	spec := n.String() + "@" + rel.Version
	at, _, _ := strings.Cut(rel.Reference, "@")
	ours := at == s.o.Host+"/"+n.Repo() // else it is in a registry that others run
	byTag := at + ":" + rel.Version
	if strings.ContainsRune(rel.Version, '+') || s.o.Host == "" {
		byTag = rel.Reference // a tag cannot hold a plus
	}
	id := n.Namespace + "_" + n.Base // as pkg/generate names it: always the package's own
	out := []install{{"clyde", "Into the package.yaml of your project, and then into its deps folder: a build that fits your compiler, or the source, built.", "clyde add " + n.String() + "@^" + rel.Version + "\nclyde install"}}
	if k := h.Package.Kind; k == "library" || k == "header-only" {
		out = append(out,
			install{"CMake", "After clyde install, with -DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake.", "find_package(" + id + " REQUIRED)\ntarget_link_libraries(app PRIVATE clyde::" + id + ")"},
			install{"pkg-config", "After clyde install; Meson, make and scripts read it too.", "export PKG_CONFIG_PATH=$PWD/deps/lib/pkgconfig\npkg-config --cflags --libs " + id})
	}
	out = append(out,
		install{"pull", "The source of this version alone, every byte checked.", "clyde pull " + spec},
		install{"oras", "Any OCI client will do.", "oras pull " + byTag})
	if hex, ok := strings.CutPrefix(rel.SourceDigest, "sha256:"); ok && ours && !h.Package.Private && s.o.PublicURL != "" {
		ext := ".tar.gz"
		if rel.SourceType == artifact.TypeSourceZstd {
			ext = ".tar.zst"
		}
		blob := s.o.PublicURL + "/v2/" + n.Repo() + "/blobs/" + rel.SourceDigest
		file := n.Base + "-" + rel.Version + ext
		out = append(out,
			install{"FetchContent", "Without any client: CMake fetches the source and checks its digest.",
				"include(FetchContent)\nFetchContent_Declare(" + n.Base + "\n  URL " + blob + "\n  URL_HASH SHA256=" + hex + "\n  DOWNLOAD_NAME " + file + ")\nFetchContent_MakeAvailable(" + n.Base + ")"},
			install{"Dockerfile", "Docker fetches the source archive and checks its digest.", "ADD --checksum=sha256:" + hex + " " + blob + " /src/" + file})
	}
	if rel.Signed == "verified" {
		out = append(out, install{"verify", "With the publisher's public key, got from the publisher.",
			"cosign verify --key cosign.pub --insecure-ignore-tlog=true " + rel.Reference + "\nclyde verify --key cosign.pub " + spec})
	}
	return out
}

// factsOf reads the manifest leniently: it was checked when it was published,
// and a field of a shape unknown to this page is left out, not an error.
func factsOf(h head) facts {
	p := h.Package
	f := facts{Description: p.Description, License: p.License, Kind: p.Kind, Language: p.Language, Homepage: p.Homepage, Repository: p.Repository,
		Docs: p.Docs, Keywords: p.Keywords, Platforms: p.Platforms, Upstream: h.Release.UpstreamVersion}
	if p.Standard != "" {
		f.Standards = []string{p.Standard}
	}
	var m map[string]any
	if len(h.Release.Manifest) == 0 || json.Unmarshal(h.Release.Manifest, &m) != nil {
		return f
	}
	str := func(key string) string { v, _ := m[key].(string); return v }
	if !h.Latest {
		f.Description, f.License, f.Homepage, f.Repository, f.Docs = str("description"), str("license"), str("homepage"), str("repository"), str("documentation")
	}
	f.Issues = str("issues")
	if list, ok := m["authors"].([]any); ok {
		for _, a := range list {
			switch a := a.(type) {
			case string:
				f.Authors = append(f.Authors, a)
			case map[string]any:
				if name, ok := a["name"].(string); ok {
					f.Authors = append(f.Authors, name)
				}
			}
		}
	}
	return f
}

type versionsPage struct {
	head
	chooser
}

func (s *Web) versions(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "versions")
	if done || err != nil {
		return err
	}
	p := versionsPage{head: h}
	p.Title += " versions"
	if p.Versions, err = s.o.Catalog.Versions(r.Context(), r.who, ref.Name); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "versions.html", p)
}

type dependenciesPage struct {
	head
	Groups []dependencyGroup
	Total  int
	Whole  *wholePart // nil: it needs nothing
}

type dependencyGroup struct {
	Title, Note string
	Items       []catalog.Dependency
}

func (s *Web) dependencies(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "dependencies")
	if done || err != nil {
		return err
	}
	deps, err := s.o.Catalog.Dependencies(r.Context(), r.who, ref)
	if err != nil {
		return err
	}
	p := dependenciesPage{head: h, Total: len(deps)}
	p.Title += " dependencies"
	for _, g := range []struct{ kind, title, note string }{
		{"requires", "Requires", "to build and to use it"},
		{"build_requires", "Build requires", "tools to build it with"},
		{"dev_requires", "Development requires", "only to work on it"},
	} {
		var items []catalog.Dependency
		for _, d := range deps {
			if d.Kind == g.kind {
				items = append(items, d)
			}
		}
		if len(items) > 0 {
			p.Groups = append(p.Groups, dependencyGroup{g.title, g.note, items})
		}
	}
	if len(deps) > 0 {
		if p.Whole, err = s.whole(r, ref); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusOK, "dependencies.html", p)
}

type candidatesPage struct {
	base
	Name  string
	Items []catalog.Package
}

// short answers for a name without its namespace: for people, never for
// installing.
func (s *Web) short(w http.ResponseWriter, r request) error {
	name := r.PathValue("name")
	if err := clyde.CheckBase(name); err != nil {
		return err
	}
	items, err := s.o.Catalog.Candidates(r.Context(), r.who, name)
	if err != nil {
		return err
	}
	switch len(items) {
	case 0:
		return clyde.Errorf(clyde.ErrNotFound, "No package is called %s.", name)
	case 1:
		return to(w, r, packageURL(items[0].Name, ""), http.StatusFound)
	}
	return s.render(w, r, http.StatusOK, "candidates.html", candidatesPage{s.base(r, name), name, items})
}
