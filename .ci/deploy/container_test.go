//go:build deploy

package deploy

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The Dockerfile is read by what reads it in BuildKit, with its linter; what it
// makes is small and without rights.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parser.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, url, msg string, _ []parser.Range) {
		t.Errorf("%s: %s (%s)", rule, msg, url)
	}})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stages {
		if s.BaseName != "scratch" && !strings.Contains(s.BaseName, ":") {
			t.Errorf("%s has no tag", s.BaseName)
		}
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made of %s", last.BaseName)
	}
	user, health, entry := "", false, []string(nil)
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			health = true
		case *instructions.EntrypointCommand:
			if entry = c.CmdLine; c.PrependShell {
				t.Error("the entry point wants a shell, which there is not")
			}
		case *instructions.RunCommand:
			t.Error("nothing can run in an empty image")
		case *instructions.CopyCommand:
			if !slices.ContainsFunc(stages, func(s instructions.Stage) bool { return s.Name == c.From }) {
				t.Errorf("COPY --from=%s: there is no such stage", c.From)
			}
		}
	}
	if user != "65532:65532" || !health || !slices.Equal(entry, []string{"/usr/local/bin/clyde-registry"}) {
		t.Errorf("user %q, health %v, entry point %v", user, health, entry)
	}
}

// The compositions are read by what reads them in Compose.
func TestCompose(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(dir, "compose", "*.yaml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		o, err := cli.NewProjectOptions([]string{file}, cli.WithEnv([]string{"EVENTS_AUTHORIZATION=Bearer 0123456789abcdef"}), cli.WithInterpolation(true))
		if err != nil {
			t.Fatal(err)
		}
		p, err := o.LoadProject(context.Background())
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		ours := 0
		for name, s := range p.Services {
			if !strings.Contains(s.Image, "clyde-registry") {
				continue
			}
			ours++
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s: %s has more rights than it needs", file, name)
			}
			for _, v := range s.Volumes {
				if v.Type == "bind" {
					if _, err := os.Stat(v.Source); err != nil {
						t.Errorf("%s: %v", file, err)
					}
				}
			}
			if s.Build == nil || s.Build.Dockerfile != "deploy/Dockerfile" {
				t.Errorf("%s: %s is built from %+v", file, name, s.Build)
			}
		}
		if ours == 0 {
			t.Errorf("%s runs nothing of ours", file)
		}
	}
}

// The unit is read by systemd.
func TestSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: apt-get install systemd")
	}
	b, err := os.ReadFile(filepath.Join(dir, "clyde-registry.service"))
	if err != nil {
		t.Fatal(err)
	}
	// The program need not be installed where the tests run.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "clyde-registry.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(b, []byte("/usr/local/bin/clyde-registry"), []byte(self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
