package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/artifact"
)

// failure is a status that problem documents come with.
type failure struct{ name, about, code, detail, fix string }

// failures is every one that an operation can name.
var failures = map[int]failure{
	400: {"Invalid", "The request is wrong: a parameter, a name, a path.", "name_invalid", "Package name \"@acme/Zlib\": use a-z, 0-9 and single -, _ or . between them.", "Write it as @acme/zlib."},
	401: {"Unauthenticated", "A token is needed, or the one sent is not accepted.", "token_required", "Publishing needs a token.", "Send a token: Authorization: Bearer clyde_…."},
	403: {"Denied", "The token does not grant this; the answer names the missing grant.", "grant_missing", "Token \"ci\" lacks the right to yank @acme/zlib.", "Use a token with the scope yank on @acme/zlib."},
	404: {"NotFound", "There is no such thing that you may see.", "package_unknown", "Package @acme/zlip was not found.", "Check the spelling, or search: clyde search zlip."},
	408: {"TooSlow", "The body came too slowly.", "upload_too_slow", "The request body came too slowly.", "Send at least 4096 bytes a second."},
	409: {"Conflict", "It contradicts what is there already.", "version_exists", "Version 1.3.1 of @acme/zlib is already published with another content.", "Publish a new version."},
	410: {"Withdrawn", "Administrators withdrew it: the answer says why.", "version_quarantined", "The version is quarantined while the administrators of this registry look at it: it opens a connection while it is configured.", "Use another version."},
	412: {"Changed", "It has changed since you read it: If-Match names another state.", "precondition_failed", "It has changed since you read it.", "Read it again, and decide anew."},
	413: {"TooLarge", "The body is larger than the limit.", "too_large", "The request body has more than 65536 bytes.", "Send less."},
	415: {"MediaType", "The body is of another kind than this operation takes.", "media_type_unsupported", "A version is published as multipart/form-data.", "curl -F package.yaml=@package.yaml -F archive=@src.tar.gz sends it so."},
	422: {"Unprocessable", "The body is well formed, and what it says is wrong: every problem is named with its place.", "invalid_package", "package.yaml: 3:1: unknown key (did you mean \"name\"?) [unknown_key] (and 2 more)", "Write \"name\"."},
	429: {"RateLimited", "Too many requests; Retry-After says how many seconds to wait.", "rate_limited", "Too many requests of the kind \"reads\".", "Wait 3 s before the next one."},
	500: {"Internal", "The registry failed; the request's identifier is in its log.", "internal", "The registry failed to answer this request.", "Try again."},
	503: {"Unavailable", "Something that the registry needs does not answer.", "unavailable", "The search index is being built.", "Try again in a moment."},
}

// schemas that huma adds for failures of its own, which we translate.
var unused = []string{"ErrorModel", "ErrorDetail"}

// documents are the description, as it is served.
type documents struct{ json, yaml, page []byte }

// describe completes what huma found out about an operation.
func (s *server) describe(o operation, status string) {
	item := s.api.OpenAPI().Paths[o.path]
	op := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}[o.method]
	ok := op.Responses[status]
	if ok.Headers == nil {
		ok.Headers = map[string]*huma.Param{}
	}
	for name, p := range ok.Headers {
		if p.Description == "" {
			p.Description = fieldNotes[name]
		}
	}
	for _, name := range []string{"X-Request-Id", "RateLimit", "RateLimit-Policy"} {
		ok.Headers[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	if o.method == http.MethodGet && o.tag != "registry" {
		ok.Headers["ETag"] = &huma.Param{Ref: "#/components/headers/ETag"}
		op.Responses["304"] = &huma.Response{Description: "Not changed since the answer whose ETag is in If-None-Match. It costs no rate limit."}
		op.Parameters = append(op.Parameters, &huma.Param{Ref: "#/components/parameters/If-None-Match"})
	}
	switch o.id {
	case "publish":
		op.RequestBody = publishBody()
	case "report-leaks":
		delete(op.RequestBody.Content, "application/octet-stream") // huma's, for it hands over the bytes, too
	case "get-package-by-short-name":
		op.Responses["307"] = &huma.Response{Description: "There is exactly one: Location is its address.", Headers: map[string]*huma.Param{"Location": ok.Headers["Location"]}}
		delete(ok.Headers, "Location")
	case "list-changes":
		for _, h := range []string{epochHeader, lastHeader} {
			ok.Headers[h] = &huma.Param{Description: fieldNotes[h], Schema: &huma.Schema{Type: "string"}}
		}
	}
}

// fieldNotes say what a field of an answer means.
var fieldNotes = map[string]string{
	"Link":                "Address of the next page, with rel=\"next\"; absent on the last one.",
	"Location":            "Address of what was made or found.",
	"Idempotent-Replayed": "true where this is the answer to an earlier request with the same Idempotency-Key.",
	"Content-Type":        "Media type of the answer.",
	epochHeader:           "Identifies one history of the feed: when it changes, start over from 0.",
	lastHeader:            "Last sequence number that this answer looked at: ask for more with it as since.",
}

func publishBody() *huma.RequestBody {
	return &huma.RequestBody{
		Required:    true,
		Description: "Exactly two parts, in this order.",
		Content: map[string]*huma.MediaType{"multipart/form-data": {
			Schema: &huma.Schema{
				Type: "object", Required: []string{partManifest, partArchive},
				Properties: map[string]*huma.Schema{
					partManifest: {Type: "string", Description: "package.yaml, at most " + strconv.Itoa(artifact.MaxConfig) + " bytes"},
					partArchive:  {Type: "string", Format: "binary", Description: "source archive: a tar, compressed by gzip or zstd, at most " + strconv.Itoa(artifact.MaxArchive) + " bytes"},
				},
			},
			Encoding: map[string]*huma.Encoding{
				partManifest: {ContentType: "application/yaml"},
				partArchive:  {ContentType: artifact.TypeSourceGzip + ", " + artifact.TypeSourceZstd + ", application/octet-stream"},
			},
		}},
	}
}

// document completes the description, and serves it and the page.
func (s *server) document() {
	o := s.api.OpenAPI()
	c := o.Components
	text := &huma.Schema{Type: "string"}
	c.Headers = map[string]*huma.Header{
		"X-Request-Id":     {Description: "Name of the request in the registry's log.", Schema: text},
		"RateLimit":        {Description: "What is left of the limit that the request counted towards: r requests, and t seconds until it is whole again. Absent where there is no limit.", Schema: text},
		"RateLimit-Policy": {Description: "The limit: q requests in w seconds.", Schema: text},
		"Retry-After":      {Description: "Seconds to wait.", Schema: &huma.Schema{Type: "integer"}},
		"ETag":             {Description: "Strong entity tag: for If-None-Match, and for If-Match where something is written.", Schema: text},
	}
	c.Parameters = map[string]*huma.Param{
		"If-None-Match": {Name: "If-None-Match", In: "header", Description: "ETag of an answer that you have: 304 where nothing changed.", Schema: text},
	}
	schema := c.Schemas.Schema(problemSchema, true, "ProblemDetails")
	c.Responses = map[string]*huma.Response{}
	for code, f := range failures {
		r := &huma.Response{
			Description: f.about,
			Headers:     map[string]*huma.Param{"X-Request-Id": {Ref: "#/components/headers/X-Request-Id"}},
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema, Example: s.example(code, f)}},
		}
		if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			r.Headers["Retry-After"] = &huma.Param{Ref: "#/components/headers/Retry-After"}
		}
		c.Responses[f.name] = r
	}
	for _, name := range unused {
		delete(c.Schemas.Map(), name)
	}
	s.amend()
	s.docs = sync.OnceValues(s.render)
	s.raw(base+"/openapi.json", "application/openapi+json", func(d documents) []byte { return d.json })
	s.raw(base+"/openapi.yaml", "application/openapi+yaml", func(d documents) []byte { return d.yaml })
	s.mux.HandleFunc("GET /api", s.showPage)
	s.mux.HandleFunc("GET /api/{$}", s.showPage)
	s.mux.HandleFunc("GET "+base, s.showPage)
}

// render writes the description in its forms, when somebody first asks for one:
// a server that nobody asks need not.
func (s *server) render() (d documents, err error) {
	o := s.api.OpenAPI()
	if d.yaml, err = o.YAML(); err != nil {
		return d, err
	}
	b, err := json.Marshal(o)
	if err != nil {
		return d, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, b, "", "  "); err != nil {
		return d, err
	}
	d.json = append(indented.Bytes(), '\n')
	d.page, err = s.page()
	return d, err
}

// amend says what huma cannot know: that lists are never null, that answers
// may gain members while requests must not have others, and examples.
func (s *server) amend() {
	o := s.api.OpenAPI()
	asked := map[string]bool{"Scope": true}
	replies := s.replies()
	for _, item := range o.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				solid(p.Schema)
				if p.Schema != nil && p.Ref == "" {
					if len(p.Schema.Examples) > 0 {
						p.Example = p.Schema.Examples[0]
					}
					p.Schema.Description, p.Schema.Examples = "", nil // the parameter says it
				}
			}
			for status, r := range op.Responses {
				if m := r.Content["application/json"]; m != nil && status[0] == '2' {
					m.Example = plain(replies[op.OperationID])
				}
			}
			if op.RequestBody != nil {
				if m := op.RequestBody.Content["application/json"]; m != nil {
					m.Example = plain(requests[op.OperationID])
					asked[last(m.Schema.Ref)] = true
				}
			}
		}
	}
	for name, sc := range o.Components.Schemas.Map() {
		if !asked[name] {
			sc.AdditionalProperties = nil
		}
		for field, f := range sc.Properties {
			solid(f)
			if f.Description == "" && f.Ref == "" {
				f.Description = note(name, field)
			}
		}
	}
}

// solid takes away that a list may be null.
func solid(sc *huma.Schema) {
	if sc != nil && sc.Type == "array" {
		sc.Nullable = false
	}
}

// plain is v as JSON has it, so that the YAML form has the same members.
func plain(v any) (out any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return nil
	}
	return out
}

// raw serves bytes that never change while the server runs.
func (s *server) raw(path, mediaType string, form func(documents) []byte) {
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		d, err := s.docs()
		if err != nil {
			s.write(w, r, s.problem(r.Context(), err))
			return
		}
		w.Header().Set("Content-Type", mediaType)
		_, _ = w.Write(form(d))
	})
}

// example is a problem document as the description shows it.
func (s *server) example(code int, f failure) map[string]any {
	k := kinds[0]
	for _, o := range kinds {
		if o.status == code {
			k = o
		}
	}
	if k.status != code {
		k = kindOf(refuse(code, f.code, "%s", f.detail))
	}
	return map[string]any{
		"type": s.PublicURL + "/api#problem-" + k.slug, "title": k.title, "status": code, "code": f.code, "detail": f.detail,
		"fixes": []string{f.fix}, "request_id": "b3kq7zr2mw5tx4ny",
	}
}
