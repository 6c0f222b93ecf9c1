package artifact

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	refreshUser  = "<token>" // user name of a refresh token, as Docker's credential helpers say it
	plainUser    = "token"   // user name where Basic needs one and a token has none
	maxToken     = 1 << 20   // bytes of a token service's reply
	maxChallenge = 8 << 10   // bytes of one WWW-Authenticate header
	minTokenLife = time.Minute
	tokenTimeout = 30 * time.Second // of one exchange with a token service
)

// scope is what a request may do: "repository:acme/zlib:pull,push". The zero
// scope asks for nothing in particular.
type scope string

func pull(repo string) scope { return scope("repository:" + repo + ":pull") }
func push(repo string) scope { return scope("repository:" + repo + ":pull,push") }

const catalog scope = "registry:catalog:*"

// authority knows how the registry wants to be told who asks.
type authority struct {
	base       *url.URL
	agent      string
	credential func(ctx context.Context) (user, secret string, err error)
	http       *http.Client

	lock   chan struct{} // held while asking for a credential or token, so that one asks for all
	mu     sync.Mutex
	asked  bool // credential has been
	user   string
	secret string
	scheme string // "basic", "bearer", or "" before the first challenge
	params map[string]string
	tokens map[scope]token
}

type token struct {
	value string
	until time.Time
}

func newAuthority(base *url.URL, o ClientOptions) *authority {
	return &authority{
		base: base, agent: o.UserAgent, credential: o.Credential, lock: make(chan struct{}, 1), tokens: map[scope]token{},
		http: &http.Client{Transport: o.Transport, Timeout: tokenTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// header returns the Authorization of a request, "" before the registry has
// asked for one.
func (a *authority) header(ctx context.Context, s scope) (string, error) {
	a.mu.Lock()
	scheme := a.scheme
	a.mu.Unlock()
	if scheme == "" {
		return "", nil
	}
	return a.make(ctx, s, "")
}

// answer returns the Authorization that answers a challenge, or "" when there
// is nothing better to say than sent.
func (a *authority) answer(ctx context.Context, challenges []string, s scope, sent string) (string, error) {
	scheme, params := choose(challenges)
	if scheme == "" {
		return "", nil
	}
	a.mu.Lock()
	a.scheme, a.params = scheme, params
	a.mu.Unlock()
	h, err := a.make(ctx, s, sent)
	if h == sent {
		return "", err
	}
	return h, err
}

// make makes an Authorization by the scheme in force. A token that was refused
// is not used again.
func (a *authority) make(ctx context.Context, s scope, refused string) (string, error) {
	select {
	case a.lock <- struct{}{}:
		defer func() { <-a.lock }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := a.ask(ctx); err != nil {
		return "", err
	}
	a.mu.Lock()
	scheme, params, user, secret, t := a.scheme, a.params, a.user, a.secret, a.tokens[s]
	a.mu.Unlock()
	switch {
	case scheme == "basic" && secret == "":
		return "", nil
	case scheme == "basic":
		return basic(user, secret), nil
	case user == "" && secret != "":
		return "Bearer " + secret, nil
	case t.value != "" && time.Now().Before(t.until) && "Bearer "+t.value != refused:
		return "Bearer " + t.value, nil
	}
	t, err := a.exchange(ctx, params, s, user, secret)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.tokens[s] = t
	a.mu.Unlock()
	return "Bearer " + t.value, nil
}

func basic(user, secret string) string {
	if user == "" || user == refreshUser {
		user = plainUser
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))
}

// ask reads the credential, once.
func (a *authority) ask(ctx context.Context) error {
	if a.asked || a.credential == nil {
		return nil
	}
	user, secret, err := a.credential(ctx)
	if err != nil {
		if clyde.AsError(err) != nil || ctx.Err() != nil {
			return err
		}
		return clyde.Errorf(clyde.ErrUnauthenticated, "the credential for %s cannot be read", a.base.Host).WithCode("credential_unreadable").
			Fix("sign in again: clyde login %s", a.base.Host).Because(err)
	}
	if strings.ContainsAny(user+secret, "\r\n\x00") || strings.Contains(user, ":") {
		return invalid("token_invalid", "the credential for %s has characters that none has", a.base.Host).Fix("check the file or variable it comes from")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked, a.user, a.secret = true, user, secret
	return nil
}

// exchange gets a token for s from the service that the registry named.
func (a *authority) exchange(ctx context.Context, params map[string]string, s scope, user, secret string) (token, error) {
	realm, err := url.Parse(params["realm"])
	if err != nil || realm.Host == "" || realm.User != nil || realm.Scheme != "https" && (realm.Scheme != "http" || a.base.Scheme != "http") {
		return token{}, clyde.Errorf(clyde.ErrUnavailable, "%s names a token service that is not asked: %.80q", a.base.Host, a.clean(params["realm"])).WithCode("realm_refused")
	}
	q := realm.Query()
	if v := params["service"]; v != "" {
		q.Set("service", v)
	}
	scopes := wanted(s, params["scope"])
	method, body := http.MethodGet, ""
	if user == refreshUser {
		q.Set("grant_type", "refresh_token")
		q.Set("client_id", "clyde")
		q.Set("refresh_token", secret)
		q.Set("scope", strings.Join(scopes, " "))
		method, body = http.MethodPost, q.Encode()
	} else {
		for _, v := range scopes {
			q.Add("scope", v)
		}
		realm.RawQuery = q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, realm.String(), strings.NewReader(body))
	if err != nil {
		return token{}, err
	}
	req.Header.Set("User-Agent", a.agent)
	switch {
	case method == http.MethodPost:
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case secret != "":
		req.Header.Set("Authorization", basic(user, secret))
	}
	return a.receive(ctx, req)
}

// receive reads what a token service answers.
func (a *authority) receive(ctx context.Context, req *http.Request) (token, error) {
	host := req.URL.Host
	resp, err := a.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return token{}, context.Cause(ctx)
		}
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return token{}, &passing{err: clyde.Errorf(clyde.ErrUnavailable, "cannot reach the token service at %s: %s", host, a.clean(err.Error())).
			WithCode("registry_unreachable").Because(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests || s >= 500:
		after, stated := RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		return token{}, &passing{clyde.Errorf(clyde.ErrUnavailable, "the token service at %s answered %s", host, a.clean(resp.Status)).WithCode("registry_refused"), after, stated}
	case s != http.StatusOK:
		return token{}, clyde.Errorf(clyde.ErrUnauthenticated, "the token service at %s does not take the credential (%s)", host, a.clean(resp.Status)).
			WithCode("unauthorized").Fix("sign in again: clyde login %s", a.base.Host).Because(statusError(s))
	}
	var t struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if t.Token == "" {
		t.Token = t.AccessToken
	}
	if err != nil || t.Token == "" || strings.ContainsAny(t.Token, "\r\n\x00") {
		return token{}, clyde.Errorf(clyde.ErrUnavailable, "the token service at %s answered without a token", host).WithCode("registry_refused")
	}
	life := max(time.Duration(min(t.ExpiresIn, 1<<20))*time.Second, minTokenLife)
	return token{t.Token, time.Now().Add(life * 3 / 4)}, nil
}

// wanted joins what a request needs with what the challenge names, which may be
// an earlier one, about another repository: that one is not asked for again.
func wanted(s scope, named string) []string {
	out := []string{}
	if s != "" {
		out = append(out, string(s))
	}
	prefix := string(s)[:strings.LastIndexByte(string(s), ':')+1]
	for n := range strings.FieldsSeq(named) {
		if !slices.Contains(out, n) && (prefix == "" || !strings.HasPrefix(n, prefix) && !strings.HasPrefix(n, "repository:")) {
			out = append(out, n)
		}
	}
	return out
}

// choose returns the challenge to answer: Bearer before Basic.
func choose(headers []string) (scheme string, params map[string]string) {
	for _, h := range headers {
		if len(h) > maxChallenge {
			continue
		}
		for _, c := range parseChallenges(h) {
			if c.scheme == "bearer" && c.params["realm"] != "" {
				return c.scheme, c.params
			}
			if c.scheme == "basic" {
				scheme, params = c.scheme, c.params
			}
		}
	}
	return scheme, params
}

type challenge struct {
	scheme string // lower case
	params map[string]string
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, section 11.6.1),
// as far as it can be read.
func parseChallenges(s string) []challenge {
	var out []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := cutWord(s)
		if word == "" {
			return out
		}
		rest = strings.TrimLeft(rest, " \t")
		value, isParam := strings.CutPrefix(rest, "=")
		if !isParam {
			out = append(out, challenge{strings.ToLower(word), map[string]string{}})
			s = rest
			continue
		}
		v, after, ok := cutValue(strings.TrimLeft(value, " \t"))
		if !ok || len(out) == 0 {
			return out
		}
		out[len(out)-1].params[strings.ToLower(word)] = v
		s = after
	}
}

// cutWord splits a token of RFC 9110 off s.
func cutWord(s string) (word, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~/", r))
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cutValue splits a token or quoted string off s; ok is false when the quote
// does not end.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutWord(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// minSecret is the length, in bytes, below which hiding a secret would hide
// ordinary words.
const minSecret = 6

// clean makes a server's text fit for a terminal: no control characters, and
// none of our secrets, should the server send them back.
func (a *authority) clean(s string) string {
	a.mu.Lock()
	secrets := []string{a.secret}
	for _, t := range a.tokens {
		secrets = append(secrets, t.value)
	}
	if a.secret != "" {
		secrets = append(secrets, strings.TrimPrefix(basic(a.user, a.secret), "Basic "))
	}
	a.mu.Unlock()
	for _, x := range secrets {
		if len(x) >= minSecret {
			s = strings.ReplaceAll(s, x, "…")
		}
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
