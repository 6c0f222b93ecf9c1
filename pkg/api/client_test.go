package api_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

var hello = clyde.Name{Namespace: "acme", Base: "hello"}

// Every operation of pkg/client against the real thing, in the order in which
// a person would use them.
func TestClient(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	ctx := t.Context()
	c, anon := e.client(e.admin), e.client("")

	wk, err := anon.WellKnown(ctx)
	if err != nil || wk.API != e.srv.URL+"/api/v1" || "http://"+wk.OCI.Host != e.srv.URL {
		t.Fatalf("WellKnown = %+v, %v", wk, err)
	}
	who, err := c.WhoAmI(ctx)
	if err != nil || !who.Admin || who.Anonymous || who.Name != "admin" {
		t.Errorf("WhoAmI = %+v, %v; want the administrator", who, err)
	}
	if who, err = anon.WhoAmI(ctx); err != nil || !who.Anonymous {
		t.Errorf("WhoAmI = %+v, %v; want nobody", who, err)
	}

	r := e.publish("@acme/hello", "1.0.0")
	if r.Name != "@acme/hello" || r.Version != "1.0.0" || !strings.HasPrefix(r.Digest, "sha256:") || r.SourceType != artifact.TypeSourceGzip {
		t.Errorf("Publish = %+v", r)
	}
	e.publish("@acme/hello", "1.1.0")
	e.publish("@acme/world", "2.0.0", "requires:", "  \"@acme/hello\": \"^1\"", "")

	p, err := anon.Package(ctx, hello)
	if err != nil || p.Latest != "1.1.0" || p.Versions != 2 || p.Dependents != 1 || p.LatestInfo == nil {
		t.Errorf("Package = %+v, %v", p, err)
	}
	vs, err := anon.Versions(ctx, hello)
	if err != nil || len(vs) != 2 || vs[0].Version != "1.1.0" || vs[0].Manifest != nil {
		t.Errorf("Versions = %+v, %v", vs, err)
	}
	if r, err = anon.Release(ctx, hello, ""); err != nil || r.Version != "1.1.0" || len(r.Manifest) == 0 || len(r.Headers) != 1 {
		t.Errorf("Release = %+v, %v", r, err)
	}
	rng, err := clyde.ParseRange("<1.1")
	if err != nil {
		t.Fatal(err)
	}
	if r, err = anon.Resolve(ctx, hello, rng); err != nil || r.Version != "1.0.0" {
		t.Errorf("Resolve(<1.1) = %s, %v; want 1.0.0", r.Version, err)
	}
	if b, err := anon.Manifest(ctx, hello, "1.0.0"); err != nil || string(b) != manifest("@acme/hello", "1.0.0") {
		t.Errorf("Manifest = %q, %v; want it byte for byte", b, err)
	}
	if rm, err := anon.Readme(ctx, hello, ""); err != nil || rm.Raw != "# Hello\n" || !strings.Contains(rm.HTML, "Hello") {
		t.Errorf("Readme = %+v, %v", rm, err)
	}
	if fs, err := anon.Files(ctx, hello, "1.0.0"); err != nil || len(fs) != 4 || fs[0].Path != "README.md" {
		t.Errorf("Files = %+v, %v", fs, err)
	}
	f, err := anon.File(ctx, hello, "1.0.0", "include/hello.h")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if cerr := f.Close(); err != nil || cerr != nil || string(b) != "#pragma once\n" {
		t.Errorf("File = %q, %v", b, err)
	}
	world := clyde.Name{Namespace: "acme", Base: "world"}
	if ds, err := anon.Dependencies(ctx, world, ""); err != nil || len(ds) != 1 || ds[0].Name != "@acme/hello" || !ds[0].Known {
		t.Errorf("Dependencies = %+v, %v", ds, err)
	}
	if ds, err := anon.Dependents(ctx, hello, client.DependentsQuery{}); err != nil || len(ds.Items) != 1 || ds.Items[0].Name != "@acme/world" || ds.NextCursor != "" {
		t.Errorf("Dependents = %+v, %v", ds, err)
	}
	if ds, err := anon.Downloads(ctx, hello, time.Now().AddDate(0, 0, -3), time.Now()); err != nil || len(ds) != 0 {
		t.Errorf("Downloads = %+v, %v; want none", ds, err)
	}
	if sig, err := anon.Signatures(ctx, hello, ""); err != nil || sig.State != "unsigned" {
		t.Errorf("Signatures = %+v, %v", sig, err)
	}

	found, err := anon.Search(ctx, client.SearchQuery{Text: "hello", Language: []string{"c"}, Facets: true})
	if err != nil || found.Total == 0 || found.Items[0].Name != "@acme/hello" || len(found.Facets) == 0 {
		t.Errorf("Search = %+v, %v", found, err)
	} else if h, ok := found.Items[0].Highlights["name"]; !ok || len(h.Spans) == 0 || h.Text[h.Spans[0][0]:h.Spans[0][1]] != "hello" {
		t.Errorf("Search highlights = %+v; want hello marked in the name", found.Items[0].Highlights)
	}
	if ss, err := anon.Suggest(ctx, "hel"); err != nil || len(ss) != 1 || ss[0].Name != "@acme/hello" {
		t.Errorf("Suggest = %+v, %v", ss, err)
	}
	if cs, err := anon.Candidates(ctx, "hello"); err != nil || len(cs) != 1 {
		t.Errorf("Candidates = %+v, %v; want the one", cs, err)
	}
	e.publish("@beta/hello", "0.1.0")
	if cs, err := anon.Candidates(ctx, "hello"); err != nil || len(cs) != 2 {
		t.Errorf("Candidates = %+v, %v; want two", cs, err)
	}
	if _, err := anon.Candidates(ctx, "nothing"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Candidates(nothing) = %v; want ErrNotFound", err)
	}

	if r, err = c.Yank(ctx, hello, "1.1.0", client.YankRequest{Yanked: true, Reason: "broken", Text: "It leaks."}); err != nil || r.Yanked == nil || r.Yanked.Reason != "broken" {
		t.Errorf("Yank = %+v, %v", r.Yanked, err)
	}
	if r, err = c.Yank(ctx, hello, "1.1.0", client.YankRequest{}); err != nil || r.Yanked != nil {
		t.Errorf("Yank back = %+v, %v", r.Yanked, err)
	}
	if _, err := anon.Yank(ctx, hello, "1.1.0", client.YankRequest{}); !errors.Is(err, clyde.ErrUnauthenticated) {
		t.Errorf("Yank by nobody = %v; want ErrUnauthenticated", err)
	}
	if p, err = c.Deprecate(ctx, hello, client.Deprecation{Message: "Use another.", ReplacedBy: "@beta/hello"}); err != nil || p.Deprecated != "Use another." {
		t.Errorf("Deprecate = %+v, %v", p, err)
	}

	pub, pem := newKey(t)
	k, err := c.AddKey(ctx, "acme", "alice", pem)
	if err != nil || k.Fingerprint != pub {
		t.Errorf("AddKey = %+v, %v; want the fingerprint %s", k, err, pub)
	}
	if ks, err := anon.Keys(ctx, "acme"); err != nil || len(ks) != 1 || ks[0].PEM != pem {
		t.Errorf("Keys = %+v, %v", ks, err)
	}
	if err := c.RevokeKey(ctx, "acme", k.Fingerprint); err != nil {
		t.Errorf("RevokeKey = %v", err)
	}
	if ks, err := anon.Keys(ctx, "acme"); err != nil || len(ks) != 1 || ks[0].Revoked == nil {
		t.Errorf("Keys = %+v, %v; want it revoked", ks, err)
	}

	expires := time.Now().Add(time.Hour)
	tok, err := c.CreateToken(ctx, client.TokenRequest{Name: "ci", Scopes: []client.Scope{{Actions: []string{"publish"}, Pattern: "@acme/*"}}, Expires: &expires})
	if err != nil || !account.WellFormed(tok.Secret) || tok.Expires == nil {
		t.Fatalf("CreateToken = %+v, %v", tok, err)
	}
	if who, err := e.client(tok.Secret).WhoAmI(ctx); err != nil || who.Name != "ci" || len(who.Scopes) != 1 {
		t.Errorf("WhoAmI = %+v, %v; want ci", who, err)
	}
	if _, err := e.client(tok.Secret).CreateToken(ctx, client.TokenRequest{Name: "more", Admin: true}); !errors.Is(err, clyde.ErrDenied) {
		t.Errorf("CreateToken by ci = %v; want ErrDenied", err)
	}
	if ts, err := c.Tokens(ctx); err != nil || len(ts) != 2 || ts[0].Secret != "" {
		t.Errorf("Tokens = %+v, %v", ts, err)
	}
	if err := c.RevokeToken(ctx, tok.ID); err != nil {
		t.Errorf("RevokeToken = %v", err)
	}
	if _, err := e.client(tok.Secret).WhoAmI(ctx); !errors.Is(err, clyde.ErrUnauthenticated) {
		t.Errorf("WhoAmI with a revoked token = %v; want ErrUnauthenticated", err)
	}

	var types []string
	for ch, err := range anon.Changes(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, ch.Type)
	}
	if got := strings.Join(types, " "); !strings.HasPrefix(got, "version.published version.published version.published version.published version.yanked version.unyanked package.deprecated") {
		t.Errorf("Changes = %s", got)
	}
}

// newKey makes a key pair and returns fingerprint and PEM of the public half.
func newKey(t *testing.T) (fingerprint, pem string) {
	t.Helper()
	_, pub, err := signing.GenerateKeyPair([]byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signing.ParsePublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k.Fingerprint, string(pub)
}

func TestPublishTwice(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	c := e.client(e.admin)
	yaml, src := []byte(manifest("@acme/hello", "1.0.0")), tarball(t, page...)
	first, err := c.Publish(t.Context(), yaml, bytes.NewReader(src), artifact.TypeSourceGzip, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Publish(t.Context(), yaml, bytes.NewReader(src), artifact.TypeSourceGzip, "")
	if err != nil || again.Digest != first.Digest {
		t.Errorf("the same content again: %s, %v; want success and %s", again.Digest, err, first.Digest)
	}
	_, err = c.Publish(t.Context(), yaml, bytes.NewReader(tarball(t, "other.c", "int x;")), artifact.TypeSourceGzip, "")
	if e := clyde.AsError(err); e == nil || e.Kind != clyde.ErrConflict || e.Code != "version_exists" {
		t.Errorf("another content: %v; want version_exists", err)
	}
}
