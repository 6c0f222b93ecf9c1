package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/clydepm/clyde-registry/pkg/server"
)

// scriptServers are the servers of scripts, by address.
var scriptServers sync.Map

const scriptPassword = "correct horse battery"

// scriptPerson is "person LOGIN": the registry gets an account that signs in by
// password.
func scriptPerson(ts *testscript.TestScript, neg bool, args []string) {
	s, ok := scriptServers.Load(ts.Getenv("CLYDE_REGISTRY"))
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: person LOGIN, after server")
	}
	_, err := s.(*server.Server).Accounts.CreateAccount(context.Background(), server.System, args[0], "", scriptPassword, false)
	ts.Check(err)
}

// scriptApprove is "approve LOGIN COMMAND...": it runs a command that waits for
// a browser, in which LOGIN signs in and approves the code that the command
// shows, or denies it under the command's other name, "deny". The page that
// was shown is left in $WORK/page.html, what the command wrote in out.txt and
// err.txt.
func scriptApprove(ts *testscript.TestScript, neg bool, args []string) {
	scriptAnswer(ts, neg, "approve", nil, args)
}

func scriptDeny(ts *testscript.TestScript, neg bool, args []string) {
	scriptAnswer(ts, neg, "deny", nil, args)
}

// scriptTerminal is approve, and under the name "deny-on-terminal" deny, where
// the command's standard input is a terminal.
func scriptTerminal(answer string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		keys, terminal, err := openTerminal()
		ts.Check(err)
		defer func() { ts.Check(errors.Join(terminal.Close(), keys.Close())) }()
		scriptAnswer(ts, neg, answer, terminal, args)
	}
}

func scriptAnswer(ts *testscript.TestScript, neg bool, answer string, stdin *os.File, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: %s LOGIN COMMAND...", answer)
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		path = args[1]
	}
	cmd := exec.CommandContext(context.Background(), path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "USERPROFILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "NO_COLOR", "CLYDE_REGISTRY", "CLYDE_TOKEN", "PATH"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	if stdin != nil { // a nil *os.File is no nil io.Reader
		cmd.Stdin = stdin
	}
	var out, said bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(io.TeeReader(stderr, &said))
	code := ""
	for code == "" && lines.Scan() {
		code, _ = strings.CutPrefix(lines.Text(), "Code: ")
		if code == lines.Text() {
			code = ""
		}
	}
	if code != "" {
		answerDevice(ts, args[0], code, answer)
	}
	_, err = io.Copy(&said, stderr)
	ts.Check(err)
	failed := cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out.txt"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err.txt"), said.Bytes(), 0o600))
	if code == "" || (failed != nil) != neg {
		ts.Fatalf("%s: %v\n%s", strings.Join(args[1:], " "), failed, said.String())
	}
}

// scriptAs is "as LOGIN": what follows runs at a home of that person's own.
func scriptAs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: as LOGIN")
	}
	home := ts.MkAbs(".home-" + args[0])
	ts.Check(os.MkdirAll(home, 0o700))
	for name, dir := range map[string]string{"HOME": "", "USERPROFILE": "", "XDG_CONFIG_HOME": ".config", "DOCKER_CONFIG": ".docker"} {
		ts.Setenv(name, filepath.Join(home, dir))
	}
}

// scriptFirst is "first NAME": the variable is the first word that the last
// command wrote.
func scriptFirst(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || len(words) == 0 {
		ts.Fatalf("usage: first NAME, after a command that wrote something")
	}
	ts.Setenv(args[0], words[0])
}

// answerDevice does over HTTP what somebody does in a browser.
func answerDevice(ts *testscript.TestScript, login, code, answer string) {
	base := ts.Getenv("CLYDE_REGISTRY")
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	c := &http.Client{Jar: jar}
	send := func(path string, form url.Values) []byte {
		resp, err := c.PostForm(base+path, form)
		if form == nil {
			resp, err = c.Get(base + path)
		}
		ts.Check(err)
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		ts.Check(err)
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s\n%s", path, resp.Status, b)
		}
		return b
	}
	send("/login", url.Values{"login": {login}, "password": {scriptPassword}})
	page := send("/device?"+url.Values{"code": {code}}.Encode(), nil)
	ts.Check(os.WriteFile(ts.MkAbs("page.html"), page, 0o600))
	send("/device", url.Values{"code": {code}, "answer": {answer}})
}
