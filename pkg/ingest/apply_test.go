package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// feed lists the change feed's entries as "type package version".
func (w *world) feed() []string {
	w.Helper()
	cs, err := w.db.Changes(w.Context(), 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	out := []string{}
	for _, c := range cs {
		out = append(out, strings.TrimSpace(c.Type+" "+c.Package+" "+c.Version))
	}
	return out
}

func TestApplyAgainAndOutOfOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	var events []clyde.Event
	for _, v := range []string{"1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"} {
		d, err := w.push(admin, "acme/zlib", v, manifestYAML("@acme/zlib", v, `requires: {"@acme/base": "^1"}`), archive("README.md", "# "+v, "include/z.h", ""))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, clyde.Event{Source: "registry", Action: clyde.ActionPush, Repo: "acme/zlib", Tag: v, Digest: d.String()})
	}
	w.lose()
	for _, i := range []int{3, 1, 1, 0, 2, 3, 0} {
		if err := w.in.Apply(t.Context(), events[i]); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"version.published @acme/zlib 2.0.0-rc.1", "version.published @acme/zlib 1.10.0", "version.published @acme/zlib 1.0.0", "version.published @acme/zlib 1.9.0"}
	if diff := cmp.Diff(want, w.feed()); diff != "" {
		t.Errorf("each is announced once (-want +got):\n%s", diff)
	}
	p, err := w.db.Package(t.Context(), "acme/zlib")
	if err != nil || p.Latest != "1.10.0" || p.Versions != 4 {
		t.Errorf("package: %+v, %v", p, err)
	}
	first := w.dump()
	for _, ev := range events {
		if err := w.in.Apply(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first, w.dump()); diff != "" {
		t.Errorf("applying again changed something:\n%s", diff)
	}
	// Hints about what is not there, or not so, are nothing.
	for name, ev := range map[string]clyde.Event{
		"no such tag":        {Action: clyde.ActionPush, Repo: "acme/zlib", Tag: "7.0.0", Digest: events[0].Digest},
		"no such repository": {Action: clyde.ActionPush, Repo: "acme/none", Tag: "1.0.0", Digest: events[0].Digest},
		"no such manifest":   {Action: clyde.ActionPush, Repo: "acme/zlib", Digest: digest.FromString("x").String()},
		"another digest":     {Action: clyde.ActionPush, Repo: "acme/zlib", Tag: "1.0.0", Digest: events[1].Digest},
		"deleted":            {Action: clyde.ActionDelete, Repo: "acme/zlib", Tag: "1.0.0"},
		"deleted manifest":   {Action: clyde.ActionDelete, Repo: "acme/zlib", Digest: events[0].Digest},
		"deleted elsewhere":  {Action: clyde.ActionDelete, Repo: "acme/none", Digest: events[0].Digest},
	} {
		if err := w.in.Apply(t.Context(), ev); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(first, w.dump()); diff != "" {
		t.Errorf("a false hint changed something:\n%s", diff)
	}
}

// An API publish applies its own event while the inbox applies the others.
// Whatever the order, the package row follows from its releases.
func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	const versions = 20
	var wg sync.WaitGroup
	for i := range versions {
		v := fmt.Sprintf("1.%d.0", i)
		d, err := w.push(admin, "acme/zlib", v, manifestYAML("@acme/zlib", v), archive("a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wg.Go(func() {
				ev := clyde.Event{Action: clyde.ActionPush, Repo: "acme/zlib", Tag: v, Digest: d.String()}
				if err := w.in.Apply(t.Context(), ev); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	p, err := w.db.Package(t.Context(), "acme/zlib")
	if err != nil || p.Versions != versions || p.Latest != "1.19.0" || len(w.feed()) != versions {
		t.Errorf("package: %d versions, latest %s, %v; feed %d", p.Versions, p.Latest, err, len(w.feed()))
	}
	res, err := w.in.Engine.Search(t.Context(), index.Query{Text: "zlib"})
	if err != nil || len(res.Hits) != 1 {
		t.Errorf("search: %+v, %v", res, err)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	src := archive("README.md", "# zlib")
	publish := func(p account.Principal, yaml string, src []byte) (string, error) {
		n, v, err := w.in.Publish(t.Context(), w.reg, p, []byte(yaml), bytes.NewReader(src), artifact.TypeSourceGzip)
		return n.String() + " " + v, err
	}
	yaml := manifestYAML("@acme/zlib", "1.0.0")
	for range 2 { // the second time is success, too
		if got, err := publish(admin, yaml, src); err != nil || got != "@acme/zlib 1.0.0" {
			t.Fatalf("Publish = %s, %v", got, err)
		}
		if r := w.release("acme/zlib", "1.0.0"); r.State != "visible" || r.Publisher != "admin" {
			t.Errorf("release: %+v", r)
		}
	}
	w.drain()
	if got := w.feed(); len(got) != 1 {
		t.Errorf("feed: %v", got)
	}
	_, err := publish(admin, yaml+"# other\n", src)
	refused(t, "other content", err, clyde.ErrConflict, "version_exists")
	_, err = publish(admin, manifestYAML("zlib", "2.0.0"), src)
	refused(t, "no namespace", err, clyde.ErrInvalid, "")
	_, err = publish(admin, manifestYAML("@acme/zlib", "2.0.0"), []byte("no archive"))
	refused(t, "no archive", err, clyde.ErrInvalid, "")
	_, err = publish(admin, manifestYAML("@acme/zlib", "2.0.0"), archive("../x", "y"))
	refused(t, "a path that leads out", err, clyde.ErrInvalid, "")
	_, err = publish(token("@acme/*", account.Yank), manifestYAML("@acme/zlib", "2.0.0"), src)
	refused(t, "without the right", err, clyde.ErrDenied, "grant_missing")
	_, err = publish(account.Principal{}, manifestYAML("@acme/zlib", "2.0.0"), src)
	refused(t, "nobody", err, clyde.ErrUnauthenticated, "")
	if rs, err := w.db.Releases(t.Context(), "acme/zlib"); err != nil || len(rs) != 1 {
		t.Errorf("%d releases, %v: a refusal left something", len(rs), err)
	}
}

func TestSignatureStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	d := w.publish("@acme/zlib", "1.0.0")
	w.publish("@acme-x/zlib", "1.0.0") // a namespace that sorts behind
	state := func(want string) {
		t.Helper()
		w.drain()
		p, err := w.db.Package(ctx, "acme/zlib")
		if got := w.release("acme/zlib", "1.0.0").Signed; err != nil || got != want || p.Signed != want {
			t.Errorf("release is %s, package %s, %v; want %s", got, p.Signed, err, want)
		}
		res, err := w.in.Engine.Search(ctx, index.Query{Filters: index.Filters{Signed: []string{want}, Namespace: []string{"acme"}}})
		if err != nil || res.Total != 1 {
			t.Errorf("search finds %d that are %s, %v", res.Total, want, err)
		}
	}
	key := func(s *keyPair) store.Key {
		return store.Key{Namespace: "acme", Name: "release", PEM: string(s.Key().PEM), Fingerprint: s.Key().Fingerprint, By: "admin"}
	}
	ours, other := w.signer(), w.signer()
	state("unsigned")
	w.sign(other, "@acme/zlib", "1.0.0", d, signing.SignOptions{})
	state("untrusted")
	w.sign(ours, "@acme/zlib", "1.0.0", d, signing.SignOptions{NoBundle: true, Legacy: true})
	state("untrusted")
	if err := errors.Join(w.db.AddKey(ctx, key(ours), store.AuditEntry{}), w.in.ReverifyNamespace(ctx, "acme")); err != nil {
		t.Fatal(err)
	}
	state("verified")
	before := w.feed()
	if err := w.in.ReverifyNamespace(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.feed()); diff != "" {
		t.Errorf("looking again is news (-before +after):\n%s", diff)
	}
	if err := errors.Join(w.db.RevokeKey(ctx, "acme", ours.Key().Fingerprint, store.AuditEntry{}), w.in.ReverifyNamespace(ctx, "acme")); err != nil {
		t.Fatal(err)
	}
	state("untrusted")
	want := []string{
		"version.published @acme/zlib 1.0.0", "version.published @acme-x/zlib 1.0.0", "signature.added @acme/zlib 1.0.0",
		"signature.added @acme/zlib 1.0.0", "signature.changed @acme/zlib 1.0.0", "signature.changed @acme/zlib 1.0.0",
	}
	if diff := cmp.Diff(want, w.feed()); diff != "" {
		t.Errorf("feed (-want +got):\n%s", diff)
	}
	// A signature object that claims the digest and is about another package.
	d = w.publish("@acme/png", "1.0.0")
	l, err := w.blob(admin, "acme/png", "application/vnd.dev.cosign.simplesigning.v1+json", []byte(`{"critical":{"identity":{"docker-reference":"x/acme/png"},"image":{"docker-manifest-digest":"sha256:`+strings.Repeat("0", 64)+`"},"type":"cosign container image signature"},"optional":null}`))
	if err != nil {
		t.Fatal(err)
	}
	l.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "AAAA"}
	if _, err := w.manifest(admin, "acme/png", "sha256-"+d.Encoded()+".sig", ocispec.Manifest{Config: ocispec.Descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Digest: l.Digest, Size: l.Size}, Layers: []ocispec.Descriptor{l}}); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if got := w.release("acme/png", "1.0.0").Signed; got != "invalid" {
		t.Errorf("a signature over other bytes makes it %s", got)
	}
}

func TestLatestFollowsYanks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/base", "1.0.0")
	w.publish("@acme/zlib", "1.0.0", `requires: {"@acme/base": "^1"}`)
	w.publish("@acme/zlib", "2.0.0")
	w.publish("@acme/zlib", "3.0.0-rc.1")
	yank := func(key string, y *store.Yank) {
		t.Helper()
		if err := errors.Join(w.db.SetYank(t.Context(), "acme/zlib", key, y, store.Change{}, store.AuditEntry{}), w.in.Relatest(t.Context(), "acme/zlib")); err != nil {
			t.Fatal(err)
		}
	}
	check := func(latest string, dependents int) {
		t.Helper()
		p, err := w.db.Package(t.Context(), "acme/zlib")
		if err != nil || p.Latest != latest {
			t.Errorf("latest is %s, %v; want %s", p.Latest, err, latest)
		}
		if n, err := w.db.CountDependents(t.Context(), "acme/base"); err != nil || n != dependents {
			t.Errorf("base has %d dependents, %v; want %d", n, err, dependents)
		}
	}
	check("2.0.0", 0)
	bad := &store.Yank{Reason: "broken"}
	yank("2.0.0", bad)
	check("1.0.0", 1)
	yank("1.0.0", bad)
	check("3.0.0-rc.1", 0)
	yank("3.0.0-rc.1", bad)
	check("3.0.0-rc.1", 0) // all are yanked: the highest
	yank("1.0.0", nil)
	check("1.0.0", 1)
}

// failing is a source that fails for some repositories.
type failing struct {
	artifact.Source
	manifest func(repo string) error
	list     error
}

// rotten serves the archives of repo as bytes that are none, as one does that
// an older program let in.
type rotten struct {
	artifact.Source
	repo string
}

func (r rotten) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	if repo == r.repo && d.MediaType == artifact.TypeSourceGzip {
		return io.NopCloser(strings.NewReader("no archive")), nil
	}
	return r.Source.Blob(ctx, repo, d)
}

func (f failing) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	if err := f.manifest(repo); err != nil {
		return nil, "", err
	}
	return f.Source.Manifest(ctx, repo, d)
}

func (f failing) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	if f.list != nil {
		return nil, f.list
	}
	return f.Source.Repositories(ctx, last, n)
}

// run starts the loop and returns how to stop it.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- w.in.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	}
}

// until polls for a state that another goroutine brings about.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			w.Fatalf("%s: not in a minute", what)
		case <-tick.C:
		}
	}
}

func TestRunParksPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	var mu sync.Mutex
	tries := 0
	w.in.Source = failing{Source: rotten{w.reg, "acme/bad"}, manifest: func(repo string) error {
		mu.Lock()
		defer mu.Unlock()
		switch repo {
		case "acme/panic":
			panic("a bug of ours")
		case "acme/down":
			tries++
			return errors.New("disk on fire")
		}
		return nil
	}}
	push := func(repo string, src []byte) {
		if _, err := w.push(admin, repo, "1.0.0", manifestYAML("@"+repo, "1.0.0"), src); err != nil {
			t.Fatal(err)
		}
	}
	push("acme/bad", archive("a", "b"))
	push("acme/panic", archive("a", "b"))
	push("acme/down", archive("a", "b"))
	push("acme/good", archive("a", "b"))
	stop := w.run()
	parked := func() []store.InboxItem {
		items, err := w.db.Inbox(t.Context(), "parked", 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	w.until("poison is parked, the rest done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		_, err := w.db.Package(t.Context(), "acme/good")
		return err == nil && len(parked()) == 2 && tries > 0
	})
	stop()
	for _, it := range parked() {
		if it.Reason == "" || strings.Contains(it.Reason, "ingest.") || strings.Contains(it.Reason, "goroutine") || it.Attempts != 1 {
			t.Errorf("%s: parked after %d attempts with %q", it.Event.Repo, it.Attempts, it.Reason)
		}
	}
	if n, err := w.db.Waiting(t.Context()); err != nil || n != 1 {
		t.Errorf("%d wait, %v; want the one whose disk is on fire", n, err)
	}
	// Replayed after the cause is gone, it goes through.
	w.in.Source = w.reg
	for _, it := range parked() {
		if it.Event.Repo == "acme/panic" {
			if err := w.db.EventReplay(t.Context(), it.Event.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer w.run()()
	w.until("the replayed event is applied", func() bool {
		_, err := w.db.Package(t.Context(), "acme/panic")
		return err == nil
	})
}

// What cannot be read for long is parked with its reason in the end.
func TestRunGivesUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	db, err := store.Open(t.Context(), store.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	w := newWorld(t, ingest.AcceptPackages)
	w.in.DB = db
	w.in.Source = failing{Source: w.reg, manifest: func(string) error { return errors.New("disk on fire") }}
	ctx := t.Context()
	id, err := db.PutEvent(ctx, clyde.Event{Action: clyde.ActionPush, Repo: "acme/zlib", Digest: digest.FromString("x").String()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.run()()
	var it store.InboxItem
	w.until("the event is parked", func() bool {
		mu.Lock()
		now = now.Add(time.Minute) // longer than any wait between two attempts here
		mu.Unlock()
		if it, err = db.InboxItem(ctx, id); err != nil {
			t.Fatal(err)
		}
		return it.State == "parked"
	})
	if it.Attempts != 8 || !strings.Contains(it.Reason, "disk on fire") {
		t.Errorf("parked after %d attempts with %q", it.Attempts, it.Reason)
	}
}
