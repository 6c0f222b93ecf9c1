package account_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// desk is accounts over a real database with a clock that tests move.
type desk struct {
	*account.Accounts
	db  *store.DB
	now time.Time
}

var root = account.Principal{ID: "root", Name: "root", Admin: true}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return d.now }
	db, err := store.Open(t.Context(), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d.db, d.Accounts = db, account.New(db, now)
	return d
}

func (d *desk) make(t *testing.T, spec account.TokenSpec) (string, store.Token) {
	t.Helper()
	secret, row, err := d.Create(t.Context(), root, spec)
	if err != nil {
		t.Fatal(err)
	}
	return secret, row
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	scopes := []account.Scope{scope("@acme/*", account.Publish)}
	secret, row := d.make(t, account.TokenSpec{Name: "ci", Scopes: scopes, Expires: d.now.Add(time.Hour)})

	p, err := d.Token(ctx, secret)
	if err != nil || p.Admin || p.Name != "ci" || p.ID != row.ID || len(p.Scopes) != 1 || p.Scopes[0].Pattern != "@acme/*" {
		t.Fatalf("Token = %+v, %v", p, err)
	}
	// The last moment is in, the next is out.
	d.now = d.now.Add(time.Hour - time.Millisecond)
	if _, err := d.Token(ctx, secret); err != nil {
		t.Errorf("a millisecond before it expires: %v", err)
	}
	d.now = d.now.Add(time.Millisecond)
	if _, err := d.Token(ctx, secret); !errors.Is(err, clyde.ErrUnauthenticated) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("when it expires: %v", err)
	}

	secret, row = d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	if p, err := d.Token(ctx, secret); err != nil || !p.Admin {
		t.Fatalf("Token = %+v, %v", p, err)
	}
	if err := d.Revoke(ctx, root, row.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(ctx, secret); !errors.Is(err, clyde.ErrUnauthenticated) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("the call after it was revoked: %v", err)
	}
	if err := d.Revoke(ctx, root, "nosuch"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("revoking nothing: %v", err)
	}
}

func TestSecretIsNotStored(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, row := d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	if len(row.Hash) != 32 || strings.Contains(string(row.Hash), secret[6:]) {
		t.Errorf("hash is %x", row.Hash)
	}
	if !strings.HasPrefix(secret, row.Prefix) || len(row.Prefix) > len(account.TokenPrefix)+6 {
		t.Errorf("prefix %q shows too much, or something else", row.Prefix)
	}
	as, err := d.db.Audit(t.Context(), 0, 10)
	if err != nil || len(as) != 1 || as[0].Action != "token.create" || as[0].Actor != "root" || as[0].Resource != row.ID {
		t.Fatalf("audit: %+v, %v", as, err)
	}
	if strings.Contains(as[0].Detail, secret) || !strings.Contains(as[0].Detail, `"admin":true`) {
		t.Errorf("audit detail: %s", as[0].Detail)
	}
}

// A token never grants more than its maker has: until accounts can delegate,
// only an administrator makes, lists and revokes.
func TestOnlyAdministratorsMakeTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, by := range map[string]account.Principal{
		"anonymous": {}, "flag without identity": {Admin: true}, "manager": token(scope("*", actions...)),
	} {
		want := clyde.ErrDenied
		if by.Anonymous() {
			want = clyde.ErrUnauthenticated
		}
		if _, _, err := d.Create(t.Context(), by, account.TokenSpec{Name: "x", Scopes: []account.Scope{scope("@acme/*", account.Pull)}}); !errors.Is(err, want) {
			t.Errorf("%s creates: %v", name, err)
		}
		if _, err := d.List(t.Context(), by); !errors.Is(err, want) {
			t.Errorf("%s lists: %v", name, err)
		}
		if err := d.Revoke(t.Context(), by, "x"); !errors.Is(err, want) {
			t.Errorf("%s revokes: %v", name, err)
		}
	}
	if ts, err := d.List(t.Context(), root); err != nil || len(ts) != 0 {
		t.Errorf("tokens: %v, %v", ts, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ok := []account.Scope{scope("@acme/*", account.Pull)}
	many := func(n int) []account.Scope {
		out := make([]account.Scope, n)
		for i := range out {
			out[i] = ok[0]
		}
		return out
	}
	for name, tt := range map[string]struct {
		spec account.TokenSpec
		good bool
	}{
		"least":               {account.TokenSpec{Name: "x", Scopes: ok}, true},
		"longest name":        {account.TokenSpec{Name: strings.Repeat("x", account.MaxTokenName), Scopes: ok}, true},
		"name too long":       {account.TokenSpec{Name: strings.Repeat("x", account.MaxTokenName+1), Scopes: ok}, false},
		"no name":             {account.TokenSpec{Scopes: ok}, false},
		"name with a line":    {account.TokenSpec{Name: "a\nb", Scopes: ok}, false},
		"name turns the line": {account.TokenSpec{Name: "a\u202eb", Scopes: ok}, false},
		"name not UTF-8":      {account.TokenSpec{Name: "a\xff", Scopes: ok}, false},
		"name of the system":  {account.TokenSpec{Name: "system", Scopes: ok}, false},
		"nothing granted":     {account.TokenSpec{Name: "x"}, false},
		"scope without act":   {account.TokenSpec{Name: "x", Scopes: []account.Scope{scope("@acme/*")}}, false},
		"unknown action":      {account.TokenSpec{Name: "x", Scopes: []account.Scope{scope("@acme/*", "own")}}, false},
		"bad pattern":         {account.TokenSpec{Name: "x", Scopes: []account.Scope{scope("acme/*", account.Pull)}}, false},
		"bad scope of admin":  {account.TokenSpec{Name: "x", Admin: true, Scopes: []account.Scope{scope("acme/*", account.Pull)}}, false},
		"most scopes":         {account.TokenSpec{Name: "x", Scopes: many(account.MaxScopes)}, true},
		"too many scopes":     {account.TokenSpec{Name: "x", Scopes: many(account.MaxScopes + 1)}, false},
		"expires now":         {account.TokenSpec{Name: "x", Scopes: ok, Expires: d.now}, false},
		"expires in a moment": {account.TokenSpec{Name: "x", Scopes: ok, Expires: d.now.Add(time.Second)}, true},
	} {
		secret, _, err := d.Create(t.Context(), root, tt.spec)
		if (err == nil) != tt.good || err != nil && (!errors.Is(err, clyde.ErrInvalid) || secret != "") {
			t.Errorf("%s: %q, %v", name, secret, err)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	basic := func(user, pass string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}
	last := secret[:len(secret)-1] + "a"
	if last == secret {
		last = secret[:len(secret)-1] + "b"
	}
	for name, tt := range map[string]struct {
		headers []string
		who     string // "" anonymous
		ok      bool
	}{
		"nothing":              {nil, "", true},
		"empty":                {[]string{""}, "", true},
		"empty Basic":          {[]string{basic("", "")}, "", true},
		"Bearer":               {[]string{"Bearer " + secret}, "ci", true},
		"scheme in lower case": {[]string{"bearer " + secret}, "ci", true},
		"Basic":                {[]string{basic("admin", secret)}, "ci", true},
		"Basic, any name":      {[]string{basic("whoever", secret)}, "ci", true},
		"Basic, no name":       {[]string{basic("", secret)}, "ci", true},
		"as the user name":     {[]string{basic(secret, "")}, "", false},
		"no password":          {[]string{basic("admin", "")}, "", false},
		"not base64":           {[]string{"Basic %%%"}, "", false},
		"empty Bearer":         {[]string{"Bearer "}, "", false},
		"other scheme":         {[]string{"Digest x"}, "", false},
		"mistyped":             {[]string{"Bearer " + last}, "", false},
		"cut off":              {[]string{"Bearer " + secret[:20]}, "", false},
		"upper case":           {[]string{"Bearer " + strings.ToUpper(secret)}, "", false},
		"unknown":              {[]string{"Bearer " + account.NewToken()}, "", false},
		"twice":                {[]string{"Bearer " + secret, "Bearer " + secret}, "", false},
		"empty, then one":      {[]string{"", "Bearer " + secret}, "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		for _, h := range tt.headers {
			r.Header.Add("Authorization", h)
		}
		p, err := d.Authenticate(r)
		switch {
		case (err == nil) != tt.ok, p.Name != tt.who:
			t.Errorf("%s: %+v, %v", name, p, err)
		case err != nil && (!errors.Is(err, clyde.ErrUnauthenticated) || !p.Anonymous() || p.Admin):
			t.Errorf("%s: refused with %+v, %v", name, p, err)
		case err != nil && strings.Contains(err.Error(), secret[10:20]):
			t.Errorf("%s: the secret is in the message: %v", name, err)
		}
	}
}

// other answers every hash with one row: what a database that folds or cuts
// its keys might do.
type other struct {
	*store.DB
	row store.Token
}

func (o other) TokenByHash(context.Context, []byte) (store.Token, error) { return o.row, nil }

func TestTokenComparesTheHash(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, row := d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	a := account.New(other{d.db, row}, nil)
	if p, err := a.Token(t.Context(), account.NewToken()); !errors.Is(err, clyde.ErrUnauthenticated) || p.Admin {
		t.Errorf("another token's row was taken: %+v, %v", p, err)
	}
}

// counting counts the questions about tokens.
type counting struct {
	*store.DB
	asked *int
}

func (c counting) TokenByHash(ctx context.Context, hash []byte) (store.Token, error) {
	*c.asked++
	return c.DB.TokenByHash(ctx, hash)
}

// A token is read again after a change of anybody's rights, and not before.
func TestTokenIsReadOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, row := d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	asked := 0
	a := account.New(counting{d.db, &asked}, func() time.Time { return d.now })
	for range 3 {
		if p, err := a.Token(t.Context(), secret); err != nil || p.ID != row.ID {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if asked != 1 {
		t.Errorf("three requests read the token %d times; want once", asked)
	}
	d.make(t, account.TokenSpec{Name: "another", Admin: true})
	if _, err := a.Token(t.Context(), secret); err != nil || asked != 2 {
		t.Errorf("after a change: %d reads, %v; want 2", asked, err)
	}
	if err := d.Revoke(t.Context(), root, row.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Token(t.Context(), secret); !errors.Is(err, clyde.ErrUnauthenticated) {
		t.Errorf("after Revoke = %v", err)
	}
}

func TestLastUsedIsCoarse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, row := d.make(t, account.TokenSpec{Name: "ci", Admin: true})
	used := func() time.Time {
		ts, err := d.db.Tokens(t.Context())
		if err != nil || len(ts) != 1 || ts[0].ID != row.ID {
			t.Fatalf("%v, %v", ts, err)
		}
		return ts[0].LastUsed
	}
	first := d.now
	for _, step := range []struct {
		by   time.Duration
		want time.Time
	}{{0, first}, {4 * time.Minute, first}, {time.Minute, first.Add(5 * time.Minute)}} {
		d.now = d.now.Add(step.by)
		if _, err := d.Token(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if got := used(); !got.Equal(step.want) {
			t.Errorf("after %s: last used %s; want %s", step.by, got, step.want)
		}
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := account.NewToken()
		if !account.WellFormed(s) || seen[s] || !strings.HasPrefix(s, account.TokenPrefix) {
			t.Fatalf("%q is not well formed, or came twice", s)
		}
		seen[s] = true
	}
}

// FuzzWellFormed: what passes is spelled in exactly one way and ends in a
// checksum, so that no other spelling and no changed byte of it passes.
func FuzzWellFormed(f *testing.F) {
	for _, s := range []string{account.NewToken(), "", "clyde_", "clyde_aaaa", account.NewToken() + "\n", strings.Repeat("a", 64)} {
		f.Add(s, uint8(7))
	}
	f.Fuzz(func(t *testing.T, s string, at uint8) {
		if !account.WellFormed(s) {
			return
		}
		if len(s) != len(account.NewToken()) || s != strings.ToLower(s) || strings.ContainsAny(s, "\r\n =") {
			t.Fatalf("%q has a spelling that NewToken never gives", s)
		}
		i := int(at) % len(s)
		for _, c := range []byte("aq27z") {
			if b := []byte(s); b[i] != c {
				if b[i] = c; account.WellFormed(string(b)) {
					t.Fatalf("%q passes as well as %q", b, s)
				}
			}
		}
		if account.WellFormed(s+"\n") || account.WellFormed(s[:len(s)-1]) {
			t.Fatalf("%q passes longer or shorter", s)
		}
	})
}
