package config

import (
	"fmt"
	"net/url"
)

// Signing says whose certificates count for signatures without a key.
type Signing struct {
	Trust []Sigstore `yaml:"trust"`
}

// Sigstore is one that the registry relies on, as the policies of namespaces
// name it: with one of trusted_root, tuf, and mirror with root.
type Sigstore struct {
	Name        string `yaml:"name" json:"name"`
	TrustedRoot string `yaml:"trusted_root" json:"trusted_root"` // file
	TUF         string `yaml:"tuf" json:"tuf"`                   // PublicSigstore
	Mirror      string `yaml:"mirror" json:"mirror"`             // TUF repository
	Root        string `yaml:"root" json:"root"`                 // its root.json, a file
}

// PublicSigstore is Sigstore.TUF of the public one.
const PublicSigstore = "sigstore-public-good"

// maxSigstores is how many there may be; ours, and that of a policy.
const maxSigstores = 16

func (s Signing) validate(p *problems) {
	if len(s.Trust) > maxSigstores {
		p.add("signing.trust: %d sigstores; the limit is %d", len(s.Trust), maxSigstores)
	}
	var names []string
	for i, t := range s.Trust {
		at := fmt.Sprintf("signing.trust[%d]", i)
		names = checkName(p, at, t.Name, names)
		given := 0
		for _, is := range []bool{t.TrustedRoot != "", t.TUF != "", t.Mirror != "" || t.Root != ""} {
			if is {
				given++
			}
		}
		if given != 1 {
			p.add("%s: want one of trusted_root, tuf, and mirror with root", at)
		}
		if t.TUF != "" && t.TUF != PublicSigstore {
			p.add("%s.tuf: %q: want %s, or mirror and root", at, t.TUF, PublicSigstore)
		}
		if (t.Mirror == "") != (t.Root == "") {
			p.add("%s: mirror and root want each other", at)
		}
		if u, err := url.Parse(t.Mirror); t.Mirror != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			p.add("%s.mirror: %q: want an address", at, t.Mirror)
		}
	}
}
