package web

import (
	"cmp"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// publishing lists the ways to publish the next version of a package, as
// commands and files that fit it: by hand, and from the CI providers that this
// registry trusts.
func (s *Web) publishing(n clyde.Name, issuers []account.TrustedIssuer) []install {
	site, host := cmp.Or(s.o.PublicURL, "https://"+s.o.Host), s.o.Host
	out := []install{
		{"clyde", "In the folder of its package.yaml, with the next version in it. Add --sign, or --key cosign.key, to sign it at once.",
			"clyde login " + host + "\nclyde publish --registry " + site},
		{"oras", "From the folder above that of the package, here " + n.Base + "; VERSION is the one in its package.yaml. Pushing the same once more is no error.",
			"tar -czf " + n.Base + ".tar.gz -C " + n.Base + " .\noras login " + host + "\noras push " + host + "/" + n.Repo() + ":VERSION \\\n" +
				"  --artifact-type " + artifact.TypePackage + " \\\n  --annotation org.opencontainers.image.created=1970-01-01T00:00:00Z \\\n" +
				"  --config " + n.Base + "/package.yaml:" + artifact.TypeConfig + " \\\n  " + n.Base + ".tar.gz:" + artifact.TypeSourceGzip},
	}
	for _, i := range issuers {
		add := "clyde trust add " + n.String() + " --registry " + site
		if i.Name != "github" {
			add += " --issuer " + i.Name
		}
		switch i.Kind {
		case "github", "forgejo":
			out = append(out, install{cmp.Or(map[string]string{"github": "GitHub Actions"}[i.Name], i.Name),
				"As .github/workflows/release.yml. Trust it once, below or by this command: " + add + " --repository OWNER/REPOSITORY --workflow release.yml --tag 'v*'",
				"on:\n  push:\n    tags: [\"v*\"]\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    permissions:\n      contents: read\n      id-token: write\n" +
					"    steps:\n      - uses: actions/checkout@v4\n      - run: clyde publish --registry " + site})
		case "gitlab":
			out = append(out, install{cmp.Or(map[string]string{"gitlab": "GitLab CI"}[i.Name], i.Name),
				"In .gitlab-ci.yml. Trust it once, below or by this command: " + add + " --repository GROUP/PROJECT --workflow .gitlab-ci.yml --tag 'v*'",
				"publish:\n  rules:\n    - if: $CI_COMMIT_TAG\n  id_tokens:\n    CLYDE_ID_TOKEN:\n      aud: " + host + "\n  script:\n    - clyde publish --registry " + site})
		}
	}
	return out
}
