package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/pkg/signing"
)

// scriptPolicyFile is "policyfile PUB OUT": a policy by which the key in PUB
// must have signed everything of @acme.
func scriptPolicyFile(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: policyfile PUB OUT")
	}
	key := strings.ReplaceAll(strings.TrimSpace(ts.ReadFile(args[0])), "\n", "\n            ")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), fmt.Appendf(nil, `apiVersion: clyde.dev/v1
kind: VerificationPolicy
policies:
  - name: acme
    packages: ["acme/*"]
    authorities:
      - name: release
        key:
          data: |
            %s
`, key), 0o600))
}

// scriptLockFile is "lockfile OUT NAME@VERSION[=key:PUB]...": a lock file of
// what the registry has, and who signed it.
func scriptLockFile(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	b.WriteString("version: 2\npackages:\n")
	for _, arg := range args[1:] {
		what, by, signed := strings.Cut(arg, "=key:")
		ts.Check(ts.Exec("clyde", "info", "--json", what))
		var info struct {
			Name    string `json:"name"`
			Release struct {
				Version string `json:"version"`
				Digest  string `json:"digest"`
			} `json:"release"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &info))
		fmt.Fprintf(&b, "  \"@%s\":\n    version: %q\n    registry: %q\n    digest: %q\n",
			strings.SplitN(what, "@", 2)[0], info.Release.Version, ts.Getenv("HOST"), info.Release.Digest)
		if signed {
			k, err := signing.ParsePublicKey([]byte(ts.ReadFile(by)))
			ts.Check(err)
			fmt.Fprintf(&b, "    signed_by: %q\n", "key "+k.Fingerprint)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// What strangers wrote begins no workflow command and no cell of a table.
func TestGitHubEscapes(t *testing.T) {
	t.Parallel()
	const evil = "a\n::set-env name=X::y\r|`<b>%0A"
	if got := commandText(evil); strings.ContainsAny(got, "\r\n") || strings.Contains(got, "%0A") {
		t.Errorf("commandText(%q) = %q", evil, got)
	}
	if got := commandProperty("a:b,c"); got != "a%3Ab%2Cc" {
		t.Errorf("commandProperty = %q; want a%%3Ab%%2Cc", got)
	}
	if got := markdownCell(evil); strings.Contains(got, "<b>") || strings.Contains(got, "\n") || strings.Contains(strings.ReplaceAll(got, `\|`, ""), "|") {
		t.Errorf("markdownCell(%q) = %q", evil, got)
	}
}

func TestLockLines(t *testing.T) {
	t.Parallel()
	got := lockLines([]byte("version: 2\nrequires:\n  \"@acme/b\": \"^1\"\npackages:\n  \"@acme/a\":\n    version: \"1\"\n    dependencies:\n      \"@acme/b\": \"^1\"\n  \"@acme/b\":\n    version: \"1\"\n"))
	if got["@acme/a"] != 5 || got["@acme/b"] != 9 || len(got) != 2 {
		t.Errorf("lockLines = %v; want @acme/a at 5 and @acme/b at 9", got)
	}
}

// scriptReplace is "replace OLD NEW FILE".
func scriptReplace(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, args[0]) {
		ts.Fatalf("%s has no %q", args[2], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(text, args[0], args[1])), 0o600))
}
