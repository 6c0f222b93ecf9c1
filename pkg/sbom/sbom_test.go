package sbom_test

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/sbom"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func example(t *testing.T) *graph.Graph {
	t.Helper()
	name := func(s string) clyde.Name {
		n, err := clyde.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	version := func(s string) clyde.Version {
		v, err := clyde.ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	digest := "sha256:" + strings.Repeat("0a", 32)
	edge := func(s string, k resolve.Kind) resolve.Edge { return resolve.Edge{Name: name(s), Kind: k} }
	return &graph.Graph{
		Root: graph.Package{Name: name("@acme/app"), Version: version("1.0.0"), License: "LicenseRef-Proprietary",
			Requires: []resolve.Edge{edge("@acme/gen_tool", resolve.Build), edge("@acme/test", resolve.Dev), edge("@acme/png", resolve.Runtime), edge("@acme/zlib", resolve.Runtime)}},
		Packages: []graph.Package{
			{Name: name("@acme/gen_tool"), Version: version("2.0"), Registry: "registry.example", Digest: digest, Checksum: digest, License: "GPL-3.0-or-later", Linkage: graph.Program},
			{Name: name("@acme/png"), Version: version("1.6.43"), Registry: "localhost:8080", Digest: digest, Checksum: digest, License: "libpng-2.0 AND (Apache-2.0 WITH LLVM-exception OR MIT)",
				Requires: []resolve.Edge{edge("@acme/zlib", resolve.Runtime)}},
			{Name: name("@acme/test"), Version: version("2024-01-02"), Local: "../test", License: "see <LICENSE>"},
			{Name: name("@acme/zlib"), Version: version("1.3.1"), Registry: "localhost:8080", Digest: digest, Checksum: digest, License: "Zlib"},
		},
	}
}

func options() sbom.Options {
	return sbom.Options{Tool: "clyde", ToolVersion: "1.0.0", PURL: signing.PURL}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/sbom -update to accept:\n%s", path, diff)
	}
}

// TestCycloneDX: what the schema of CycloneDX 1.6 requires, and that every
// reference has its target.
func TestCycloneDX(t *testing.T) {
	t.Parallel()
	b, err := sbom.CycloneDX(example(t), options())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "app.cdx.json", b)
	var d struct {
		Format, Serial string
		BOMFormat      string `json:"bomFormat"`
		SpecVersion    string `json:"specVersion"`
		SerialNumber   string `json:"serialNumber"`
		Version        int
		Metadata       struct {
			Component struct {
				Ref string `json:"bom-ref"`
			}
		}
		Components []struct {
			Type, Name string
			Ref        string `json:"bom-ref"`
			Hashes     []struct{ Alg, Content string }
			Licenses   []map[string]any
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.BOMFormat != "CycloneDX" || d.SpecVersion != "1.6" || d.Version < 1 ||
		!regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`).MatchString(d.SerialNumber) {
		t.Errorf("head: %+v", d)
	}
	refs := []string{d.Metadata.Component.Ref}
	for _, c := range d.Components {
		if !slices.Contains([]string{"application", "library"}, c.Type) || c.Name == "" || slices.Contains(refs, c.Ref) {
			t.Errorf("component %+v", c)
		}
		for _, h := range c.Hashes {
			if h.Alg != "SHA-256" || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(h.Content) {
				t.Errorf("hash %+v", h)
			}
		}
		// An expression stands alone.
		if len(c.Licenses) > 1 {
			t.Errorf("licences %v", c.Licenses)
		}
		refs = append(refs, c.Ref)
	}
	if len(d.Dependencies) != len(refs) {
		t.Errorf("%d dependencies of %d", len(d.Dependencies), len(refs))
	}
	for _, dep := range d.Dependencies {
		for _, r := range append(dep.DependsOn, dep.Ref) {
			if !slices.Contains(refs, r) {
				t.Errorf("%s is nothing in the document", r)
			}
		}
	}
}

// TestSPDX: the same for SPDX 2.3.
func TestSPDX(t *testing.T) {
	t.Parallel()
	b, err := sbom.SPDX(example(t), options())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "app.spdx.json", b)
	var d struct {
		SpdxVersion, DataLicense, SPDXID, Name, DocumentNamespace string
		CreationInfo                                              struct {
			Created  string
			Creators []string
		}
		Packages []struct {
			Name, SPDXID, DownloadLocation, LicenseConcluded, LicenseDeclared, CopyrightText string
			FilesAnalyzed                                                                    *bool
		}
		Relationships []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
		Extracted     []struct{ LicenseID, ExtractedText string } `json:"hasExtractedLicensingInfos"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.SpdxVersion != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.SPDXID != "SPDXRef-DOCUMENT" || d.Name == "" || !strings.HasPrefix(d.DocumentNamespace, "https://") ||
		strings.Contains(d.DocumentNamespace, "#") || len(d.CreationInfo.Creators) == 0 || !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).MatchString(d.CreationInfo.Created) {
		t.Errorf("head: %+v", d)
	}
	ids := []string{d.SPDXID}
	for _, p := range d.Packages {
		if !regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`).MatchString(p.SPDXID) || slices.Contains(ids, p.SPDXID) {
			t.Errorf("identifier %q", p.SPDXID)
		}
		if p.Name == "" || p.DownloadLocation == "" || p.LicenseConcluded == "" || p.LicenseDeclared == "" || p.CopyrightText == "" || p.FilesAnalyzed == nil || *p.FilesAnalyzed {
			t.Errorf("package %+v", p)
		}
		for _, id := range clyde.LicenseIDs(p.LicenseDeclared) {
			found := slices.ContainsFunc(d.Extracted, func(e struct{ LicenseID, ExtractedText string }) bool {
				return e.LicenseID == id && e.ExtractedText != ""
			})
			if strings.HasPrefix(id, "LicenseRef-") != found {
				t.Errorf("licence %s: extracted %v", id, d.Extracted)
			}
		}
		ids = append(ids, p.SPDXID)
	}
	described := false
	for _, r := range d.Relationships {
		if !slices.Contains(ids, r.SpdxElementID) || !slices.Contains(ids, r.RelatedSpdxElement) {
			t.Errorf("relationship %+v", r)
		}
		described = described || r.RelationshipType == "DESCRIBES"
	}
	if !described {
		t.Error("the document describes nothing")
	}
}

// TestSameBytes: the same graph gives the same document, and another graph one
// of another name.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	for _, write := range []func(*graph.Graph, sbom.Options) ([]byte, error){sbom.CycloneDX, sbom.SPDX} {
		one, err1 := write(example(t), options())
		two, err2 := write(example(t), options())
		other := example(t)
		other.Packages = other.Packages[1:]
		three, err3 := write(other, options())
		bare, err4 := write(&graph.Graph{}, options())
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || string(one) != string(two) || string(one) == string(three) || !json.Valid(bare) {
			t.Errorf("%v %v %v %v", err1, err2, err3, err4)
		}
		id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
		if id.FindString(string(one)) == id.FindString(string(three)) {
			t.Error("two documents have one name")
		}
	}
}
