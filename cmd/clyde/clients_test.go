package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestClientsBuilds runs testdata/clients: what other programs than ours do with
// builds.
func TestClientsBuilds(t *testing.T) {
	t.Parallel()
	tools := os.Getenv("CLYDE_TOOLS")
	if _, err := os.Stat(filepath.Join(tools, "oras")); tools == "" || err != nil {
		t.Skip("oras is not in CLYDE_TOOLS: make test/clients builds it")
	}
	p := scriptParams("clients")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", tools+string(os.PathListSeparator)+env.Getenv("PATH"))
		return setup(env)
	}
	testscript.Run(t, p)
}
