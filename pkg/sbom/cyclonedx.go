package sbom

import (
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// The document of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), as far
// as we fill it.
type (
	cycloneDX struct {
		Schema       string         `json:"$schema"`
		Format       string         `json:"bomFormat"`
		Spec         string         `json:"specVersion"`
		Serial       string         `json:"serialNumber,omitempty"`
		Version      int            `json:"version"`
		Metadata     cdxMetadata    `json:"metadata"`
		Components   []cdxComponent `json:"components"`
		Dependencies []cdxDepends   `json:"dependencies"`
	}
	cdxMetadata struct {
		Timestamp string `json:"timestamp,omitempty"`
		Tools     struct {
			Components []cdxComponent `json:"components"`
		} `json:"tools"`
		Component cdxComponent `json:"component"`
	}
	cdxComponent struct {
		Type       string         `json:"type"`
		Ref        string         `json:"bom-ref,omitempty"`
		Group      string         `json:"group,omitempty"`
		Name       string         `json:"name"`
		Version    string         `json:"version,omitempty"`
		Scope      string         `json:"scope,omitempty"`
		Hashes     []cdxHash      `json:"hashes,omitempty"`
		Licenses   []cdxLicense   `json:"licenses,omitempty"`
		PURL       string         `json:"purl,omitempty"`
		External   []cdxReference `json:"externalReferences,omitempty"`
		Properties []cdxProperty  `json:"properties,omitempty"`
	}
	cdxHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	cdxLicense struct {
		Expression string    `json:"expression,omitempty"`
		License    *cdxNamed `json:"license,omitempty"`
	}
	cdxNamed struct {
		Name string `json:"name"`
	}
	cdxReference struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	}
	cdxProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	cdxDepends struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn,omitempty"`
	}
)

// CycloneDX writes g as CycloneDX 1.6.
func CycloneDX(g *graph.Graph, o Options) ([]byte, error) {
	d := cycloneDX{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Components: []cdxComponent{}, Dependencies: []cdxDepends{},
	}
	if !o.Created.IsZero() {
		d.Metadata.Timestamp = o.Created.UTC().Format(time.RFC3339)
	}
	d.Metadata.Tools.Components = []cdxComponent{{Type: "application", Name: o.Tool, Version: o.ToolVersion}}
	d.Metadata.Component = o.component(&g.Root, "")
	linked := g.Linked()
	for i := range g.Packages {
		// Tools and what only its developers need are no part of a program.
		scope := "required"
		if !linked[i] {
			scope = "excluded"
		}
		d.Components = append(d.Components, o.component(&g.Packages[i], scope))
	}
	for _, p := range all(g) {
		dep := cdxDepends{Ref: o.ref(p)}
		for _, q := range below(g, p, resolve.Runtime, resolve.Build, resolve.Dev) {
			dep.On = append(dep.On, o.ref(q))
		}
		slices.Sort(dep.On)
		dep.On = slices.Compact(dep.On)
		d.Dependencies = append(d.Dependencies, dep)
	}
	id, err := uuid(d)
	if err != nil {
		return nil, err
	}
	d.Serial = "urn:uuid:" + id
	return encode(d)
}

func (o *Options) component(p *graph.Package, scope string) cdxComponent {
	c := cdxComponent{Type: "library", Ref: o.ref(p), Name: p.Name.Base, Version: versionOf(p), Scope: scope, PURL: o.purl(p)}
	if p.Name.Namespace != "" {
		c.Group = "@" + p.Name.Namespace
	}
	if scope == "" || p.Linkage == graph.Program {
		c.Type = "application"
	}
	if p.Name.IsZero() {
		c.Name = rootRef
	}
	if hex := sha256Of(p.Checksum); hex != "" {
		c.Hashes = []cdxHash{{"SHA-256", hex}}
	}
	if e, ok := expression(p.License); ok {
		c.Licenses = []cdxLicense{{Expression: e}}
	} else if name := strings.TrimSpace(p.License + " " + p.LicenseFile); name != "" {
		c.Licenses = []cdxLicense{{License: &cdxNamed{name}}}
	}
	if at := download(p); at != "" {
		c.External = []cdxReference{{"distribution", at}}
	}
	for _, prop := range []cdxProperty{{"clyde:manifest", p.Digest}, {"clyde:registry", p.Registry}, {"clyde:folder", p.Local}} {
		if prop.Value != "" {
			c.Properties = append(c.Properties, prop)
		}
	}
	return c
}
