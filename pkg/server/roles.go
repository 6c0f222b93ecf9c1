package server

import (
	"context"
	"encoding/json"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// loops starts what works in the background, by role. What every process needs
// runs in each; what works on the database for all, where the indexer is.
func (s *Server) loops(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return s.DB.Listen(ctx) })
	g.Go(func() error { return s.Registry.Run(ctx) })
	g.Go(func() error { return s.keepClean(ctx) }) // this and the next where the registry is
	g.Go(func() error { return s.keepWhole(ctx) })
	g.Go(func() error { return s.shareLimits(ctx) })
	g.Go(func() error { return s.pulls.Run(ctx) })
	if s.meili != nil {
		s.indexed.Store(true) // search answers by name until it is
		if s.cfg.HasRole("indexer") {
			g.Go(func() error { return s.alone(ctx, "search", s.feedSearch) })
		}
	} else if s.cfg.HasRole("api") || s.cfg.HasRole("web") || s.cfg.HasRole("indexer") {
		g.Go(func() error { return s.keepIndex(ctx) })
	} else {
		s.indexed.Store(true) // nobody searches here
	}
	if !s.cfg.HasRole("indexer") {
		g.Go(func() error { return s.Trusts.Run(ctx, func(context.Context) error { return nil }) })
		return
	}
	g.Go(func() error { return s.Ingest.Run(ctx) })
	g.Go(func() error { return s.Trusts.Run(ctx, s.Ingest.ReverifyAll) })
	g.Go(func() error { return s.Linked.Run(ctx) })
	g.Go(func() error { return s.tell(ctx) })
	g.Go(func() error { return s.keepAudit(ctx, s.cfg.Audit.Retention) })
}

// errElsewhere says that a part of the server is served by another process.
func errElsewhere(role string) *clyde.Error {
	return clyde.Errorf(clyde.ErrNotFound, "this process does not have the role %s", role).WithCode("role_elsewhere").
		Fix("Ask the public address: what is in front of the processes knows which of them has it.")
}

// elsewhere answers for a role that another process has: what is in front sent
// the request to the wrong one.
func elsewhere(role string) http.Handler {
	e := errElsewhere(role)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.ProblemDetails{
			Type: "about:blank", Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound,
			Detail: e.Msg, Code: e.Code, Fixes: e.Fixes, RequestID: r.Header.Get(RequestIDHeader),
		})
	})
}

// healthOnly is the API of a process without the role api: its health.
func healthOnly(rest http.Handler) http.Handler {
	none := elsewhere("api")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			rest.ServeHTTP(w, r)
			return
		}
		none.ServeHTTP(w, r)
	})
}

func errNoRegistry() *clyde.Error {
	return clyde.Errorf(clyde.ErrDenied, "this server has no registry of its own; it indexes registries that others run").WithCode("registry_missing").
		Fix("Push to the registry that the namespace comes from.")
}

// noRegistry answers OCI clients where this process has no registry.
func (s *Server) noRegistry() http.Handler {
	e := errNoRegistry()
	if s.cfg.HasRegistry() {
		e = errElsewhere("registry")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		type detail struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		_ = json.NewEncoder(w).Encode(struct {
			Errors []detail `json:"errors"`
		}{[]detail{{"UNSUPPORTED", e.Error()}}})
	})
}
