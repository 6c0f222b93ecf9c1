package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/github"
)

// fromTimeout bounds the fetching of a tag's archive.
const fromTimeout = 10 * time.Minute

// gitTag is a tag of a repository of GitHub.
type gitTag struct{ repository, tag string }

func (g gitTag) String() string { return g.repository + "@" + g.tag }

// parseGitTag reads OWNER/REPO@TAG, or that below https://github.com/.
func parseGitTag(s string) (gitTag, error) {
	rest := strings.TrimPrefix(strings.TrimPrefix(s, githubSite+"/"), "github.com/")
	repo, tag, ok := strings.Cut(rest, "@")
	repo = strings.TrimSuffix(repo, ".git")
	if !ok || github.CheckName(repo) != nil || github.CheckTag(tag) != nil {
		return gitTag{}, usagef("--from %q is no tag of a repository", s).fix("write OWNER/REPO@TAG, as in acme/fastjson@v1.4.0")
	}
	return gitTag{repo, tag}, nil
}

// fetchFrom unpacks a tag and returns the folder of the package in it. What it
// made is removed when the program ends.
func (a *app) fetchFrom(ctx context.Context, g gitTag) (github.Release, error) {
	c, err := github.New(github.Options{
		Token: githubToken(), UserAgent: userAgent(),
		HTTP: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: fromTimeout},
	})
	if err != nil {
		return github.Release{}, err
	}
	dir, err := os.MkdirTemp("", "clyde-from-*")
	if err != nil {
		return github.Release{}, err
	}
	a.atExit(func() { _ = os.RemoveAll(dir) })
	a.say("fetching %s from GitHub", g)
	r, err := c.Fetch(ctx, g.repository, g.tag, filepath.Join(dir, "tree"), github.FetchOptions{})
	if e := clyde.AsError(err); e != nil && e.Code == "github_missing" && githubToken() == "" {
		return r, e.Fix("set %s", githubTokenVar)
	}
	return r, err
}

// runFrom publishes a tag of a repository of GitHub.
func (p *publication) runFrom(ctx context.Context, from string) error {
	g, err := parseGitTag(from)
	if err != nil {
		return err
	}
	if p.pack.archive != "" {
		return usagef("--from and --archive both say what is in the package")
	}
	r, err := p.app.fetchFrom(ctx, g)
	if err != nil {
		return err
	}
	owner, _, _ := strings.Cut(g.repository, "/")
	if p.pack.namespace == "" {
		p.pack.ownerNamespace = strings.ToLower(owner)
	}
	p.pack.shown = g.String() + ":"
	p.pack.source = githubSite + "/" + g.repository
	p.tag = g.tag
	return p.run(ctx, r.Dir)
}
