// Package sbom writes a graph of packages as a software bill of materials:
// CycloneDX 1.6 and SPDX 2.3, both as JSON. It is pure, and the same graph
// gives the same bytes: what has to be unique is made from what is in it.
package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Options are what a document holds besides the graph.
type Options struct {
	Tool, ToolVersion string    // that made it
	Created           time.Time // zero: CycloneDX leaves it out, and SPDX, which needs one, says 1970
	PURL              func(name clyde.Name, version string) string
}

// rootRef names the project, where it has no package URL.
const rootRef = "project"

// ref names a package within a document.
func (o *Options) ref(p *graph.Package) string {
	if purl := o.purl(p); purl != "" {
		return purl
	}
	return rootRef
}

// purl is the package URL, or "" for a project without a name.
func (o *Options) purl(p *graph.Package) string {
	if p.Name.IsZero() {
		return ""
	}
	return o.PURL(p.Name, versionOf(p))
}

func versionOf(p *graph.Package) string {
	if p.Version.IsZero() {
		return ""
	}
	return p.Version.String()
}

// title is how a person calls a package.
func title(p *graph.Package) string {
	if p.Name.IsZero() {
		return rootRef
	}
	return p.Name.String()
}

// download is where the source archive can be had, or "".
func download(p *graph.Package) string {
	if p.Registry == "" || p.Checksum == "" {
		return ""
	}
	scheme := "https"
	if host, _, _ := strings.Cut(p.Registry, ":"); host == "localhost" || host == "127.0.0.1" {
		scheme = "http"
	}
	return scheme + "://" + p.Registry + "/v2/" + p.Name.Repo() + "/blobs/" + p.Checksum
}

// sha256Of is the hex part of a digest, or "".
func sha256Of(digest string) string {
	hex, _ := strings.CutPrefix(digest, "sha256:")
	return hex
}

// expression returns a licence as SPDX reads it; ok is false where it is no
// expression.
func expression(s string) (string, bool) { return s, s != "" && clyde.CheckLicense(s) == nil }

// below lists what a package requires that is in the graph, each once, in
// order.
func below(g *graph.Graph, p *graph.Package, kinds ...resolve.Kind) (out []*graph.Package) {
	seen := map[clyde.Name]bool{}
	for _, e := range p.Requires {
		for _, k := range kinds {
			if q := g.Find(e.Name); e.Kind == k && q != nil && !seen[q.Name] {
				seen[q.Name] = true
				out = append(out, q)
			}
		}
	}
	return out
}

// all lists the root and the packages.
func all(g *graph.Graph) []*graph.Package {
	out := []*graph.Package{&g.Root}
	for i := range g.Packages {
		out = append(out, &g.Packages[i])
	}
	return out
}

// uuid is made of what a document says, in the form of a random UUID (RFC 9562,
// version 8).
func uuid(document any) (string, error) {
	b, err := json.Marshal(document)
	if err != nil {
		return "", fmt.Errorf("sbom: %w", err)
	}
	sum := sha256.Sum256(b)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]), nil
}

func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(document); err != nil {
		return nil, fmt.Errorf("sbom: %w", err)
	}
	return b.Bytes(), nil
}
