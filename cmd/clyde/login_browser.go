package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// browserLogin is what the token that a browser approves is for.
type browserLogin struct {
	noBrowser bool
	allow     []string
	packages  []string
	expires   string
	name      string
}

// wanted reports whether somebody can answer: on a terminal, or because they
// said so.
func (b browserLogin) wanted(a *app) bool {
	f, ok := a.stdin.(*os.File)
	return b.noBrowser || ok && term.IsTerminal(int(f.Fd()))
}

// errNoBrowserLogin says that a registry has no such sign in, so that a token
// is asked for.
var errNoBrowserLogin = errors.New("no sign in over a browser")

// tokenFromBrowser has somebody approve a token in a browser, and returns it.
func (a *app) tokenFromBrowser(ctx context.Context, at address, b browserLogin) (string, error) {
	c, err := a.apiWith(at, credential{})
	if err != nil {
		return "", err
	}
	if _, err := c.WellKnown(ctx); noAPI(err) {
		return "", errNoBrowserLogin
	} else if err != nil {
		return "", err
	}
	req := client.DeviceRequest{Name: b.named(), Expires: b.expires}
	for _, p := range b.packages {
		req.Scopes = append(req.Scopes, client.Scope{Actions: b.allow, Pattern: p})
	}
	t, err := a.throughBrowser(ctx, c, at, req, b.noBrowser)
	return t.Secret, err
}

// named is what the token is called.
func (b browserLogin) named() string {
	host, _ := os.Hostname()
	return cmp.Or(b.name, "clyde on "+cmp.Or(host, "a machine without a name"))
}

// throughBrowser asks for a token, shows where it is approved, and waits.
func (a *app) throughBrowser(ctx context.Context, c *client.Client, at address, req client.DeviceRequest, noBrowser bool) (t client.Token, err error) {
	d, err := c.AskDevice(ctx, req)
	if e := clyde.AsError(err); e != nil && e.Kind == clyde.ErrNotFound {
		return t, errNoBrowserLogin
	}
	if err != nil {
		return t, err
	}
	// A browser is opened on a page alone, and over HTTPS where the registry has it.
	u, err := url.Parse(d.URIComplete)
	if err != nil || u.Scheme != at.scheme && u.Scheme != "https" || u.User != nil {
		return t, clyde.Errorf(clyde.ErrUnavailable, "%s names no page to sign in on", at.host).WithCode("reply_invalid")
	}
	a.say("Code: %s", a.paint(a.stderr, yellow, clean(d.UserCode)))
	if noBrowser || !openBrowser(ctx, u.String()) {
		a.say("Open %s in a browser, and approve there.", clean(u.String()))
	} else {
		a.say("A browser opens %s; approve there, if it shows the same code.", clean(u.String()))
	}
	return c.WaitDevice(ctx, d)
}

// openBrowser starts a browser and reports whether it could.
func openBrowser(ctx context.Context, u string) bool {
	name, args := "xdg-open", []string{u}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", u}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, name, args...).Run() == nil
}
