package signing_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// pair is a key pair, loaded.
type pair struct {
	private, public []byte
	signer          *signing.KeySigner
	key             signing.Key
}

func newPair(tb testing.TB, name string) pair {
	tb.Helper()
	private, public, err := signing.GenerateKeyPair([]byte("secret"))
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := signing.LoadSigner(private, []byte("secret"))
	if err != nil {
		tb.Fatal(err)
	}
	key, err := signing.ParsePublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	key.Name = name
	return pair{private, public, signer, key}
}

func mustSign(tb testing.TB, r *remote, p pair, sub signing.Subject, opts signing.SignOptions) {
	tb.Helper()
	if _, err := signing.Sign(tb.Context(), r, r, p.signer, sub, opts); err != nil {
		tb.Fatal(err)
	}
}

func mustVerify(tb testing.TB, r signing.Source, sub signing.Subject, keys ...signing.Key) *signing.Report {
	tb.Helper()
	rep, err := signing.Verify(tb.Context(), r, sub, keys, signing.Limits{Timeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	return rep
}

// wantState fails unless rep comes to state, and shows why.
func wantState(tb testing.TB, rep *signing.Report, state signing.State) {
	tb.Helper()
	if rep.State != state {
		tb.Errorf("state = %s; want %s; signatures %+v, attestations %+v, problems %q", rep.State, state, rep.Signatures, rep.Attestations, rep.Problems)
	}
}

func TestSignVerify(t *testing.T) {
	t.Parallel()
	alice, bob := newPair(t, "alice"), newPair(t, "bob")
	formats := map[string]struct {
		opts signing.SignOptions
		want []signing.Format
	}{
		"bundle": {signing.SignOptions{}, []signing.Format{signing.FormatBundle}},
		"legacy": {signing.SignOptions{NoBundle: true, Legacy: true}, []signing.Format{signing.FormatLegacySig}},
		"both":   {signing.SignOptions{Legacy: true}, []signing.Format{signing.FormatBundle, signing.FormatLegacySig}},
	}
	for kind, referrers := range registries {
		for name, f := range formats {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := newRegistry(t, referrers)
				sub := r.publish(t, "acme", "zlib", "1.3.1+rc.2")
				wantState(t, mustVerify(t, r, sub, alice.key), signing.StateUnsigned)

				first, err := signing.Sign(t.Context(), r, r, alice.signer, sub, f.opts)
				if err != nil {
					t.Fatal(err)
				}
				rep := mustVerify(t, r, sub, bob.key, alice.key)
				wantState(t, rep, signing.StateVerified)
				var got []signing.Format
				for _, s := range rep.Signatures {
					got = append(got, s.Format)
					if s.KeyName != "alice" || s.KeyFingerprint != alice.key.Fingerprint || s.Subject != "pkg:clyde/acme/zlib@1.3.1%2Brc.2" {
						t.Errorf("signature = %+v; want alice's, naming the package", s)
					}
				}
				if !slices.Equal(got, f.want) {
					t.Errorf("formats = %q; want %q", got, f.want)
				}
				wantState(t, mustVerify(t, r, sub, bob.key), signing.StateUntrusted)
				wantState(t, mustVerify(t, r, sub), signing.StateUntrusted)

				again, err := signing.Sign(t.Context(), r, r, alice.signer, sub, f.opts)
				if err != nil {
					t.Fatal(err)
				}
				for i := range first {
					if again[i].Digest != first[i].Digest {
						t.Errorf("signing again wrote %s; want %s kept", again[i].Digest, first[i].Digest)
					}
				}

				mustSign(t, r, bob, sub, f.opts)
				rep = mustVerify(t, r, sub, bob.key)
				wantState(t, rep, signing.StateVerified)
				if len(rep.Signatures) != 2*len(f.want) {
					t.Errorf("%d signatures after bob signed too; want %d", len(rep.Signatures), 2*len(f.want))
				}
			})
		}
	}
}

func TestLoadSigner(t *testing.T) {
	t.Parallel()
	p := newPair(t, "")
	tests := map[string]struct {
		pem, pass string
		code      string
	}{
		"wrong password": {string(p.private), "other", "bad_key_password"},
		"public key":     {string(p.public), "secret", "bad_key"},
		"no key":         {"hello", "", "bad_key"},
		"too large":      {string(make([]byte, signing.MaxKeyPEM+1)), "", "bad_key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := signing.LoadSigner([]byte(tt.pem), []byte(tt.pass))
			if e := clyde.AsError(err); e == nil || e.Code != tt.code || !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("LoadSigner = %v; want ErrInvalid with code %s", err, tt.code)
			}
		})
	}
}
