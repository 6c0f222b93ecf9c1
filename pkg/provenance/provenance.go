// Package provenance says how something was built, from what a CI provider
// tells its jobs in environment variables, as the predicate of SLSA provenance
// (https://slsa.dev/spec/v1.0/provenance). It is pure: the environment comes in
// as a function.
//
// A job writes its own variables, so the predicate is the job's word. What
// nobody in the job can forge is the certificate that signs it: whoever holds
// provenance against a policy asks for that identity, too.
package provenance

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// PredicateType is the type of the statements that hold a predicate of ours.
const PredicateType = "https://slsa.dev/provenance/v1"

// MaxValue is the longest value of a variable that is taken over, in bytes.
// Ours: addresses of runs are under 300.
const MaxValue = 2048

// Builders and types of builds that are no address of the provider's own.
const (
	githubBuildType  = "https://actions.github.io/buildtypes/workflow/v1"
	gitlabBuildType  = "https://github.com/clydepm/clyde-registry/blob/main/docs/signing.md#gitlab-ci-v1"
	forgejoBuildType = "https://github.com/clydepm/clyde-registry/blob/main/docs/signing.md#forgejo-actions-v1"
	githubRunner     = "https://github.com/actions/runner/"
	forgejoRunner    = "https://code.forgejo.org/forgejo/runner"
)

// Environment looks a variable up: os.LookupEnv.
type Environment func(name string) (string, bool)

// The predicate, as far as we fill it. Members without a value are left out.
type (
	predicate struct {
		Definition definition `json:"buildDefinition"`
		Run        run        `json:"runDetails"`
	}
	definition struct {
		Type         string                       `json:"buildType"`
		External     map[string]map[string]string `json:"externalParameters"`
		Internal     map[string]map[string]string `json:"internalParameters,omitempty"`
		Dependencies []dependency                 `json:"resolvedDependencies"`
	}
	dependency struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
	run struct {
		Builder  builder  `json:"builder"`
		Metadata metadata `json:"metadata"`
	}
	builder struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	}
	metadata struct {
		InvocationID string `json:"invocationId,omitempty"`
		StartedOn    string `json:"startedOn,omitempty"`
	}
)

// FromCI returns the predicate of the job that env is of, as JSON: the same
// bytes for the same environment. Version is of the program that says so. Where
// no known provider runs the job, or it does not say what was checked out, it is
// a clyde.ErrInvalid error with the code no_provenance.
func FromCI(env Environment, version string) ([]byte, error) {
	r := reader{env: env}
	var p predicate
	switch {
	case r.get("GITLAB_CI") != "":
		p = r.gitlab()
	case r.get("FORGEJO_ACTIONS") != "" || r.get("GITEA_ACTIONS") != "":
		p = r.forgejo()
	case r.get("GITHUB_ACTIONS") != "":
		p = r.github()
	default:
		return nil, none("this is no job of GitHub, GitLab or Forgejo, so nobody says how it is built").
			Fix("run it in CI, or give --predicate FILE --type slsaprovenance")
	}
	if r.err != nil {
		return nil, r.err
	}
	if version != "" {
		p.Run.Builder.Version = map[string]string{"clyde": version}
	}
	return json.Marshal(p)
}

func none(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("no_provenance")
}

// reader takes values out of an environment and remembers the first that is
// missing or wrong.
type reader struct {
	env Environment
	err error
}

func (r *reader) get(name string) string {
	v, _ := r.env(name)
	if len(v) > MaxValue || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.fail("the variable %s holds no value that provenance could name", name)
		return ""
	}
	return v
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = none(format, args...)
	}
}

// address returns the value of a variable that must be an address.
func (r *reader) address(name string) string {
	v := r.get(name)
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		r.fail("the variable %s is to be an address, and is %q", name, v)
	}
	return strings.TrimRight(v, "/")
}

// commitID is the name of a commit in git: SHA-1, or SHA-256.
var commitID = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

func (r *reader) commit(name string) string {
	v := r.get(name)
	if !commitID.MatchString(v) {
		r.fail("the variable %s is to be a commit, and is %q", name, v)
	}
	return v
}

func (r *reader) required(name string) string {
	v := r.get(name)
	if v == "" {
		r.fail("the variable %s is missing", name)
	}
	return v
}

// values reads several variables under names of their own, leaving out those
// that are not set.
func (r *reader) values(vars map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range vars {
		if v := r.get(v); v != "" {
			out[name] = v
		}
	}
	return out
}

// source is what was checked out.
func source(repository, ref, commit string) []dependency {
	return []dependency{{URI: "git+" + repository + "@" + ref, Digest: map[string]string{"gitCommit": commit}}}
}

// github is what GitHub's own attestations say
// (https://actions.github.io/buildtypes/workflow/v1).
func (r *reader) github() predicate {
	p := r.actions(githubBuildType, "github")
	hosted := "github-hosted"
	if v := r.get("RUNNER_ENVIRONMENT"); v == "self-hosted" {
		hosted = v
	}
	p.Run.Builder.ID = githubRunner + hosted
	return p
}

// forgejo has GitHub's variables; what is not in all its versions is left out.
func (r *reader) forgejo() predicate {
	p := r.actions(forgejoBuildType, "forgejo")
	p.Run.Builder.ID = forgejoRunner
	return p
}

func (r *reader) actions(buildType, provider string) predicate {
	repo := r.address("GITHUB_SERVER_URL") + "/" + r.required("GITHUB_REPOSITORY")
	ref := r.required("GITHUB_REF")
	path, _, _ := strings.Cut(strings.TrimPrefix(r.get("GITHUB_WORKFLOW_REF"), r.get("GITHUB_REPOSITORY")+"/"), "@")
	workflow := map[string]string{"repository": repo, "ref": ref}
	if path != "" {
		workflow["path"] = path
	} else if provider == "github" {
		r.fail("the variable GITHUB_WORKFLOW_REF is missing")
	}
	invocation := repo + "/actions/runs/" + r.required("GITHUB_RUN_ID")
	if n := r.get("GITHUB_RUN_ATTEMPT"); n != "" {
		invocation += "/attempts/" + n
	}
	return predicate{
		Definition: definition{
			Type: buildType, External: map[string]map[string]string{"workflow": workflow},
			Internal: map[string]map[string]string{provider: r.values(map[string]string{
				"event_name": "GITHUB_EVENT_NAME", "repository_id": "GITHUB_REPOSITORY_ID",
				"repository_owner_id": "GITHUB_REPOSITORY_OWNER_ID", "runner_environment": "RUNNER_ENVIRONMENT",
			})},
			Dependencies: source(repo, ref, r.commit("GITHUB_SHA")),
		},
		Run: run{Metadata: metadata{InvocationID: invocation}},
	}
}

func (r *reader) gitlab() predicate {
	repo := r.address("CI_PROJECT_URL")
	ref := "refs/heads/" + r.required("CI_COMMIT_REF_NAME")
	if tag := r.get("CI_COMMIT_TAG"); tag != "" {
		ref = "refs/tags/" + tag
	}
	p := predicate{
		Definition: definition{
			Type: gitlabBuildType,
			External: map[string]map[string]string{"workflow": {
				"repository": repo, "ref": ref, "path": cmp.Or(r.get("CI_CONFIG_PATH"), ".gitlab-ci.yml"), "job": r.required("CI_JOB_NAME"),
			}},
			Internal: map[string]map[string]string{"gitlab": r.values(map[string]string{
				"event_name": "CI_PIPELINE_SOURCE", "project_id": "CI_PROJECT_ID", "namespace_id": "CI_PROJECT_NAMESPACE_ID",
				"pipeline": "CI_PIPELINE_URL", "ref_protected": "CI_COMMIT_REF_PROTECTED",
			})},
			Dependencies: source(repo, ref, r.commit("CI_COMMIT_SHA")),
		},
		Run: run{
			Builder:  builder{ID: r.address("CI_SERVER_URL") + "/-/runners/" + r.required("CI_RUNNER_ID")},
			Metadata: metadata{InvocationID: r.address("CI_JOB_URL")},
		},
	}
	if at, err := time.Parse(time.RFC3339, r.get("CI_JOB_STARTED_AT")); err == nil {
		p.Run.Metadata.StartedOn = at.UTC().Format(time.RFC3339)
	}
	return p
}
