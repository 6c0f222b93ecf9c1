package account_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

var actions = []account.Action{account.Pull, account.PublishNew, account.Publish, account.Yank, account.Manage}

func scope(pattern string, as ...account.Action) account.Scope {
	return account.Scope{Pattern: pattern, Actions: as}
}

func token(scopes ...account.Scope) account.Principal {
	return account.Principal{ID: "t1", Name: "ci", Scopes: scopes}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	var (
		nobody = account.Principal{}
		admin  = account.Principal{ID: "a", Name: "admin", Admin: true}
		open   = account.Resource{Repo: "acme/zlib"}
		secret = account.Resource{Repo: "acme/zlib", Private: true}
	)
	for _, tt := range []struct {
		name string
		p    account.Principal
		a    account.Action
		r    account.Resource
		want error
	}{
		{"anyone pulls what is public", nobody, account.Pull, open, nil},
		{"nobody pulls what is private", nobody, account.Pull, secret, clyde.ErrUnauthenticated},
		{"nobody publishes", nobody, account.Publish, open, clyde.ErrUnauthenticated},
		{"nobody is not made an administrator by a flag", account.Principal{Admin: true}, account.Publish, open, clyde.ErrUnauthenticated},
		{"nobody has no scopes", account.Principal{Scopes: []account.Scope{scope("*", actions...)}}, account.Pull, secret, clyde.ErrUnauthenticated},
		{"administrator", admin, account.Manage, secret, nil},
		{"an action that does not exist", admin, "fly", open, clyde.ErrDenied},
		{"no scope", token(), account.Publish, open, clyde.ErrDenied},
		{"no scope, private", token(), account.Publish, secret, clyde.ErrNotFound},
		{"exact", token(scope("@acme/zlib", account.Publish)), account.Publish, open, nil},
		{"exact, other", token(scope("@acme/zlib2", account.Publish)), account.Publish, open, clyde.ErrDenied},
		{"prefix is no match", token(scope("@acme/zli", account.Publish)), account.Publish, open, clyde.ErrDenied},
		{"namespace", token(scope("@acme/*", account.Publish)), account.Publish, open, nil},
		{"other namespace", token(scope("@acm/*", account.Publish)), account.Publish, open, clyde.ErrDenied},
		{"everything", token(scope("*", account.Yank)), account.Yank, open, nil},
		{"other action", token(scope("*", account.Yank)), account.Publish, open, clyde.ErrDenied},
		{"publish does not make packages", token(scope("*", account.Publish)), account.PublishNew, open, clyde.ErrDenied},
		{"making packages does not publish", token(scope("*", account.PublishNew)), account.Publish, open, clyde.ErrDenied},
		{"making packages shows nothing", token(scope("*", account.PublishNew)), account.Pull, secret, clyde.ErrNotFound},
		{"who publishes sees", token(scope("@acme/zlib", account.Publish)), account.Pull, secret, nil},
		{"who yanks sees", token(scope("@acme/zlib", account.Yank)), account.Pull, secret, nil},
		{"who manages sees", token(scope("@acme/*", account.Manage)), account.Pull, secret, nil},
		{"who sees may not publish", token(scope("*", account.Pull)), account.Publish, secret, clyde.ErrDenied},
		{"the second scope counts", token(scope("@x/y", account.Pull), scope("@acme/zlib", account.Pull)), account.Pull, secret, nil},
		{"a broken pattern matches nothing", token(scope("@acme/[", account.Pull)), account.Pull, secret, clyde.ErrNotFound},
		{"an empty pattern matches nothing", token(scope("", account.Pull)), account.Pull, secret, clyde.ErrNotFound},
		{"a namespace as a whole", token(scope("@acme/*", account.Manage)), account.Manage, account.Resource{Repo: "acme/*"}, nil},
		{"one package is not its namespace", token(scope("@acme/zlib", account.Manage)), account.Manage, account.Resource{Repo: "acme/*"}, clyde.ErrDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := account.Authorize(tt.p, tt.a, tt.r)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("Authorize = %v; want %v", err, tt.want)
			}
			if account.Allowed(tt.p, tt.a, tt.r) != (err == nil) {
				t.Error("Allowed and Authorize disagree")
			}
			if errors.Is(err, clyde.ErrDenied) && !strings.Contains(err.Error(), string(tt.a)) {
				t.Errorf("the refusal does not name the missing grant: %v", err)
			}
		})
	}
}

// Nothing is allowed that no scope names: whatever the scopes, a right to
// change comes from one that holds the very action and matches the very
// repository, and a right to see what is private from one that lets it change.
func TestAuthorizeDeniesByDefault(t *testing.T) {
	t.Parallel()
	repos := []string{"acme/zlib", "acme/zlib-ng", "acme/z", "acm/zlib", "b/zlib"}
	patterns := []string{"*", "@acme/*", "@acm/*", "@acme/zlib", "@acme/z", "@b/*", "", "**", "@*/*", "@acme", "acme/zlib"}
	rapid.Check(t, func(rt *rapid.T) {
		p := account.Principal{ID: rapid.SampledFrom([]string{"", "t1"}).Draw(rt, "id")}
		for range rapid.IntRange(0, 4).Draw(rt, "scopes") {
			p.Scopes = append(p.Scopes, account.Scope{
				Pattern: rapid.SampledFrom(patterns).Draw(rt, "pattern"),
				Actions: rapid.SliceOfN(rapid.SampledFrom(actions), 0, 3).Draw(rt, "actions"),
			})
		}
		a := rapid.SampledFrom(actions).Draw(rt, "action")
		r := account.Resource{Repo: rapid.SampledFrom(repos).Draw(rt, "repo"), Private: rapid.Bool().Draw(rt, "private")}
		if !account.Allowed(p, a, r) {
			return
		}
		if a == account.Pull && !r.Private {
			return
		}
		if p.ID == "" {
			rt.Fatalf("anonymous may %s %+v with %v", a, r, p.Scopes)
		}
		ns, _, _ := strings.Cut(r.Repo, "/")
		if !slices.ContainsFunc(p.Scopes, func(s account.Scope) bool {
			matches := s.Pattern == "*" || s.Pattern == "@"+r.Repo || s.Pattern == "@"+ns+"/*"
			grants := slices.Contains(s.Actions, a)
			if a == account.Pull {
				grants = grants || slices.Contains(s.Actions, account.Publish) || slices.Contains(s.Actions, account.Yank) || slices.Contains(s.Actions, account.Manage)
			}
			return matches && grants
		}) {
			rt.Fatalf("may %s %+v with %v", a, r, p.Scopes)
		}
	})
}

func TestParsePattern(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"*": true, "@acme/*": true, "@acme/zlib": true, "@acme/zlib.ng": true,
		"": false, "**": false, "@*/*": false, "@acme": false, "@acme/": false, "@acme/z*": false, "acme/zlib": false,
		"@Acme/*": false, "@acme/*/x": false, "@acme/[a-z]": false, "@acme/zlib ": false, "@a/*": false, "@/x": false,
	} {
		if _, err := account.ParsePattern(s); (err == nil) != ok {
			t.Errorf("ParsePattern(%q) = %v; want ok %t", s, err, ok)
		}
	}
}

func TestParseAction(t *testing.T) {
	t.Parallel()
	for _, a := range actions {
		if got, err := account.ParseAction(string(a)); err != nil || got != a {
			t.Errorf("ParseAction(%q) = %v, %v", a, got, err)
		}
	}
	if _, err := account.ParseAction("Publish"); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("ParseAction(Publish) = %v", err)
	}
}

func TestScopeNames(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{"@acme/*": true, "@acme/zlib": true, "*": false, "@acm/*": false, "@acme-x/*": false} {
		if got := (account.Scope{Pattern: pattern}).Names("acme"); got != want {
			t.Errorf("%q names acme: %t", pattern, got)
		}
	}
}

// Who may not make a package in a namespace that perhaps nobody has is told how
// to get one, in the same words whether somebody has it or not.
func TestNewNamespaceFix(t *testing.T) {
	t.Parallel()
	p := account.Principal{ID: "x", Account: 1, Login: "eve", Session: "x"}
	for action, want := range map[account.Action]bool{account.PublishNew: true, account.Publish: false} {
		e := clyde.AsError(account.Authorize(p, action, account.Resource{Repo: "fresh/zlib"}))
		if e == nil || strings.Contains(strings.Join(e.Fixes, "\n"), "clyde namespace claim fresh") != want {
			t.Errorf("%s: %+v", action, e)
		}
	}
}
