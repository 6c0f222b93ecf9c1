package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// policyOf asks packages of @acme for signatures by all of the signers; extra is
// further YAML of the rule.
func policyOf(extra string, by ...*keyPair) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: clyde.dev/v1\nkind: VerificationPolicy\npolicies:\n  - name: all\n    packages: [\"acme/*\"]\n    require: %d\n%s    authorities:\n", len(by), extra)
	for i, s := range by {
		fmt.Fprintf(&b, "      - name: key%d\n        key:\n          data: |\n", i+1)
		for line := range strings.Lines(string(s.Key().PEM)) {
			b.WriteString("            " + line)
		}
	}
	return b.String()
}

// ask sets the policy of @acme, and looks at everything again.
func (w *world) ask(text string) {
	w.Helper()
	if text != "" {
		p, err := policy.Parse([]byte(text))
		if err == nil {
			err = p.CheckNamespace("acme", nil)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	if err := w.db.SetSigningPolicy(w.Context(), store.SigningPolicy{Namespace: "acme", Policy: text}, store.AuditEntry{Action: "namespace.signing", Resource: "@acme"}); err != nil {
		w.Fatal(err)
	}
	if err := w.in.ReverifyNamespace(w.Context(), "acme"); err != nil {
		w.Fatal(err)
	}
}

func (w *world) standing(repo, version string) policy.Standing {
	w.Helper()
	row, err := w.db.Standing(w.Context(), repo, version)
	if err != nil {
		w.Fatal(err)
	}
	var s policy.Standing
	if err := json.Unmarshal(row.JSON, &s); err != nil {
		w.Fatal(err)
	}
	return s
}

// found is what a search for everything finds.
func (w *world) found() (keys []string) {
	w.Helper()
	res, err := w.in.Engine.Search(w.Context(), index.Query{Limit: 100, Visible: func(string) bool { return true }})
	if err != nil {
		w.Fatal(err)
	}
	for _, h := range res.Hits {
		keys = append(keys, h.Key)
	}
	return keys
}

func (w *world) state(version, want string) store.Release {
	w.Helper()
	r := w.release("acme/zlib", version)
	if r.State != want {
		w.Errorf("version %s is %s; want %s (%v)", version, r.State, want, w.standing("acme/zlib", version).Reasons)
	}
	return r
}

// A version of a namespace that asks for signatures waits, unseen, says what it
// waits for, and is there once they are; its time is that moment's.
func TestPendingUntilSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/zlib", "1.0.0")
	w.drain()
	first, second, stranger := w.signer(), w.signer(), w.signer()
	w.ask(policyOf("", first, second))
	w.state("1.0.0", "visible") // what everybody has seen stays

	d := w.publish("@acme/zlib", "2.0.0")
	w.drain()
	feed := w.feed()
	r := w.state("2.0.0", store.StatePending)
	if got := w.standing("acme/zlib", "2.0.0").Reasons; len(got) != 1 || got[0].Code != policy.Unsigned {
		t.Errorf("waits for %v", got)
	}
	p, err := w.db.Package(t.Context(), "acme/zlib")
	if err != nil || p.Latest != "1.0.0" || p.Versions != 1 {
		t.Errorf("meanwhile the package is %+v, %v", p, err)
	}
	if n, rs, err := w.db.Stats(t.Context()); n != 1 || rs != 1 || err != nil {
		t.Errorf("counted %d, %d, %v", n, rs, err)
	}
	w.sign(stranger, "@acme/zlib", "2.0.0", d, signing.SignOptions{})
	w.sign(first, "@acme/zlib", "2.0.0", d, signing.SignOptions{})
	w.drain()
	w.state("2.0.0", store.StatePending)
	if got := w.standing("acme/zlib", "2.0.0").Reasons; len(got) != 1 || got[0].Code != policy.Threshold {
		t.Errorf("with one of two it waits for %v", got)
	}
	if got := w.feed(); !slices.Equal(got, feed) {
		t.Errorf("the feed tells of what waits: %v", got)
	}
	// Nothing of it is lost with what is derived.
	if _, err := w.in.Reindex(t.Context(), w.reg); err != nil {
		t.Fatal(err)
	}
	w.state("2.0.0", store.StatePending)
	w.sign(second, "@acme/zlib", "2.0.0", d, signing.SignOptions{NoBundle: true, Legacy: true})
	w.drain()
	after := w.state("2.0.0", "visible")
	if !after.Published.After(r.Published) || after.Signed != "verified" {
		t.Errorf("released it is %s, since %s; it came %s", after.Signed, after.Published, r.Published)
	}
	if got := w.feed(); len(got) != len(feed)+1 || !strings.Contains(got[len(got)-1], "version.published") {
		t.Errorf("the feed is %v", got)
	}
	if p, err = w.db.Package(t.Context(), "acme/zlib"); err != nil || p.Latest != "2.0.0" || p.Versions != 2 {
		t.Errorf("then the package is %+v, %v", p, err)
	}
	// And it stays when the policy asks for another.
	w.ask(policyOf("", stranger))
	w.state("2.0.0", "visible")
	if _, err := w.in.Reindex(t.Context(), w.reg); err != nil {
		t.Fatal(err)
	}
	if r := w.state("2.0.0", "visible"); !r.Published.Equal(after.Published) {
		t.Errorf("rebuilt, it is there since %s, not %s", r.Published, after.Published)
	}
	if s := w.standing("acme/zlib", "1.0.0"); s.Verdict != policy.Denied {
		t.Errorf("what was seen before is %s", s.Verdict)
	}
}

// A package of which everything waits is found by nobody, and a policy that is
// taken away lets it go.
func TestPendingPackage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.ask(policyOf("", w.signer()))
	d := w.publish("@acme/zlib", "1.0.0")
	w.drain()
	if w.state("1.0.0", store.StatePending); len(w.found()) != 0 {
		t.Errorf("found %v", w.found())
	}
	h, err := w.db.Waits(t.Context(), "acme/zlib", d.String())
	if err != nil || h == nil || h.VersionKey != "1.0.0" {
		t.Errorf("waiting: %+v, %v", h, err)
	}
	if h, err := w.db.Waits(t.Context(), "acme/other", d.String()); h != nil || err != nil {
		t.Errorf("elsewhere: %+v, %v", h, err)
	}
	w.ask("")
	if w.state("1.0.0", "visible"); len(w.found()) != 1 {
		t.Errorf("found %v", w.found())
	}
	if ok, err := w.db.AnyWaits(t.Context(), "acme/zlib"); ok || err != nil {
		t.Errorf("waits still: %v, %v", ok, err)
	}
}

// What only warns, or asks for nothing, holds nothing; what is revoked counts no
// more; a key that the policy knows is judged by it alone.
func TestPolicyModes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ours := w.signer()
	w.ask(policyOf("    mode: warn\n", ours))
	d := w.publish("@acme/zlib", "1.0.0")
	w.drain()
	w.state("1.0.0", "visible")
	if s := w.standing("acme/zlib", "1.0.0"); s.Verdict != policy.Warned || len(s.Reasons) == 0 {
		t.Errorf("unsigned: %+v", s)
	}
	if err := w.db.AddKey(t.Context(), store.Key{Namespace: "acme", Name: "ours", PEM: string(ours.Key().PEM), Fingerprint: ours.Key().Fingerprint}, store.AuditEntry{Action: "key.add", Resource: "@acme"}); err != nil {
		t.Fatal(err)
	}
	w.sign(ours, "@acme/zlib", "1.0.0", d, signing.SignOptions{})
	w.drain()
	if r := w.state("1.0.0", "visible"); r.Signed != "verified" {
		t.Errorf("signed, it is %s", r.Signed)
	}
	w.ask(policyOf("", ours) + "revoked:\n  - {keyFingerprint: \"" + ours.Key().Fingerprint + "\"}\n")
	r := w.state("1.0.0", "visible")
	if s := w.standing("acme/zlib", "1.0.0"); r.Signed != "untrusted" || s.Verdict != policy.Denied || s.Reasons[0].Code != policy.RevokedPackage || len(s.Signers) != 0 {
		t.Errorf("revoked: %s %+v", r.Signed, s)
	}
}

// Trap 15: what signatures amount to is kept, by the manifest, the signatures,
// who may make them, the policy and the trusted roots. They are read again when
// one of those is another, never otherwise, and in no request.
func TestTrapVerifiedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ours := w.signer()
	d := w.publish("@acme/zlib", "1.0.0")
	w.sign(ours, "@acme/zlib", "1.0.0", d, signing.SignOptions{})
	w.drain()
	evidence := func() string {
		t.Helper()
		if err := w.in.ReverifyAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := w.db.Standing(t.Context(), "acme/zlib", "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		return s.Evidence
	}
	first := evidence()
	if again := evidence(); first == "" || again != first {
		t.Errorf("evidence %q, then %q", first, again)
	}
	seen := map[string]string{first: "at first"}
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a signature", func() { w.sign(w.signer(), "@acme/zlib", "1.0.0", d, signing.SignOptions{}); w.drain() }},
		{"a legacy one", func() {
			w.sign(w.signer(), "@acme/zlib", "1.0.0", d, signing.SignOptions{NoBundle: true, Legacy: true})
			w.drain()
		}},
		{"a policy", func() { w.ask(policyOf("", ours)) }},
		{"another", func() { w.ask(policyOf("    mode: warn\n", ours)) }},
		{"a key", func() {
			k := w.signer().Key()
			if err := w.db.AddKey(t.Context(), store.Key{Namespace: "acme", Name: "k", PEM: string(k.PEM), Fingerprint: k.Fingerprint}, store.AuditEntry{Action: "key.add", Resource: "@acme"}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		step.do()
		got := evidence()
		if was, ok := seen[got]; ok {
			t.Errorf("after %s the evidence is what it was %s", step.what, was)
		}
		seen[got] = "after " + step.what
	}
}

// A trusted root that is not there holds what comes, and takes nothing back.
func TestPendingWithoutRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ours := w.signer()
	w.ask(policyOf("", ours))
	d := w.publish("@acme/zlib", "1.0.0")
	w.sign(ours, "@acme/zlib", "1.0.0", d, signing.SignOptions{})
	w.drain()
	w.state("1.0.0", "visible")
	text := `apiVersion: clyde.dev/v1
kind: VerificationPolicy
trust: [{name: gone, trustedRoot: gone.json}]
policies:
  - name: all
    packages: ["acme/*"]
    authorities:
      - name: ci
        keyless: {trust: gone, identities: [{issuer: "https://issuer.example", subject: "https://ci.example/acme"}]}
`
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckNamespace("acme", nil); err == nil || !strings.Contains(err.Error(), "does not know the sigstore") {
		t.Errorf("a sigstore that nobody knows: %v", err)
	}
	if err := w.db.SetSigningPolicy(t.Context(), store.SigningPolicy{Namespace: "acme", Policy: text}, store.AuditEntry{Action: "namespace.signing", Resource: "@acme"}); err != nil {
		t.Fatal(err)
	}
	w.publish("@acme/zlib", "2.0.0")
	w.drain()
	w.state("2.0.0", store.StatePending)
	if got := w.standing("acme/zlib", "2.0.0").Reasons; len(got) != 1 || got[0].Code != policy.Unchecked {
		t.Errorf("waits for %v", got)
	}
	if err := w.in.ReverifyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := w.state("1.0.0", "visible"); r.Signed != "verified" {
		t.Errorf("what was found with the root is %s without it", r.Signed)
	}
}

// Fifty who sign at once lose nothing: as referrers, under the .sig tag, and
// under the tag that stands for referrers where a registry has no such API.
func TestFiftySigners(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	d := w.publish("@acme/zlib", "1.0.0")
	w.drain()
	const n = 50
	signers := make([]*keyPair, n)
	for i := range signers {
		signers[i] = w.signer()
	}
	desc, err := w.reg.Resolve(t.Context(), "acme/zlib", d.String())
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, n)
	for i, s := range signers {
		go func() {
			_, err := signing.Sign(context.WithoutCancel(t.Context()), sink{w.reg, admin}, w.reg, s, signing.Subject{
				Repo: "acme/zlib", Name: clyde.Name{Namespace: "acme", Base: "zlib"}, Version: "1.0.0", Digest: d, MediaType: desc.MediaType, Size: desc.Size,
			}, signing.SignOptions{NoBundle: i%2 == 1, Legacy: i%2 == 1})
			errs <- err
		}()
	}
	for range n {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		t.Fatal(err)
	}
	var keys []signing.Key
	for _, s := range signers {
		keys = append(keys, s.Key())
	}
	rep, err := signing.Verify(t.Context(), w.reg, signing.Subject{Repo: "acme/zlib", Digest: d}, keys, signing.Limits{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range rep.Signatures {
		if s.State == signing.StateVerified {
			seen[s.KeyFingerprint] = true
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d signatures are there", len(seen), n)
	}
}
