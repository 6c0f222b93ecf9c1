package signing_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Somebody signs in with a browser, here a script that follows the address, and
// comes back with a token that Fulcio takes.
func TestSigstoreBrowser(t *testing.T) { // not parallel: it sets PATH
	if runtime.GOOS != "linux" {
		t.Skip("the browser of this test is opened as on Linux")
	}
	toolchaintest.Programs(t, "curl")
	s := needStack(t)
	dir := t.TempDir()
	ck(t, os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\ncurl -sL -o /dev/null \"$1\" >/dev/null 2>&1 &\n"), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	token, err := signing.TokenFromBrowser(ctx, s.People.URL, strings.NewReader(""), &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	services, err := signing.ParseServices(s.SigningConfig)
	ck(t, err)
	k, err := signing.NewKeyless(services, stackTrust(t, s), token)
	ck(t, err)
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	_, err = signing.Sign(t.Context(), r, r, k, sub, signing.SignOptions{})
	ck(t, err)
	wantState(t, verifyBy(t, r, sub, keyless("alice", stackTrust(t, s), signing.Identity{Issuer: s.People.URL, Subject: "alice@example.com"})), signing.StateVerified)
}
