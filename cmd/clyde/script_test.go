package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// scriptHubs are the stand-ins of scripts that say "github", by their address.
var scriptHubs sync.Map

var update = flag.Bool("update", false, "rewrite golden files and scripts")

func TestMain(m *testing.M) {
	testscript.Main(program{m}, map[string]func(){"clyde": main, "sigstore-kms-toy": toyKMS})
}

// program runs the tests with a clyde that was built by itself. testscript would
// have copies of the test binary run as clyde, and those begin with all that is
// in a server: most of the time of the thousand processes that scripts start.
type program struct{ *testing.M }

func (p program) Run() int {
	at, err := exec.LookPath("clyde")
	if err == nil && !strings.Contains(at, "testscript-main") {
		err = fmt.Errorf("%s is no place of testscript's", at)
	}
	if err == nil {
		err = os.Remove(at)
	}
	if err == nil {
		// CLYDE_TEST_BUILD has the flags that make test builds everything with.
		args := append([]string{"build", "-buildvcs=false", "-o", at}, strings.Fields(os.Getenv("CLYDE_TEST_BUILD"))...)
		build := exec.CommandContext(context.Background(), "go", append(args, ".")...)
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building clyde for the scripts:", err)
		return 1
	}
	return p.M.Run()
}

// TestScript runs testdata/script against the real program, with a server of
// its own for each script that says "server".
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scriptParams("script"))
}

// scriptParams runs the scripts in a folder of testdata, each at a home of its
// own that reaches nothing outside.
func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:           filepath.Join("testdata", dir),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			for _, v := range [][2]string{
				{"HOME", home}, {"USERPROFILE", home}, {"XDG_CONFIG_HOME", filepath.Join(home, ".config")},
				{"DOCKER_CONFIG", filepath.Join(home, ".docker")}, {"NO_COLOR", "1"}, {"COSIGN_PASSWORD", "secret"},
				// Nothing listens there, so that no script reaches what runs outside.
				{"CLYDE_REGISTRY", "http://127.0.0.1:1"},
				// The race detector would have each process sleep a second at its end.
				{"GORACE", "atexit_sleep_ms=0"},
			} {
				env.Setenv(v[0], v[1])
			}
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":     scriptServer,
			"actions":    scriptActions,
			"answers":    scriptAnswers,
			"status":     scriptStatus,
			"keyjson":    scriptKeyJSON,
			"foreign":    scriptForeign,
			"policyfile": scriptPolicyFile,
			"replace":    scriptReplace,
			"lockfile":   scriptLockFile,
			"person":     scriptPerson,
			"as":         scriptAs,
			"first":      scriptFirst,
			"approve":    scriptApprove,
			"deny":       scriptDeny,
			"terminal":   scriptTerminal("approve"),

			"deny-on-terminal": scriptTerminal("deny"),
			"flip":             scriptFlip,
			"github":           scriptGitHub,
			"public":           scriptMakePublic,
			"asked":            scriptAsked,
			"workflow":         scriptWorkflow,
			"action":           scriptAction,
			"gitlab":           scriptGitLab,
			"webhook":          scriptWebhook,
			"eventually":       scriptEventually,
		},
	}
}

// scriptStatus is "status N clyde ARGS...": the exit status must be N.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s: exit status %d; want %d", strings.Join(args[1:], " "), got, want)
	}
}

// scriptServer is "server": it starts a registry and sets CLYDE_REGISTRY, HOST
// (host:port) and ADMIN, the administrator's token. After sigstack it relies on
// that sigstore, by the name corp.
func scriptServer(ts *testscript.TestScript, _ bool, _ []string) {
	s, url, token, stop, err := startServer(filepath.Join(ts.Getenv("WORK"), ".server"), ts.Getenv("ISSUER"), ts.Getenv("GITHUB_AT"), func(c *config.Config) {
		if root := ts.Getenv("SIGSTORE_ROOT"); root != "" {
			c.Signing.Trust = append(c.Signing.Trust, config.Sigstore{Name: "corp", TrustedRoot: root})
		}
	})
	ts.Check(err)
	scriptServers.Store(url, s)
	ts.Defer(func() { ts.Check(stop()) })
	ts.Setenv("CLYDE_REGISTRY", url)
	ts.Setenv("HOST", strings.TrimPrefix(url, "http://"))
	ts.Setenv("ADMIN", token)
}

// startServer runs a registry with its data in dir until stop is called. An
// issuer's identity tokens are accepted as GitHub's; more changes the settings.
func startServer(dir, issuer, github string, more ...func(*config.Config)) (_ *server.Server, url, token string, stop func() error, err error) {
	c := config.Default()
	c.HTTP.Addr = "127.0.0.1:0"
	c.Data.Dir = dir
	c.SignIn.GitHub.APIURL = github
	if issuer != "" {
		c.TrustedPublishing.Insecure, c.TrustedPublishing.Lookup = true, false
		c.TrustedPublishing.Issuers = []config.TrustedIssuer{{Name: "github", URL: issuer, Kind: "github"}}
	}
	for _, change := range more {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.New(ctx, c, server.Options{})
	if err != nil {
		cancel()
		return nil, "", "", nil, err
	}
	if _, token, err = s.FirstToken(ctx); err != nil {
		cancel()
		return nil, "", "", nil, errors.Join(err, s.Close())
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, s.PublicURL(), token, func() error {
		cancel()
		return errors.Join(<-done, s.Close())
	}, nil
}

// scriptFlip is "flip DIR": it changes one bit of every header below a folder.
func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: flip DIR")
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".h" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[0] ^= 1
		return errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, b, 0o444))
	}))
}

// scriptForeign is "foreign [anybody]": it starts an OCI registry that is not ours
// and wants the password "secret", from anybody or from who writes, and sets
// CLYDE_REGISTRY and HOST.
func scriptForeign(ts *testscript.TestScript, _ bool, args []string) {
	open := len(args) == 1 && args[0] == "anybody"
	h := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path != "/v2/"
		if _, password, _ := r.BasicAuth(); password != "secret" && !(open && reads) {
			w.Header().Set("WWW-Authenticate", `Basic realm="foreign"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("CLYDE_REGISTRY", s.URL)
	ts.Setenv("HOST", strings.TrimPrefix(s.URL, "http://"))
}

// scriptAnswers is "answers STATUS BODY": it starts a server that answers
// everything so, and sets CLYDE_REGISTRY.
func scriptAnswers(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: answers STATUS BODY")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(args[1]))
	}))
	ts.Defer(s.Close)
	ts.Setenv("CLYDE_REGISTRY", s.URL)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	ts.Check(err)
	ts.Setenv("HOST", "localhost:"+port)
}

// scriptKeyJSON is "keyjson NAME PEM OUT": it writes the request that registers
// a public key.
func scriptKeyJSON(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: keyjson NAME PEM OUT")
	}
	b, err := json.Marshal(map[string]string{"name": args[0], "pem": ts.ReadFile(args[1])})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}
