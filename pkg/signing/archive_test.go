package signing_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

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

// archived publishes, signs and fetches n packages, and returns where their
// signatures are now, who signed, and the packages.
func archived(tb testing.TB, n int) (signing.Source, pair, []signing.Subject) {
	tb.Helper()
	alice := newPair(tb, "alice")
	r := newRegistry(tb, true)
	a, err := signing.CreateArchive(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	subs := make([]signing.Subject, n)
	for i := range subs {
		subs[i] = r.publish(tb, "acme", "p"+string(rune('a'+i/26))+string(rune('a'+i%26)), "1.0.0")
		mustSign(tb, r, alice, subs[i], signing.SignOptions{})
		if err := signing.Fetch(tb.Context(), a.Record("here", r), subs[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return a.At("here"), alice, subs
}

func TestArchiveOfMany(t *testing.T) {
	t.Parallel()
	src, alice, subs := archived(t, 100)
	for _, sub := range subs {
		wantState(t, mustVerify(t, src, sub, alice.key), signing.StateVerified)
	}
}

// BenchmarkArchive is a hundred packages verified from what was fetched, one
// after the other.
func BenchmarkArchive(b *testing.B) {
	src, alice, subs := archived(b, 100)
	for b.Loop() {
		for _, sub := range subs {
			wantState(b, mustVerify(b, src, sub, alice.key), signing.StateVerified)
		}
	}
}
