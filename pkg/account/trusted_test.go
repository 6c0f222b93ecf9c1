package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// works is a town with CI providers: one key and issuer for each kind.
type works struct {
	*town
	*account.Trusted
	key     oidctest.Key
	issuers map[string]*oidctest.Issuer
}

var zlib = clyde.Name{Namespace: "acme", Base: "zlib"}

func newWorks(t *testing.T) *works {
	t.Helper()
	w := &works{town: newTown(t), key: oidctest.NewKey(t, "k1", "ES256", 0), issuers: map[string]*oidctest.Issuer{}}
	var all []account.TrustedIssuer
	for _, kind := range account.Kinds() {
		w.issuers[kind] = oidctest.New(t, w.key)
		all = append(all, account.TrustedIssuer{Name: kind, URL: w.issuers[kind].URL, Kind: kind})
	}
	var err error
	w.Trusted, err = account.NewTrusted(account.TrustedOptions{
		DB: w.db, Audience: "registry.example.org", Issuers: all, Now: w.time,
		Verifier: oidc.New(oidc.Options{Now: w.time, Insecure: true}),
		Lookup: func(_ context.Context, _ account.TrustedIssuer, repository string) (string, string, error) {
			if repository != "acme/zlib" {
				return "", "", clyde.Errorf(clyde.ErrInvalid, "no such repository").WithCode("publisher_invalid")
			}
			return "501", "7001", nil
		},
	})
	ok(t, err)
	return w
}

// publishedOnce makes the package exist.
func (w *works) publishedOnce(t *testing.T, n clyde.Name) {
	t.Helper()
	_, err := w.db.Commit(t.Context(), store.Commit{
		Manifest: store.Manifest{Repo: n.Repo(), Digest: "sha256:" + strings.Repeat("a", 64), MediaType: "m"}, Tag: "1.0.0", VersionKey: "1.0.0", Actor: "x",
	})
	ok(t, err)
}

// claims is a recorded shape with changes; nil takes a claim away.
func (w *works) claims(t *testing.T, kind string, more map[string]any) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "claims", kind+".json"))
	ok(t, err)
	var c map[string]any
	ok(t, json.Unmarshal(b, &c))
	maps.Copy(c, more)
	return w.issuers[kind].Claims("registry.example.org", w.time(), c)
}

func (w *works) run(t *testing.T, kind string, more map[string]any) (account.RunToken, error) {
	t.Helper()
	return w.Exchange(t.Context(), w.key.Sign(t, w.claims(t, kind, more)), zlib, netip.MustParseAddr("192.0.2.9"))
}

func spec(kind string) account.PublisherSpec {
	s := account.PublisherSpec{Issuer: kind, Repository: "acme/zlib", Workflow: "release.yml", Ref: "refs/tags/v*", Environment: "release"}
	switch kind {
	case account.KindGitLab:
		s.Workflow = ".gitlab-ci.yml"
	case account.KindForgejo:
		s.Environment = ""
	}
	return s
}

// TestExchangeClaims changes one thing in a run that is trusted.
func TestExchangeClaims(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	w.publishedOnce(t, zlib)
	for _, kind := range []string{account.KindGitHub, account.KindGitLab, account.KindForgejo} {
		_, err := w.Add(t.Context(), boss, zlib, spec(kind))
		ok(t, err)
	}
	const gh, gl, fj = account.KindGitHub, account.KindGitLab, account.KindForgejo
	for _, tt := range []struct {
		name, kind string
		more       map[string]any
		code, says string
	}{
		{"GitHub", gh, nil, "", ""},
		{"GitLab", gl, nil, "", ""},
		{"Forgejo", fj, nil, "", ""},
		{"renamed", gh, map[string]any{
			"repository": "acme/zlib-ng", "workflow_ref": "acme/zlib-ng/.github/workflows/release.yml@refs/tags/v1",
			"job_workflow_ref": "acme/zlib-ng/.github/workflows/release.yml@refs/tags/v1",
		}, "", ""},
		{"name taken by another", gh, map[string]any{"repository_id": "7002"}, "claim_mismatch", `repository_id is "7002"; expected is "7001"`},
		{"owner taken by another", gh, map[string]any{"repository_owner_id": "502"}, "claim_mismatch", `repository_owner_id is "502"; expected is "501"`},
		{"no number", gh, map[string]any{"repository_id": nil}, "claim_mismatch", "repository_id is missing"},
		{"another workflow", gh, map[string]any{"workflow_ref": "acme/zlib/.github/workflows/ci.yml@refs/tags/v1.2.0"}, "claim_mismatch", `workflow_ref is "ci.yml"`},
		{"workflow of a stranger", gh, map[string]any{"workflow_ref": "evil/zlib/.github/workflows/release.yml@refs/tags/v1.2.0"}, "claim_mismatch", "workflow_ref"},
		{"workflow below another directory", gh, map[string]any{"workflow_ref": "acme/zlib/x/.github/workflows/release.yml@refs/tags/v1.2.0"}, "claim_mismatch", "workflow_ref"},
		{"job in a reusable workflow", gh, map[string]any{"job_workflow_ref": "evil/ci/.github/workflows/release.yml@refs/heads/main"}, "claim_mismatch", "job_workflow_ref"},
		{"a branch", gh, map[string]any{"ref": "refs/heads/main"}, "claim_mismatch", `ref is "refs/heads/main"; expected is "refs/tags/v*"`},
		{"a tag in a directory", gh, map[string]any{"ref": "refs/tags/v1/x"}, "claim_mismatch", "ref"},
		{"a tag with a line break", gh, map[string]any{"ref": "x\nrefs/tags/v1"}, "claim_mismatch", "ref"},
		{"no environment", gh, map[string]any{"environment": nil}, "claim_mismatch", "environment is missing"},
		{"environment in capitals", gh, map[string]any{"environment": "Release"}, "", ""},
		{"pull_request_target", gh, map[string]any{"event_name": "pull_request_target"}, "event_refused", "pull_request_target"},
		{"pull_request", gh, map[string]any{"event_name": "pull_request"}, "event_refused", ""},
		{"workflow_run", gh, map[string]any{"event_name": "workflow_run"}, "event_refused", ""},
		{"no event", gh, map[string]any{"event_name": nil}, "event_refused", "missing"},
		{"another audience", gh, map[string]any{"aud": "sigstore"}, "oidc_audience", ""},
		{"expired", gh, map[string]any{"exp": 1}, "oidc_expired", ""},
		{"unknown issuer", gh, map[string]any{"iss": "https://ci.example.org"}, "issuer_unknown", "it accepts those of github"},
		{"GitLab: another project", gl, map[string]any{"project_id": "7002"}, "claim_mismatch", "project_id"},
		{"GitLab: another namespace", gl, map[string]any{"namespace_id": "502"}, "claim_mismatch", "namespace_id"},
		{"GitLab: a branch named like the tag", gl, map[string]any{"ref_path": "refs/heads/v1.2.0", "ref_type": "branch"}, "claim_mismatch", "refs/heads/v1.2.0"},
		{"GitLab: without ref_path", gl, map[string]any{"ref_path": nil}, "", ""},
		{"GitLab: configuration elsewhere", gl, map[string]any{"ci_config_ref_uri": "gitlab.com/evil/zlib//.gitlab-ci.yml@refs/heads/main"}, "claim_mismatch", "ci_config_ref_uri"},
		{"GitLab: merge request", gl, map[string]any{"pipeline_source": "merge_request_event"}, "event_refused", ""},
		{"GitLab: environment", gl, map[string]any{"environment": "staging"}, "claim_mismatch", `environment is "staging"`},
		{"Forgejo: before it told numbers", fj, map[string]any{"repository_id": nil, "repository_owner_id": nil}, "", ""},
		{"Forgejo: another repository then", fj, map[string]any{
			"repository_id": nil, "repository_owner_id": nil, "repository": "evil/zlib", "workflow_ref": "evil/zlib/.forgejo/workflows/release.yml@x",
		}, "claim_mismatch", `repository is "evil/zlib"`},
		{"Forgejo: another number", fj, map[string]any{"repository_id": "7002"}, "claim_mismatch", "repository_id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.run(t, tt.kind, tt.more)
			if tt.code == "" && err != nil || tt.code != "" && (codeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says)) {
				t.Fatalf("Exchange = %v (%s); want %q %q", err, codeOf(err), tt.code, tt.says)
			}
			if err == nil && (got.Package != zlib || got.New || !account.WellFormed(got.Secret)) {
				t.Errorf("Exchange = %+v", got)
			}
		})
	}
}

// TestExchangeGrants is what the token is good for, and for how long.
func TestExchangeGrants(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	w.publishedOnce(t, zlib)
	pub, err := w.Add(t.Context(), boss, zlib, spec("github"))
	ok(t, err)
	raw := w.key.Sign(t, w.claims(t, "github", nil))
	got, err := w.Exchange(t.Context(), raw, clyde.Name{}, netip.Addr{}) // the only package there is
	ok(t, err)
	p, err := w.Accounts.Token(t.Context(), got.Secret)
	ok(t, err)
	want := account.Run{
		Provider: "github", Issuer: w.issuers["github"].URL, Publisher: pub.ID, Repository: w.issuers["github"].URL + "/acme/zlib",
		Commit: "0123456789abcdef0123456789abcdef01234567", Ref: "refs/tags/v1.2.0", Workflow: "acme/zlib/.github/workflows/release.yml@refs/tags/v1.2.0",
		Env: "release", URL: w.issuers["github"].URL + "/acme/zlib/actions/runs/42/attempts/2", Actor: "ada", Subject: "repo:acme/zlib:environment:release",
	}
	if p.Run == nil || *p.Run != want {
		t.Errorf("Run = %+v; want %+v", p.Run, want)
	}
	for _, tt := range []struct {
		a    account.Action
		repo string
		want bool
	}{
		{account.Publish, "acme/zlib", true},
		{account.PublishNew, "acme/zlib", false},
		{account.Yank, "acme/zlib", false},
		{account.Manage, "acme/zlib", false},
		{account.Publish, "acme/zlib-ng", false},
		{account.Publish, "other/zlib", false},
	} {
		if got := account.Allowed(p, tt.a, account.Resource{Repo: tt.repo, TrustedOnly: true}); got != tt.want {
			t.Errorf("Allowed(%s on %s) = %t; want %t", tt.a, tt.repo, got, tt.want)
		}
	}
	hand := account.Principal{ID: "t", Name: "t", Scopes: []account.Scope{{Actions: []account.Action{account.Publish}, Pattern: "@acme/zlib"}}}
	refused(t, "publish by hand", account.Authorize(hand, account.Publish, account.Resource{Repo: "acme/zlib", TrustedOnly: true}), "trusted_publishing_required")

	_, err = w.Exchange(t.Context(), raw, zlib, netip.Addr{})
	refused(t, "replay", err, "token_replayed")
	w.pass(6*time.Minute - time.Second)
	_, err = w.Exchange(t.Context(), raw, zlib, netip.Addr{})
	refused(t, "replay within the leeway", err, "token_replayed")
	w.pass(account.RunTokenLife)
	if _, err := w.Accounts.Token(t.Context(), got.Secret); codeOf(err) != "token_invalid" {
		t.Errorf("the token after %s: %v; want token_invalid", account.RunTokenLife, err)
	}
}

// TestPending follows publishers of packages that do not exist.
func TestPending(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	pub, err := w.Add(t.Context(), boss, zlib, spec("github"))
	ok(t, err)
	if want := w.time().Add(account.PendingLife); !pub.Expires.Equal(want) {
		t.Errorf("Expires = %s; want %s", pub.Expires, want)
	}
	_, err = w.run(t, "github", map[string]any{"repository_owner_id": "9"})
	refused(t, "a stranger's run, who learns nothing", err, "publisher_unknown")
	got, err := w.run(t, "github", nil)
	ok(t, err)
	p, err := w.Accounts.Token(t.Context(), got.Secret)
	ok(t, err)
	if !got.New || !account.Allowed(p, account.PublishNew, account.Resource{Repo: "acme/zlib", New: true}) {
		t.Errorf("Exchange = %+v; want a token that may make the package", got)
	}
	// The publish, as the registry commits it.
	_, err = w.db.Commit(t.Context(), store.Commit{
		Manifest: store.Manifest{Repo: "acme/zlib", Digest: "sha256:" + strings.Repeat("a", 64), MediaType: "m"}, Tag: "1.0.0", VersionKey: "1.0.0",
		Actor: p.String(), Publication: p.Publication(),
	})
	ok(t, err)
	ps, err := w.Publishers(t.Context(), boss, zlib)
	ok(t, err)
	if len(ps) != 1 || !ps[0].Expires.IsZero() || ps[0].Used.IsZero() {
		t.Errorf("Publishers = %+v; want one that was used and does not expire", ps)
	}
	w.pass(2 * account.PendingLife)
	_, err = w.run(t, "github", nil)
	ok(t, err)
}

func TestPendingEnds(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	_, err := w.Add(t.Context(), boss, zlib, spec("github"))
	ok(t, err)
	w.publishedOnce(t, zlib) // by somebody else
	_, err = w.run(t, "github", nil)
	refused(t, "overtaken", err, "publisher_overtaken")

	w = newWorks(t)
	_, err = w.Add(t.Context(), boss, zlib, spec("github"))
	ok(t, err)
	w.pass(account.PendingLife)
	_, err = w.run(t, "github", nil)
	refused(t, "expired", err, "publisher_expired")
	_, err = w.Add(t.Context(), boss, zlib, spec("github")) // the expired one is no hindrance
	ok(t, err)
	_, err = w.run(t, "github", nil)
	ok(t, err)
}

// TestPublisherRights is who may decide whom to trust.
func TestPublisherRights(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	w.publishedOnce(t, zlib)
	secret := clyde.Name{Namespace: "acme", Base: "secret"}
	w.publishedOnce(t, secret)
	ok(t, w.db.SaveSetting(t.Context(), store.Setting{Repo: "acme/secret", Private: true}, store.Change{}, store.AuditEntry{}))
	absent := clyde.Name{Namespace: "acme", Base: "absent"}
	who := func(as ...account.Action) account.Principal {
		return account.Principal{ID: "t", Name: "t", Scopes: []account.Scope{{Actions: as, Pattern: "@acme/*"}}}
	}
	stranger := account.Principal{ID: "s", Name: "s"}
	for _, tt := range []struct {
		what string
		by   account.Principal
		name clyde.Name
		want error
	}{
		{"manager", who(account.Manage), zlib, nil},
		{"manager, absent", who(account.Manage), absent, nil},
		{"manager, private", who(account.Manage), secret, nil},
		{"who may make packages, absent", who(account.PublishNew), absent, nil},
		{"who may make packages, there", who(account.PublishNew), zlib, clyde.ErrDenied},
		{"publisher", who(account.Publish), zlib, clyde.ErrDenied},
		{"stranger", stranger, zlib, clyde.ErrDenied},
		{"stranger, private", stranger, secret, clyde.ErrNotFound},
		{"stranger, absent", stranger, absent, clyde.ErrNotFound},
		{"nobody", account.Principal{}, zlib, clyde.ErrUnauthenticated},
		{"nobody, private", account.Principal{}, secret, clyde.ErrUnauthenticated},
		{"nobody, absent", account.Principal{}, absent, clyde.ErrUnauthenticated},
	} {
		if _, err := w.Publishers(t.Context(), tt.by, tt.name); !errors.Is(err, tt.want) {
			t.Errorf("%s: Publishers(%s) = %v; want %v", tt.what, tt.name, err, tt.want)
		}
		_, err := w.Add(t.Context(), tt.by, tt.name, account.PublisherSpec{Issuer: "generic", Claims: map[string]string{"sub": tt.what}})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: Add(%s) = %v; want %v", tt.what, tt.name, err, tt.want)
		}
		if err := w.Remove(t.Context(), tt.by, tt.name, "tp_none"); tt.want == nil && codeOf(err) != "publisher_unknown" || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Remove(%s) = %v; want %v", tt.what, tt.name, err, tt.want)
		}
	}
	// A run elsewhere learns of a private package what it does of an absent one.
	pub, err := w.Add(t.Context(), boss, secret, spec("github"))
	ok(t, err)
	var says [2]string
	for i, n := range []clyde.Name{secret, absent} {
		_, err := w.Exchange(t.Context(), w.key.Sign(t, w.claims(t, "github", map[string]any{"repository_owner_id": "9"})), n, netip.Addr{})
		says[i] = strings.ReplaceAll(err.Error(), n.String(), "NAME")
	}
	if says[0] != says[1] {
		t.Errorf("private: %q; absent: %q", says[0], says[1])
	}
	ok(t, w.Remove(t.Context(), boss, secret, pub.ID))
}

// TestPublisherSpecs is what can be trusted at all.
func TestPublisherSpecs(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	gh := func(edit func(*account.PublisherSpec)) account.PublisherSpec {
		s := spec("github")
		edit(&s)
		return s
	}
	claims := func(c map[string]string) account.PublisherSpec {
		return account.PublisherSpec{Issuer: "generic", Claims: c}
	}
	for name, s := range map[string]account.PublisherSpec{
		"unknown issuer":       gh(func(s *account.PublisherSpec) { s.Issuer = "jenkins" }),
		"no repository":        gh(func(s *account.PublisherSpec) { s.Repository = "" }),
		"half a repository":    gh(func(s *account.PublisherSpec) { s.Repository = "acme" }),
		"dots":                 gh(func(s *account.PublisherSpec) { s.Repository = "acme/.." }),
		"a query":              gh(func(s *account.PublisherSpec) { s.Repository = "acme/zlib?x" }),
		"unknown repository":   gh(func(s *account.PublisherSpec) { s.Repository = "acme/other" }),
		"another's number":     gh(func(s *account.PublisherSpec) { s.OwnerID = "9" }),
		"number of words":      gh(func(s *account.PublisherSpec) { s.RepositoryID = "7001 or 1" }),
		"no workflow":          gh(func(s *account.PublisherSpec) { s.Workflow = "" }),
		"workflow with a path": gh(func(s *account.PublisherSpec) { s.Workflow = ".github/workflows/release.yml" }),
		"workflow pattern":     gh(func(s *account.PublisherSpec) { s.Workflow = "*.yml" }),
		"short ref":            gh(func(s *account.PublisherSpec) { s.Ref = "v*" }),
		"anybody's job":        gh(func(s *account.PublisherSpec) { s.JobWorkflow = "**@**" }),
		"any owner's job":      gh(func(s *account.PublisherSpec) { s.JobWorkflow = "*/ci/.github/workflows/x.yml@refs/heads/main" }),
		"too long":             gh(func(s *account.PublisherSpec) { s.Ref = "refs/" + strings.Repeat("x", account.MaxPattern) }),
		"unprintable":          gh(func(s *account.PublisherSpec) { s.Environment = "a\nb" }),
		"claims at GitHub":     gh(func(s *account.PublisherSpec) { s.Claims = map[string]string{"sub": "x"} }),
		"no claims":            claims(nil),
		"patterns alone":       claims(map[string]string{"sub": "repo:*"}),
		"empty claim":          claims(map[string]string{"sub": ""}),
		"the issuer":           claims(map[string]string{"iss": "x"}),
		"no name of a claim":   claims(map[string]string{"a b": "x"}),
		"fields at others":     {Issuer: "generic", Repository: "acme/zlib", Claims: map[string]string{"sub": "x"}},
	} {
		_, err := w.Add(t.Context(), boss, zlib, s)
		if !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("%s: Add = %v; want ErrInvalid", name, err)
		}
	}
	_, err := w.Add(t.Context(), boss, zlib, spec("github"))
	ok(t, err)
	_, err = w.Add(t.Context(), boss, zlib, spec("github"))
	refused(t, "the same again", err, "publisher_exists")
	for i := 1; i < account.MaxPublishers; i++ {
		_, err := w.Add(t.Context(), boss, zlib, claims(map[string]string{"sub": strings.Repeat("x", i)}))
		ok(t, err)
	}
	_, err = w.Add(t.Context(), boss, zlib, claims(map[string]string{"sub": "one more"}))
	refused(t, "one too many", err, "too_many_publishers")
}

// TestGenericExchange compares claims that mean nothing to us.
func TestGenericExchange(t *testing.T) {
	t.Parallel()
	w := newWorks(t)
	w.publishedOnce(t, zlib)
	_, err := w.Add(t.Context(), boss, zlib, account.PublisherSpec{Issuer: "generic", Claims: map[string]string{"org": "acme", "tag": "v*", "job": "7", "path": "a/**"}})
	ok(t, err)
	good := map[string]any{"org": "acme", "tag": "v1", "job": 7, "path": "a/b/c"}
	for name, more := range map[string]map[string]any{
		"": {}, "org": {"org": "acme2"}, "tag": {"tag": "v1/2"}, "job": {"job": []int{7}}, "path": {"path": nil},
	} {
		c := maps.Clone(good)
		maps.Copy(c, more)
		_, err := w.Exchange(t.Context(), w.key.Sign(t, w.issuers["generic"].Claims("registry.example.org", w.time(), c)), zlib, netip.Addr{})
		if name == "" && err != nil || name != "" && (codeOf(err) != "claim_mismatch" || !strings.Contains(err.Error(), "claim "+name)) {
			t.Errorf("%q: Exchange = %v", name, err)
		}
	}
	// A run that may publish two packages has to say which.
	other := clyde.Name{Namespace: "acme", Base: "other"}
	_, err = w.Add(t.Context(), boss, other, account.PublisherSpec{Issuer: "generic", Claims: map[string]string{"org": "acme"}})
	ok(t, err)
	_, err = w.Exchange(t.Context(), w.key.Sign(t, w.issuers["generic"].Claims("registry.example.org", w.time(), good)), clyde.Name{}, netip.Addr{})
	refused(t, "two packages", err, "package_ambiguous")
}
