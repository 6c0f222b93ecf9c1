package signing

import (
	"net/url"
	"path"
	"strings"
)

// Author is who made a signature, in words where a CI provider vouches for a
// run: all of it is in a certificate, proven.
type Author struct {
	Who   string `json:"who" doc:"as signers has it"`
	Words string `json:"words" doc:"for people: GitHub Actions, acme/zlib, release.yml, tag v1.3.1"`

	Key     string `json:"key,omitempty" doc:"fingerprint, where it was made with a key"`
	KeyName string `json:"key_name,omitempty" doc:"what its owner calls the key"`

	Subject    string `json:"subject,omitempty" doc:"of the certificate: a workflow's address, an e-mail address"`
	Issuer     string `json:"issuer,omitempty" doc:"who vouched for the subject"`
	Provider   string `json:"provider,omitempty" doc:"the issuer, where it is a CI provider: GitHub Actions, GitHub Actions at github.corp.example"`
	Repository string `json:"repository,omitempty" doc:"address of the repository whose run it was"`
	Workflow   string `json:"workflow,omitempty" doc:"file of the workflow"`
	Ref        string `json:"ref,omitempty" doc:"Git reference that it ran for: refs/tags/v1.3.1"`
	Commit     string `json:"commit,omitempty" doc:"that it ran for"`
	Run        string `json:"run,omitempty" doc:"address of the run"`
}

// Issuers of identity tokens for CI runs, by the names people know.
const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	gitlabIssuer = "https://gitlab.com"
)

// Author says who made a signature that verifies, or is proven to be by
// somebody who does not count. It is zero for one of which nothing is proven.
func (r *SignatureResult) Author() Author {
	c := r.Certificate
	switch {
	case c == nil && r.KeyFingerprint == "":
		return Author{}
	case c == nil:
		a := Author{Who: r.Who(), Key: r.KeyFingerprint, KeyName: r.KeyName, Words: "the key " + r.KeyFingerprint}
		if r.KeyName != "" {
			a.Words = "the key " + clip(r.KeyName)
		}
		return a
	}
	x := func(name string) string { return clip(c.Extensions[name]) }
	a := Author{
		Who: r.Who(), Subject: clip(c.Subject), Issuer: clip(c.Issuer), Repository: x("sourceRepositoryURI"), Ref: x("sourceRepositoryRef"),
		Commit: x("sourceRepositoryDigest"), Run: x("runInvocationURI"),
	}
	if a.Repository == "" && x("githubWorkflowRepository") != "" { // certificates of before 2023
		a.Repository, a.Ref, a.Commit = "https://github.com/"+x("githubWorkflowRepository"), x("githubWorkflowRef"), x("githubWorkflowSHA")
	}
	if a.Repository == "" {
		a.Words = a.Subject + ", vouched for by " + host(a.Issuer)
		return a
	}
	config, _, _ := strings.Cut(x("buildConfigURI"), "@")
	if config == "" {
		config, _, _ = strings.Cut(a.Subject, "@")
	}
	if file := path.Base(config); strings.HasSuffix(file, ".yml") || strings.HasSuffix(file, ".yaml") {
		a.Workflow = file
	}
	switch {
	case c.Issuer == githubIssuer:
		a.Provider = "GitHub Actions"
	case c.Issuer == gitlabIssuer:
		a.Provider = "GitLab CI"
	case x("githubWorkflowTrigger") != "":
		// Only Fulcio's provider for GitHub writes this one: it is an enterprise's
		// own GitHub, or a sigstore to try.
		a.Provider = "GitHub Actions at " + host(a.Issuer)
	}
	words := []string{a.Provider, repositoryName(a.Repository), a.Workflow, refWords(a.Ref)}
	if a.Provider == "" {
		words[0] = host(a.Issuer)
	}
	var said []string
	for _, w := range words {
		if w != "" {
			said = append(said, w)
		}
	}
	a.Words = strings.Join(said, ", ")
	return a
}

// repositoryName is the path of a repository's address: "acme/zlib".
func repositoryName(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" {
		return address
	}
	return strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// refWords says what a Git reference is: "tag v1.3.1", "branch main".
func refWords(ref string) string {
	for prefix, kind := range map[string]string{"refs/tags/": "tag ", "refs/heads/": "branch ", "refs/pull/": "pull request "} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok {
			return kind + strings.TrimSuffix(rest, "/merge")
		}
	}
	return ref
}
