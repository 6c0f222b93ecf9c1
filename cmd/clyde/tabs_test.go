package main

import (
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
)

// TestClientsInstallTabs runs testdata/tabs: what the page of a package says
// about installing it, word for word.
func TestClientsInstallTabs(t *testing.T) {
	t.Parallel()
	tools := toolchaintest.Tools(t, "oras")
	toolchaintest.Programs(t, "cc", "cmake", "make", "pkg-config", "curl", "tar", "sha256sum")
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	p := scriptParams("tabs")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", tools+string(os.PathListSeparator)+env.Getenv("PATH"))
		env.Setenv("EXAMPLES", examples)
		return setup(env)
	}
	p.Cmds["tab"] = scriptTab
	testscript.Run(t, p)
}

// scriptTab is "tab PACKAGE TITLE FILE": it writes what that tab of the install
// box shows to a file.
func scriptTab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tab PACKAGE TITLE FILE")
	}
	resp, err := http.Get(ts.Getenv("CLYDE_REGISTRY") + "/packages/" + strings.TrimPrefix(args[0], "@"))
	ts.Check(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	ts.Check(err)
	m := regexp.MustCompile(`(?s)<summary>` + regexp.QuoteMeta(args[1]) + `</summary><div><pre[^>]*><code>(.*?)</code>`).FindSubmatch(page)
	if m == nil {
		ts.Fatalf("the page of %s has no tab %s:\n%s", args[0], args[1], page)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(html.UnescapeString(string(m[1]))+"\n"), 0o600))
}
