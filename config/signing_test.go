package config_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
)

func TestSigningTrust(t *testing.T) {
	t.Parallel()
	many := make([]config.Sigstore, 17)
	for i := range many {
		many[i] = config.Sigstore{Name: string(rune('a' + i)), TrustedRoot: "x"}
	}
	for name, tt := range map[string]struct {
		trust []config.Sigstore
		want  string
	}{
		"none":         {nil, ""},
		"all kinds":    {[]config.Sigstore{{Name: "public", TUF: config.PublicSigstore}, {Name: "corp", TrustedRoot: "r.json"}, {Name: "eu", Mirror: "https://tuf.example", Root: "root.json"}}, ""},
		"sixteen":      {many[:16], ""},
		"seventeen":    {many, "17 sigstores"},
		"twice":        {[]config.Sigstore{{Name: "a", TrustedRoot: "x"}, {Name: "a", TrustedRoot: "y"}}, "there twice"},
		"no name":      {[]config.Sigstore{{TrustedRoot: "x"}}, "signing.trust[0].name"},
		"nothing":      {[]config.Sigstore{{Name: "a"}}, "want one of"},
		"two ways":     {[]config.Sigstore{{Name: "a", TrustedRoot: "x", TUF: config.PublicSigstore}}, "want one of"},
		"another tuf":  {[]config.Sigstore{{Name: "a", TUF: "sigstore"}}, "signing.trust[0].tuf"},
		"no root":      {[]config.Sigstore{{Name: "a", Mirror: "https://x"}}, "want each other"},
		"no address":   {[]config.Sigstore{{Name: "a", Mirror: "x", Root: "y"}}, "want an address"},
		"file address": {[]config.Sigstore{{Name: "a", Mirror: "file:///x", Root: "y"}}, "want an address"},
	} {
		c := config.Default()
		c.Signing.Trust = tt.trust
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}
