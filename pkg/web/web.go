// Package web serves the pages of the registry: rendered on the server, whole
// without script, strict about what may load, and never serving what a package
// contains as a page of our origin.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/recent"
)

// Catalog is what the pages need of *catalog.Catalog.
type Catalog interface {
	Search(ctx context.Context, p account.Principal, q index.Query) (catalog.SearchPage, error)
	Package(ctx context.Context, p account.Principal, name clyde.Name) (catalog.Package, error)
	Versions(ctx context.Context, p account.Principal, name clyde.Name) ([]catalog.Release, error)
	Editions(ctx context.Context, p account.Principal, name clyde.Name) ([]catalog.Edition, error)
	Problems(ctx context.Context, p account.Principal, name clyde.Name) ([]catalog.Refusal, error)
	Release(ctx context.Context, p account.Principal, ref catalog.Ref) (catalog.Release, error)
	Readme(ctx context.Context, p account.Principal, ref catalog.Ref) (catalog.Readme, error)
	Signatures(ctx context.Context, p account.Principal, ref catalog.Ref) (catalog.Signatures, error)
	Files(ctx context.Context, p account.Principal, ref catalog.Ref) ([]catalog.File, error)
	OpenFile(ctx context.Context, p account.Principal, ref catalog.Ref, path string) (io.ReadCloser, catalog.File, error)
	Dependencies(ctx context.Context, p account.Principal, ref catalog.Ref) ([]catalog.Dependency, error)
	Dependents(ctx context.Context, p account.Principal, name clyde.Name, q catalog.DependentsQuery) (catalog.Dependents, error)
	Whole(ctx context.Context, p account.Principal, ref catalog.Ref) (catalog.Whole, error)
	Builds(ctx context.Context, p account.Principal, ref catalog.Ref) ([]catalog.Build, error)
	BuildPlatforms(ctx context.Context, p account.Principal, ref catalog.Ref) ([]string, error)
	Candidates(ctx context.Context, p account.Principal, base string) ([]catalog.Package, error)
	Recent(ctx context.Context, p account.Principal, sort index.Sort, n int) ([]catalog.Package, error)
	Public(ctx context.Context, skip, n int) ([]catalog.Listed, error)
	Downloads(ctx context.Context, p account.Principal, name clyde.Name, from, to time.Time, by catalog.CountBy) ([]catalog.Count, error)
	Stats(ctx context.Context) (catalog.Stats, error)
	SetAccess(ctx context.Context, p account.Principal, name clyde.Name, private bool) (catalog.Package, error)
	Deprecate(ctx context.Context, p account.Principal, name clyde.Name, d catalog.Deprecation) (catalog.Package, error)
	Yank(ctx context.Context, p account.Principal, ref catalog.Ref, req catalog.YankRequest) (catalog.Release, error)
}

// Options are what New needs; Log and Now may be nil.
type Options struct {
	Catalog   Catalog
	Auth      func(*http.Request) (account.Principal, error) // nil: everybody is anonymous
	PublicURL string                                         // as clients see it, without a slash at the end: "http://localhost:8080"
	Host      string                                         // of the registry, as clients write it: "localhost:8080"
	Log       *slog.Logger
	Now       func() time.Time

	SecurityContact string // where holes of this server are reported: an address of the web or of mail; "": the project's

	// What signing in needs; without Accounts nobody does.
	Accounts  *account.Accounts
	SignIn    *signin.SignIn
	Passwords bool // accounts that have one may sign in with it

	Trusted   *account.Trusted                                               // nil: no trusted publishing
	Report    func(by account.Principal, remote string, h http.Header) error // takes one of the reports that somebody may file; nil: no limit
	Moderator *account.Moderator                                             // nil: no reports, and nothing is withdrawn
	Keys      Keys                                                           // nil: no page about keys
	Policies  Policies                                                       // nil: no signing policies
}

// Web is the pages.
type Web struct {
	o      Options
	pages  map[string]*template.Template
	assets map[string]asset
	mux    *routes
	cross  *http.CrossOriginProtection

	// What was made of files, by the digest of their version: who may see a
	// version is asked before these are.
	outlines  recent.Cache[*outline]
	books     recent.Cache[*book]
	documents recent.Cache[template.HTML]

	comparisons recent.Cache[*comparison] // by the digests of both versions
	turns       chan struct{}             // to make one

	cards recent.Cache[[]byte] // by what they say
	pen   chan struct{}        // to draw one
}

// New parses the templates and returns the pages, or the error in them.
func New(o Options) (*Web, error) {
	if o.Catalog == nil {
		return nil, errors.New("web.New: no catalog")
	}
	if o.Auth == nil {
		o.Auth = func(*http.Request) (account.Principal, error) { return account.Principal{}, nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	if o.Accounts != nil && o.SignIn == nil {
		return nil, errors.New("web.New: accounts need SignIn")
	}
	w := &Web{o: o, mux: &routes{ServeMux: http.NewServeMux()}, cross: http.NewCrossOriginProtection()}
	w.comparisons.Max, w.turns = comparisonsKept, make(chan struct{}, comparisonsAtOnce)
	w.cards.Max, w.pen = cardsKept, make(chan struct{}, 1)
	w.outlines.Max, w.books.Max, w.documents.Max = outlinesKept, booksKept, documentsKept
	var err error
	if o.PublicURL != "" {
		if err = w.cross.AddTrustedOrigin(o.PublicURL); err != nil {
			return nil, fmt.Errorf("web.New: %w", err)
		}
	}
	if w.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	if w.pages, err = w.parse(); err != nil {
		return nil, fmt.Errorf("web.New: %w", err)
	}
	w.routes()
	return w, nil
}

// routes is a mux that can say what it serves.
type routes struct {
	*http.ServeMux
	patterns []string
}

func (m *routes) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

func (m *routes) HandleFunc(pattern string, h http.HandlerFunc) { m.Handle(pattern, h) }

// Routes lists every pattern that the pages serve, sorted, as "GET /search",
// for tests that cross all of them with all who may ask.
func (s *Web) Routes() []string { return slices.Sorted(slices.Values(s.mux.patterns)) }

func (s *Web) routes() {
	for pattern, h := range map[string]handler{
		"/{$}":                             s.home,
		"/search":                          s.search,
		"/about":                           s.about,
		"/browse":                          s.browse,
		"/packages":                        redirect("/search"),
		"/packages/{$}":                    redirect("/search"),
		"/packages/{name}":                 s.short,
		"/packages/{ns}/{name}":            s.pkg,
		"/packages/{ns}/{name}/{$}":        s.pkgSlash,
		"/packages/{ns}/{name}/{version}":  s.pkg,
		"/packages/{ns}/{name}/versions":   s.versions,
		"/packages/{ns}/{name}/dependents": s.dependents,

		"/packages/{ns}/{name}/builds":                    s.builds,
		"/packages/{ns}/{name}/security":                  s.security,
		"/packages/{ns}/{name}/{version}/security":        s.security,
		"/packages/{ns}/{name}/{version}/builds":          s.builds,
		"/packages/{ns}/{name}/dependencies":              s.dependencies,
		"/packages/{ns}/{name}/{version}/dependencies":    s.dependencies,
		"/packages/{ns}/{name}/{version}/files":           s.filesRoot,
		"/packages/{ns}/{name}/{version}/files/{path...}": s.files,
		"/packages/{ns}/{name}/docs":                      s.docs,
		"/packages/{ns}/{name}/{version}/docs":            s.docs,
		"/packages/{ns}/{name}/{version}/docs/{path...}":  s.docs,
		"/packages/{ns}/{name}/compare":                   s.compare,
		"/packages/{ns}/{name}/changelog":                 s.changelog,
		"/packages/{ns}/{name}/{version}/changelog":       s.changelog,
		"/namespaces/{ns}":                                s.namespace,
		"/":                                               s.missing,
	} {
		s.mux.Handle("GET "+pattern, s.page(h))
	}
	s.accountRoutes()
	s.mux.HandleFunc("GET /static/{file}", s.static)
	s.mux.HandleFunc("GET /favicon.ico", s.favicon)
	s.machineRoutes()
}

// PageCSP is the Content-Security-Policy of every page of the site: its own
// style, script and pictures, answers of its own API, and nothing inline.
const PageCSP = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler returns the pages, with the headers that every answer carries.
func (s *Web) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", PageCSP)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), payment=(), usb=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		s.mux.ServeHTTP(w, r)
	})
}

// request is one request and who makes it.
type request struct {
	*http.Request
	who account.Principal
	bad *badForm // set where the page of a form is shown again
}

// handler is a page. What it returns is shown as an error page.
type handler func(w http.ResponseWriter, r request) error

// page adapts a handler: it finds out who asks, and shows errors.
func (s *Web) page(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Authorization, Cookie, Accept, Accept-Encoding")
		who, err := s.who(r)
		req := request{Request: r, who: who}
		if err == nil {
			err = h(w, req)
		}
		if err != nil {
			s.fail(w, req, err)
		}
	})
}

// cacheControl says who may keep a page: anybody for a minute what anybody may
// see, nobody what needed a token.
func cacheControl(p account.Principal) string {
	if !p.Anonymous() {
		return "private, no-store"
	}
	return "public, max-age=60, stale-while-revalidate=300"
}

// render writes page name with data, whole or not at all. It answers 304 to
// whoever has the same page already.
func (s *Web) render(w http.ResponseWriter, r request, status int, name string, data any) error {
	if r.bad != nil && status == http.StatusOK {
		status = r.bad.status
	}
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "layout", data); err != nil {
		return fmt.Errorf("web: page %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		sum := sha256.Sum256(b.Bytes())
		tag := `W/"` + hex.EncodeToString(sum[:16]) + `"` // weak: compressed or not
		if h.Get("Cache-Control") == "" {
			h.Set("Cache-Control", cacheControl(r.who))
		}
		h.Set("ETag", tag)
		if matches(r.Header.Get("If-None-Match"), strings.TrimPrefix(tag, "W/")) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	} else {
		h.Set("Cache-Control", "no-store")
	}
	body := b.Bytes()
	// Only what anybody may see: the size of a page with secrets and a part that
	// somebody else chose would tell of the secrets.
	if r.who.Anonymous() && len(body) >= compressFrom && takesGzip(r.Request) {
		var err error
		if body, err = compressed(body); err != nil {
			return fmt.Errorf("web: page %s: %w", name, err)
		}
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader is gone: there is nobody to tell
	return nil
}

// matches reports whether an If-None-Match header names tag.
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

func redirect(to string) handler {
	return func(w http.ResponseWriter, r request) error {
		http.Redirect(w, r.Request, to, http.StatusMovedPermanently)
		return nil
	}
}

// statuses maps kinds of errors to what HTTP calls them.
var statuses = []struct {
	kind   error
	status int
}{
	{clyde.ErrNotFound, http.StatusNotFound},
	{clyde.ErrGone, http.StatusGone}, // after what it is a kind of
	{clyde.ErrInvalid, http.StatusBadRequest},
	{clyde.ErrUnauthenticated, http.StatusUnauthorized},
	{clyde.ErrDenied, http.StatusForbidden},
	{clyde.ErrConflict, http.StatusConflict},
	{clyde.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{clyde.ErrRateLimited, http.StatusTooManyRequests},
	{clyde.ErrUnavailable, http.StatusServiceUnavailable},
}

// errorPage is the data of error.html.
type errorPage struct {
	base
	Status int
	Text   string // what http calls the status
	Msg    string
	Fixes  []string
	Look   string // what to search for, from the address
}

// fail shows err: a *clyde.Error speaks for itself, anything else is logged
// and shown as a bare 500.
func (s *Web) fail(w http.ResponseWriter, r request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	p := errorPage{base: s.base(r, ""), Status: http.StatusInternalServerError, Look: r.PathValue("name")}
	if e := clyde.AsError(err); e != nil {
		p.Msg, p.Fixes = e.Msg, e.Fixes
		for _, k := range statuses {
			if errors.Is(e.Kind, k.kind) {
				p.Status = k.status
			}
		}
	}
	if p.Status == http.StatusInternalServerError {
		s.o.Log.ErrorContext(r.Context(), "web", "path", r.URL.Path, "err", err)
		p.Msg, p.Fixes = "Something went wrong on our side. It has been logged; trying again in a moment may help.", nil
	}
	if p.Status == http.StatusUnauthorized && s.o.Accounts == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="clyde"`)
	}
	p.Text = http.StatusText(p.Status)
	p.Title = p.Text
	w.Header().Del("ETag")
	if err := s.render(w, r, p.Status, "error.html", p); err != nil {
		s.o.Log.ErrorContext(r.Context(), "web", "err", err)
		http.Error(w, p.Text, p.Status)
	}
}

func (s *Web) missing(_ http.ResponseWriter, r request) error {
	return clyde.Errorf(clyde.ErrNotFound, "There is no page at %s.", clip(r.URL.Path))
}

// clip shortens what somebody sent for use in a message.
func clip(v string) string {
	const most = 100 // bytes
	if len(v) <= most {
		return strings.ToValidUTF8(v, "")
	}
	return strings.ToValidUTF8(v[:most], "") + "…"
}

// to redirects to a path with the request's query.
func to(w http.ResponseWriter, r request, path string, status int) error {
	u := url.URL{Path: path, RawQuery: r.URL.RawQuery}
	w.Header().Set("Cache-Control", cacheControl(r.who))
	http.Redirect(w, r.Request, u.String(), status)
	return nil
}
