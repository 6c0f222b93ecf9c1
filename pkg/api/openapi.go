package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// config is huma's, without its pages, which load scripts from elsewhere, and
// without its own schema links.
func (s *server) config() huma.Config {
	c := huma.DefaultConfig("Clyde Registry", version(s.Version))
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Formats = map[string]huma.Format{"application/json": format, "json": format}
	c.Transformers = []huma.Transformer{s.translate}
	c.Info.Description = about
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Servers = []*huma.Server{{URL: s.PublicURL, Description: "this registry"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", BearerFormat: "clyde_…", Description: "An API token. It is also accepted as the password of Basic, with any user name."},
	}
	c.Tags = tags
	return c
}

// version is what the document says of the API: the address has the major
// number, and a server without a number of its own is one under development.
func version(server string) string {
	if server == "" {
		return "1"
	}
	return server
}

const about = `Find, publish and verify C and C++ packages.

Names are paths: ` + "`/packages/acme/zlib`" + `; a leading @ on the namespace is fine. Whatever others keep private looks like what does not exist.

Every failure is a problem document (RFC 9457) with a stable ` + "`code`" + ` and ` + "`fixes`" + ` that say what to do. Answers have an ` + "`ETag`" + `; a 304 costs no rate limit. Lists have ` + "`items`" + `, and ` + "`next_cursor`" + ` where there is more.`

var tags = []*huma.Tag{
	{Name: "find", Description: "Search, and names while typing."},
	{Name: "packages", Description: "Packages, their versions and what is in them."},
	{Name: "publish", Description: "Publish a version, withdraw it, deprecate a package."},
	{Name: "feed", Description: "Everything that happened, in order, for mirrors and machines."},
	{Name: "access", Description: "Who you are, tokens, and the public keys of namespaces."},
	{Name: "account", Description: "Your account: where it is signed in, what it was invited to, what it may do."},
	{Name: "organisations", Description: "Organisations, their members, teams and switches. What changes who owns something takes somebody who signed in: send the session's cookie; no token does it."},
	{Name: "namespaces", Description: "Namespaces: whose they are, claiming and requesting one."},
	{Name: "rights", Description: "Who may do what to a package, handing it on, and the log of all such changes."},
	{Name: "moderation", Description: "Reports about packages, and what administrators withdraw."},
	{Name: "registry", Description: "The registry itself."},
}

// operation is what all operations have, and what one of them says.
type operation struct {
	id, method, path, tag string
	summary, about        string
	status                int            // of success; 0: 200, or 204 without a body
	errors                []int          // besides those of every operation
	token                 bool           // must be signed in
	body                  int64          // most bytes of a JSON body; 0: MaxBody
	content               map[string]any // media type of a raw answer → example
}

// add registers an operation. What its handler returns as an error becomes a
// problem document.
func add[I, O any](s *server, o operation, handler func(context.Context, *I) (*O, error)) {
	if _, none := any((*O)(nil)).(*struct{}); none && o.status == 0 {
		o.status = http.StatusNoContent
	}
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary, Description: o.about,
		DefaultStatus: o.status, MaxBodyBytes: max(o.body, MaxBody) + 1 /* huma refuses what reaches it */, BodyReadTimeout: BodyTimeout, Responses: map[string]*huma.Response{},
	}
	if o.token {
		op.Security = []map[string][]string{{"token": {}}}
		o.errors = append(o.errors, http.StatusForbidden)
	} else {
		op.Security = []map[string][]string{{}, {"token": {}}}
	}
	for _, code := range append([]int{400, 401, 429, 500, 503}, o.errors...) {
		op.Responses[strconv.Itoa(code)] = &huma.Response{Ref: "#/components/responses/" + failures[code].name}
	}
	status := o.status
	if status == 0 {
		status = http.StatusOK
	}
	if len(o.content) > 0 {
		r := &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{}}
		for ct, example := range o.content {
			r.Content[ct] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}, Example: example}
		}
		op.Responses[strconv.Itoa(status)] = r
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		if c := callOf(ctx); c.w != nil && !safe(o.method) && o.id != "publish" {
			// huma's deadline was for reading the body. Left on the connection it
			// would end the context of a handler that takes longer.
			_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
	s.describe(o, strconv.Itoa(status))
}
