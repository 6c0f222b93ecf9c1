package signing_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// What was fetched verifies without the registry, in every format, and nothing
// is believed that its digest does not prove.
func TestArchive(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	for kind, referrers := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, referrers)
			signed := r.publish(t, "acme", "zlib", "1.3.1")
			bare := r.publish(t, "acme", "bare", "1.0.0")
			mustSign(t, r, alice, signed, signing.SignOptions{Legacy: true})
			// A signature that names nobody: the package.yaml is needed, too.
			stock := r.publish(t, "acme", "stock", "2.0.0")
			attachBundle(t, r, stock, signed2(t, alice, stock))
			dir := t.TempDir()
			a, err := signing.CreateArchive(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, sub := range []signing.Subject{signed, bare, stock} {
				if err := signing.Fetch(t.Context(), a.Record("here", r), sub); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if a, err = signing.OpenArchive(dir); err != nil {
				t.Fatal(err)
			}
			rep := mustVerify(t, a.At("here"), signed, alice.key)
			wantState(t, rep, signing.StateVerified)
			if len(rep.Signatures) != 2 {
				t.Errorf("%d signatures; want the bundle and the legacy one", len(rep.Signatures))
			}
			wantState(t, mustVerify(t, a.At("here"), bare, alice.key), signing.StateUnsigned)
			wantState(t, mustVerify(t, a.At("here"), stock, alice.key), signing.StateVerified)

			// What was not asked is unknown, not absent.
			other := r.publish(t, "acme", "other", "1.0.0")
			for _, src := range []signing.Source{a.At("here"), a.At("elsewhere")} {
				if _, err := signing.Verify(t.Context(), src, other, []signing.Key{alice.key}, signing.Limits{}); !errors.Is(err, clyde.ErrUnavailable) {
					t.Errorf("Verify of what was not fetched = %v; want ErrUnavailable", err)
				}
			}
			// Bytes that changed are found out.
			files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no blobs: %v", err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if rep, err := signing.Verify(t.Context(), a.At("here"), signed, []signing.Key{alice.key}, signing.Limits{}); err == nil && rep.State == signing.StateVerified {
				t.Error("a changed archive verifies")
			}
		})
	}
	if _, err := signing.OpenArchive(t.TempDir()); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("OpenArchive of nothing = %v; want ErrNotFound", err)
	}
}

// signed2 is a bundle as cosign makes it: over the digest, naming nobody.
func signed2(t *testing.T, p pair, sub signing.Subject) []byte {
	t.Helper()
	return signed(t, p, statement(signType, "", sub.Digest))
}

// A hundred packages in two seconds, from what was fetched.
func TestArchiveSpeed(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	a, err := signing.CreateArchive(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	subs := make([]signing.Subject, 100)
	for i := range subs {
		subs[i] = r.publish(t, "acme", "p"+string(rune('a'+i/26))+string(rune('a'+i%26)), "1.0.0")
		mustSign(t, r, alice, subs[i], signing.SignOptions{})
		if err := signing.Fetch(t.Context(), a.Record("here", r), subs[i]); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for _, sub := range subs {
		wantState(t, mustVerify(t, a.At("here"), sub, alice.key), signing.StateVerified)
	}
	took := time.Since(start)
	t.Logf("%d packages in %s, one after the other", len(subs), took)
	if took > 2*time.Second {
		t.Errorf("%d packages took %s; want at most 2 s", len(subs), took)
	}
}
