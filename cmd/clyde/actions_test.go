package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

// TestActions runs testdata/actions: workflows of deploy/, word for word, with
// the actions of deploy/ as their runners would run them.
func TestActions(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scriptParams("actions"))
}

// deployDir is where the actions and the workflows are.
var deployDir, _ = filepath.Abs(filepath.Join("..", "..", "deploy"))

type workflowStep struct {
	ID   string            `yaml:"id"`
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	If   string            `yaml:"if"`
	With map[string]string `yaml:"with"`
	Env  map[string]string `yaml:"env"`
}

type workflowJob struct {
	Needs       string            `yaml:"needs"`
	Permissions map[string]string `yaml:"permissions"`
	Outputs     map[string]string `yaml:"outputs"`
	Steps       []workflowStep    `yaml:"steps"`
}

type workflowFile struct {
	Permissions yaml.Node              `yaml:"permissions"`
	OIDC        bool                   `yaml:"enable-openid-connect"`
	Jobs        map[string]workflowJob `yaml:"jobs"`
}

type actionFile struct {
	Inputs map[string]struct {
		Default  string `yaml:"default"`
		Required bool   `yaml:"required"`
	} `yaml:"inputs"`
	Outputs map[string]struct {
		Value string `yaml:"value"`
	} `yaml:"outputs"`
	Runs struct {
		Using string         `yaml:"using"`
		Steps []workflowStep `yaml:"steps"`
	} `yaml:"runs"`
}

// workflowRun runs workflows as GitHub's runner does, as far as ours need it.
type workflowRun struct {
	ts      *testscript.TestScript
	context map[string]string // "secrets.GITHUB_TOKEN" and the like
	env     map[string]string // of every step
	log     strings.Builder   // what steps printed
	summary string            // path
	n       int               // steps so far
	failed  int               // status of the step that ended the run
}

var expression = regexp.MustCompile(`\$\{\{\s*([^}]*?)\s*\}\}`)

func (w *workflowRun) expand(s string, ctx map[string]string) string {
	return expression.ReplaceAllStringFunc(s, func(m string) string {
		key := expression.FindStringSubmatch(m)[1]
		v, ok := ctx[key]
		if !ok && !strings.HasPrefix(key, "steps.") && !strings.HasPrefix(key, "needs.") {
			w.ts.Fatalf("the expression %s is of nothing that there is", m)
		}
		return v
	})
}

// holds evaluates conditions of the form a == 'b' && c != 'd'.
func (w *workflowRun) holds(cond string, ctx map[string]string) bool {
	for part := range strings.SplitSeq(cond, "&&") {
		f := strings.Fields(part)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			w.ts.Fatalf("the condition %q cannot be read", cond)
		}
		if (ctx[f[0]] == strings.Trim(f[2], "'")) != (f[1] == "==") {
			return false
		}
	}
	return true
}

// step runs one step and returns its outputs.
func (w *workflowRun) step(s workflowStep, ctx map[string]string) map[string]string {
	if w.failed != 0 || !w.holds(s.If, ctx) {
		return nil
	}
	if s.Uses != "" {
		return w.uses(s, ctx)
	}
	if expression.MatchString(s.Run) {
		w.ts.Fatalf("an expression is text of a script: %s", s.Run)
	}
	w.n++
	dir := filepath.Join(w.ts.Getenv("WORK"), ".run")
	w.ts.Check(os.MkdirAll(dir, 0o755))
	file := func(kind string) string { return filepath.Join(dir, kind+strconv.Itoa(w.n)) }
	w.ts.Check(os.WriteFile(file("script"), []byte(s.Run), 0o600))
	env := maps.Clone(w.env)
	for k, v := range s.Env {
		env[k] = w.expand(v, ctx)
	}
	env["GITHUB_OUTPUT"], env["GITHUB_PATH"], env["GITHUB_STEP_SUMMARY"] = file("output"), file("path"), w.summary
	args := []string{}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		args = append(args, k+"="+env[k])
	}
	args = append(args, "bash", "--noprofile", "--norc", "-eo", "pipefail", file("script"))
	err := w.ts.Exec("env", args...)
	w.log.WriteString(w.ts.ReadFile("stdout") + w.ts.ReadFile("stderr"))
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		w.failed = exit.ExitCode()
	} else {
		w.ts.Check(err)
	}
	out := map[string]string{}
	b, _ := os.ReadFile(file("output"))
	for l := range strings.Lines(string(b)) {
		k, v, ok := strings.Cut(strings.TrimRight(l, "\n"), "=")
		if !ok || strings.ContainsAny(k, "< \t") {
			w.ts.Fatalf("output %q is no name=value", l)
		}
		out[k] = v
	}
	return out
}

// uses runs one of our actions; others are left out.
func (w *workflowRun) uses(s workflowStep, ctx map[string]string) map[string]string {
	name, _, pinned := strings.Cut(path.Base(s.Uses), "@")
	if !strings.Contains(s.Uses, "clydepm/") {
		return nil
	}
	if !pinned {
		w.ts.Fatalf("%s is pinned to nothing", s.Uses)
	}
	a := readAction(w.ts, name)
	inner := map[string]string{
		"github.token":                    w.context["secrets.GITHUB_TOKEN"],
		"github.event.repository.private": cmp.Or(w.context["github.event.repository.private"], "false"),
	}
	for k := range s.With {
		if _, ok := a.Inputs[k]; !ok {
			w.ts.Fatalf("%s has no input %q", name, k)
		}
	}
	for k, in := range a.Inputs {
		v, given := s.With[k]
		if in.Required && !given {
			w.ts.Fatalf("%s needs the input %q", name, k)
		}
		inner["inputs."+k] = in.Default
		if given {
			inner["inputs."+k] = w.expand(v, ctx)
		}
	}
	for _, st := range a.Runs.Steps {
		for k, v := range w.step(st, inner) {
			inner["steps."+st.ID+".outputs."+k] = v
		}
	}
	out := map[string]string{}
	for k, o := range a.Outputs {
		out[k] = w.expand(o.Value, inner)
	}
	return out
}

func readAction(ts *testscript.TestScript, name string) (a actionFile) {
	b, err := os.ReadFile(filepath.Join(deployDir, name, "action.yml"))
	ts.Check(err)
	ts.Check(yaml.Unmarshal(b, &a))
	if a.Runs.Using != "composite" {
		ts.Fatalf("%s is not composite", name)
	}
	return a
}

// scriptWorkflow is "workflow STATUS FILE [NAME=VALUE...]": it runs a workflow
// of deploy/ on behalf of the repository in the current folder. Names are those
// of vars and secrets, "vars.CLYDE_REGISTRY", or of a job's environment. The
// permissions of a job that states none are those in DEFAULT_PERMISSIONS: read
// or write. What was printed goes to $WORK/log, the summary to $WORK/summary, and
// the outputs to $WORK/outputs.
func scriptWorkflow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: workflow STATUS FILE [NAME=VALUE...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	b, err := os.ReadFile(filepath.Join(deployDir, filepath.FromSlash(args[1])))
	ts.Check(err)
	var f workflowFile
	ts.Check(yaml.Unmarshal(b, &f))
	w := newRun(ts, args[2:])
	outputs := map[string]string{}
	done := map[string]bool{}
	for len(done) < len(f.Jobs) && w.failed == 0 {
		for _, name := range slices.Sorted(maps.Keys(f.Jobs)) {
			j := f.Jobs[name]
			if done[name] || j.Needs != "" && !done[j.Needs] {
				continue
			}
			done[name] = true
			w.permit(j, f)
			ctx := maps.Clone(w.context)
			for _, s := range j.Steps {
				for k, v := range w.step(s, ctx) {
					ctx["steps."+s.ID+".outputs."+k] = v
					outputs[k] = v
				}
			}
			for k, v := range j.Outputs {
				w.context["needs."+name+".outputs."+k] = w.expand(v, ctx)
			}
		}
	}
	w.finish(want, outputs)
}

func newRun(ts *testscript.TestScript, args []string) *workflowRun {
	w := &workflowRun{ts: ts, context: map[string]string{}, env: map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Acme/fastjson", "GITHUB_REPOSITORY_OWNER": "Acme",
		"GITHUB_EVENT_NAME": "release", "GITHUB_REF": "refs/tags/v1.4.0", "GITHUB_REF_NAME": "v1.4.0", "GITHUB_REF_TYPE": "tag", "GITHUB_ACTOR": "ada",
		"GITHUB_WORKSPACE": ts.MkAbs("."), "RUNNER_TEMP": ts.Getenv("WORK"), "GITHUB_TOKEN": "", "CLYDE_TOKEN": "", "CLYDE_REGISTRY": "",
	}}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		if strings.Contains(k, ".") {
			w.context[k] = scriptValue(ts, v)
		} else {
			w.env[k] = v
		}
	}
	w.summary = filepath.Join(ts.Getenv("WORK"), "summary")
	ts.Check(os.WriteFile(w.summary, nil, 0o600))
	return w
}

// permit gives a job what its permissions say.
func (w *workflowRun) permit(j workflowJob, f workflowFile) {
	p := j.Permissions
	if p == nil && f.Permissions.IsZero() {
		p = map[string]string{"packages": w.ts.Getenv("DEFAULT_PERMISSIONS")} // never an identity
	}
	w.context["secrets.GITHUB_TOKEN"] = "ghs_readonly"
	if p["packages"] == "write" {
		w.context["secrets.GITHUB_TOKEN"] = "ghs_run"
	}
	w.env["ACTIONS_ID_TOKEN_REQUEST_URL"], w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "", ""
	if at := w.ts.Getenv("RUNNER"); at != "" && (p["id-token"] == "write" || f.OIDC) {
		w.env["ACTIONS_ID_TOKEN_REQUEST_URL"], w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = at+"/token?api-version=2.0", "runner-secret"
	}
}

func (w *workflowRun) finish(want int, outputs map[string]string) {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(outputs)) {
		fmt.Fprintf(&b, "%s=%s\n", k, outputs[k])
	}
	w.ts.Check(os.WriteFile(filepath.Join(w.ts.Getenv("WORK"), "outputs"), []byte(b.String()), 0o600))
	w.ts.Check(os.WriteFile(filepath.Join(w.ts.Getenv("WORK"), "log"), []byte(w.log.String()), 0o600))
	if w.failed != want {
		w.ts.Fatalf("the run ended with %d; want %d:\n%s", w.failed, want, w.log.String())
	}
}

// scriptAction is "action STATUS NAME [INPUT=VALUE...]": one of our actions
// alone, in a job that may do everything. Inputs with a dot, and names in
// capitals, are those of workflow.
func scriptAction(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: action STATUS NAME [INPUT=VALUE...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	with, rest := map[string]string{}, []string{}
	for _, a := range args[2:] {
		if k, v, _ := strings.Cut(a, "="); k == strings.ToLower(k) && !strings.Contains(k, ".") {
			with[k] = scriptValue(ts, v)
		} else {
			rest = append(rest, a)
		}
	}
	w := newRun(ts, rest)
	w.permit(workflowJob{Permissions: map[string]string{"packages": "write", "id-token": "write"}}, workflowFile{})
	w.finish(want, w.uses(workflowStep{Uses: "clydepm/" + args[1] + "@v1", With: with}, w.context))
}

// scriptGitLab is "gitlab STATUS NAME=VALUE...": the jobs of deploy/gitlab, in
// the order of their stages, as a runner of GitLab's runs them for a tag.
func scriptGitLab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: gitlab STATUS [NAME=VALUE...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	b, err := os.ReadFile(filepath.Join(deployDir, "gitlab", "gitlab-ci.yml"))
	ts.Check(err)
	type job struct {
		Stage  string            `yaml:"stage"`
		Before []string          `yaml:"before_script"`
		Script []string          `yaml:"script"`
		Vars   map[string]string `yaml:"variables"`
	}
	var all map[string]yaml.Node
	ts.Check(yaml.Unmarshal(b, &all))
	var stages []string
	node := all["stages"]
	ts.Check(node.Decode(&stages))
	var base job
	node = all[".clyde"]
	ts.Check(node.Decode(&base))
	w := newRun(ts, args[1:])
	w.env["GITHUB_ACTIONS"], w.env["GITHUB_SERVER_URL"] = "", ""
	maps.Copy(w.env, base.Vars)
	for _, stage := range stages {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			var j job
			if node := all[name]; node.Kind != yaml.MappingNode || node.Decode(&j) != nil || j.Stage != stage {
				continue
			}
			w.step(workflowStep{Run: strings.Join(append(base.Before, j.Script...), "\n")}, nil)
		}
	}
	w.finish(want, nil)
}

// scriptValue is the value of an input: "@FILE" is what a file holds, and "\n"
// a line break.
func scriptValue(ts *testscript.TestScript, v string) string {
	if file, ok := strings.CutPrefix(v, "@"); ok {
		return ts.ReadFile(file)
	}
	return strings.ReplaceAll(v, `\n`, "\n")
}
