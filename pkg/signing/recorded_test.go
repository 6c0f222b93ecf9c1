package signing_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/signing/sigstoretest"
)

var update = flag.Bool("update", false, "record testdata/recorded anew, with the programs of `make test/sigstore`")

// recordedDir holds signatures that real programs made against a real sigstore,
// with its trusted root: they verify for as long as the code is right.
const recordedDir = "testdata/recorded"

// recording says what was recorded.
type recording struct {
	People  string                     `json:"people"`  // issuer
	Actions string                     `json:"actions"` // issuer
	Key     string                     `json:"key"`     // PEM
	Made    map[string]signing.Subject `json:"made"`    // by who made it how
}

// makers are the ways a signature is made, as the matrix of formats has them.
func makers(t *testing.T, s *sigstoretest.Stack, p pair) map[string]func(t *testing.T, r *remote, sub signing.Subject) {
	t.Helper()
	byCosign := func(major string, args ...string) func(*testing.T, *remote, signing.Subject) {
		return func(t *testing.T, r *remote, sub signing.Subject) {
			t.Helper()
			c := needCosign(t, major)
			token, err := s.People.Token(sigstoretest.Person("alice@example.com"))
			ck(t, err)
			c.write(t, "alice.tok", []byte(token))
			c.write(t, "root.json", s.TrustedRoot)
			c.write(t, "signing.json", s.SigningConfig)
			c.write(t, "team.key", p.private)
			c.write(t, "scan.json", []byte(`{"result":"PASS"}`))
			c.run(t, "signing-config", "create", "--out", "none.json")
			c.run(t, append(append(args, "--allow-http-registry"), ref(r, sub))...)
		}
	}
	keyless := []string{"--signing-config", "signing.json", "--trusted-root", "root.json", "--identity-token", "alice.tok"}
	return map[string]func(*testing.T, *remote, signing.Subject){
		"ours-key": func(t *testing.T, r *remote, sub signing.Subject) { mustSign(t, r, p, sub, signing.SignOptions{}) },
		"ours-key-legacy": func(t *testing.T, r *remote, sub signing.Subject) {
			mustSign(t, r, p, sub, signing.SignOptions{NoBundle: true, Legacy: true})
		},
		"ours-person": func(t *testing.T, r *remote, sub signing.Subject) {
			_, err := signing.Sign(t.Context(), r, r, stackSigner(t, s, s.People, sigstoretest.Person("alice@example.com")), sub, signing.SignOptions{})
			ck(t, err)
		},
		"ours-workflow": func(t *testing.T, r *remote, sub signing.Subject) {
			_, err := signing.Sign(t.Context(), r, r, stackSigner(t, s, s.Actions, sigstoretest.Workflow(nil)), sub, signing.SignOptions{})
			ck(t, err)
		},
		"v2-key-legacy": byCosign("v2", "sign", "--key", "team.key", "--tlog-upload=false"),
		"v2-key-bundle": byCosign("v2", "sign", "--key", "team.key", "--tlog-upload=false", "--new-bundle-format"),
		"v2-key-config": byCosign("v2", "sign", "--key", "team.key", "--signing-config", "none.json", "--new-bundle-format"),
		"v3-key-legacy": byCosign("v3", "sign", "--key", "team.key", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"),
		"v3-key-bundle": byCosign("v3", "sign", "--key", "team.key", "--signing-config", "none.json"),
		"v3-person":     byCosign("v3", append([]string{"sign"}, keyless...)...),
		"v3-attest":     byCosign("v3", append([]string{"attest", "--predicate", "scan.json", "--type", "https://example.com/scan-result/v1"}, keyless...)...),
		"v2-attest-key": byCosign("v2", "attest", "--key", "team.key", "--tlog-upload=false", "--predicate", "scan.json", "--type", "https://example.com/scan-result/v1"),
	}
}

// checkMade verifies what a maker made, and that it counts for nobody else.
func checkMade(t *testing.T, how string, src signing.Source, sub signing.Subject, list []signing.Authority) {
	t.Helper()
	rep := verifyBy(t, src, sub, list...)
	results, want := rep.Signatures, signing.StateVerified
	if attested := how == "v3-attest" || how == "v2-attest-key"; attested {
		results, want = rep.Attestations, signing.StateUnsigned
	}
	wantState(t, rep, want)
	if len(results) != 1 || results[0].State != signing.StateVerified || len(results[0].Authorities) != 1 {
		t.Errorf("%s: %+v; want one, verified, by one authority", how, results)
		return
	}
	for _, a := range list {
		if a.Name == results[0].Authorities[0] {
			continue
		}
		other := verifyBy(t, src, sub, a)
		for _, x := range append(other.Signatures, other.Attestations...) {
			if x.State == signing.StateVerified {
				t.Errorf("%s counts for %s", how, a.Name)
			}
		}
	}
	moved := sub
	moved.Version = "9.9.9"
	if verifyBy(t, src, moved, list...).State == signing.StateVerified {
		t.Errorf("%s counts for another version", how)
	}
}

func authorities(tr *signing.Trust, people, actions string, k signing.Key) []signing.Authority {
	return []signing.Authority{
		keyless("alice", tr, signing.Identity{Issuer: people, Subject: "alice@example.com"}),
		keyless("workflow", tr, signing.Identity{
			Issuer: actions, SubjectRegExp: `https://github\.com/acme/zlib/\.github/workflows/release\.yml@refs/tags/v.*`,
			Extensions: map[string]string{"sourceRepositoryOwnerIdentifier": "123456"},
		}),
		{Name: "team", Key: &k},
	}
}

// TestSigstoreMatrix makes signatures in every way, against both kinds of
// registry, and verifies them; with -update it records them.
func TestSigstoreMatrix(t *testing.T) {
	t.Parallel()
	s := needStack(t)
	p := newPair(t, "team")
	list := authorities(stackTrust(t, s), s.People.URL, s.Actions.URL, p.key)
	for kind, referrers := range registries {
		r := newRegistry(t, referrers)
		rec := recording{People: s.People.URL, Actions: s.Actions.URL, Key: string(p.public), Made: map[string]signing.Subject{}}
		for how, sign := range makers(t, s, p) {
			sub := r.publish(t, "acme", how, "1.3.1")
			rec.Made[how] = sub
			t.Run(kind+"/"+how, func(t *testing.T) {
				sign(t, r, sub)
				checkMade(t, how, r, sub, list)
			})
		}
		if *update && referrers && !t.Failed() {
			record(t, r, s, rec)
		}
	}
}

func record(t *testing.T, r *remote, s *sigstoretest.Stack, rec recording) {
	t.Helper()
	ck(t, os.RemoveAll(recordedDir))
	a, err := signing.CreateArchive(recordedDir)
	ck(t, err)
	for _, sub := range rec.Made {
		ck(t, signing.Fetch(t.Context(), a.Record("recorded", r), sub))
	}
	ck(t, a.Close())
	b, err := json.MarshalIndent(rec, "", "  ")
	ck(t, err)
	ck(t, os.WriteFile(filepath.Join(recordedDir, "recording.json"), append(b, '\n'), 0o644))
	ck(t, os.WriteFile(filepath.Join(recordedDir, "trusted_root.json"), s.TrustedRoot, 0o644))
}

// What was recorded verifies, with no program and no network.
func TestRecorded(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(recordedDir, "recording.json"))
	ck(t, err)
	var rec recording
	ck(t, json.Unmarshal(b, &rec))
	tr, err := signing.TrustFromFile("recorded", filepath.Join(recordedDir, "trusted_root.json"))
	ck(t, err)
	k, err := signing.ParsePublicKey([]byte(rec.Key))
	ck(t, err)
	a, err := signing.OpenArchive(recordedDir)
	ck(t, err)
	if len(rec.Made) < 12 {
		t.Errorf("%d recordings; want one of each way to sign", len(rec.Made))
	}
	for how, sub := range rec.Made {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			checkMade(t, how, a.At("recorded"), sub, authorities(tr, rec.People, rec.Actions, k))
		})
	}
}
