package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

// ciJob is one job of a workflow in deploy, with every choice of its matrix
// made.
type ciJob struct {
	name  string
	env   map[string]string
	steps []string
	needs []string
}

var (
	expressionRE = regexp.MustCompile(`\$\{\{\s*([a-z.]+)\s*\}\}`)
	// What a runner would install; the machine of the test has it.
	setupRE = regexp.MustCompile(`apt-get|go install`)
)

// scriptMatrix is "matrix FILE DIR": it runs in DIR, a checkout, the jobs of
// a workflow of ours as the CI would, those of one matrix all at once, and fails
// with what a job printed.
func scriptMatrix(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("EXAMPLES"), "..", "deploy", filepath.FromSlash(args[0])))
	ts.Check(err)
	var doc map[string]any
	ts.Check(yaml.Unmarshal(text, &doc))
	jobs := gitlabJobs(doc)
	if _, ok := doc["jobs"]; ok {
		jobs = githubJobs(doc)
	}
	for _, wave := range [][]string{nil, {"publish"}} {
		var wg sync.WaitGroup
		failed := make(chan string, len(jobs))
		n := 0
		for _, j := range jobs {
			if !slices.Equal(j.needs, wave) {
				continue
			}
			n++
			env := []string{}
			for _, name := range []string{
				"HOME", "XDG_CONFIG_HOME", "PATH", "CLYDE_REGISTRY", "GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GORACE",
			} {
				env = append(env, name+"="+ts.Getenv(name))
			}
			// Each runner is a machine of its own.
			env = append(env, "CLYDE_STORE="+filepath.Join(ts.Getenv("WORK"), ".runner", fmt.Sprintf("%s-%s-%d", filepath.Base(filepath.Dir(args[0])), j.name, n)))
			for _, k := range slices.Sorted(maps.Keys(j.env)) {
				if v := j.env[k]; k != "CLYDE_REGISTRY" {
					env = append(env, k+"="+v)
				}
			}
			wg.Go(func() {
				cmd := exec.Command("sh", "-e", "-c", strings.Join(j.steps, "\n"))
				cmd.Dir, cmd.Env = ts.MkAbs(args[1]), env
				if out, err := cmd.CombinedOutput(); err != nil {
					failed <- fmt.Sprintf("%s %v: %v\n%s", j.name, j.env, err, out)
				}
			})
		}
		wg.Wait()
		close(failed)
		for f := range failed {
			ts.Fatalf("%s", f)
		}
		ts.Logf("%d jobs", n)
	}
}

// githubJobs reads a workflow of GitHub's or Forgejo's.
func githubJobs(doc map[string]any) (all []ciJob) {
	for _, name := range slices.Sorted(maps.Keys(doc["jobs"].(map[string]any))) {
		job := doc["jobs"].(map[string]any)[name].(map[string]any)
		combos := []map[string]any{{}}
		if s, ok := job["strategy"].(map[string]any); ok {
			combos = product(s["matrix"].(map[string]any))
		}
		for _, c := range combos {
			lookup := func(text string) string {
				return expressionRE.ReplaceAllStringFunc(text, func(e string) string {
					path := strings.Split(expressionRE.FindStringSubmatch(e)[1], ".")
					var at any = c
					for _, key := range path[1:] {
						m, _ := at.(map[string]any)
						at = m[key]
					}
					if at == nil || path[0] != "matrix" {
						return "" // as the CI has it
					}
					return fmt.Sprint(at)
				})
			}
			if on, _ := job["runs-on"].(string); strings.HasPrefix(lookup(on), "macos") {
				continue
			}
			j := ciJob{name: name, env: map[string]string{}}
			if need, ok := job["needs"].(string); ok {
				j.needs = []string{need}
			}
			for _, from := range []any{doc["env"], job["env"]} {
				set, _ := from.(map[string]any)
				for k, v := range set {
					j.env[k] = lookup(fmt.Sprint(v))
				}
			}
			for _, s := range job["steps"].([]any) {
				if run, ok := s.(map[string]any)["run"].(string); ok && !setupRE.MatchString(run) {
					j.steps = append(j.steps, lookup(run))
				}
			}
			all = append(all, j)
		}
	}
	return all
}

// gitlabJobs reads a pipeline of GitLab's with the stages publish and build.
// Its identity token comes in a variable, a new one for each job.
func gitlabJobs(doc map[string]any) (all []ciJob) {
	const token = `export CLYDE_ID_TOKEN=$(curl -fsS -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" ` +
		`"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=$AUDIENCE" | sed 's/.*"value":"\([^"]*\)".*/\1/'); unset ACTIONS_ID_TOKEN_REQUEST_URL GITHUB_ACTIONS`
	for _, name := range []string{"publish", "build"} {
		job, ok := doc[name].(map[string]any)
		if !ok {
			continue
		}
		combos := []map[string]any{{}}
		if p, ok := job["parallel"].(map[string]any); ok {
			combos = nil
			for _, axes := range p["matrix"].([]any) {
				combos = append(combos, product(axes.(map[string]any))...)
			}
		}
		for _, c := range combos {
			j := ciJob{name: name, env: map[string]string{"GITLAB_CI": "true"}, steps: []string{"AUDIENCE=$(curl -fsS $CLYDE_REGISTRY/api/v1/trusted-publishing/audience | sed 's/.*\"audience\":\"\\([^\"]*\\)\".*/\\1/')", token}}
			if job["stage"] == "build" {
				j.needs = []string{"publish"}
			}
			for k, v := range c {
				j.env[k] = fmt.Sprint(v)
			}
			for _, s := range job["script"].([]any) {
				j.steps = append(j.steps, s.(string))
			}
			all = append(all, j)
		}
	}
	return all
}

// product is every way to choose one value of each axis; an axis that is no
// list has one.
func product(axes map[string]any) []map[string]any {
	out := []map[string]any{{}}
	for _, axis := range slices.Sorted(maps.Keys(axes)) {
		values, ok := axes[axis].([]any)
		if !ok {
			values = []any{axes[axis]}
		}
		var next []map[string]any
		for _, c := range out {
			for _, v := range values {
				d := maps.Clone(c)
				d[axis] = v
				next = append(next, d)
			}
		}
		out = next
	}
	return out
}
