package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
)

// TestClientsBuilds runs testdata/clients: what other programs than ours do with
// builds.
func TestClientsBuilds(t *testing.T) {
	t.Parallel()
	tools := toolchaintest.Tools(t, "oras")
	toolchaintest.Programs(t, "cc")
	p := scriptParams("clients")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", tools+string(os.PathListSeparator)+env.Getenv("PATH"))
		return setup(env)
	}
	testscript.Run(t, p)
}
