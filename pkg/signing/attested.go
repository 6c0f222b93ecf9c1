package signing

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// The kinds of attestations that Describe knows.
const (
	KindProvenance = "provenance" // how it was built: SLSA provenance
	KindSBOM       = "sbom"       // what is in it: SPDX, CycloneDX
	KindVEX        = "vex"        // which vulnerabilities concern it: OpenVEX
	KindOther      = "other"
)

// Attested is what an attestation says, as far as it can be told in a line or
// two. It is the word of whoever signed it.
type Attested struct {
	Kind          string        `json:"kind" enum:"provenance,sbom,vex,other"`
	PredicateType string        `json:"predicate_type" doc:"of the statement, a URI"`
	Manifest      digest.Digest `json:"manifest" doc:"digest of the manifest that carries it"`
	Layer         digest.Digest `json:"layer" doc:"digest of the signed bytes"`
	By            string        `json:"by" doc:"who signed it"`
	At            *time.Time    `json:"at,omitempty" doc:"when it was signed; absent where nobody proves it"`

	Builder  string `json:"builder,omitempty" doc:"of provenance: who built"`
	Source   string `json:"source,omitempty" doc:"of provenance: repository that was built"`
	Commit   string `json:"commit,omitempty" doc:"of provenance: commit that was built"`
	Workflow string `json:"workflow,omitempty" doc:"of provenance: file of the workflow"`
	Run      string `json:"run,omitempty" doc:"of provenance: address of the run"`

	Format     string `json:"format,omitempty" doc:"of an SBOM: SPDX or CycloneDX, and its version"`
	Components int    `json:"components,omitempty" doc:"of an SBOM: how many are listed"`
	Statements int    `json:"statements,omitempty" doc:"of a VEX document: how many there are"`
}

// kindOf says what a predicate type stands for.
func kindOf(predicateType string) string {
	t := strings.ToLower(predicateType)
	switch {
	case strings.HasPrefix(t, "https://slsa.dev/provenance/"):
		return KindProvenance
	case strings.HasPrefix(t, "https://spdx.dev/document"), strings.HasPrefix(t, "https://cyclonedx.org/"):
		return KindSBOM
	case strings.HasPrefix(t, "https://openvex.dev/"):
		return KindVEX
	}
	return KindOther
}

// predicates is what Describe reads of all of them; each has its own part.
type predicates struct {
	// SLSA provenance, version 1 and before
	BuildDefinition struct {
		ExternalParameters struct {
			Workflow struct {
				Ref, Repository, Path string
			} `json:"workflow"`
		} `json:"externalParameters"`
		ResolvedDependencies []resource `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder  identified `json:"builder"`
		Metadata struct {
			InvocationID string `json:"invocationId"`
		} `json:"metadata"`
	} `json:"runDetails"`
	Builder    identified `json:"builder"`
	Invocation struct {
		ConfigSource struct {
			resource
			EntryPoint string `json:"entryPoint"`
		} `json:"configSource"`
	} `json:"invocation"`
	Materials []resource `json:"materials"`

	// SPDX, CycloneDX, OpenVEX
	SPDXVersion string            `json:"spdxVersion"`
	Packages    []json.RawMessage `json:"packages"`
	SpecVersion string            `json:"specVersion"`
	Components  []json.RawMessage `json:"components"`
	Statements  []json.RawMessage `json:"statements"`
}

type (
	identified struct {
		ID string `json:"id"`
	}
	resource struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
)

// commit is the commit that a resource names, or "".
func (r resource) commit() string {
	for _, k := range []string{"gitCommit", "sha1"} {
		if c := r.Digest[k]; c != "" {
			return clip(c)
		}
	}
	return ""
}

// repository is where a resource is, without what is before and after it in an
// SPDX location: "git+https://github.com/acme/zlib@refs/tags/v1".
func repository(uri string) string {
	uri = strings.TrimPrefix(uri, "git+")
	if at := strings.LastIndex(uri, "@"); at > strings.LastIndex(uri, "://")+3 && strings.Contains(uri[at:], "refs/") {
		uri = uri[:at]
	}
	return clip(uri)
}

// Describe reads a verified attestation. A predicate that cannot be read, or of
// a type unknown here, has its type and who signed it, and no more.
func Describe(res SignatureResult) Attested {
	a := Attested{Kind: kindOf(res.PredicateType), PredicateType: res.PredicateType, Manifest: res.Manifest, Layer: res.Layer, By: res.Who()}
	if len(res.Times) > 0 {
		a.At = &res.Times[0]
	}
	if a.Kind == KindOther {
		return a
	}
	var s struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(res.Statement, &s); err != nil {
		return a
	}
	// cosign attest wraps what is no JSON of a known type.
	var wrapped struct{ Data json.RawMessage }
	if json.Unmarshal(s.Predicate, &wrapped) == nil && len(wrapped.Data) > 0 && wrapped.Data[0] == '{' {
		s.Predicate = wrapped.Data
	}
	var p predicates
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		return a
	}
	switch a.Kind {
	case KindProvenance:
		p.provenance(&a)
	case KindSBOM:
		if p.SPDXVersion != "" {
			a.Format, a.Components = clip(strings.Replace(p.SPDXVersion, "SPDX-", "SPDX ", 1)), len(p.Packages)
		} else {
			a.Format, a.Components = strings.TrimSpace("CycloneDX "+clip(p.SpecVersion)), len(p.Components)
		}
	case KindVEX:
		a.Statements = len(p.Statements)
	}
	return a
}

func (p *predicates) provenance(a *Attested) {
	w := p.BuildDefinition.ExternalParameters.Workflow
	a.Builder, a.Run = clip(p.RunDetails.Builder.ID), clip(p.RunDetails.Metadata.InvocationID)
	a.Source, a.Workflow = repository(w.Repository), clip(w.Path)
	list := p.BuildDefinition.ResolvedDependencies
	if a.Builder == "" {
		c := p.Invocation.ConfigSource
		a.Builder, a.Source, a.Workflow, a.Commit = clip(p.Builder.ID), repository(c.URI), clip(c.EntryPoint), c.commit()
		list = p.Materials
	}
	for _, r := range list {
		if a.Source == "" {
			a.Source = repository(r.URI)
		}
		if a.Commit == "" && repository(r.URI) == a.Source {
			a.Commit = r.commit()
		}
	}
}

// Who names who made a verified signature, so that it can be recognised: a key
// by its fingerprint, an identity by its subject and issuer.
func (r *SignatureResult) Who() string {
	if r.Certificate != nil {
		return r.Certificate.Subject + " (" + r.Certificate.Issuer + ")"
	}
	return "key " + r.KeyFingerprint
}
