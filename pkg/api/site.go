package api

import (
	"context"
	"net/http"
)

// OCI says where the registry's OCI API is.
type OCI struct {
	Host   string `json:"host" doc:"as clients write it" example:"localhost:8080"`
	Prefix string `json:"prefix" doc:"before namespace/name in a repository; usually empty"`
	// Namespaces that come from other registries.
	Namespaces map[string]string `json:"namespaces,omitempty" doc:"addresses of the registries that namespaces come from, where that is not this one; a path in one is the prefix there. Those with nothing that you may see are left out"`
}

// WellKnown says where everything of this registry is.
type WellKnown struct {
	API     string `json:"api" doc:"base address of the API"`
	Index   string `json:"index" doc:"template, with {namespace} and {name}"`
	Changes string `json:"changes" doc:"address of the change feed"`
	OpenAPI string `json:"openapi"`
	Web     string `json:"web" doc:"address of the pages"`
	OCI     OCI    `json:"oci"`
	Keys    string `json:"keys" doc:"template, with {namespace}"`
	OIDC    *OIDC  `json:"oidc,omitempty" doc:"absent where CI runs cannot publish by their identity"`
}

// OIDC says how CI runs publish by their identity.
type OIDC struct {
	Audience string `json:"audience" doc:"what identity tokens must be made for" example:"registry.example.org"`
	Exchange string `json:"exchange" doc:"address that exchanges them"`
}

type wellKnownOutput struct{ Body WellKnown }

// Health is the answer of /healthz and /readyz when all is well.
type Health struct {
	Status string `json:"status" enum:"ok,ready"`
}

type healthOutput struct{ Body Health }

func (s *server) site() {
	add(s, operation{
		id: "get-registry", method: "GET", path: "/.well-known/clyde/registry.json", tag: "registry", summary: "Where everything is",
		about: "Addresses to start from: whoever knows the registry's address finds the rest here.",
	}, func(ctx context.Context, _ *struct{}) (*wellKnownOutput, error) {
		wk := s.wellKnown()
		if s.Homes != nil {
			var err error
			if wk.OCI.Namespaces, err = s.Homes(ctx, callOf(ctx).who); err != nil {
				return nil, err
			}
		}
		return &wellKnownOutput{wk}, nil
	})
	alive := func(context.Context, *struct{}) (*healthOutput, error) { return &healthOutput{Health{"ok"}}, nil }
	add(s, operation{
		id: "get-health", method: "GET", path: "/healthz", tag: "registry", summary: "Is the process alive",
		about: "Answers as long as the process does. It counts towards no limit and needs no token.",
	}, alive)
	add(s, operation{
		id: "get-ready", method: "GET", path: "/readyz", tag: "registry", summary: "Is the registry ready",
		about: "Answers 200 when the database answers and the search index is whole, else 503. It counts towards no limit.",
	}, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		return &healthOutput{Health{"ready"}}, s.Ready(ctx)
	})
}

// health answers for those who watch the process, whose credentials and limits
// do not matter.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !safe(r.Method) {
		s.unrouted(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *server) wellKnown() WellKnown {
	u := s.PublicURL
	var oidc *OIDC
	if s.Trusted != nil {
		oidc = &OIDC{Audience: s.Trusted.Audience(), Exchange: u + exchangePath}
	}
	return WellKnown{
		API: u + base, Index: u + base + "/index/{namespace}/{name}.ndjson", Changes: u + base + "/changes", OpenAPI: u + base + "/openapi.json",
		Web: u, OCI: OCI{Host: s.host}, Keys: u + base + "/namespaces/{namespace}/keys", OIDC: oidc,
	}
}
