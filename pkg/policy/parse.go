package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Limits of a policy file. Ours: a rule is about 500 bytes.
const (
	MaxSize        = 256 << 10 // bytes of the file
	MaxRules       = 500
	MaxAuthorities = signing.MaxKeys // of one rule
	MaxRevoked     = 10000
	MaxTrusts      = 16
)

// Words of the file's head.
const (
	APIVersion = "clyde.dev/v1"
	Kind       = "VerificationPolicy"

	// PublicGood stands for the public sigstore where a trust names a TUF mirror.
	PublicGood = "sigstore-public-good"
)

// Mode is what becomes of a package that a rule does not find in order.
type Mode string

// The modes of a rule.
const (
	Enforce Mode = "enforce"
	Warn    Mode = "warn"
	Off     Mode = "off" // the rule asks for nothing
)

// The file, as YAML has it.
type (
	file struct {
		APIVersion string           `yaml:"apiVersion"`
		Kind       string           `yaml:"kind"`
		Default    string           `yaml:"default,omitempty"`
		Trust      []trustFile      `yaml:"trust,omitempty"`
		Policies   []ruleFile       `yaml:"policies"`
		Lists      []listSourceFile `yaml:"lists,omitempty"`
		Revoked    []Revoked        `yaml:"revoked,omitempty"`
	}
	trustFile struct {
		Name        string    `yaml:"name"`
		TrustedRoot string    `yaml:"trustedRoot,omitempty"`
		TUF         yaml.Node `yaml:"tuf,omitempty"`
	}
	ruleFile struct {
		Name         string            `yaml:"name"`
		Packages     []string          `yaml:"packages"`
		Mode         Mode              `yaml:"mode,omitempty"`
		Require      *int              `yaml:"require,omitempty"`
		Authorities  []authorityFile   `yaml:"authorities,omitempty"`
		Attestations []AttestationRule `yaml:"attestations,omitempty"`
	}
	authorityFile struct {
		Name            string       `yaml:"name"`
		Key             *keyFile     `yaml:"key,omitempty"`
		Keyless         *keylessFile `yaml:"keyless,omitempty"`
		Trust           string       `yaml:"trust,omitempty"`
		TransparencyLog *int         `yaml:"transparencyLog,omitempty"`
		Timestamps      *int         `yaml:"timestamps,omitempty"`
		ValidFor        *Window      `yaml:"validFor,omitempty"`
	}
	keyFile struct {
		Data string `yaml:"data"`
	}
	keylessFile struct {
		Trust             string         `yaml:"trust,omitempty"`
		Identities        []identityFile `yaml:"identities"`
		InsecureIgnoreSCT bool           `yaml:"insecureIgnoreSCT,omitempty"`
	}
	identityFile struct {
		Issuer        string            `yaml:"issuer,omitempty"`
		IssuerRegExp  string            `yaml:"issuerRegExp,omitempty"`
		Subject       string            `yaml:"subject,omitempty"`
		SubjectRegExp string            `yaml:"subjectRegExp,omitempty"`
		Extensions    map[string]string `yaml:"extensions,omitempty"`
	}
)

// Window is from when until when signatures of an authority may be made: by
// their proven times, else by the time of checking. A zero end is open.
type Window struct {
	Start time.Time `yaml:"start,omitempty"`
	End   time.Time `yaml:"end,omitempty"`
}

// AttestationRule asks for an attestation.
type AttestationRule struct {
	Name          string   `yaml:"name,omitempty"`
	PredicateType string   `yaml:"predicateType"`
	Authorities   []string `yaml:"authorities,omitempty"` // by name; none is any of the rule
	Builder       []string `yaml:"builder,omitempty"`     // builders of SLSA provenance that will do; none is any
}

// Revoked is what counts no more: a package, a key, or one entry of a log.
type Revoked struct {
	Digest         digest.Digest `yaml:"digest,omitempty"`
	KeyFingerprint string        `yaml:"keyFingerprint,omitempty"` // "SHA256:…"
	LogIndex       *int64        `yaml:"logIndex,omitempty"`
	Log            string        `yaml:"log,omitempty"` // address or key of the log that LogIndex is in
}

// TrustSource is where a sigstore's trusted root comes from: a file, the public
// sigstore's TUF repository, or another one.
type TrustSource struct {
	Name   string
	File   string // trusted_root.json, relative to the policy's folder
	Public bool
	Mirror string // TUF repository; Root is its root.json, relative likewise
	Root   string
}

// Authority is who may sign, by one name.
type Authority struct {
	Name  string
	Trust string // name of its TrustSource; may be empty for a key
	Valid Window

	signing signing.Authority // its Trust is filled in when roots are read
}

// Rule is what a policy asks of some packages.
type Rule struct {
	Name         string
	Patterns     []string
	Mode         Mode
	Require      int // authorities that must have signed
	Authorities  []Authority
	Attestations []AttestationRule
}

// Policy is a file that was read and holds together.
type Policy struct {
	Default Verdict // for packages that no rule is about
	Trusts  []TrustSource
	Rules   []Rule
	Lists   []ListSource // of organisations, which must let a package be used
	Revoked []Revoked
	Hash    digest.Digest // of the file

	anyName bool // packages without a name are checked, too
	read    Roots

	mu    sync.Mutex
	roots map[string]*signing.Trust // what was read
}

func bad(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, "the policy: "+format, args...).WithCode("bad_policy")
}

// Parse reads a policy, strictly: what is unknown, given twice, contradicts
// itself, can never be met or would be met by anybody is a clyde.ErrInvalid
// error with the code bad_policy.
func Parse(data []byte) (*Policy, error) {
	if len(data) > MaxSize {
		return nil, bad("it is %d bytes; the limit is %d", len(data), MaxSize)
	}
	var f file
	if err := decode(data, &f); err != nil {
		return nil, err
	}
	p := &Policy{Revoked: f.Revoked, Hash: digest.FromBytes(data)}
	switch {
	case f.APIVersion != APIVersion || f.Kind != Kind:
		return nil, bad("it is of %q, %q; want apiVersion %s and kind %s", f.APIVersion, f.Kind, APIVersion, Kind).
			Fix("clyde policy convert reads a ClusterImagePolicy")
	case len(f.Policies) > MaxRules:
		return nil, bad("it has %d policies; the limit is %d", len(f.Policies), MaxRules)
	case len(f.Trust) > MaxTrusts:
		return nil, bad("it has %d trusts; the limit is %d", len(f.Trust), MaxTrusts)
	case len(f.Lists) > MaxLists:
		return nil, bad("it follows %d lists; the limit is %d", len(f.Lists), MaxLists)
	case len(f.Revoked) > MaxRevoked:
		return nil, bad("it revokes %d things; the limit is %d", len(f.Revoked), MaxRevoked)
	}
	switch v := Verdict(f.Default); v {
	case "":
		p.Default = Denied
	case "allow":
		p.Default = Allowed
	case "warn":
		p.Default = Warned
	case "deny":
		p.Default = Denied
	default:
		return nil, bad("default is %q; want allow, warn or deny", f.Default)
	}
	for _, t := range f.Trust {
		src, err := t.source()
		if err != nil {
			return nil, err
		}
		if p.trust(src.Name) != nil {
			return nil, bad("the trust %q is there twice", src.Name)
		}
		p.Trusts = append(p.Trusts, src)
	}
	for _, r := range f.Revoked {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	for i, r := range f.Policies {
		rule, err := p.rule(r)
		if err != nil {
			if e := clyde.AsError(err); e != nil {
				e.Msg = strings.Replace(e.Msg, "the policy:", fmt.Sprintf("the policy: policies[%d] %q:", i, r.Name), 1)
			}
			return nil, err
		}
		p.Rules = append(p.Rules, rule)
	}
	for _, f := range f.Lists {
		src, err := p.list(f)
		if err != nil {
			return nil, err
		}
		if _, twice := p.ListOf(src.Namespace); twice {
			return nil, bad("the list of @%s is there twice", src.Namespace)
		}
		p.Lists = append(p.Lists, src)
	}
	return p, p.checkPatterns()
}

// decode reads one YAML document without anchors, aliases and tags, whose keys
// are all known.
func decode(data []byte, into any) error {
	var doc yaml.Node
	plain := yaml.NewDecoder(bytes.NewReader(data))
	if err := plain.Decode(&doc); err != nil {
		return bad("it is not YAML: %v", err)
	}
	if err := plain.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return bad("something follows its first document")
	}
	if err := simple(&doc); err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		return bad("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

// simple refuses what makes YAML mean something else than it seems to.
func simple(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge" {
		return bad("line %d: anchors, aliases and tags are not allowed: write the value out", n.Line)
	}
	for _, c := range n.Content {
		if err := simple(c); err != nil {
			return err
		}
	}
	return nil
}

func (t trustFile) source() (TrustSource, error) {
	src := TrustSource{Name: t.Name, File: t.TrustedRoot}
	fail := func(format string, args ...any) (TrustSource, error) {
		return src, bad("the trust %q "+format, append([]any{t.Name}, args...)...)
	}
	switch t.TUF.Kind {
	case 0:
	case yaml.ScalarNode:
		if t.TUF.Value != PublicGood {
			return fail("has tuf: %q; want %s, or mirror and root", t.TUF.Value, PublicGood)
		}
		src.Public = true
	case yaml.MappingNode:
		for i := 0; i+1 < len(t.TUF.Content); i += 2 {
			switch k, v := t.TUF.Content[i].Value, t.TUF.Content[i+1].Value; k {
			case "mirror":
				src.Mirror = v
			case "root":
				src.Root = v
			default:
				return fail("has the unknown key tuf.%s", k)
			}
		}
		if src.Mirror == "" || src.Root == "" {
			return fail("wants both tuf.mirror and tuf.root")
		}
	default:
		return fail("has a tuf that is neither %s nor mirror and root", PublicGood)
	}
	given := 0
	for _, is := range []bool{src.File != "", src.Public, src.Mirror != ""} {
		if is {
			given++
		}
	}
	if src.Name == "" || given != 1 {
		return fail("wants a name, and one of trustedRoot and tuf")
	}
	return src, nil
}

func (r Revoked) check() error {
	given := 0
	for _, is := range []bool{r.Digest != "", r.KeyFingerprint != "", r.LogIndex != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return bad("what is revoked is one of digest, keyFingerprint and logIndex")
	case r.Digest != "" && r.Digest.Validate() != nil:
		return bad("the revoked digest %q is none", r.Digest)
	case r.KeyFingerprint != "" && !strings.HasPrefix(r.KeyFingerprint, "SHA256:"):
		return bad("the revoked key %q is no fingerprint", r.KeyFingerprint).Fix("write it as clyde keygen prints it: SHA256:…")
	case (r.LogIndex != nil) != (r.Log != ""):
		return bad("a revoked log entry wants both logIndex and log")
	}
	return nil
}

func (p *Policy) trust(name string) *TrustSource {
	for i := range p.Trusts {
		if p.Trusts[i].Name == name {
			return &p.Trusts[i]
		}
	}
	return nil
}
