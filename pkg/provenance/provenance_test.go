package provenance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/provenance"
)

var update = flag.Bool("update", false, "write what is expected")

const sha = "0123456789abcdef0123456789abcdef01234567"

// Environments of jobs, as providers document them.
var (
	github = map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/zlib",
		"GITHUB_REF": "refs/tags/v1.3.1", "GITHUB_SHA": sha, "GITHUB_RUN_ID": "987654321", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_WORKFLOW_REF": "acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1", "GITHUB_EVENT_NAME": "push",
		"GITHUB_REPOSITORY_ID": "456789", "GITHUB_REPOSITORY_OWNER_ID": "123456", "RUNNER_ENVIRONMENT": "github-hosted",
		"GITHUB_TOKEN": "secret",
	}
	gitlab = map[string]string{
		"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com", "CI_PROJECT_URL": "https://gitlab.com/acme/zlib",
		"CI_COMMIT_REF_NAME": "v1.3.1", "CI_COMMIT_TAG": "v1.3.1", "CI_COMMIT_SHA": sha, "CI_JOB_NAME": "publish",
		"CI_JOB_URL": "https://gitlab.com/acme/zlib/-/jobs/1", "CI_PIPELINE_URL": "https://gitlab.com/acme/zlib/-/pipelines/2",
		"CI_PIPELINE_SOURCE": "push", "CI_PROJECT_ID": "456789", "CI_PROJECT_NAMESPACE_ID": "123456", "CI_RUNNER_ID": "12270837",
		"CI_JOB_STARTED_AT": "2026-11-23T10:00:00+02:00", "CI_JOB_TOKEN": "secret",
	}
	forgejo = map[string]string{
		"FORGEJO_ACTIONS": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://codeberg.org/", "GITHUB_REPOSITORY": "acme/zlib",
		"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": sha, "GITHUB_RUN_ID": "12", "GITHUB_EVENT_NAME": "push",
	}
)

func lookup(env map[string]string) provenance.Environment {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func with(env map[string]string, name, value string) map[string]string {
	out := maps.Clone(env)
	out[name] = value
	return out
}

func TestFromCI(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"github": github, "gitlab": gitlab, "forgejo": forgejo,
		"self-hosted": with(github, "RUNNER_ENVIRONMENT", "self-hosted"), "gitlab-branch": with(gitlab, "CI_COMMIT_TAG", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := provenance.FromCI(lookup(env), "1.2.3")
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(got, []byte("secret")) {
				t.Errorf("a secret is in it: %s", got)
			}
			var b bytes.Buffer
			if err := json.Indent(&b, got, "", "  "); err != nil {
				t.Fatal(err)
			}
			b.WriteByte('\n')
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("FromCI = %s; want %s", b.Bytes(), want)
			}
		})
	}
}

func TestFromCIRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  map[string]string
		want string // in the message
	}{
		"nowhere":       {map[string]string{"CI": "true"}, "no job of"},
		"no commit":     {with(github, "GITHUB_SHA", ""), "GITHUB_SHA"},
		"branch for it": {with(github, "GITHUB_SHA", "main"), "GITHUB_SHA"},
		"no workflow":   {with(github, "GITHUB_WORKFLOW_REF", ""), "GITHUB_WORKFLOW_REF"},
		"no server":     {with(github, "GITHUB_SERVER_URL", "github.com"), "GITHUB_SERVER_URL"},
		"password":      {with(gitlab, "CI_PROJECT_URL", "https://user:token@gitlab.com/a/b"), "CI_PROJECT_URL"},
		"line break":    {with(github, "GITHUB_REF", "refs/tags/v1\n::error::x"), "GITHUB_REF"},
		"too long":      {with(github, "GITHUB_REF", strings.Repeat("a", provenance.MaxValue+1)), "GITHUB_REF"},
		"no runner":     {with(gitlab, "CI_RUNNER_ID", ""), "CI_RUNNER_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := provenance.FromCI(lookup(tt.env), "")
			e := clyde.AsError(err)
			if !errors.Is(err, clyde.ErrInvalid) || e == nil || e.Code != "no_provenance" || !strings.Contains(e.Msg, tt.want) {
				t.Errorf("FromCI = %v; want ErrInvalid no_provenance about %s", err, tt.want)
			}
		})
	}
	if _, err := provenance.FromCI(lookup(with(github, "GITHUB_REF", strings.Repeat("a", provenance.MaxValue))), ""); err != nil {
		t.Errorf("a value of MaxValue bytes: %v", err)
	}
}
