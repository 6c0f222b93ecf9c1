package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
)

func TestRegistries(t *testing.T) {
	t.Parallel()
	const secret = "secret: 0123456789abcdef"
	entry := func(lines ...string) string {
		return "registries:\n  - name: harbor\n    url: https://harbor.example\n    namespaces: [acme]\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for name, tt := range map[string]struct {
		yaml string
		want string // in the error; "" none
	}{
		"least":               {entry(""), ""},
		"alone":               {"roles: [indexer, api, web]\n" + entry(""), ""},
		"alone without any":   {"roles: [indexer, api, web]", "registries: is empty"},
		"other roles":         {"roles: [indexer, api]\n" + entry(""), "roles: SQLite"},
		"header":              {entry("events: harbor", secret), ""},
		"a header's name":     {entry("events: harbor", secret, "header: X-Event-Token"), ""},
		"a bad header":        {entry("events: harbor", secret, `header: "X: y"`), "header: "},
		"path":                {entry("events: quay", secret), ""},
		"a path of two ways":  {entry("events: quay", "secret: 0123456789/abcdef"), "part of an address"},
		"a file":              {entry("events: github", "secret_file: /run/secrets/x"), ""},
		"a file and not":      {entry("events: github", "secret_file: /run/secrets/x", secret), "not both"},
		"no secret":           {entry("events: github"), "needs secret"},
		"15 bytes":            {entry("events: github", "secret: 0123456789abcde"), "at least 16"},
		"what it cannot":      {entry("events: quay", "auth: hmac", secret), `auth: "hmac"`},
		"oidc":                {entry("events: gar", "email: push@acme.example"), ""},
		"oidc for anybody":    {entry("events: gar"), "email: name"},
		"unknown events":      {entry("events: nexus"), `"nexus"`},
		"a secret for none":   {entry(secret), "events: is empty"},
		"a deeper path":       {strings.Replace(entry(""), "[acme]", "[team/x/acme]", 1), ""},
		"two homes":           {strings.Replace(entry(""), "[acme]", "[acme, team/acme]", 1), "already"},
		"no namespace":        {strings.Replace(entry(""), "[acme]", "[]", 1), "namespaces: name"},
		"a bad namespace":     {strings.Replace(entry(""), "[acme]", "[Acme]", 1), `"Acme"`},
		"a path in the url":   {strings.Replace(entry(""), "harbor.example", "harbor.example/v2", 1), "url: "},
		"a user in the url":   {strings.Replace(entry(""), "https://", "https://u:p@", 1), "url: "},
		"a reserved name":     {strings.Replace(entry(""), "name: harbor", "name: sweep", 1), "means something else"},
		"a bad name":          {strings.Replace(entry(""), "name: harbor", "name: a/b", 1), "part of an address"},
		"a password alone":    {entry("password: x"), "belong together"},
		"everyone and one":    {entry("visible_to: [everyone, ada]"), "visible_to"},
		"too often":           {entry("sweep_every: 1s"), "sweep_every"},
		"a rate that is none": {entry("requests_per_second: .nan"), "requests_per_second"},
		"an unknown key":      {entry("catalogue: auto"), "registries[0].catalogue"},
	} {
		_, err := config.Read(strings.NewReader(tt.yaml), nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

// What is printed of the configuration has no secret in it.
func TestRegistriesAreRedacted(t *testing.T) {
	t.Parallel()
	c, err := config.Read(strings.NewReader(`
registries:
  - {name: a, url: "https://a.example", namespaces: [acme], username: u, password: hunter2hunter2, events: harbor, secret: swordfishswordfish}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Redacted().Registries[0]; r.Password != "(hidden)" || r.Secret != "(hidden)" {
		t.Errorf("Redacted() = %+v", r)
	}
	if c.Registries[0].Secret != "swordfishswordfish" {
		t.Error("Redacted changed what it was asked of")
	}
}

// Every registry that the manual shows is one that works.
func TestManualsRegistries(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "docs", "sidecar.md"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for block := range strings.SplitSeq(string(b), "```yaml\n") {
		text, _, ok := strings.Cut(block, "```")
		if !ok || !strings.Contains(text, "registries:") {
			continue
		}
		c, err := config.Read(strings.NewReader(text), nil)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for _, r := range c.Registries {
			kinds[r.Events] = true
		}
	}
	for kind := range config.UpstreamEvents {
		if !kinds[kind] {
			t.Errorf("docs/sidecar.md has no example for %s", kind)
		}
	}
}
