package signing_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/signing"
)

func TestAuthor(t *testing.T) {
	t.Parallel()
	const github = "https://token.actions.githubusercontent.com"
	for want, res := range map[string]signing.SignatureResult{
		"":                 {},
		"the key SHA256:x": {KeyFingerprint: "SHA256:x"},
		"the key release":  {KeyFingerprint: "SHA256:x", KeyName: "release"},
		"alice@example.com, vouched for by accounts.example": {Certificate: &signing.Certificate{Subject: "alice@example.com", Issuer: "https://accounts.example"}},
		"GitHub Actions, acme/zlib, release.yml, tag v1.3.1": {Certificate: &signing.Certificate{
			Subject: "https://github.com/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1", Issuer: github,
			Extensions: map[string]string{
				"sourceRepositoryURI": "https://github.com/acme/zlib", "sourceRepositoryRef": "refs/tags/v1.3.1",
				"buildConfigURI": "https://github.com/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1",
			},
		}},
		"GitHub Actions, acme/zlib, old.yaml, branch main": {Certificate: &signing.Certificate{
			Subject: "https://github.com/acme/zlib/.github/workflows/old.yaml@refs/heads/main", Issuer: github,
			Extensions: map[string]string{"githubWorkflowRepository": "acme/zlib", "githubWorkflowRef": "refs/heads/main"},
		}},
		"GitHub Actions at github.corp.example, acme/zlib, release.yml, tag v1.3.1": {Certificate: &signing.Certificate{
			Subject: "https://github.corp.example/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1", Issuer: "https://github.corp.example/_services/token",
			Extensions: map[string]string{
				"sourceRepositoryURI": "https://github.corp.example/acme/zlib", "sourceRepositoryRef": "refs/tags/v1.3.1", "githubWorkflowTrigger": "push",
				"buildConfigURI": "https://github.corp.example/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1",
			},
		}},
		"GitLab CI, group/sub/zlib, pull request 7": {Certificate: &signing.Certificate{
			Subject: "https://gitlab.com/group/sub/zlib", Issuer: "https://gitlab.com",
			Extensions: map[string]string{"sourceRepositoryURI": "https://gitlab.com/group/sub/zlib.git", "sourceRepositoryRef": "refs/pull/7/merge"},
		}},
		"ci.example:8443, zlib, odd": {Certificate: &signing.Certificate{
			Subject: "x", Issuer: "https://ci.example:8443/x", Extensions: map[string]string{"sourceRepositoryURI": "zlib", "sourceRepositoryRef": "odd"},
		}},
	} {
		if got := res.Author(); got.Words != want {
			t.Errorf("%q; want %q", got.Words, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind, statement string
		want            signing.Attested
	}{
		"provenance": {
			"https://slsa.dev/provenance/v1",
			`{"predicate":{"buildDefinition":{"externalParameters":{"workflow":{"ref":"refs/tags/v1","repository":"https://github.com/acme/zlib","path":".github/workflows/r.yml"}},
			"resolvedDependencies":[{"uri":"git+https://github.com/acme/zlib@refs/tags/v1","digest":{"gitCommit":"abc"}}]},"runDetails":{"builder":{"id":"b"},"metadata":{"invocationId":"https://run"}}}}`,
			signing.Attested{Kind: signing.KindProvenance, Builder: "b", Source: "https://github.com/acme/zlib", Commit: "abc", Workflow: ".github/workflows/r.yml", Run: "https://run"},
		},
		"provenance of before": {
			"https://slsa.dev/provenance/v0.2",
			`{"predicate":{"builder":{"id":"b"},"invocation":{"configSource":{"uri":"git+https://github.com/acme/zlib@refs/heads/main","digest":{"sha1":"abc"},"entryPoint":"r.yml"}}}}`,
			signing.Attested{Kind: signing.KindProvenance, Builder: "b", Source: "https://github.com/acme/zlib", Commit: "abc", Workflow: "r.yml"},
		},
		"SPDX":      {"https://spdx.dev/Document/v2.3", `{"predicate":{"spdxVersion":"SPDX-2.3","packages":[{},{}]}}`, signing.Attested{Kind: signing.KindSBOM, Format: "SPDX 2.3", Components: 2}},
		"CycloneDX": {"https://cyclonedx.org/bom", `{"predicate":{"specVersion":"1.6","components":[{},{},{}]}}`, signing.Attested{Kind: signing.KindSBOM, Format: "CycloneDX 1.6", Components: 3}},
		"wrapped":   {"https://cyclonedx.org/bom", `{"predicate":{"Data":{"specVersion":"1.5","components":[{}]},"Timestamp":"x"}}`, signing.Attested{Kind: signing.KindSBOM, Format: "CycloneDX 1.5", Components: 1}},
		"VEX":       {"https://openvex.dev/ns/v0.2.0", `{"predicate":{"statements":[{}]}}`, signing.Attested{Kind: signing.KindVEX, Statements: 1}},
		"other":     {"https://example.com/x", `{"predicate":{"spdxVersion":"SPDX-2.3"}}`, signing.Attested{Kind: signing.KindOther}},
		"broken":    {"https://slsa.dev/provenance/v1", `{"predicate":"x"}`, signing.Attested{Kind: signing.KindProvenance}},
		"no JSON":   {"https://slsa.dev/provenance/v1", `x`, signing.Attested{Kind: signing.KindProvenance}},
	} {
		tt.want.PredicateType, tt.want.By = tt.kind, "key SHA256:x"
		got := signing.Describe(signing.SignatureResult{PredicateType: tt.kind, KeyFingerprint: "SHA256:x", Statement: []byte(tt.statement)})
		if got != tt.want {
			t.Errorf("%s: %+v; want %+v", name, got, tt.want)
		}
	}
}
