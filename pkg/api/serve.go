package api

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/limits"
)

// requestID is the field in which pkg/server gives every request its name.
const requestID = "X-Request-Id"

// exposed are the fields that pages of other origins may read.
const exposed = "ETag, Link, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, " + epochHeader + ", " + lastHeader

// serve is what every request passes: limits, who asks, how often.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{r: r, id: r.Header.Get(requestID), addr: limits.Address(r.RemoteAddr)}
	out := &reply{w: w, c: c}
	c.w = out
	r = r.WithContext(c.in(r.Context()))
	c.r = r
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	h["Vary"] = []string{"Authorization, Cookie, Accept"}
	if (safe(r.Method) || r.Method == http.MethodOptions) && r.Header.Get("Authorization") == "" {
		// Pages of other origins may ask what anybody may ask, without credentials.
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", exposed)
	}
	if err := s.check(r); err != nil {
		s.write(w, r, s.problem(r.Context(), err))
		return
	}
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		s.health(w, r) // also for those who have used up their limits
		return
	}
	if err := s.admit(c); err != nil {
		s.write(w, r, s.problem(r.Context(), err))
		return
	}
	k := classOf(c)
	if k != publishing {
		if err := s.limit(c, k, c.caller); err != nil {
			s.write(w, r, s.problem(r.Context(), err))
			return
		}
	}
	if safe(r.Method) && (r.URL.Path == base+"/search" || r.URL.Path == base+"/suggest") {
		if err := tooMany(h, s.Buckets.Search(c.who, r.RemoteAddr, h)); err != nil {
			s.write(w, r, s.problem(r.Context(), err))
			return
		}
	}
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.unrouted(w, r)
		return
	}
	s.call(out, r)
	if out.finish() && k == reads {
		s.Buckets.b.Refund(int(reads), c.caller)
	}
}

// call lets the handler answer. A panic becomes a problem document, unless
// part of the answer is gone already.
func (s *server) call(out *reply, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler || out.streamed {
			panic(p)
		}
		s.Log.ErrorContext(r.Context(), "api: panic", "id", out.c.id, "panic", p, "stack", string(debug.Stack()))
		out.buf.Reset()
		out.status = 0
		s.write(out, r, s.problem(r.Context(), errInternal))
	}()
	s.mux.ServeHTTP(out, r)
}

// publishing counts once its package.yaml is read, which tells a new package
// from a new version.
const publishing class = -1

// classOf is what a request counts as. Writes of those who did not sign in
// count as reads: they change nothing.
func classOf(c *call) class {
	switch {
	case c.r.Method == http.MethodPost && c.r.URL.Path == exchangePath:
		return exchanges
	case isReport(c.r):
		return reports
	case isResolve(c.r):
		return resolutions
	case safe(c.r.Method), c.r.Method == http.MethodOptions, c.who.Anonymous():
		return reads
	case c.r.Method == http.MethodPatch && strings.HasPrefix(c.r.URL.Path, base+"/packages/"),
		c.r.Method == http.MethodPut && strings.HasSuffix(c.r.URL.Path, "/deprecation"):
		return yanks
	case c.r.URL.Path == base+"/packages":
		return publishing
	}
	return manage
}

// check refuses requests that are too large or spelt in two ways.
func (s *server) check(r *http.Request) error {
	if n := len(r.RequestURI); n > MaxURL {
		return refuse(http.StatusRequestURITooLong, "url_too_long", "the address has %d bytes; the limit is %d", n, MaxURL)
	}
	n := 0
	for k, vs := range r.Header {
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	if n > MaxHeader {
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "header_too_large", "the header has %d bytes; the limit is %d", n, MaxHeader)
	}
	p := strings.ToLower(r.URL.EscapedPath())
	if strings.Contains(p, "//") || strings.Contains(p, "%2f") || strings.Contains(p, "%5c") || strings.Contains(p, "%00") {
		return refuse(http.StatusBadRequest, "path_invalid", "the path has an empty part, an encoded slash or a zero byte").
			fix("Write each name as a part of the path of its own.")
	}
	for part := range strings.SplitSeq(r.URL.Path, "/") {
		if part == "." || part == ".." {
			return refuse(http.StatusBadRequest, "path_invalid", "the path has a dot segment").fix("Write the path without . and .. in it.")
		}
	}
	if !safe(r.Method) {
		if err := s.cross.Check(r); err != nil {
			return clyde.Errorf(clyde.ErrDenied, "a page of another origin may not write here").WithCode("cross_origin").
				Fix("Write from a program, with a token.")
		}
	}
	return nil
}

// admit finds out who asks. Bad credentials are counted by address; they are
// looked at in any case, so that one who guesses keeps nobody beside him out.
func (s *server) admit(c *call) error {
	p, err := s.authenticate(c.r)
	if errors.Is(err, clyde.ErrUnavailable) && safe(c.r.Method) && strings.HasPrefix(c.r.URL.Path, base+"/index/") {
		p, err = account.Principal{}, nil // the index of what is public needs no name
	}
	if err != nil {
		c.caller = "address " + c.addr
		if kindOf(err).status == http.StatusUnauthorized {
			if err := s.limit(c, failedAuth, c.addr); err != nil {
				return err
			}
		}
		return err
	}
	c.who = p
	c.caller = caller(p, c.r.RemoteAddr)
	return nil
}

// authenticate returns who sent r: the owner of its token, else whoever is
// signed in with the browser that sent it. Pages of other origins cannot make
// use of that: check refuses what they write, and they may not read.
func (s *server) authenticate(r *http.Request) (account.Principal, error) {
	if len(r.Header.Values("Authorization")) == 0 {
		return s.Accounts.AuthenticateSession(r)
	}
	return s.Accounts.Authenticate(r)
}

// needToken refuses those who did not sign in, before a body is read.
func needToken(p account.Principal, what string) error {
	if !p.Anonymous() {
		return nil
	}
	return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs a token", what).WithCode("token_required").
		Fix("Send a token: Authorization: Bearer clyde_….")
}

// status catches what a ServeMux answers where it has no route.
type status struct {
	code   int
	header http.Header
}

func (p *status) Header() http.Header         { return p.header }
func (p *status) Write(b []byte) (int, error) { return len(b), nil }
func (p *status) WriteHeader(code int)        { p.code = code }

// unrouted answers for a path, or a method, that the API does not have, and
// for OPTIONS, which a browser asks before it lets a page of another origin in.
func (s *server) unrouted(w http.ResponseWriter, r *http.Request) {
	st := &status{header: http.Header{}}
	s.mux.ServeHTTP(st, r)
	if st.code != http.StatusMethodNotAllowed {
		s.write(w, r, s.problem(r.Context(), clyde.Errorf(clyde.ErrNotFound, "the API has no address %s", clip(r.URL.Path)).WithCode("path_unknown").
			Fix("See %s/api for all of them.", s.PublicURL)))
		return
	}
	allow := st.header.Get("Allow")
	if r.Method == http.MethodOptions {
		h := w.Header()
		h.Set("Allow", allow)
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "Accept, If-None-Match, Last-Event-ID, Range")
		h.Set("Access-Control-Max-Age", "86400")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	f := refuse(http.StatusMethodNotAllowed, "method_not_allowed", "%s is not possible at %s", clip(r.Method), clip(r.URL.Path)).fix("Use %s.", allow)
	f.header.Set("Allow", allow)
	s.write(w, r, s.problem(r.Context(), f))
}
