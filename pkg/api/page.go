package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed page.html
var pageHTML string

var problemSchema = reflect.TypeFor[ProblemDetails]()

// pageOperation is an operation as the page shows it.
type pageOperation struct {
	*huma.Operation
	Token   bool
	Params  []*huma.Param
	Answers []pageAnswer
	Body    string   // name of the schema of the request's body, or empty
	Takes   []string // media types of the request's body
}

type pageAnswer struct {
	Status, About string
	Schema        string // name of the schema of the answer
	Types         []string
}

type pageSchema struct {
	Name   string
	Fields []pageField
}

type pageField struct {
	Name, Type, Ref, About string
	Required               bool
}

type pageGroup struct {
	*huma.Tag
	Operations []pageOperation
}

// page renders the page from the OpenAPI document.
func (s *server) page() ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"asset": s.Asset, "title": func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }, "params": paramType, "tries": tries}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("api.New: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"URL": s.PublicURL, "Groups": s.groups(), "Schemas": s.schemas(), "Kinds": s.kinds(), "Version": s.api.OpenAPI().Info.Version,
	})
	return b.Bytes(), err
}

// tries reports whether the page lets somebody try an operation: one that only
// reads, and ends.
func tries(op pageOperation) bool {
	return op.Method == http.MethodGet && !strings.HasSuffix(op.Path, "/changes")
}

// kinds are the kinds of failure, by status.
func (s *server) kinds() []map[string]any {
	var out []map[string]any
	for _, k := range kinds {
		out = append(out, map[string]any{"Slug": k.slug, "Title": k.title, "Status": k.status, "About": failures[k.status].about})
	}
	slices.SortFunc(out, func(a, b map[string]any) int { return a["Status"].(int) - b["Status"].(int) })
	return out
}

func (s *server) groups() []pageGroup {
	o := s.api.OpenAPI()
	var out []pageGroup
	for _, tag := range o.Tags {
		g := pageGroup{Tag: tag}
		for _, item := range o.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && op.Tags[0] == tag.Name {
					g.Operations = append(g.Operations, s.operation(op))
				}
			}
		}
		slices.SortFunc(g.Operations, func(a, b pageOperation) int {
			if c := strings.Compare(a.Path, b.Path); c != 0 {
				return c
			}
			return strings.Compare(a.Method, b.Method)
		})
		out = append(out, g)
	}
	return out
}

func (s *server) operation(op *huma.Operation) pageOperation {
	out := pageOperation{Operation: op, Token: len(op.Security) == 1}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = s.api.OpenAPI().Components.Parameters[last(p.Ref)]
		}
		out.Params = append(out.Params, p)
	}
	if op.RequestBody != nil {
		for ct, m := range op.RequestBody.Content {
			out.Takes = append(out.Takes, ct)
			if m.Schema != nil && m.Schema.Ref != "" {
				out.Body = last(m.Schema.Ref)
			} else if m.Schema != nil && m.Schema.Type == "array" {
				_, out.Body = schemaType(m.Schema)
			}
		}
		sort.Strings(out.Takes)
	}
	for status, r := range op.Responses {
		if r.Ref != "" {
			r = s.api.OpenAPI().Components.Responses[last(r.Ref)]
		}
		a := pageAnswer{Status: status, About: r.Description}
		for ct, m := range r.Content {
			a.Types = append(a.Types, ct)
			if m.Schema != nil && m.Schema.Ref != "" {
				a.Schema = last(m.Schema.Ref)
			}
		}
		sort.Strings(a.Types)
		out.Answers = append(out.Answers, a)
	}
	slices.SortFunc(out.Answers, func(a, b pageAnswer) int { return strings.Compare(a.Status, b.Status) })
	return out
}

func (s *server) schemas() []pageSchema {
	all := s.api.OpenAPI().Components.Schemas.Map()
	var out []pageSchema
	for name, sc := range all {
		p := pageSchema{Name: name}
		for field, f := range sc.Properties {
			t, ref := schemaType(f)
			p.Fields = append(p.Fields, pageField{Name: field, Type: t, Ref: ref, About: f.Description, Required: slices.Contains(sc.Required, field)})
		}
		slices.SortFunc(p.Fields, func(a, b pageField) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b pageSchema) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// last is the name at the end of a reference.
func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// schemaType is a type in words, and the schema it refers to.
func schemaType(f *huma.Schema) (text, ref string) {
	switch {
	case f == nil:
		return "any", ""
	case f.Ref != "":
		return last(f.Ref), last(f.Ref)
	case f.Type == "array":
		t, ref := schemaType(f.Items)
		return "list of " + t, ref
	case len(f.Enum) > 0:
		var vs []string
		for _, v := range f.Enum {
			vs = append(vs, fmt.Sprint(v))
		}
		return strings.Join(vs, " | "), ""
	case f.Format == "date-time" || f.Format == "date" || f.Format == "binary":
		return f.Format, ""
	case f.Type == "object":
		if values, ok := f.AdditionalProperties.(*huma.Schema); ok {
			t, ref := schemaType(values)
			return "map to " + t, ref
		}
		return "object", ""
	case f.Type == "":
		return "any", ""
	}
	return f.Type, ""
}

func paramType(p *huma.Param) string {
	t, _ := schemaType(p.Schema)
	if p.Schema != nil && p.Schema.Default != nil {
		t += fmt.Sprintf(", default %v", p.Schema.Default)
	}
	return t
}

// pageCSP is what the page may do: the same as every page of the site.
const pageCSP = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (s *server) showPage(w http.ResponseWriter, r *http.Request) {
	d, err := s.docs()
	if err != nil {
		s.write(w, r, s.problem(r.Context(), err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pageCSP)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Del("Access-Control-Allow-Origin")
	h.Del("Access-Control-Expose-Headers")
	_, _ = w.Write(d.page)
}
