package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// TestTrustedOnly: where an organisation asks for it, CI publishes and nobody
// else does; the page says what run it was.
func TestTrustedOnly(t *testing.T) {
	t.Parallel()
	key := oidctest.NewKey(t, "k1", "EdDSA", 0)
	iss := oidctest.New(t, key)
	c := testConfig(t)
	c.TrustedPublishing = config.TrustedPublishing{
		Audience: "clyde", Insecure: true, Issuers: []config.TrustedIssuer{{Name: "forge", URL: iss.URL, Kind: "forgejo"}},
	}
	s := start(t, c, Options{})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ada, err := s.DB.AddAccount(ctx, store.Account{Login: "ada"}, nil, store.AuditEntry{Action: "account.add"})
	must(err)
	org, err := s.DB.AddOrg(ctx, store.Org{Name: "acme"}, ada.ID, store.AuditEntry{Action: "org.add"})
	must(err)
	must(s.DB.ClaimNamespace(ctx, "acme", store.Owner{Kind: store.OwnerOrg, ID: org.ID}, "ada", false, store.AuditEntry{Action: "namespace.claim"}))
	org.TrustedOnly = true
	must(s.DB.SaveOrg(ctx, org, store.AuditEntry{Action: "org.switches"}))

	name := clyde.Name{Namespace: "acme", Base: "zlib"}
	secret, _, err := s.Accounts.Create(ctx, System, account.TokenSpec{
		Name: "by hand", Scopes: []account.Scope{{Actions: []account.Action{account.Publish, account.PublishNew}, Pattern: "@acme/*"}},
	})
	must(err)
	publish := func(secret, version string) error {
		p, err := s.Accounts.Token(ctx, secret)
		must(err)
		manifest := "name: \"@acme/zlib\"\nversion: \"" + version + "\"\ndescription: Compresses\nlicense: Zlib\n"
		_, _, err = s.Ingest.Publish(ctx, s.Registry, p, []byte(manifest), bytes.NewReader(source(t, manifest)), artifact.TypeSourceGzip)
		return err
	}
	if e := clyde.AsError(publish(secret, "1.0.0")); e == nil || e.Code != "trusted_publishing_required" {
		t.Fatalf("publish by hand = %v; want trusted_publishing_required", e)
	}
	_, err = s.Trusted.Add(ctx, System, name, account.PublisherSpec{
		Issuer: "forge", Repository: "acme/zlib", OwnerID: "501", RepositoryID: "7001", Workflow: "release.yml",
	})
	must(err)
	tok, err := s.Trusted.Exchange(ctx, key.Sign(t, iss.Claims("clyde", s.Now(), map[string]any{
		"event_name": "push", "repository": "acme/zlib", "repository_id": "7001", "repository_owner_id": "501", "run_number": "42", "ref": "refs/tags/v1",
		"sha": strings.Repeat("ab", 20), "workflow_ref": "acme/zlib/.forgejo/workflows/release.yml@refs/tags/v1",
	})), name, netip.Addr{})
	must(err)
	must(publish(tok.Secret, "1.0.0"))
	must(publish(tok.Secret, "1.1.0"))

	r, err := s.Catalog.Release(ctx, account.Principal{}, catalog.Ref{Name: name, Version: "1.0.0"})
	must(err)
	want := catalog.PublishedBy{
		Kind: catalog.ByRun, Provider: "forgejo", Repository: iss.URL + "/acme/zlib", Commit: strings.Repeat("ab", 20), Ref: "refs/tags/v1",
		Workflow: "acme/zlib/.forgejo/workflows/release.yml@refs/tags/v1", RunURL: iss.URL + "/acme/zlib/actions/runs/42",
	}
	if r.PublishedBy == nil || *r.PublishedBy != want {
		t.Errorf("PublishedBy = %+v; want %+v", r.PublishedBy, want)
	}
	_, page := get(t, http.DefaultClient, base(s)+"/packages/acme/zlib")
	for _, part := range []string{"Published from <a href=\"" + want.Repository, "<code>abababababab</code>", "by <a href=\"" + want.RunURL, ">run 42</a>"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page of the package lacks %q", part)
		}
	}
	log, err := s.DB.Publications(ctx, "acme/zlib")
	must(err)
	if len(log) != 2 || len(log[0].Run) == 0 {
		t.Errorf("Publications = %+v; want two with their run", log)
	}
}

// source is a package of one file.
func source(t *testing.T, manifest string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{{"package.yaml", manifest}, {"a.c", "int a;\n"}} {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
