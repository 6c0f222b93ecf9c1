package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// newKey makes a key pair and returns the public half as YAML text, indented.
func newKey(tb testing.TB) (*signing.KeySigner, string) {
	tb.Helper()
	private, public, err := signing.GenerateKeyPair(nil)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := signing.LoadSigner(private, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s, indent(string(public))
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n            ")
}

const head = "apiVersion: clyde.dev/v1\nkind: VerificationPolicy\n"

const example = head + `default: deny
trust:
  - {name: public, tuf: sigstore-public-good}
  - {name: corp, trustedRoot: corp.json}
  - {name: mirror, tuf: {mirror: "https://tuf.example.com", root: root.json}}
policies:
  - name: acme
    packages: ["acme/*"]
    authorities:
      - name: release-workflow
        keyless:
          trust: public
          identities:
            - issuer: https://token.actions.githubusercontent.com
              subjectRegExp: https://github\.com/acme/zlib/\.github/workflows/release\.yml@refs/tags/v.*
              extensions: {sourceRepositoryOwnerIdentifier: "123456", runnerEnvironment: github-hosted}
  - name: zlib
    packages: ["@acme/zlib"]
    mode: warn
    authorities:
      - name: alice
        keyless: {trust: corp, identities: [{issuer: "https://issuer", subject: alice@example.com}]}
  - name: tools
    packages: ["acme/tool-*"]
    mode: off
`

func TestParseAndFor(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"@acme/fmt": "acme", "@acme/zlib": "zlib", "@acme/tool-x": "tools", "@acme/tool_x": "tools", "@acme/toolbox": "acme", "@evil/zlib": "", "@acmee/x": "",
	} {
		n, err := clyde.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r := p.For(n); r != nil {
			got = r.Name
		}
		if got != want {
			t.Errorf("For(%s) = %q; want %q", name, got, want)
		}
	}
}

// What would let anybody pass, or nobody ever, is refused whole.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	authority := func(body string) string {
		return head + "trust: [{name: public, tuf: sigstore-public-good}, {name: corp, trustedRoot: r.json}]\npolicies:\n  - name: a\n    packages: [\"acme/*\"]\n    authorities:\n      - " + body + "\n"
	}
	identity := func(i string) string {
		return authority("{name: x, keyless: {trust: public, identities: [" + i + "]}}")
	}
	for name, tt := range map[string]struct{ yaml, want string }{
		"empty":                  {"", "not YAML"},
		"kind":                   {"apiVersion: v1\nkind: ClusterImagePolicy\npolicies: []\n", "want apiVersion"},
		"unknown key":            {head + "polices: []\n", "polices"},
		"twice":                  {head + "policies: []\npolicies: []\n", "already defined"},
		"alias":                  {head + "default: &a deny\npolicies: []\n", "anchors"},
		"second document":        {head + "policies: []\n---\nkind: x\n", "something follows"},
		"default":                {head + "default: maybe\npolicies: []\n", "default"},
		"no authorities":         {head + "policies: [{name: a, packages: [\"*\"]}]\n", "no authorities"},
		"no packages":            {head + "policies: [{name: a, mode: off}]\n", "no packages"},
		"no identities":          {authority("{name: x, keyless: {trust: public, identities: []}}"), "anybody"},
		"no issuer":              {identity("{subject: a@b}"), "no issuer"},
		"no subject":             {identity("{issuer: https://i}"), "no subject"},
		"any subject":            {identity("{issuer: https://i, subjectRegExp: '.*'}"), "anybody"},
		"any subject but empty":  {identity("{issuer: https://i, subjectRegExp: '.+'}"), "anybody"},
		"any, the long way":      {identity("{issuer: https://i, subjectRegExp: '(a|.*)'}"), "anybody"},
		"any issuer":             {identity("{issuerRegExp: '[^ ]+', subject: a@b}"), "anybody"},
		"issuer twice":           {identity("{issuer: https://i, issuerRegExp: https://i, subject: a@b}"), "twice"},
		"unbalanced":             {identity("{issuer: https://i, subjectRegExp: 'a)|(b'}"), "expression"},
		"unknown extension":      {identity("{issuer: https://i, subject: a@b, extensions: {ownerID: \"1\"}}"), "no extension"},
		"no log at public":       {authority("{name: x, transparencyLog: 0, keyless: {trust: public, identities: [{issuer: https://i, subject: a@b}]}}"), "no trace"},
		"no timestamps":          {authority("{name: x, timestamps: 0, keyless: {trust: corp, identities: [{issuer: https://i, subject: a@b}]}}"), "no timestamps"},
		"unknown trust":          {authority("{name: x, keyless: {trust: other, identities: [{issuer: https://i, subject: a@b}]}}"), "not among"},
		"no trust":               {authority("{name: x, keyless: {identities: [{issuer: https://i, subject: a@b}]}}"), "name the trust"},
		"key and keyless":        {authority("{name: x, key: {data: k}, keyless: {identities: []}}"), "one of key and keyless"},
		"bad key":                {authority("{name: x, key: {data: none}}"), "cannot be read"},
		"require too many":       {strings.Replace(identity("{issuer: https://i, subject: a@b}"), "authorities:", "require: 2\n    authorities:", 1), "can never be"},
		"require none":           {strings.Replace(identity("{issuer: https://i, subject: a@b}"), "authorities:", "require: 0\n    authorities:", 1), "anybody"},
		"window":                 {authority("{name: x, validFor: {start: 2027-01-01T00:00:00Z, end: 2026-01-01T00:00:00Z}, keyless: {trust: corp, identities: [{issuer: https://i, subject: a@b}]}}"), "no time"},
		"pattern in the middle":  {head + "policies: [{name: a, packages: [\"a*/b\"], mode: off}]\n", "pattern"},
		"pattern twice":          {head + "policies: [{name: a, packages: [acme/a-b], mode: off}, {name: b, packages: [\"@acme/a_b\"], mode: off}]\n", "twice"},
		"attestation by nobody":  {head + "policies: [{name: a, packages: [\"*\"], mode: off, attestations: [{predicateType: \"https://x/y\", authorities: [ghost]}]}]\n", "ghost"},
		"revoked nothing":        {head + "policies: []\nrevoked: [{}]\n", "one of"},
		"revoked log index only": {head + "policies: []\nrevoked: [{logIndex: 3}]\n", "both"},
		"trust without a source": {head + "policies: []\ntrust: [{name: x}]\n", "one of"},
		"same key twice":         {fmt.Sprintf(head+"policies:\n  - name: a\n    packages: [\"*\"]\n    authorities:\n      - name: x\n        key:\n          data: |\n            %s\n      - name: y\n        key:\n          data: |\n            %s\n", key, key), "same key"},
		"too large":              {head + "policies: []\n# " + strings.Repeat("x", policy.MaxSize), "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.Parse([]byte(tt.yaml))
			if !errors.Is(err, clyde.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v; want ErrInvalid with %q\n%s", err, tt.want, tt.yaml)
			}
		})
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	in := fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: acme}
spec:
  images: [{glob: "ghcr.io/acme/**"}]
  mode: enforce
  authorities:
    - name: ci
      keyless:
        url: https://fulcio.sigstore.dev
        identities: [{issuer: "https://token.actions.githubusercontent.com", subjectRegExp: "https://github\\.com/acme/.*"}]
      attestations: [{name: prov, predicateType: slsaprovenance}]
    - key:
        data: |
            %s
`, key)
	types := func(s string) string {
		if s == "slsaprovenance" {
			return "https://slsa.dev/provenance/v1"
		}
		return s
	}
	out, notes, err := policy.Convert([]byte(in), types)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	n, err := clyde.ParseName("@acme/zlib")
	if err != nil {
		t.Fatal(err)
	}
	r := p.For(n)
	if r == nil || len(r.Authorities) != 2 || len(r.Attestations) != 1 || p.Default != policy.Denied || len(notes) != 1 {
		t.Errorf("Convert = %s, notes %q; want a rule for @acme/zlib with two authorities, an attestation and one note", out, notes)
	}
	for name, tt := range map[string]struct{ old, new, want string }{
		"static": {"    - key:", "    - static: {action: pass}\n    - key:", "without a signature"},
		"kms":    {"        data: |", "        kms: awskms://x\n        data: |", "elsewhere"},
		"rego":   {"predicateType: slsaprovenance", "predicateType: slsaprovenance, policy: {type: cue, data: x}", "not run here"},
		"other":  {"kind: ClusterImagePolicy", "kind: Pod", "want a ClusterImagePolicy"},
	} {
		if _, _, err := policy.Convert([]byte(strings.Replace(in, tt.old, tt.new, 1)), types); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Convert = %v; want %q", name, err, tt.want)
		}
	}
}

// FuzzParse: what parses names somebody in every rule that asks for anybody,
// and parses to the same rules again; what does not is an ErrInvalid.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(head + "policies: [{name: a, packages: [\"*\"], mode: off}]\n"))
	f.Add([]byte(head + "policies: [{name: a, packages: [\"*\"], require: -1, authorities: [{}]}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(data)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("Parse(%q) = %v; want ErrInvalid", data, err)
			}
			return
		}
		for _, r := range p.Rules {
			if r.Mode != policy.Off && (r.Require < 1 || r.Require > len(r.Authorities)) {
				t.Errorf("Parse(%q) has a rule that requires %d of %d", data, r.Require, len(r.Authorities))
			}
		}
		again, err := policy.Parse(data)
		if err != nil || again.Hash != p.Hash || len(again.Rules) != len(p.Rules) {
			t.Errorf("Parse(%q) differs from one time to the next", data)
		}
	})
}
