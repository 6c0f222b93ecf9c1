package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
)

// scriptTB lets oidctest work for a script.
type scriptTB struct {
	testing.TB // nil: what is used is below

	ts *testscript.TestScript
}

func (s scriptTB) Helper()          {}
func (s scriptTB) Cleanup(f func()) { s.ts.Defer(f) }
func (s scriptTB) Fatal(args ...any) {
	s.ts.Fatalf("%v", args)
}

func (s scriptTB) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }

// githubClaims is what GitHub says of a run, as recorded.
var githubClaims = map[string]any{
	"actor": "ada", "event_name": "push", "environment": "release", "ref": "refs/tags/v1.4.0", "ref_type": "tag",
	"repository": "acme/fastjson", "repository_id": "7001", "repository_owner": "acme", "repository_owner_id": "501",
	"run_attempt": "1", "run_id": "42", "run_number": "7", "sha": "0123456789abcdef0123456789abcdef01234567",
	"workflow_ref":     "acme/fastjson/.github/workflows/release.yml@refs/tags/v1.4.0",
	"job_workflow_ref": "acme/fastjson/.github/workflows/release.yml@refs/tags/v1.4.0",
}

// scriptActions is "actions": it starts an OIDC issuer and the endpoint that a
// runner of GitHub's has, and sets ISSUER and the variables of a job there. The
// variable RUNNER_CLAIMS=NAME=VALUE,... changes claims of each token.
func scriptActions(ts *testscript.TestScript, _ bool, _ []string) {
	tb := scriptTB{ts: ts}
	key := oidctest.NewKey(tb, "k1", "RS256", 0)
	iss := oidctest.New(tb, key)
	var first string
	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer runner-secret" || r.URL.Query().Get("api-version") != "2.0" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		claims := maps.Clone(githubClaims)
		// The rest of the path says what is other in this run.
		_, changes, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		now := time.Now()
		for change := range strings.SplitSeq(changes, ",") {
			switch name, value, _ := strings.Cut(change, "="); name {
			case "":
			case "expired":
				claims["iat"], claims["exp"] = now.Unix()-600, now.Unix()-300
			default:
				claims[name] = value
			}
		}
		token := key.Sign(tb, iss.Claims(r.URL.Query().Get("audience"), now, claims))
		if changes == "replayed" {
			token = first
		}
		first = token
		_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
	}))
	ts.Defer(runner.Close)
	ts.Setenv("ISSUER", iss.URL)
	ts.Setenv("RUNNER", runner.URL)
	ts.Setenv("GITHUB_ACTIONS", "true")
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", runner.URL+"/token?api-version=2.0")
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-secret")
}
