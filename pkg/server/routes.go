package server

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/ingest/notify"
	"github.com/clydepm/clyde-registry/pkg/web"
)

// routes mounts every part. None of them sees a path that has two readings.
func (s *Server) routes() (http.Handler, error) {
	_, host, _ := strings.Cut(s.publicURL, "://")
	in, err := s.signIn()
	if err != nil {
		return nil, err
	}
	pages, err := web.New(web.Options{
		Catalog: s.Catalog, Auth: s.Accounts.Authenticate, PublicURL: s.publicURL, Host: host, Log: s.Log, Now: s.Now,
		SecurityContact: s.cfg.HTTP.SecurityContact,
		Accounts:        s.Accounts, SignIn: in, Passwords: s.cfg.SignIn.Passwords,
		Trusted: s.Trusted, Moderator: s.Moderator, Report: s.Limits.Report, Keys: keys{s.Parts}, Policies: policies{s.Parts},
	})
	if err != nil {
		return nil, err
	}
	rest, err := s.api(pages)
	if err != nil {
		return nil, err
	}
	events, err := s.events()
	if err != nil {
		return nil, err
	}
	s.pages = pages.Routes()
	reg, site := s.Registry.Handler(), pages.Handler()
	if !s.cfg.HasRole("registry") {
		reg = s.noRegistry()
	}
	if !s.cfg.HasRole("api") {
		rest, events = healthOnly(rest), elsewhere("api")
	}
	if !s.cfg.HasRole("web") {
		site = elsewhere("web")
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch part(r.URL.Path) {
		case "registry":
			reg.ServeHTTP(w, r)
		case "api":
			if strings.HasPrefix(r.URL.Path, notify.BasePath) {
				events.ServeHTTP(w, r)
				return
			}
			rest.ServeHTTP(w, r)
		default:
			if r.URL.Path == "/search" {
				if err := s.Limits.Search(account.Principal{}, r.RemoteAddr, w.Header()); err != nil {
					http.Error(w, err.Error()+"; try again in "+w.Header().Get("Retry-After")+" s", http.StatusTooManyRequests)
					return
				}
			}
			site.ServeHTTP(w, r)
		}
	})
	return patient(s.trustProxies(s.observe(canonical(h))), defaultPace), nil
}

// recorder remembers the status and counts the bytes. It unwraps for
// http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile possible: io.Copy asks for it.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// RequestIDHeader carries the request's identifier in answers, logs and
// problem documents.
const RequestIDHeader = "X-Request-Id"

// observe gives the request an identifier, logs it once, and turns a panic
// into a 500.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Now()
		id := rand.Text()[:16]
		h := w.Header()
		h.Set(RequestIDHeader, id)
		// What a browser may make of any answer: nothing. Pages say what more they need.
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
		r.Header.Set(RequestIDHeader, id)
		if s.tls != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.ErrorContext(r.Context(), "http: panic", "id", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "internal error; request "+id, http.StatusInternalServerError)
				}
			}
			took := s.Now().Sub(start)
			s.stats.answered(r, rec.status, rec.bytes, took)
			level := slog.LevelDebug
			// Not being ready yet is an answer, and probes ask every second.
			switch {
			case rec.status >= 500 && r.URL.Path != "/readyz":
				level = slog.LevelError
			case refused(r, rec.status):
				level = slog.LevelInfo
			}
			s.Log.Log(r.Context(), level, "http", "id", id, "method", r.Method, "path", loggedPath(r.URL.Path), "status", rec.status,
				"bytes", rec.bytes, "ms", took.Milliseconds(), "from", r.RemoteAddr, "agent", r.UserAgent())
		}()
		next.ServeHTTP(rec, r)
	})
}

// refused reports whether somebody was turned away for who they are: with a
// credential that is not good, or without the right. That a client which showed
// none is asked for one is how every OCI client begins, and no refusal.
func refused(r *http.Request, status int) bool {
	return status == http.StatusForbidden ||
		status == http.StatusUnauthorized && (r.Header.Get("Authorization") != "" || r.Method == http.MethodPost && r.URL.Path == "/login")
}

// untilShutdown ends the contexts of streaming requests when the server shuts
// down; ordinary requests are let finish.
func untilShutdown(next http.Handler, stopping <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/changes") {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// waitIndexed polls until the index is whole; for tests and cold-start figures.
func (s *Server) waitIndexed(ctx context.Context) error {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for !s.indexed.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}
