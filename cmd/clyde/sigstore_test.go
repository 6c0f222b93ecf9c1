package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/signing/sigstoretest"
)

// TestSigstoreScript runs testdata/sigstore against a whole sigstore of real
// programs on this machine; without them it is skipped.
func TestSigstoreScript(t *testing.T) {
	t.Parallel()
	tools := toolchaintest.Tools(t, append([]string{"cosign-v2", "cosign-v3"}, sigstoretest.Tools...)...)
	p := scriptParams("sigstore")
	stacks := stacks{tools: tools}
	p.Cmds["sigstack"], p.Cmds["unstack"], p.Cmds["unjob"], p.Cmds["template"] = stacks.start, stacks.stop, scriptUnjob, scriptTemplate
	p.Cmds["asked"], p.Cmds["manybuilds"], p.Cmds["commands"] = stacks.asked, scriptManyBuilds, scriptCommands
	testscript.Run(t, p)
}

// asked is "asked N": since the last time, the runner was asked for N tokens.
func (s *stacks) asked(ts *testscript.TestScript, _ bool, args []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, err := strconv.Atoi(cmp.Or(ts.Getenv("ASKED"), "0"))
	ts.Check(err)
	now := s.by[ts].Actions.Jobs()
	if len(args) != 1 || strconv.Itoa(now-was) != args[0] {
		ts.Fatalf("the runner was asked for %d tokens; want %s", now-was, args)
	}
	ts.Setenv("ASKED", strconv.Itoa(now))
}

// shownCommands are the commands on a page.
var shownCommands = regexp.MustCompile(`(?s)<pre tabindex="0"><code>(.*?)</code></pre>`)

// scriptCommands is "commands PATH OUT": it writes the commands that a page of
// the registry prints for people, word for word, as a shell script that stops at
// the first that fails.
func scriptCommands(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commands PATH OUT")
	}
	res, err := http.Get(ts.Getenv("CLYDE_REGISTRY") + args[0])
	ts.Check(err)
	body, err := io.ReadAll(res.Body)
	ts.Check(errors.Join(err, res.Body.Close()))
	text := "set -eux\n"
	for _, m := range shownCommands.FindAllSubmatch(body, -1) {
		text += html.UnescapeString(string(m[1])) + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// scriptManyBuilds is "manybuilds REPO VERSION N": it attaches N builds of
// nothing to a version in the registry of the script.
func scriptManyBuilds(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: manybuilds REPO VERSION N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	repo, err := name.NewRepository(ts.Getenv("HOST")+"/"+args[0], name.Insecure)
	ts.Check(err)
	auth := remote.WithAuth(&authn.Basic{Username: "ada", Password: "secret"})
	subject, err := remote.Head(repo.Tag(args[1]), auth)
	ts.Check(err)
	for i := range n {
		layer := static.NewLayer(fmt.Appendf(nil, "build %d", i), "application/octet-stream")
		img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: layer})
		ts.Check(err)
		// go-containerregistry says artifactType of no image, and its registry
		// takes the configuration's type for it.
		img = mutate.ConfigMediaType(img, artifact.TypeBuildConfig)
		built, ok := mutate.Subject(img, *subject).(v1.Image)
		if !ok {
			ts.Fatalf("no image")
		}
		d, err := built.Digest()
		ts.Check(err)
		ts.Check(remote.Write(repo.Digest(d.String()), built, auth))
	}
}

// stacks are the sigstores of scripts.
type stacks struct {
	tools string
	mu    sync.Mutex
	by    map[*testscript.TestScript]*sigstoretest.Stack
}

// start is "sigstack": it runs a sigstore, sets the variables of a job at
// GitHub, and writes the tokens alice.tok and run.tok and what cosign 2 wants in
// place of a trusted root: fulcio.pem and ct.pub.
func (s *stacks) start(ts *testscript.TestScript, _ bool, _ []string) {
	dir := filepath.Join(ts.Getenv("WORK"), ".sigstore")
	ts.Check(os.MkdirAll(dir, 0o700))
	st, err := sigstoretest.Start(context.Background(), s.tools, dir)
	ts.Check(err)
	s.mu.Lock()
	if s.by == nil {
		s.by = map[*testscript.TestScript]*sigstoretest.Stack{}
	}
	s.by[ts] = st
	s.mu.Unlock()
	ts.Defer(st.Close)
	alice, err := st.People.Token(sigstoretest.Person("alice@example.com"))
	ts.Check(err)
	run, err := st.Actions.Token(sigstoretest.Workflow(nil))
	ts.Check(err)
	ct, err := os.ReadFile(filepath.Join(dir, "ct.pub"))
	ts.Check(err)
	for name, data := range map[string]string{
		"trusted_root.json": string(st.TrustedRoot), "signing_config.json": string(st.SigningConfig), "alice.tok": alice, "run.tok": run,
		"fulcio.pem": string(st.FulcioChain), "ct.pub": string(ct),
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(data), 0o600))
	}
	for name, value := range map[string]string{
		"TOOLS": s.tools, "FULCIO": st.Fulcio, "TSA": st.TSA, "SIGSTORE_ROOT": ts.MkAbs("trusted_root.json"),
		"PEOPLE": st.People.URL, "ACTIONS": st.Actions.URL, "CLYDE_SIGNING_CONFIG": ts.MkAbs("signing_config.json"),
		"CLYDE_TRUSTED_ROOT": ts.MkAbs("trusted_root.json"), idTokenURLVar: st.Actions.URL + "/runner?api-version=2.0", idTokenTokenVar: sigstoretest.RunnerSecret,
	} {
		ts.Setenv(name, value)
	}
}

// stop is "unstack": the sigstore ends.
func (s *stacks) stop(ts *testscript.TestScript, _ bool, _ []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[ts] == nil {
		ts.Check(errors.New("unstack without sigstack"))
	}
	s.by[ts].Close()
}

// scriptUnjob is "unjob": no CI provider vouches any more.
func scriptUnjob(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv(idTokenURLVar, "")
	ts.Setenv(idTokenTokenVar, "")
}

// scriptTemplate is "template IN OUT": OUT is IN with $PEOPLE and $ACTIONS
// filled in.
func scriptTemplate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: template IN OUT")
	}
	text := strings.NewReplacer("$PEOPLE", ts.Getenv("PEOPLE"), "$ACTIONS", ts.Getenv("ACTIONS")).Replace(ts.ReadFile(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
