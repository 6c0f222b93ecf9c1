package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/internal/githubtest"
)

// TestGitHub runs testdata/github: scripts that speak to GitHub and to ghcr.io
// by their real names, which are a stand-in on this machine.
func TestGitHub(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the system's own roots cannot be added to with SSL_CERT_FILE")
	}
	testscript.Run(t, scriptParams("github"))
}

// scriptGitHub is "github": it starts the stand-in, sets what makes programs
// reach it, and makes a repository of every folder below repos: repos/OWNER/NAME/TAG.
func scriptGitHub(ts *testscript.TestScript, _ bool, _ []string) {
	hub, err := githubtest.New(ts.Getenv("WORK"), map[string]githubtest.Access{
		"ghp_ada":      {Login: "ada", Read: []string{"acme"}, Write: []string{"acme"}, Admin: []string{"Acme/zlib"}},
		"ghs_run":      {Login: "github-actions[bot]", Read: []string{"acme"}, Write: []string{"acme"}, Identity: true},
		"ghs_readonly": {Login: "github-actions[bot]", Read: []string{"acme"}, Identity: true},
		"ghp_stranger": {Login: "eve"},
	})
	ts.Check(err)
	ts.Defer(hub.Close)
	at := httptest.NewServer(hub)
	ts.Defer(at.Close)
	ts.Setenv("GITHUB_AT", at.URL)
	for k, v := range hub.Environment() {
		ts.Setenv(k, v)
	}
	ts.Check(addRepositories(hub, filepath.Join(ts.Getenv("WORK"), "repos")))
	scriptHubs.Store(ts.Getenv("HTTPS_PROXY"), hub)
}

// addRepositories reads OWNER/NAME/TAG/files below dir.
func addRepositories(hub *githubtest.Hub, dir string) error {
	tags, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
	if err != nil {
		return err
	}
	repos := map[string]*githubtest.Repository{}
	for _, at := range tags {
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(rel), "/")
		full, tag := parts[0]+"/"+parts[1], parts[2]
		r := repos[full]
		if r == nil {
			r = &githubtest.Repository{ID: int64(1000 + len(repos)), OwnerID: 77, FullName: full, Private: strings.HasPrefix(parts[1], "private"), Tags: map[string]map[string]string{}}
			repos[full] = r
		}
		r.Tags[tag] = map[string]string{}
		err = filepath.WalkDir(at, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(at, p)
			text := string(b)
			if strings.HasPrefix(text, "-> ") {
				text = strings.TrimSpace(text)
			}
			r.Tags[tag][filepath.ToSlash(name)] = text
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(repos)) {
		hub.Add(*repos[name])
	}
	return nil
}

// scriptMakePublic is "public REPOSITORY": somebody makes a package of ghcr.io public.
func scriptMakePublic(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: public OWNER/NAME")
	}
	hubOf(ts).Publish(args[0])
}

// scriptAsked is "asked N TEXT": that many requests so far had the text in
// "METHOD host/path".
func scriptAsked(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: asked N TEXT")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for _, r := range hubOf(ts).Requests() {
		if strings.Contains(r, args[1]) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d requests with %q; want %d", got, args[1], want)
	}
}

func hubOf(ts *testscript.TestScript) *githubtest.Hub {
	h, ok := scriptHubs.Load(ts.Getenv("HTTPS_PROXY"))
	if !ok {
		ts.Fatalf("github first")
	}
	return h.(*githubtest.Hub)
}

// scriptWebhook is "webhook STATUS LINKFILE KIND BODY [SECRET]": GitHub sends
// an event to the webhook that clyde repository link described as JSON. ID in
// the body is the number of the linked repository.
func scriptWebhook(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: webhook STATUS LINKFILE KIND BODY [SECRET]")
	}
	text := ts.ReadFile(args[1])
	field := func(name string) string {
		m := regexp.MustCompile(`"` + name + `": "([^"]*)"`).FindStringSubmatch(text)
		if m == nil {
			ts.Fatalf("%s has no %s", args[1], name)
		}
		return m[1]
	}
	secret := ""
	if len(args) > 4 {
		secret = args[4]
	} else {
		secret = field("secret")
	}
	body := strings.ReplaceAll(args[3], `"id":ID`, `"id":`+field("repository_id"))
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	req, err := http.NewRequest(http.MethodPost, field("webhook"), strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", args[2])
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(m.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("status %d; want %s: %s", resp.StatusCode, args[0], b)
	}
}

// scriptEventually is "eventually PATTERN COMMAND...": the command's output has
// the pattern within a minute.
func scriptEventually(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND...")
	}
	re := regexp.MustCompile(args[0])
	tick, deadline := time.NewTicker(200*time.Millisecond), time.Now().Add(time.Minute)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s: never %s", strings.Join(args[1:], " "), args[0])
}
