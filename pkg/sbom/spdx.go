package sbom

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// noAssertion is what SPDX calls what nobody says.
const noAssertion = "NOASSERTION"

// The document of SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/), as far as
// we fill it.
type (
	spdx struct {
		Version       string             `json:"spdxVersion"`
		DataLicense   string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
		Extracted     []spdxExtracted    `json:"hasExtractedLicensingInfos,omitempty"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		Name      string         `json:"name"`
		ID        string         `json:"SPDXID"`
		Version   string         `json:"versionInfo,omitempty"`
		Download  string         `json:"downloadLocation"`
		Analyzed  bool           `json:"filesAnalyzed"`
		Checksums []spdxChecksum `json:"checksums,omitempty"`
		Concluded string         `json:"licenseConcluded"`
		Declared  string         `json:"licenseDeclared"`
		Comments  string         `json:"licenseComments,omitempty"`
		Copyright string         `json:"copyrightText"`
		External  []spdxExternal `json:"externalRefs,omitempty"`
		Purpose   string         `json:"primaryPackagePurpose"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxExternal struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
	spdxExtracted struct {
		ID   string `json:"licenseId"`
		Name string `json:"name"`
		Text string `json:"extractedText"`
	}
)

// SPDX writes g as SPDX 2.3.
func SPDX(g *graph.Graph, o Options) ([]byte, error) {
	created := o.Created
	if created.IsZero() {
		created = time.Unix(0, 0)
	}
	d := spdx{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: title(&g.Root),
		Creation: spdxCreation{created.UTC().Format(time.RFC3339), []string{"Tool: " + o.Tool + "-" + cmp.Or(o.ToolVersion, "dev")}},
	}
	d.Relationships = []spdxRelationship{{d.ID, "DESCRIBES", spdxID(&g.Root)}}
	own := map[string]bool{}
	for i, p := range all(g) {
		d.Packages = append(d.Packages, o.spdxPackage(p, i == 0))
		for _, k := range []struct {
			kind     resolve.Kind
			relation string
			turned   bool // said of the package that is required
		}{{resolve.Runtime, "DEPENDS_ON", false}, {resolve.Build, "BUILD_TOOL_OF", true}, {resolve.Dev, "DEV_DEPENDENCY_OF", true}} {
			for _, q := range below(g, p, k.kind) {
				r := spdxRelationship{spdxID(p), k.relation, spdxID(q)}
				if k.turned {
					r.From, r.To = r.To, r.From
				}
				d.Relationships = append(d.Relationships, r)
			}
		}
		for _, id := range clyde.LicenseIDs(p.License) {
			if !own[id] && strings.HasPrefix(id, "LicenseRef-") {
				own[id] = true
				d.Extracted = append(d.Extracted, spdxExtracted{id, id, "See the files of " + title(p) + "."})
			}
		}
	}
	slices.SortFunc(d.Extracted, func(a, b spdxExtracted) int { return cmp.Compare(a.ID, b.ID) })
	id, err := uuid(d)
	if err != nil {
		return nil, err
	}
	d.Namespace = "https://spdx.org/spdxdocs/" + strings.TrimPrefix(spdxID(&g.Root), "SPDXRef-") + "-" + id
	return encode(d)
}

func (o *Options) spdxPackage(p *graph.Package, root bool) spdxPackage {
	out := spdxPackage{
		Name: title(p), ID: spdxID(p), Version: versionOf(p), Download: noAssertion,
		Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: "LIBRARY",
	}
	if root || p.Linkage == graph.Program {
		out.Purpose = "APPLICATION"
	}
	if e, ok := expression(p.License); ok && !strings.Contains(e, "DocumentRef-") && !strings.Contains(e, "AdditionRef-") {
		out.Declared = e // names of other documents, and of exceptions of one's own, are no part of SPDX 2.3 as we write it
	} else if p.License+p.LicenseFile != "" {
		out.Comments = strings.TrimSpace("The package says: " + strings.TrimSpace(p.License+" "+p.LicenseFile))
	}
	if at := download(p); strings.HasPrefix(at, "https:") { // an address that holds on this machine alone is none
		out.Download = at
	}
	if hex := sha256Of(p.Checksum); hex != "" {
		out.Checksums = []spdxChecksum{{"SHA256", hex}}
	}
	if purl := o.purl(p); purl != "" {
		out.External = []spdxExternal{{"PACKAGE-MANAGER", "purl", purl}}
	}
	return out
}

// spdxID is the identifier of a package: letters, digits, dots and hyphens. No
// two names differ in nothing but an underscore, so nor do these.
func spdxID(p *graph.Package) string {
	if p.Name.IsZero() {
		return "SPDXRef-" + rootRef
	}
	return "SPDXRef-" + strings.ReplaceAll(p.Name.Namespace+"."+p.Name.Base, "_", "-")
}
