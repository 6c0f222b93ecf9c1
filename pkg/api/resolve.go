package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// resolvePath is where queries go.
const resolvePath = base + "/resolve"

type resolveQuery struct{ Body resolve.Query }

// Resolution is one version of every package that is needed.
type Resolution catalog.Resolution

type resolveAnswer struct{ Body Resolution }

// need describes resolve.Need, which is text or an object.
type need struct{}

// Schema serves huma.
func (need) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "a range, or more",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Description: "range", Examples: []any{"^1.2"}},
			r.Schema(reflect.TypeFor[needObject](), true, "Need"),
		},
	}
}

// needObject is the long form of resolve.Need.
type needObject struct {
	Version    string            `json:"version,omitempty" doc:"range; absent or * is any release" example:"^1.2"`
	Traits     map[string]string `json:"traits,omitempty" doc:"values that it asks of the other's traits"`
	Visibility string            `json:"visibility,omitempty" enum:"public,private,interface" doc:"who sees its headers; absent: public"`
	Optional   bool              `json:"optional,omitempty" doc:"counts only where the project's trait of that name is true"`
	When       string            `json:"when,omitempty" doc:"condition on the platform and the project's traits"`
}

func (s *server) resolve() {
	s.api.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[resolve.Need](), reflect.TypeFor[need]())
	add(s, operation{
		id: "resolve", method: "POST", path: resolvePath, tag: "packages", summary: "Choose versions",
		about: "One version of every package that the requirements need, the highest that fit: what clyde.lock holds. It changes nothing and needs no token; packages that you may not see do not exist. " +
			"Where nothing fits, the failure `unsatisfiable` has the proof as `lines`, the `packages` in it, and as `fixes` and `changes` what was tried and helps.",
		errors: []int{403, 413, 422}, body: MaxQuery,
	}, func(ctx context.Context, in *resolveQuery) (*resolveAnswer, error) {
		a, err := s.Catalog.Resolve(ctx, callOf(ctx).who, in.Body)
		if err != nil {
			return nil, s.unsatisfiable(ctx, err)
		}
		return &resolveAnswer{Resolution(a)}, nil
	})
}

// unsatisfiable adds the proof to the failure of a query that cannot be met.
func (s *server) unsatisfiable(ctx context.Context, err error) error {
	f, ok := resolve.IsUnsatisfiable(err)
	if !ok {
		return err
	}
	e := clyde.AsError(err)
	p := s.problem(ctx, refusal{status: http.StatusUnprocessableEntity, err: &clyde.Error{Kind: clyde.ErrConflict, Code: e.Code, Msg: e.Msg, Fixes: e.Fixes}})
	p.Lines, p.Changes = f.Lines, f.Fixes
	for _, n := range f.Packages {
		p.Packages = append(p.Packages, n.String())
	}
	return p
}

// isResolve reports whether r asks for versions, which reads and costs more than
// reading does.
func isResolve(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == resolvePath || r.Method == http.MethodGet && r.URL.Query().Has("transitive")
}
