package api_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/api"
)

// described serves the API under an address that does not change, so that what
// it says of itself does not either.
func described(t *testing.T) *env {
	t.Helper()
	return start(t, func(o *api.Options) { o.PublicURL = "http://localhost:8080" })
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	e := described(t)
	a := e.get("/api/v1/openapi.json")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("GET = %d %s", a.StatusCode, a.Header.Get("Content-Type"))
	}
	golden(t, "openapi.json", a.body)
	var fromJSON, fromYAML any
	if err := json.Unmarshal(a.body, &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(e.get("/api/v1/openapi.yaml").body, &fromYAML); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	var normal any
	if err := json.Unmarshal(b, &normal); err != nil {
		t.Fatal(err)
	}
	if x, y := mustJSON(t, fromJSON), mustJSON(t, normal); x != y {
		t.Error("openapi.yaml says something else than openapi.json")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Everything in the description is described, and every reference leads
// somewhere.
func TestOpenAPIIsComplete(t *testing.T) {
	t.Parallel()
	raw := described(t).get("/api/v1/openapi.json").body
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]operation
		Components map[string]map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) < 20 {
		t.Errorf("OpenAPI %q with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			at := method + " " + path
			if op.Summary == "" || len(op.Description) < 20 || op.OperationID == "" || len(op.Tags) != 1 {
				t.Errorf("%s: summary %q, description %q, id %q, tags %v", at, op.Summary, op.Description, op.OperationID, op.Tags)
			}
			for _, code := range []string{"400", "401", "429", "500", "503"} {
				if _, ok := op.Responses[code]; !ok {
					t.Errorf("%s: %s is not described", at, code)
				}
			}
			if method == "patch" || method == "put" || method == "post" || method == "delete" {
				if _, ok := op.Responses["403"]; !ok {
					t.Errorf("%s: 403 is not described", at)
				}
			}
			for status, r := range op.Responses {
				if m, ok := r.Content["application/json"]; ok && m.Example == nil {
					t.Errorf("%s: %s has no example", at, status)
				}
			}
			if m, ok := op.RequestBody.Content["application/json"]; ok && m.Example == nil {
				t.Errorf("%s: the body has no example", at)
			}
			for _, p := range op.Parameters {
				if p.Ref == "" && p.Description == "" {
					t.Errorf("%s: parameter %s has no description", at, p.Name)
				}
			}
			for _, m := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(path, -1) {
				found := false
				for _, p := range op.Parameters {
					found = found || p.In == "path" && p.Name == m[1]
				}
				if !found {
					t.Errorf("%s: path parameter %s is missing", at, m[1])
				}
			}
		}
	}
	for name, sc := range doc.Components["schemas"] {
		for field, f := range sc.(map[string]any)["properties"].(map[string]any) {
			if p := f.(map[string]any); p["description"] == nil && p["$ref"] == nil {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
	}
	for _, m := range regexp.MustCompile(`"#/components/([a-zA-Z]+)/([A-Za-z0-9-]+)"`).FindAllStringSubmatch(string(raw), -1) {
		if _, ok := doc.Components[m[1]][m[2]]; !ok {
			t.Errorf("reference %s leads nowhere", m[0])
		}
	}
	for _, gone := range []string{"ErrorModel", "ErrorDetail"} {
		if strings.Contains(string(raw), gone) {
			t.Errorf("%s is described; failures are problem documents", gone)
		}
	}
}

type operation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Parameters                        []struct {
		Name, In, Description string
		Ref                   string `json:"$ref"`
	}
	RequestBody media
	Responses   map[string]media
}

type media struct {
	Content map[string]struct{ Example any }
}

// The page runs the site's own script files alone, loads nothing from elsewhere, and its own links
// lead somewhere.
func TestPage(t *testing.T) {
	t.Parallel()
	e := described(t)
	a := e.get("/api")
	html := string(a.body)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("GET /api = %d %v", a.StatusCode, a.Header)
	}
	own := strings.Count(html, `<script type="module" src="`)
	if strings.Count(html, "<script") != own || strings.Contains(html, "style=") || regexp.MustCompile(`(src|href)="https?:`).MatchString(html) {
		t.Error("the page has an inline script, a style of its own, or something from elsewhere")
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if n := strings.Count(html, `id="`+m[1]+`"`); n != 1 {
			t.Errorf("link to #%s: %d places have that id; want 1", m[1], n)
		}
	}
	// A problem's type leads to the page, too.
	p := e.get("/api/v1/packages/acme/nope").problem(t)
	_, id, _ := strings.Cut(p.Type, "#")
	if !strings.Contains(html, `id="`+id+`"`) {
		t.Errorf("type %s: the page has no such place", p.Type)
	}
}
