package signing_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/signing/sigstoretest"
)

// wholeStack is the one sigstore that the tests of this package share.
var wholeStack struct {
	once  sync.Once
	stack *sigstoretest.Stack
	dir   string
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if s := wholeStack.stack; s != nil {
		s.Close()
		_ = os.RemoveAll(wholeStack.dir)
	}
	os.Exit(code)
}

// needStack returns a running sigstore.
func needStack(t *testing.T) *sigstoretest.Stack {
	t.Helper()
	tools := toolchaintest.Tools(t, sigstoretest.Tools...)
	w := &wholeStack
	w.once.Do(func() {
		if w.dir, w.err = os.MkdirTemp("", "clyde-sigstore"); w.err != nil {
			return
		}
		w.stack, w.err = sigstoretest.Start(context.WithoutCancel(t.Context()), tools, w.dir)
	})
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w.stack
}

func stackTrust(t *testing.T, s *sigstoretest.Stack) *signing.Trust {
	t.Helper()
	tr, err := signing.TrustFromJSON("test", s.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// stackSigner signs as whom the claims are about.
func stackSigner(t *testing.T, s *sigstoretest.Stack, i *sigstoretest.Issuer, claims map[string]any) *signing.KeylessSigner {
	t.Helper()
	services, err := signing.ParseServices(s.SigningConfig)
	if err != nil {
		t.Fatal(err)
	}
	token, err := i.Token(claims)
	if err != nil {
		t.Fatal(err)
	}
	k, err := signing.NewKeyless(services, stackTrust(t, s), token)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keyless is an authority with one identity.
func keyless(name string, tr *signing.Trust, i signing.Identity) signing.Authority {
	return signing.Authority{Name: name, Trust: tr, TransparencyLog: 1, Timestamps: 1, Keyless: &signing.Keyless{Identities: []signing.Identity{i}}}
}

func verifyBy(t *testing.T, r signing.Source, sub signing.Subject, list ...signing.Authority) *signing.Report {
	t.Helper()
	rep, err := signing.VerifyBy(t.Context(), r, sub, list, signing.Limits{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// The whole of it starts in the time that a developer waits for.
func TestSigstoreStarts(t *testing.T) {
	t.Parallel()
	needStack(t)
	if most := 15 * time.Second; wholeStack.stack.Took > most {
		t.Errorf("the stack took %s to start; want at most %s", wholeStack.stack.Took, most)
	}
	t.Logf("started in %s", wholeStack.stack.Took)
}

// Somebody and a workflow sign without a key; who it was, when, and where it is
// logged comes back proven, and nobody else counts.
func TestSigstoreKeyless(t *testing.T) {
	t.Parallel()
	s := needStack(t)
	tr := stackTrust(t, s)
	for kind, referrers := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, referrers)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			alice := stackSigner(t, s, s.People, sigstoretest.Person("alice@example.com"))
			if _, err := signing.Sign(t.Context(), r, r, alice, sub, signing.SignOptions{}); err != nil {
				t.Fatal(err)
			}
			run := stackSigner(t, s, s.Actions, sigstoretest.Workflow(nil))
			if _, err := signing.Sign(t.Context(), r, r, run, sub, signing.SignOptions{}); err != nil {
				t.Fatal(err)
			}
			workflow := signing.Identity{
				Issuer:        s.Actions.URL,
				SubjectRegExp: `https://github\.com/acme/zlib/\.github/workflows/release\.yml@refs/tags/v.*`,
				Extensions:    map[string]string{"sourceRepositoryOwnerIdentifier": "123456", "sourceRepositoryIdentifier": "456789"},
			}
			rep := verifyBy(t, r, sub,
				keyless("alice", tr, signing.Identity{Issuer: s.People.URL, Subject: "alice@example.com"}), keyless("workflow", tr, workflow))
			wantState(t, rep, signing.StateVerified)
			seen := map[string]bool{}
			for _, x := range rep.Signatures {
				if x.State != signing.StateVerified || len(x.Authorities) != 1 || x.Certificate == nil || len(x.Logs) != 1 || len(x.Times) == 0 {
					t.Errorf("signature = %+v; want it verified, with one authority, certificate, log entry and time", x)
					continue
				}
				seen[x.Authorities[0]] = true
				if x.Logs[0].URL != s.Rekor {
					t.Errorf("log = %+v; want %s", x.Logs[0], s.Rekor)
				}
				if x.Authorities[0] == "workflow" {
					if got, want := x.Certificate.Extensions["runInvocationURI"], "https://github.com/acme/zlib/actions/runs/987654321/attempts/1"; got != want {
						t.Errorf("run = %q; want %q", got, want)
					}
				}
			}
			if !seen["alice"] || !seen["workflow"] {
				t.Errorf("authorities = %v; want alice and workflow", seen)
			}
			// The name was taken over by somebody with other numbers.
			workflow.Extensions = map[string]string{"sourceRepositoryOwnerIdentifier": "999"}
			rep = verifyBy(t, r, sub, keyless("workflow", tr, workflow))
			wantState(t, rep, signing.StateUntrusted)
			wantState(t, verifyBy(t, r, sub, keyless("bob", tr, signing.Identity{Issuer: s.People.URL, Subject: "bob@example.com"})), signing.StateUntrusted)
			// An issuer that vouches for the same address is another one.
			wantState(t, verifyBy(t, r, sub, keyless("alice", tr, signing.Identity{Issuer: s.Actions.URL, Subject: "alice@example.com"})), signing.StateUntrusted)
		})
	}
}

// A release with its builds is one signature, one certificate, one log entry.
func TestSigstoreBulk(t *testing.T) {
	t.Parallel()
	s := needStack(t)
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	subs := []signing.Subject{sub}
	for i := range 30 {
		d := r.attach(t, sub, "application/vnd.clyde.build.v1", r.blob(t, sub.Repo, "application/vnd.clyde.build.layer", fmt.Appendf(nil, "build %d", i)))
		b := sub
		b.Digest, b.MediaType, b.Size = d.Digest, d.MediaType, d.Size
		subs = append(subs, b)
	}
	k := stackSigner(t, s, s.Actions, sigstoretest.Workflow(nil))
	start := time.Now()
	if _, err := signing.SignAll(t.Context(), r, r, k, subs, signing.SignOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("signed %d manifests in %s", len(subs), time.Since(start))
	index := int64(-1)
	for _, sub := range subs {
		rep := verifyBy(t, r, sub, *k.Authority())
		wantState(t, rep, signing.StateVerified)
		if got := rep.Signatures[0].Logs[0].Index; index >= 0 && got != index {
			t.Errorf("log entries %d and %d; want one for all", index, got)
		} else {
			index = got
		}
	}
	predicate := []byte(`{"buildDefinition":{"buildType":"https://example.com/build"},"runDetails":{"builder":{"id":"https://github.com/actions/runner/github-hosted"}}}`)
	if _, err := signing.Attest(t.Context(), r, r, k, subs, "https://slsa.dev/provenance/v1", predicate); err != nil {
		t.Fatal(err)
	}
	rep := verifyBy(t, r, subs[7], *k.Authority())
	if len(rep.Attestations) != 1 || rep.Attestations[0].PredicateType != "https://slsa.dev/provenance/v1" || rep.Attestations[0].State != signing.StateVerified {
		t.Errorf("attestations = %+v; want one, verified, of provenance", rep.Attestations)
	}
	if len(rep.Signatures) != 1 {
		t.Errorf("%d signatures; want 1: an attestation is none", len(rep.Signatures))
	}
}

// Real cosign verifies ours, and we verify what it makes, without a key.
func TestSigstoreCosign(t *testing.T) {
	t.Parallel()
	s := needStack(t)
	tr := stackTrust(t, s)
	alice := keyless("alice", tr, signing.Identity{Issuer: s.People.URL, Subject: "alice@example.com"})
	for kind, referrers := range registries {
		for _, major := range []string{"v2", "v3"} {
			t.Run(major+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := needCosign(t, major)
				c.write(t, "root.json", s.TrustedRoot)
				c.write(t, "signing.json", s.SigningConfig)
				r := newRegistry(t, referrers)
				sub := r.publish(t, "acme", "zlib", "1.3.1")
				k := stackSigner(t, s, s.People, sigstoretest.Person("alice@example.com"))
				if _, err := signing.Sign(t.Context(), r, r, k, sub, signing.SignOptions{}); err != nil {
					t.Fatal(err)
				}
				verify := func(who string) (string, error) {
					args := []string{"verify", "--allow-http-registry", "--trusted-root", "root.json", "--certificate-identity", who, "--certificate-oidc-issuer", s.People.URL}
					if major == "v2" {
						args = append(args, "--use-signed-timestamps")
					}
					return c.try(t, append(args, ref(r, sub))...)
				}
				if out, err := verify("alice@example.com"); err != nil {
					t.Errorf("cosign verify of ours: %v\n%s", err, out)
				}
				if out, err := verify("bob@example.com"); err == nil {
					t.Errorf("cosign verify of ours as bob succeeds:\n%s", out)
				}
				// The old format, too: where the log promises nothing, whoever
				// checks it asks for no log.
				if major == "v2" {
					old := r.publish(t, "acme", "old", "1.3.1")
					if _, err := signing.Sign(t.Context(), r, r, k, old, signing.SignOptions{NoBundle: true, Legacy: true}); err != nil {
						t.Fatal(err)
					}
					c.run(t, "verify", "--allow-http-registry", "--trusted-root", "root.json", "--use-signed-timestamps", "--insecure-ignore-tlog",
						"--certificate-identity", "alice@example.com", "--certificate-oidc-issuer", s.People.URL, ref(r, old))
					unlogged := alice
					unlogged.TransparencyLog = 0
					wantState(t, verifyBy(t, r, old, unlogged), signing.StateVerified)
					wantState(t, verifyBy(t, r, old, alice), signing.StateUntrusted)
				}
				if major == "v2" {
					return // it writes entries of a kind that this log takes no more
				}
				theirs := r.publish(t, "acme", "theirs", "1.3.1")
				token, err := s.People.Token(sigstoretest.Person("alice@example.com"))
				if err != nil {
					t.Fatal(err)
				}
				c.write(t, "alice.tok", []byte(token))
				c.write(t, "scan.json", []byte(`{"result":"PASS"}`))
				sign := []string{"--signing-config", "signing.json", "--trusted-root", "root.json", "--identity-token", "alice.tok", "-y", "--allow-http-registry"}
				c.run(t, append(append([]string{"sign"}, sign...), ref(r, theirs))...)
				c.run(t, append(append([]string{"attest", "--predicate", "scan.json", "--type", "https://example.com/scan-result/v1"}, sign...), ref(r, theirs))...)
				rep := verifyBy(t, r, theirs, alice)
				wantState(t, rep, signing.StateVerified)
				if len(rep.Attestations) != 1 || rep.Attestations[0].State != signing.StateVerified {
					t.Errorf("attestations = %+v; want one, verified", rep.Attestations)
				}
				// The same objects under another name and an older version.
				for _, moved := range []signing.Subject{
					{Repo: theirs.Repo, Name: clyde.Name{Namespace: "evil", Base: "theirs"}, Version: "1.3.1", Digest: theirs.Digest},
					{Repo: theirs.Repo, Name: theirs.Name, Version: "1.4.0", Digest: theirs.Digest},
				} {
					if rep := verifyBy(t, r, moved, alice); rep.State == signing.StateVerified {
						t.Errorf("cosign's signature counts for %s", moved.PURL())
					}
				}
			})
		}
	}
}

// A root of another sigstore proves nothing, and a signer says so at once.
func TestSigstoreOtherRoot(t *testing.T) {
	t.Parallel()
	s := needStack(t)
	other := strings.Replace(string(s.TrustedRoot), `"ctlogs"`, `"ignored"`, 1)
	if _, err := signing.TrustFromJSON("other", []byte(other)); err == nil {
		t.Error("a trusted root with an unknown member is read")
	}
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	services, err := signing.ParseServices(s.SigningConfig)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := signing.TrustFromJSON("empty", []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.People.Token(sigstoretest.Person("alice@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signing.NewKeyless(services, empty, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Sign(t.Context(), r, r, k, sub, signing.SignOptions{}); !errors.Is(err, clyde.ErrUnverified) {
		t.Errorf("Sign with the trusted root of another sigstore = %v; want ErrUnverified", err)
	}
	wantState(t, mustVerify(t, r, sub), signing.StateUnsigned)
}
