// Package browser_test drives the pages in a real browser: Chromium without a
// window, over the pipe of its DevTools protocol, against a whole server on
// loopback. It runs where CLYDE_BROWSER names the browser, or is "auto" to look
// for one; make test/browser does.
package browser_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait: for an answer of the browser, or for something to
// become true on a page. Ours: a busy machine of two cores needs seconds.
const patience = 30 * time.Second

// browserNames are looked for in the path, in this order.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell"}

// chromium is a running browser.
type chromium struct {
	in io.WriteCloser

	mu      sync.Mutex
	last    int
	answers map[int]chan message
	pages   map[string]*tab // by session
	closing bool            // it was told to end
	lost    bool            // it ended before that
	ended   chan struct{}
}

// message is anything that travels over the pipe.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
		Data    string `json:"data"`
	} `json:"error,omitempty"`
}

// findBrowser returns the program to drive. Without CLYDE_BROWSER the test is
// skipped; with it, a browser that is not there fails it.
func findBrowser(t *testing.T) string {
	t.Helper()
	want := os.Getenv("CLYDE_BROWSER")
	if want == "" {
		t.Skip("set CLYDE_BROWSER to a Chromium, or to auto: make test/browser does")
	}
	names := []string{want}
	if want == "auto" {
		names = browserNames
	}
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	t.Fatalf("no browser: none of %q is in the path; install the Debian package chromium", names)
	return ""
}

// startBrowser starts a browser that ends with the test.
func startBrowser(t *testing.T) *chromium {
	t.Helper()
	program := findBrowser(t)
	dir := t.TempDir()
	ours, theirs, err := pipes()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--password-store=basic",
		"--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--ignore-certificate-errors",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(dir, "profile"), "about:blank")
	cmd.ExtraFiles, cmd.Stderr = theirs, &said
	// Its own temporary files go with the test, too.
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range theirs {
		_ = f.Close() // the browser has them
	}
	b := &chromium{in: ours[1], answers: map[int]chan message{}, pages: map[string]*tab{}, ended: make(chan struct{})}
	go b.read(ours[0])
	t.Cleanup(func() {
		b.mu.Lock()
		b.closing = true
		b.mu.Unlock()
		_ = b.send(message{ID: -1, Method: "Browser.close"})
		_ = ours[1].Close()
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait() // it was told to go; how it says good-bye is its own
		<-b.ended
		_ = ours[0].Close()
		if b.lost {
			t.Logf("the browser ended by itself; it said:\n%s", said.String())
		}
	})
	return b
}

// pipes are the two that the protocol takes: the browser reads from its file 3
// and writes to its file 4.
func pipes() (ours, theirs []*os.File, err error) {
	r3, w3, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	r4, w4, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, r3.Close(), w3.Close())
	}
	return []*os.File{r4, w3}, []*os.File{r3, w4}, nil
}

// read hands what the browser says to whom it concerns, until it is silent.
func (b *chromium) read(r io.Reader) {
	defer close(b.ended)
	for br := bufio.NewReaderSize(r, 1<<20); ; {
		raw, err := br.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(raw[:len(raw)-1], &m)
		}
		if err != nil {
			b.end()
			return
		}
		b.mu.Lock()
		answer, page := b.answers[m.ID], b.pages[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case m.Method != "" && page != nil:
			page.event(m)
		}
	}
}

// end tells everybody who waits for an answer that none will come.
func (b *chromium) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = !b.closing
	for id, a := range b.answers {
		close(a)
		delete(b.answers, id)
	}
}

func (b *chromium) send(m message) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err = b.in.Write(append(raw, 0))
	return err
}

// call asks the browser for something and reads its answer into out, which may
// be nil.
func (b *chromium) call(session, method string, params, out any) error {
	raw, err := json.Marshal(cmp.Or(params, any(struct{}{})))
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.answers[id] = answer
	b.mu.Unlock()
	if err := b.send(message{ID: id, Session: session, Method: method, Params: raw}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m, ok := <-answer:
		if !ok {
			return fmt.Errorf("%s: the browser ended", method)
		}
		if m.Error != nil {
			return fmt.Errorf("%s: %s %s", method, m.Error.Message, m.Error.Data)
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(m.Result, out)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer within %v", method, patience)
	}
}
