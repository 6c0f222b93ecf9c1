package main

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
)

// TestToolchainsInstall runs testdata/toolchains: installing with real compilers
// and build systems.
func TestToolchainsInstall(t *testing.T) {
	t.Parallel()
	toolchaintest.Need(t)
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Abs(filepath.Join(cmp.Or(os.Getenv("CLYDE_SHARED"), filepath.Join("..", "..", "..", "shared")), "data", "sources"))
	if err != nil {
		t.Fatal(err)
	}
	_, missing := os.Stat(sources)
	p := scriptParams("toolchains")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("EXAMPLES", examples)
		env.Setenv("SOURCES", sources)
		return setup(env)
	}
	p.Condition = func(string) (bool, error) { return missing == nil, nil }
	p.Cmds["upstream"] = scriptUpstream
	p.Cmds["matrix"] = scriptMatrix
	testscript.Run(t, p)
}

// TestToolchainsScript runs the scripts that make test leaves out where there is
// no C compiler.
func TestToolchainsScript(t *testing.T) {
	t.Parallel()
	toolchaintest.Need(t)
	p := scriptParams("script")
	p.Dir, p.Files = "", []string{"testdata/script/build.txtar", "testdata/script/collisions.txtar"}
	testscript.Run(t, p)
}

// scriptUpstream is "upstream NAME...": it publishes real releases with their
// package.yaml among the examples.
func scriptUpstream(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		found, err := filepath.Glob(filepath.Join(ts.Getenv("SOURCES"), name+"-*.tar.*"))
		ts.Check(err)
		if len(found) != 1 {
			ts.Fatalf("%d archives of %s in %s", len(found), name, ts.Getenv("SOURCES"))
		}
		dir := filepath.Join(ts.Getenv("WORK"), "upstream", name)
		ts.Check(os.MkdirAll(dir, 0o755))
		ts.Check(ts.Exec("tar", "-xf", found[0], "-C", dir, "--strip-components=1"))
		yaml, err := os.ReadFile(filepath.Join(ts.Getenv("EXAMPLES"), "upstream", name+".yaml"))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, "package.yaml"), yaml, 0o644))
		ts.Check(ts.Exec("clyde", "publish", dir))
	}
}
