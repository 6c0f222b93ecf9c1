package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits, ours: a person who is asked for a password and a second factor has
// time, and no answer of a provider is near the others.
const (
	StartFor    = 15 * time.Minute // from the start to the return
	VerifiedFor = 15 * time.Minute // what a provider vouched for may be used
	Timeout     = 10 * time.Second // one request to a provider
	maxAnswer   = 1 << 20          // bytes of one
	maxCode     = 2048             // bytes of code, state and iss
	maxVerified = 60               // names: what a cookie holds (RFC 6265 asks browsers for 4096 bytes)
)

// Kinds of providers.
const (
	GitHub = "github" // github.com, or GitHub Enterprise
	OIDC   = "oidc"   // any that follows OpenID Connect Discovery
)

// GitHubURL is where GitHub is unless a Provider says otherwise.
const (
	GitHubURL    = "https://github.com"
	GitHubAPIURL = "https://api.github.com"
)

// Provider is one that people may sign in with.
type Provider struct {
	Key          string // its part of addresses: "github", "acme-sso"
	Kind         string // GitHub or OIDC
	Name         string // as people know it: "GitHub"
	Issuer       string // of OIDC: as its tokens say; of GitHub: its base address
	APIURL       string // of GitHub; "" follows from Issuer
	ClientID     string
	ClientSecret string
	Scopes       []string // of OIDC, besides openid; nil: profile and email
}

// Purpose is what somebody signs in for.
type Purpose string

// The purposes.
const (
	ToSignIn Purpose = "sign-in"
	ToProve  Purpose = "prove" // again, before something dangerous
	ToLink   Purpose = "link"  // one more way to sign in
	ToClaim  Purpose = "claim" // the names that the provider vouches for
)

// Options are what New needs.
type Options struct {
	Providers []Provider
	PublicURL string           // as browsers see it, without a slash at the end
	Secret    []byte           // seals what browsers keep for us; 32 bytes of randomness
	Client    *http.Client     // nil: one with Timeout
	Orgs      bool             // GitHub is asked for the organisations of whoever signs in, too
	Now       func() time.Time // nil: time.Now
}

// SignIn is the way in over providers.
type SignIn struct {
	o         Options
	providers []Provider
	seal      sealer
	client    *http.Client
	verifier  *oidc.Verifier

	mu    sync.Mutex
	found map[string]found // by Provider.Key
}

// New checks the providers and contacts none of them.
func New(o Options) (*SignIn, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: Timeout}
	}
	seal, err := newSealer(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("signin.New: %w", err)
	}
	client := *o.Client
	// A redirect would let whoever answers choose where our secret goes.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = bounded{client.Transport}
	s := &SignIn{
		o: o, seal: seal, client: &client, found: map[string]found{},
		verifier: oidc.New(oidc.Options{Client: &client, Now: o.Now, Insecure: true}), // loopback only
	}
	for _, p := range o.Providers {
		if p, err = p.complete(); err != nil {
			return nil, fmt.Errorf("signin.New: %s: %w", p.Key, err)
		}
		if slices.ContainsFunc(s.providers, func(q Provider) bool { return q.Key == p.Key || q.Issuer == p.Issuer }) {
			return nil, fmt.Errorf("signin.New: %s: is there twice", p.Key)
		}
		s.providers = append(s.providers, p)
	}
	return s, nil
}

// complete fills in what follows from the rest, and checks it.
func (p Provider) complete() (Provider, error) {
	if clyde.CheckNamespace(p.Key) != nil {
		return p, errors.New("the key of a provider is a-z, 0-9 and single - between them")
	}
	if p.ClientID == "" || p.ClientSecret == "" {
		return p, errors.New("lacks its client's identifier or secret")
	}
	switch p.Kind {
	case GitHub:
		p.Issuer = strings.TrimSuffix(cmp.Or(p.Issuer, GitHubURL), "/")
		p.Name = cmp.Or(p.Name, "GitHub")
		if p.APIURL == "" {
			p.APIURL = p.Issuer + "/api/v3" // GitHub Enterprise Server
			if p.Issuer == GitHubURL {
				p.APIURL = GitHubAPIURL
			}
		}
		p.APIURL = strings.TrimSuffix(p.APIURL, "/")
		if err := oidc.CheckIssuer(p.APIURL, true); err != nil {
			return p, err
		}
	case OIDC:
		if p.Scopes == nil {
			p.Scopes = []string{"profile", "email"}
		}
		p.Name = cmp.Or(p.Name, p.Key)
	default:
		return p, fmt.Errorf("kind %q: want %s or %s", p.Kind, GitHub, OIDC)
	}
	return p, oidc.CheckIssuer(p.Issuer, true)
}

// Providers lists what people may choose from, without the secrets.
func (s *SignIn) Providers() []Provider {
	out := slices.Clone(s.providers)
	for i := range out {
		out[i].ClientSecret = ""
	}
	return out
}

func (s *SignIn) provider(key string) (Provider, error) {
	for _, p := range s.providers {
		if p.Key == key {
			return p, nil
		}
	}
	return Provider{}, clyde.Errorf(clyde.ErrNotFound, "there is no such way to sign in").WithCode("provider_unknown")
}

// Ask is who wants to sign in, and what for.
type Ask struct {
	Purpose Purpose
	Session string // public ID of the session it is for; "" to sign in
	Next    string // where to go afterwards: an own path
}

// started is what the browser keeps, sealed, until it returns.
type started struct {
	Ask
	Provider string
	State    string
	Nonce    string
	Verifier string
	Until    time.Time
}

// Start is where to send a browser, and what it keeps meanwhile.
type Start struct {
	URL    string // of the provider
	Cookie string // opaque; for StartFor
}

// Begin starts a sign in. The provider is asked for as little as the purpose
// needs: organisations only to claim a name.
func (s *SignIn) Begin(ctx context.Context, key string, a Ask) (_ Start, err error) {
	defer clyde.Wrap(&err, "signin.Begin(%s)", key)
	p, err := s.provider(key)
	if err != nil {
		return Start{}, err
	}
	if a.Purpose == ToClaim && p.Kind != GitHub {
		return Start{}, clyde.Errorf(clyde.ErrInvalid, "%s vouches for no names", p.Name).WithCode("provider_unfit").Fix("Request the name.")
	}
	c, err := s.config(ctx, p, a.Purpose)
	if err != nil {
		return Start{}, err
	}
	st := started{
		Ask: a, Provider: key, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Until: s.o.Now().Add(StartFor),
	}
	st.Next = OwnPath(a.Next)
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(st.Verifier)}
	if p.Kind == OIDC {
		opts = append(opts, oauth2.SetAuthURLParam("nonce", st.Nonce))
		if a.Purpose == ToProve {
			// Whoever sits at the browser shows who they are, not that somebody did this morning.
			opts = append(opts, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
		}
	}
	cookie, err := s.seal.seal("start", st)
	return Start{URL: c.AuthCodeURL(st.State, opts...), Cookie: cookie}, err
}

// Result is who a provider vouched for.
type Result struct {
	Ask
	Provider Provider
	Identity account.ExternalIdentity
	Verified []string // names that are theirs at the provider, for ToClaim
}

// Finish takes a browser back. The query is what the provider sent with it,
// cookie what Begin gave it, and session the public ID of the session it has
// now. Errors are clyde.ErrDenied with code "sign_in_stale" (another browser,
// too late, or twice), "sign_in_refused" (the person or the provider said no),
// "sign_in_failed" (the answer cannot be believed) and clyde.ErrUnavailable.
func (s *SignIn) Finish(ctx context.Context, key, cookie string, q url.Values, session string) (_ Result, err error) {
	defer clyde.Wrap(&err, "signin.Finish(%s)", key)
	p, err := s.provider(key)
	if err != nil {
		return Result{}, err
	}
	var st started
	if err := s.seal.open("start", cookie, &st); err != nil || st.Provider != key || !s.o.Now().Before(st.Until) || !once(q, "state") ||
		subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(st.State)) != 1 || st.Session != session {
		return Result{}, clyde.Errorf(clyde.ErrDenied, "this sign in was not begun in this browser, or took too long").WithCode("sign_in_stale").Fix("Begin again.")
	}
	r := Result{Ask: st.Ask, Provider: p}
	r.Provider.ClientSecret = ""
	if iss := q.Get("iss"); iss != "" && iss != p.Issuer && p.Kind == OIDC {
		return r, failed("the answer is from %s", clip(iss))
	}
	if e := q.Get("error"); e != "" {
		return r, clyde.Errorf(clyde.ErrDenied, "%s did not let you in: %s", p.Name, clip(cmp.Or(q.Get("error_description"), e))).WithCode("sign_in_refused").Fix("Begin again.")
	}
	if !once(q, "code") || len(q.Get("code")) > maxCode {
		return r, failed("%s sent no code", p.Name)
	}
	c, err := s.config(ctx, p, st.Purpose)
	if err != nil {
		return r, err
	}
	t, err := c.Exchange(context.WithValue(ctx, oauth2.HTTPClient, s.client), q.Get("code"), oauth2.VerifierOption(st.Verifier))
	if err != nil {
		if e := new(oauth2.RetrieveError); errors.As(err, &e) && (e.Response == nil || e.Response.StatusCode < 500) {
			return r, failed("%s did not accept the code", p.Name).Because(fmt.Errorf("%s", clip(e.ErrorCode))) // its text may hold the code
		}
		return r, unreachable(p, err)
	}
	if p.Kind == GitHub {
		r.Identity, r.Verified, err = s.gitHubUser(ctx, p, t.AccessToken, st.Purpose)
		return r, err
	}
	r.Identity, err = s.oidcUser(ctx, p, t, st)
	return r, err
}

func once(q url.Values, key string) bool {
	return len(q[key]) == 1 && q[key][0] != "" && len(q[key][0]) <= maxCode
}

// config is what the library needs of a provider.
func (s *SignIn) config(ctx context.Context, p Provider, why Purpose) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: s.Callback(p.Key)}
	if p.Kind == GitHub {
		c.Endpoint = oauth2.Endpoint{
			AuthURL: p.Issuer + "/login/oauth/authorize", TokenURL: p.Issuer + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
		}
		switch why {
		case ToClaim:
			c.Scopes = []string{"read:org"}
		case ToSignIn:
			c.Scopes = []string{"user:email"}
			if s.o.Orgs {
				c.Scopes = append(c.Scopes, "read:org")
			}
		}
		return c, nil
	}
	f, err := s.discover(ctx, p)
	c.Endpoint, c.Scopes = f.endpoint, append([]string{"openid"}, p.Scopes...)
	return c, err
}

// Callback is the address that a provider has to be told, exactly.
func (s *SignIn) Callback(key string) string { return s.o.PublicURL + "/login/" + key + "/callback" }

// Vouch seals the names of a Result for the session that asked.
func (s *SignIn) Vouch(r Result) (string, error) {
	names := r.Verified[:min(len(r.Verified), maxVerified)]
	return s.seal.seal("names", vouched{Session: r.Session, Names: names, Until: s.o.Now().Add(VerifiedFor)})
}

type vouched struct {
	Session string
	Names   []string
	Until   time.Time
}

// Vouched returns the names that Vouch sealed for a session, for VerifiedFor.
func (s *SignIn) Vouched(cookie, session string) []string {
	var v vouched
	if err := s.seal.open("names", cookie, &v); err != nil || session == "" || v.Session != session || !s.o.Now().Before(v.Until) {
		return nil
	}
	return v.Names
}

func failed(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrDenied, "nobody was signed in: %s", fmt.Sprintf(format, args...)).WithCode("sign_in_failed").Fix("Begin again.")
}

func unreachable(p Provider, err error) error {
	return clyde.Errorf(clyde.ErrUnavailable, "%s does not answer as it should", p.Name).WithCode("provider_unreachable").
		Fix("Try again in a moment.").Because(err)
}

// clip shortens what a provider sent for use in a message.
func clip(s string) string {
	const most = 200 // bytes
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
