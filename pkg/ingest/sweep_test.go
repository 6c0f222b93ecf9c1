package ingest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/internal/registrytest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// beside is a world that indexes a registry which somebody else runs.
type beside struct {
	*world
	reg *registrytest.Server
	up  *upstream.Registry
	now time.Time
}

func newBeside(t *testing.T, reg *registrytest.Server, change func(*upstream.Options)) *beside {
	t.Helper()
	o := upstream.Options{Name: "main", Host: reg.Host, Plain: true, Namespaces: []string{"acme", "team/deep/corp"}, Catalog: true, Every: time.Hour}
	if change != nil {
		change(&o)
	}
	up, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &beside{world: newWorld(t, ""), reg: reg, up: up, now: time.Now()}
	b.in.Now = func() time.Time { return b.now }
	b.in.Upstreams = upstream.NewSet(up)
	b.in.Source = &ingest.Sources{Own: b.world.reg, Upstreams: b.in.Upstreams, DB: b.db}
	return b
}

// sweep walks once; a failure is fine where the registry misbehaves.
func (b *beside) sweep() (ingest.Report, error) {
	b.Helper()
	return b.in.SweepUpstream(b.Context(), b.up)
}

func (b *beside) swept() ingest.Report {
	b.Helper()
	rep, err := b.sweep()
	if err != nil {
		b.Fatal(err)
	}
	return rep
}

// state is that of a version, "" where there is none.
func (b *beside) state(repo, version string) string {
	b.Helper()
	v, err := clyde.ParseVersion(version)
	if err != nil {
		b.Fatal(err)
	}
	r, err := b.db.ReleaseByVersion(b.Context(), repo, v.Canonical())
	if errors.Is(err, clyde.ErrNotFound) {
		return ""
	}
	if err != nil {
		b.Fatal(err)
	}
	return r.State
}

func (b *beside) problems(repo string) string {
	b.Helper()
	ps, err := b.db.Problems(b.Context(), repo)
	if err != nil {
		b.Fatal(err)
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.Event.Tag+": "+p.Reason)
	}
	return strings.Join(out, "\n")
}

func (b *beside) apply(ev clyde.Event) error {
	b.Helper()
	ev.Source, ev.Action = "main", clyde.ActionPush
	return b.in.Apply(b.Context(), ev)
}

func TestSweepUpstream(t *testing.T) {
	t.Parallel()
	for name, reg := range map[string]*registrytest.Server{
		"distribution": registrytest.Listen(t).Distribution(t), "go-containerregistry": registrytest.Listen(t).GGCR(true),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBeside(t, reg, nil)
			reg.Push(t, "", "acme/zlib", "1.0.0")
			reg.Push(t, "", "acme/zlib", "1.1.0")
			reg.Push(t, "team/deep/corp/core", "corp/core", "1.0.0")
			reg.Push(t, "elsewhere/corp/core", "corp/core", "9.0.0")
			reg.Push(t, "", "other/zlib", "1.0.0")
			if rep := b.swept(); rep.Applied != 3 || rep.Failed != 0 {
				t.Errorf("the first sweep: %+v", rep)
			}
			for _, want := range []string{"acme/zlib 1.0.0", "acme/zlib 1.1.0", "corp/core 1.0.0"} {
				repo, version, _ := strings.Cut(want, " ")
				if s := b.state(repo, version); s != "visible" {
					t.Errorf("%s is %q", want, s)
				}
			}
			if b.state("other/zlib", "1.0.0") != "" || b.state("corp/core", "9.0.0") != "" {
				t.Error("what is bound to nobody was taken")
			}
			before := reg.Requests.Load()
			if rep := b.swept(); rep.Applied != 0 || rep.Failed != 0 {
				t.Errorf("the second sweep: %+v", rep)
			}
			t.Logf("a sweep of 3 versions that are known: %d requests", reg.Requests.Load()-before)
			w, err := b.db.UpstreamSweep(t.Context(), reg.Host)
			if err != nil || w.Finished.IsZero() || w.Problem != "" || w.Position != "" {
				t.Errorf("the sweep is noted as %+v, %v", w, err)
			}
		})
	}
}

// A tag that moves is a problem to be read, and the version stays what it was.
func TestUpstreamNeverChangesAVersion(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).Distribution(t)
	b := newBeside(t, reg, nil)
	first := reg.Push(t, "", "acme/zlib", "1.0.0")
	b.swept()
	reg.Push(t, "", "acme/zlib", "1.0.0", "keywords: [other]")
	if rep := b.swept(); rep.Failed != 1 {
		t.Errorf("%+v", rep)
	}
	if p := b.problems("acme/zlib"); !strings.Contains(p, "came later and is a conflict") {
		t.Errorf("problems: %q", p)
	}
	if r := b.release("acme/zlib", "1.0.0"); r.Digest != first.String() || r.State != "visible" {
		t.Errorf("the release is %s %s", r.State, r.Digest)
	}
	// Once it is back, nothing is wrong any more.
	reg.Push(t, "", "acme/zlib", "1.0.0")
	b.now = b.now.Add(2 * time.Hour)
	if err := b.apply(clyde.Event{Repo: "acme/zlib", Tag: "1.0.0"}); err != nil || b.problems("acme/zlib") != "" {
		t.Errorf("%v, problems: %q", err, b.problems("acme/zlib"))
	}
}

// A namespace comes from one registry.
func TestUpstreamNamespaces(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(true)
	b := newBeside(t, reg, func(o *upstream.Options) { o.Namespaces = []string{"acme", upstream.Any} })
	b.publish("@ours/zlib", "1.0.0")
	for _, repo := range []string{"ours/zlib", "free/zlib", "acme/zlib"} {
		reg.Push(t, "", repo, "2.0.0")
	}
	reg.Push(t, "deep/er/free/zlib", "free/zlib", "3.0.0")
	for repo, want := range map[string]string{"ours/zlib": "namespace_bound", "free/zlib": "", "acme/zlib": "", "deep/er/free/zlib": "namespace_unmapped"} {
		version := "2.0.0"
		if strings.HasPrefix(repo, "deep") {
			version = "3.0.0"
		}
		err := b.apply(clyde.Event{Repo: repo, Tag: version})
		if e := clyde.AsError(err); want == "" && err != nil || want != "" && (e == nil || e.Code != want) {
			t.Errorf("%s: %v; want %q", repo, err, want)
		}
	}
	if b.state("ours/zlib", "2.0.0") != "" || b.state("free/zlib", "2.0.0") != "visible" {
		t.Error("what was taken is not what is bound")
	}
	// What comes from there is not pushed here.
	if _, err := b.push(admin, "free/zlib", "2.1.0", manifestYAML("@free/zlib", "2.1.0"), archive("a", "b")); clyde.AsError(err) == nil || clyde.AsError(err).Code != "namespace_bound" {
		t.Errorf("a push here: %v", err)
	}
}

// What only our credentials can read is private before it can be seen.
func TestUpstreamHidden(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(true)
	reg.Push(t, "", "acme/zlib", "1.0.0")
	shut := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, p, _ := r.BasicAuth(); p != "sesame sesame" {
				w.Header().Set("WWW-Authenticate", `Basic realm="main"`)
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	reg.Wrap(shut)
	private := func(b *beside) bool {
		s, err := b.db.Setting(t.Context(), "acme/zlib")
		if err != nil {
			t.Fatal(err)
		}
		return s.Private
	}
	cred := func(o *upstream.Options) { o.User, o.Secret = "clyde", "sesame sesame" }
	b := newBeside(t, reg, cred)
	if b.swept(); b.state("acme/zlib", "1.0.0") != "visible" || !private(b) {
		t.Errorf("state %q, private %t", b.state("acme/zlib", "1.0.0"), private(b))
	}
	reg.Wrap(nil)
	if b.swept(); private(b) {
		t.Error("it can be read by everybody, and is hidden")
	}
	reg.Wrap(shut)
	if b.swept(); !private(b) {
		t.Error("it was shut again, and is shown")
	}
	all := newBeside(t, reg, func(o *upstream.Options) { cred(o); o.Everyone = true })
	if all.swept(); private(all) {
		t.Error("everyone may see it, and it is hidden")
	}
}

// deaf answers what matches with something else, at once and for ever.
func deaf(match func(path string) bool, status int, contentType, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !match(r.URL.Path) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Retry-After", "0")
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
		})
	}
}

// Whatever a registry answers, only that a digest is not there, twice and an hour
// apart, while another one is, takes a version away.
func TestOnlyPositiveEvidenceRemoves(t *testing.T) {
	t.Parallel()
	lists := func(p string) bool { return strings.HasSuffix(p, "/_catalog") || strings.HasSuffix(p, "/tags/list") }
	tags := func(p string) bool { return strings.HasSuffix(p, "/tags/list") }
	all := func(string) bool { return true }
	const jsonType = "application/json"
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"empty catalog":      deaf(func(p string) bool { return strings.HasSuffix(p, "/_catalog") }, 200, jsonType, `{"repositories":[]}`),
		"null catalog":       deaf(lists, 200, jsonType, `{}`),
		"empty tags":         deaf(tags, 200, jsonType, `{"name":"acme/zlib","tags":[]}`),
		"null tags":          deaf(tags, 200, jsonType, `{"name":"acme/zlib","tags":null}`),
		"some of the tags":   deaf(tags, 200, jsonType, `{"name":"acme/zlib","tags":["1.1.0"]}`),
		"lists not found":    deaf(lists, 404, jsonType, `{"errors":[{"code":"NAME_UNKNOWN"}]}`),
		"401":                deaf(all, 401, jsonType, `{"errors":[{"code":"UNAUTHORIZED"}]}`),
		"403":                deaf(all, 403, jsonType, `{"errors":[{"code":"DENIED"}]}`),
		"404 for everything": deaf(all, 404, "text/html", "<h1>a proxy</h1>"),
		"429":                deaf(all, 429, jsonType, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`),
		"500":                deaf(all, 500, "text/plain", "oops"),
		"503":                deaf(all, 503, "text/plain", "oops"),
		"no JSON":            deaf(lists, 200, jsonType, `{"repositories": ["acme/zl`),
		"a page":             deaf(all, 200, "text/html", "<html>sign in</html>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := registrytest.Listen(t).GGCR(true)
			b := newBeside(t, reg, nil)
			reg.Push(t, "", "acme/zlib", "1.0.0")
			reg.Push(t, "", "acme/zlib", "1.1.0")
			reg.Push(t, "", "acme/fmt", "1.0.0")
			b.swept()
			reg.Wrap(wrap)
			for range 3 {
				b.now = b.now.Add(25 * time.Hour)
				_, _ = b.sweep() // that it fails is what is tried
			}
			for _, v := range []string{"zlib 1.0.0", "zlib 1.1.0", "fmt 1.0.0"} {
				base, version, _ := strings.Cut(v, " ")
				if s := b.state("acme/"+base, version); s != "visible" {
					t.Errorf("@acme/%s is %q", v, s)
				}
			}
			reg.Wrap(nil)
			if rep := b.swept(); rep.Failed != 0 || rep.Applied != 0 {
				t.Errorf("afterwards: %+v", rep)
			}
		})
	}
}

func TestDeletedUpstream(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).Distribution(t)
	b := newBeside(t, reg, nil)
	d := reg.Push(t, "", "acme/zlib", "1.0.0")
	b.swept()
	reg.Delete(t, "acme/zlib", d)
	later := func(d time.Duration, want string) {
		t.Helper()
		b.now = b.now.Add(d)
		b.swept()
		if s := b.state("acme/zlib", "1.0.0"); s != want {
			t.Errorf("after %s more: %q; want %q", d, s, want)
		}
	}
	// Nothing else that we know is there: who says that the answer is true?
	later(0, "visible")
	later(25*time.Hour, "visible")
	other := reg.Push(t, "", "acme/fmt", "1.0.0")
	b.swept()        // it is known from here on
	later(0, "gone") // the first answer is a day old
	if p, err := b.db.Package(t.Context(), "acme/zlib"); err != nil || p.Latest != "" {
		t.Errorf("latest %q, %v", p.Latest, err)
	}
	// Other content under its number stays a conflict; the same is back.
	reg.Push(t, "", "acme/zlib", "1.0.0", "keywords: [other]")
	later(0, "gone")
	if again := reg.Push(t, "", "acme/zlib", "1.0.0"); again != d {
		t.Fatalf("%s is not %s", again, d)
	}
	later(0, "visible")
	// From one answer to the next at least an hour passes.
	reg.Delete(t, "acme/zlib", d)
	later(0, "visible")
	later(59*time.Minute, "visible")
	later(time.Minute, "gone")
	if has, err := b.up.Has(t.Context(), "acme/fmt", other); !has || err != nil {
		t.Errorf("Has: %t, %v", has, err)
	}
	feed := strings.Join(b.feed(), "\n")
	if strings.Count(feed, "version.removed") != 2 {
		t.Errorf("the feed has\n%s", feed)
	}
}

// A walk that is broken off goes on where it stopped.
func TestSweepResumes(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(true)
	b := newBeside(t, reg, nil)
	const n = 120 // more than a page
	for i := range n {
		reg.Push(t, "", fmt.Sprintf("acme/p%03d", i), "1.0.0")
	}
	blocked := func(p string) bool { return strings.Contains(p, "/acme/p10") || strings.Contains(p, "/acme/p11") }
	reg.Wrap(deaf(blocked, 503, "text/plain", "overloaded"))
	rep, err := b.sweep()
	if err == nil || rep.Applied < 100 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w, err := b.db.UpstreamSweep(t.Context(), reg.Host)
	if err != nil || w.Position != "acme/p099" || w.Problem == "" || !w.Finished.IsZero() {
		t.Errorf("it stopped at %+v, %v", w, err)
	}
	reg.Wrap(nil)
	if rep := b.swept(); rep.Repositories > n-100+sweepSlack || b.state("acme/p119", "1.0.0") != "visible" {
		t.Errorf("it went on with %+v", rep)
	}
}

// sweepSlack is what a resumed walk may look at besides: repositories that it
// saw in the very millisecond it began in.
const sweepSlack = 2

// No answer is not an absence.
func TestHas(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(false)
	b := newBeside(t, reg, nil)
	d := reg.Push(t, "", "acme/zlib", "1.0.0")
	for of, want := range map[digest.Digest]bool{d: true, digest.FromString("x"): false} {
		if has, err := b.up.Has(t.Context(), "acme/zlib", of); err != nil || has != want {
			t.Errorf("Has(%s) = %t, %v", of, has, err)
		}
	}
	reg.Wrap(deaf(func(string) bool { return true }, 401, "application/json", `{}`))
	if has, err := b.up.Has(t.Context(), "acme/zlib", d); err == nil || has {
		t.Errorf("without an answer: %t, %v", has, err)
	}
}
