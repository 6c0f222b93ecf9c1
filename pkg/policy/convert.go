package policy

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// The parts of a ClusterImagePolicy that can be said in a policy of ours
// (https://docs.sigstore.dev/policy-controller/overview/, v1beta1).
type clusterImagePolicy struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string         `yaml:"name"`
		Rest map[string]any `yaml:",inline"`
	} `yaml:"metadata"`
	Spec struct {
		Images []struct {
			Glob string `yaml:"glob"`
		} `yaml:"images"`
		Mode        string             `yaml:"mode"`
		Authorities []clusterAuthority `yaml:"authorities"`
	} `yaml:"spec"`
}

type clusterAuthority struct {
	Name string `yaml:"name"`
	Key  *struct {
		Data          string         `yaml:"data"`
		HashAlgorithm string         `yaml:"hashAlgorithm"`
		SecretRef     map[string]any `yaml:"secretRef"`
		KMS           string         `yaml:"kms"`
	} `yaml:"key"`
	Keyless *struct {
		URL               string         `yaml:"url"`
		Identities        []identityFile `yaml:"identities"`
		TrustRootRef      string         `yaml:"trustRootRef"`
		InsecureIgnoreSCT bool           `yaml:"insecureIgnoreSCT"`
		CACert            map[string]any `yaml:"ca-cert"`
	} `yaml:"keyless"`
	CTLog *struct {
		URL          string `yaml:"url"`
		TrustRootRef string `yaml:"trustRootRef"`
	} `yaml:"ctlog"`
	RFC3161 *struct {
		TrustRootRef string `yaml:"trustRootRef"`
	} `yaml:"rfc3161timestamp"`
	Attestations []struct {
		Name          string         `yaml:"name"`
		PredicateType string         `yaml:"predicateType"`
		Policy        map[string]any `yaml:"policy"`
	} `yaml:"attestations"`
	SignatureFormat string         `yaml:"signatureFormat"`
	Static          map[string]any `yaml:"static"`
}

// publicTrust is what Convert calls the public sigstore.
const publicTrust = "public"

// Convert turns a ClusterImagePolicy into a policy of ours. What has no
// counterpart is refused where leaving it out would let more pass, and noted
// otherwise. Types gives the URI of a predicate type's short name.
func Convert(data []byte, types func(string) string) (out []byte, notes []string, err error) {
	if len(data) > MaxSize {
		return nil, nil, bad("it is %d bytes; the limit is %d", len(data), MaxSize)
	}
	var in clusterImagePolicy
	if err := decode(data, &in); err != nil {
		return nil, nil, err
	}
	if in.Kind != "ClusterImagePolicy" || !strings.HasPrefix(in.APIVersion, "policy.sigstore.dev/") {
		return nil, nil, bad("it is of %q, %q; want a ClusterImagePolicy of policy.sigstore.dev", in.APIVersion, in.Kind)
	}
	c := converter{types: types, trusts: map[string]bool{}}
	rule := ruleFile{Name: in.Metadata.Name, Mode: Mode(in.Spec.Mode)}
	for _, image := range in.Spec.Images {
		pattern, err := c.pattern(image.Glob)
		if err != nil {
			return nil, nil, err
		}
		rule.Packages = append(rule.Packages, pattern)
	}
	for i, a := range in.Spec.Authorities {
		if a.Name == "" {
			a.Name = fmt.Sprintf("authority-%d", i)
		}
		if err := c.authority(a, &rule); err != nil {
			return nil, nil, err
		}
	}
	f := file{APIVersion: APIVersion, Kind: Kind, Default: "deny", Policies: []ruleFile{rule}, Trust: c.sources}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(f); err != nil {
		return nil, nil, fmt.Errorf("policy.Convert: %w", err)
	}
	if _, err := Parse(b.Bytes()); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), c.notes, nil
}

type converter struct {
	types   func(string) string
	trusts  map[string]bool
	sources []trustFile
	notes   []string
}

func (c *converter) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// pattern turns a glob of images into one of packages: without the host, which
// a package's name does not have.
func (c *converter) pattern(glob string) (string, error) {
	if glob == "*" || glob == "**" {
		return "*", nil
	}
	parts := strings.Split(strings.TrimSuffix(glob, "**")+map[bool]string{true: "*"}[strings.HasSuffix(glob, "**")], "/")
	if len(parts) > 2 && strings.ContainsAny(parts[0], ".:") || parts[0] == "localhost" {
		c.note("the glob %q is for %s alone; the policy counts wherever the packages are", glob, parts[0])
		parts = parts[1:]
	}
	pattern := strings.Join(parts, "/")
	return pattern, checkPattern(pattern)
}

// trust names the trust that ref stands for, the public sigstore's where it is "".
func (c *converter) trust(ref string) string {
	name := ref
	if name == "" {
		name = publicTrust
	}
	if !c.trusts[name] {
		c.trusts[name] = true
		t := trustFile{Name: name}
		if ref == "" {
			t.TUF = yaml.Node{Kind: yaml.ScalarNode, Value: PublicGood}
		} else {
			t.TrustedRoot = ref + ".json"
			c.note("put the trusted root %q into %s", ref, t.TrustedRoot)
		}
		c.sources = append(c.sources, t)
	}
	return name
}

func (c *converter) authority(a clusterAuthority, rule *ruleFile) error {
	refuse := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrInvalid, "the authority %q "+format, append([]any{a.Name}, args...)...).WithCode("cannot_convert")
	}
	out := authorityFile{Name: a.Name}
	log := 0
	switch {
	case a.Static != nil:
		return refuse("decides without a signature, and a policy of ours never does").Fix("take it out, or write a rule with mode: off")
	case a.Key != nil && (a.Key.KMS != "" || a.Key.SecretRef != nil):
		return refuse("has its key elsewhere").Fix("put the public key into data")
	case a.Key != nil:
		if h := a.Key.HashAlgorithm; h != "" && h != "sha256" {
			return refuse("hashes with %s", h)
		}
		out.Key = &keyFile{Data: a.Key.Data}
		if a.CTLog != nil {
			log, out.Trust = 1, c.trust(a.CTLog.TrustRootRef)
			out.TransparencyLog = &log
		}
	case a.Keyless != nil:
		if a.Keyless.CACert != nil {
			return refuse("has a certificate authority of its own").Fix("make a trusted root of it: cosign trusted-root create")
		}
		if u := a.Keyless.URL; u != "" && a.Keyless.TrustRootRef == "" && u != "https://fulcio.sigstore.dev" {
			return refuse("has its certificates from %s, and names no trusted root", u)
		}
		out.Keyless = &keylessFile{Identities: a.Keyless.Identities, InsecureIgnoreSCT: a.Keyless.InsecureIgnoreSCT, Trust: c.trust(a.Keyless.TrustRootRef)}
	default:
		return refuse("has neither a key nor identities")
	}
	if a.RFC3161 != nil && out.Key != nil {
		stamps, of := 1, c.trust(a.RFC3161.TrustRootRef)
		if out.Trust != "" && out.Trust != of {
			return refuse("has its log and its timestamps from two trusted roots")
		}
		out.Timestamps, out.Trust = &stamps, of
	}
	rule.Authorities = append(rule.Authorities, out)
	for _, at := range a.Attestations {
		if at.Policy != nil {
			return refuse("holds an attestation against a policy in Rego or CUE, which is not run here").Fix("ask for the builder instead, or for the attestation alone")
		}
		rule.Attestations = append(rule.Attestations, AttestationRule{Name: at.Name, PredicateType: c.types(at.PredicateType), Authorities: []string{a.Name}})
	}
	return nil
}
