package main

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// GitHub's container registry, and where a run of GitHub Actions has what it is
// shown. The variable is GitHub's own name for the token of a run.
const (
	ghcrHost       = "ghcr.io"
	githubTokenVar = "GITHUB_TOKEN" //nolint:gosec // a name
	ghTokenVar     = "GH_TOKEN"     // of GitHub's command line
	githubSite     = "https://github.com"

	// ghcrUser is the user name that goes with a token where none is known:
	// ghcr.io looks at the token alone, and wants some name.
	ghcrUser = "x-access-token"

	// ownTokenPrefix begins every token of a registry of ours.
	ownTokenPrefix = "clyde_"
)

// isGHCR reports whether host is GitHub's container registry. It has no index
// and no API of ours, and everything else there is a page for people.
func isGHCR(host string) bool { return host == ghcrHost }

// githubToken is the token for GitHub in the environment, or "". Runners of
// other forges have a GITHUB_TOKEN, too, which is theirs.
func githubToken() string {
	if s := os.Getenv("GITHUB_SERVER_URL"); s != "" && s != githubSite {
		return ""
	}
	return strings.TrimSpace(cmp.Or(os.Getenv(githubTokenVar), os.Getenv(ghTokenVar)))
}

// ghcrCredential is what ghcr.io is shown where Docker's configuration has
// nothing for it.
func ghcrCredential() credential {
	t := githubToken()
	if t == "" {
		return credential{}
	}
	return credential{user: cmp.Or(os.Getenv("GITHUB_ACTOR"), ghcrUser), secret: t, source: githubTokenVar}
}

// ghcrNamespace refuses a package that would lie deeper than owner/name:
// nobody would find it there.
func ghcrNamespace(at address, n clyde.Name) error {
	if !isGHCR(at.host) || at.prefix == "" || at.prefix == n.Namespace {
		return nil
	}
	return clyde.Errorf(clyde.ErrInvalid, "%s cannot go to %s/%s, whose packages are @%s's", n, at.host, at.prefix, at.prefix).WithCode("name_mismatch").
		Fix("write name: \"@%s/%s\" in package.yaml", at.prefix, n.Base).Fix("--registry %s/%s", at.host, n.Namespace)
}

// pushRefused says what helps against the refusal of a push.
func pushRefused(at address, err error) error {
	err = versionConflict(err)
	if e := clyde.AsError(err); e == nil || !isGHCR(at.host) || !errors.Is(err, clyde.ErrDenied) && !errors.Is(err, clyde.ErrUnauthenticated) {
		return err
	}
	e := clyde.Errorf(clyde.ErrDenied, "%s", clyde.AsError(err).Msg).WithCode("ghcr_denied").Because(err)
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		return e.Fix("give the job the permissions contents: read and packages: write").
			Fix("where somebody else pushed the package first: its settings at GitHub, Manage Actions access, add this repository with the role Write")
	}
	return e.Fix("use a classic personal access token with write:packages: GitHub's fine-grained ones do not work there").
		Fix("in a run of GitHub Actions: give the job the permission packages: write")
}

// sourceOf is the address of the repository that dir is of, for a package.yaml
// that names none: what GitHub Actions says of the run, else the remote of the
// work tree. It is "" where neither is known.
func sourceOf(dir string) string {
	if repo := os.Getenv("GITHUB_REPOSITORY"); repo != "" {
		if s := webAddress(cmp.Or(os.Getenv("GITHUB_SERVER_URL"), githubSite) + "/" + repo); s != "" {
			return s
		}
	}
	return webAddress(gitRemote(dir))
}

// sshRemote is how git writes git@host:owner/name.
var sshRemote = regexp.MustCompile(`^(?:ssh://)?(?:[^@/]+@)([^:/]+)[:/](.+)$`)

// webAddress is the https address of a repository that git calls remote, without
// user, or "".
func webAddress(remote string) string {
	if m := sshRemote.FindStringSubmatch(remote); m != nil {
		remote = "https://" + m[1] + "/" + m[2]
	}
	u, err := url.Parse(strings.TrimSuffix(strings.TrimRight(remote, "/"), ".git"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.Count(u.Path, "/") < 2 {
		return ""
	}
	return (&url.URL{Scheme: "https", Host: u.Host, Path: u.Path}).String()
}

const (
	maxGitConfig = 64 << 10 // bytes of .git/config that are read; a usual one has 300
	maxParents   = 32       // folders above dir that are looked in for .git
)

// gitRemote reads the remote called origin from the .git/config of the work
// tree that dir is in. Git is not run: its configuration could make it run
// other things.
func gitRemote(dir string) string {
	at, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for range maxParents {
		f, err := os.Open(filepath.Join(at, ".git", "config"))
		if err == nil {
			defer f.Close()
			return originURL(io.LimitReader(f, maxGitConfig))
		}
		up := filepath.Dir(at)
		if up == at {
			break
		}
		at = up
	}
	return ""
}

func originURL(r io.Reader) string {
	in, s := false, bufio.NewScanner(r)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if strings.HasPrefix(line, "[") {
			in = line == `[remote "origin"]`
			continue
		}
		if key, value, ok := strings.Cut(line, "="); in && ok && strings.TrimSpace(key) == "url" {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
