package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of the client. All are ours: they bound what a wrong or hostile
// server can cost.
const (
	MaxReply       = 64 << 20         // bytes of one JSON reply; the index of 100,000 versions has 30 MB
	MaxManifest    = 1 << 20          // bytes of a package.yaml; the format allows a quarter of that
	MaxAttempts    = 4                // of one GET, the first included
	MaxRetryAfter  = 30 * time.Second // longest wait for a server that says when to come back
	maxProblem     = 1 << 20          // bytes of an error document
	firstBackoff   = 250 * time.Millisecond
	dialTimeout    = 10 * time.Second
	headersTimeout = 60 * time.Second // a publish answers after the archive was read and checked
)

// apiPath is where the API begins below Options.BaseURL.
const apiPath = "/api/v1"

// Options says which registry to talk to, and as whom.
type Options struct {
	BaseURL   string       // "https://clyde.example": scheme and host, a path when the registry lives below one
	Token     string       // sent to BaseURL's scheme and host only; empty is anonymous
	UserAgent string       // "clyde/1.0 (linux-amd64)"; empty means "clyde-client"
	HTTP      *http.Client // nil means one with time limits on connecting and on headers

	// Prove is asked when the registry refuses a request because it takes
	// somebody who has just signed in. The token that it returns is sent with
	// that request once more; an error of it is the request's. Nil: the refusal
	// is.
	Prove func(ctx context.Context, refusal error) (token string, err error)
}

// Client talks to one registry. Its methods may be called at once from many
// goroutines.
type Client struct {
	base  *url.URL
	http  *http.Client
	prove func(ctx context.Context, refusal error) (string, error)
}

// New returns a client. A BaseURL that is not http or https with a host, or
// that carries a password, is clyde.ErrInvalid.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, clyde.Errorf(clyde.ErrInvalid, "registry address %q: want https://host or http://host:port", redact(o.BaseURL)).WithCode("address_invalid")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, clyde.Errorf(clyde.ErrInvalid, "registry address %q: give scheme, host and port alone", base.Redacted()).
			WithCode("address_invalid").Fix("Pass credentials as a token: clyde login.")
	}
	if strings.ContainsAny(o.Token, "\r\n\x00 ") {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the token has white space in it").WithCode("token_invalid").Fix("Check the file or variable it comes from.")
	}
	if o.UserAgent == "" {
		o.UserAgent = "clyde-client"
	}
	var h http.Client
	if o.HTTP != nil {
		h = *o.HTTP
	}
	if h.Transport == nil {
		h.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   16, // as many as pkg/sparse asks for at once
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: headersTimeout,
		}
	}
	h.Transport = &transport{next: h.Transport, base: base, token: o.Token, agent: o.UserAgent}
	return &Client{base: base, http: &h, prove: o.Prove}, nil
}

// as is c with another token.
func (c *Client) as(token string) *Client {
	h := *c.http
	if t, ok := h.Transport.(*transport); ok {
		with := *t
		with.token = token
		h.Transport = &with
	}
	return &Client{base: c.base, http: &h}
}

// redact hides what may be a password in an address that did not parse.
func redact(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// transport adds the credentials, and only where they belong. It stands below
// the redirect logic, so that a redirect cannot carry them elsewhere.
type transport struct {
	next         http.RoundTripper
	base         *url.URL
	token, agent string
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", t.agent)
	r.Header.Del("Authorization")
	if t.token != "" && r.URL.Scheme == t.base.Scheme && strings.EqualFold(r.URL.Host, t.base.Host) {
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.next.RoundTrip(r)
}

// URL is the address of the registry, without a slash at the end.
func (c *Client) URL() string { return c.base.String() }

// Do sends one request and returns the reply whatever its status is. The path
// is one of the API ("/packages/acme/zlib?x=y"); those that begin with /api/,
// /.well-known/, /healthz or /readyz count from the root. Body may be nil. GET
// and HEAD are tried again on 429, 5xx and broken connections. The caller
// closes the reply's body.
func (c *Client) Do(ctx context.Context, method, path string, body io.Reader, headers http.Header) (*http.Response, error) {
	u, err := c.address(path)
	if err != nil {
		return nil, err
	}
	again := body == nil && (method == http.MethodGet || method == http.MethodHead)
	for attempt := 1; ; attempt++ {
		resp, err := c.once(ctx, method, u, body, headers)
		if !again || attempt == MaxAttempts || ctx.Err() != nil || err == nil && !passing(resp.StatusCode) {
			return resp, err
		}
		wait := firstBackoff << (attempt - 1)
		if resp != nil {
			if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
				if d > MaxRetryAfter {
					return resp, nil // it says itself that trying sooner is no use
				}
				wait = d
			}
			_, _ = io.CopyN(io.Discard, resp.Body, maxProblem) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return nil, c.unreachable(ctx, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// passing reports whether a status may be another one in a moment.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0), true
	}
	return 0, false
}

func (c *Client) once(ctx context.Context, method string, u *url.URL, body io.Reader, headers http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s %s is no request", method, u.Path).Because(err)
	}
	for k, v := range headers {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

// address makes the URL of a path as Do takes it.
func (c *Client) address(path string) (*url.URL, error) {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "API path %q: want a path such as /packages/acme/zlib", path).WithCode("path_invalid")
	}
	p := "/" + strings.TrimLeft(u.EscapedPath(), "/")
	if !rooted(p) {
		p = apiPath + p
	}
	out := *c.base
	out.RawPath = c.base.EscapedPath() + p
	if out.Path, err = url.PathUnescape(out.RawPath); err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "API path %q is not well escaped", path).WithCode("path_invalid")
	}
	out.RawQuery = u.RawQuery
	return &out, nil
}

func rooted(p string) bool {
	for _, prefix := range []string{"/api/", "/.well-known/"} {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return p == "/healthz" || p == "/readyz"
}

// unreachable is the error about a request that got no reply.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", c.base.Host, cause)
	}
	msg := err.Error()
	if ue, ok := errors.AsType[*url.Error](err); ok {
		msg = ue.Err.Error() // without the method and the address, which may be long
	}
	return clyde.Errorf(clyde.ErrUnavailable, "cannot reach the registry at %s: %s", c.base.Host, clean(msg)).
		WithCode("registry_unreachable").Fix("Check the address and the network; clyde doctor tries them one by one.").Because(err)
}

// send is Do for replies that must be of the 2xx kind; others become the
// *clyde.Error that they describe.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader, headers http.Header) (*http.Response, error) {
	resp, err := c.Do(ctx, method, path, body, headers)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer func() { _ = resp.Body.Close() }()
		return nil, c.problem(resp)
	}
	return resp, nil
}

// call sends in as JSON (nothing when nil) and decodes the reply into out
// (drops it when nil); once more with a proof, where the registry asks for one.
func (c *Client) call(ctx context.Context, method, path string, in, out any, headers http.Header) error {
	err := c.callOnce(ctx, method, path, in, out, headers)
	if e := clyde.AsError(err); c.prove == nil || e == nil || e.Code != "proof_required" {
		return err
	}
	token, err := c.prove(ctx, err)
	if err != nil {
		return err
	}
	return c.as(token).callOnce(ctx, method, path, in, out, headers)
}

func (c *Client) callOnce(ctx context.Context, method, path string, in, out any, headers http.Header) error {
	h := http.Header{"Accept": {"application/json"}}
	maps.Copy(h, headers)
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		body = bytes.NewReader(b)
		h.Set("Content-Type", "application/json")
	}
	resp, err := c.send(ctx, method, path, body, h)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if out == nil {
		return nil
	}
	b, err := c.read(ctx, resp, MaxReply)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return c.notOurs(resp, err)
	}
	return nil
}

// read returns a whole reply of at most limit bytes.
func (c *Client) read(ctx context.Context, resp *http.Response, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if int64(len(b)) > limit {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "the reply of %s has more than %d bytes", c.base.Host, limit).WithCode("reply_too_large")
	}
	return b, nil
}

// get is call without anything to send.
func (c *Client) get(ctx context.Context, path string, q url.Values, out any) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, out, nil)
}
