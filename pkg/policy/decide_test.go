package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// world is a registry with one package.
type world struct {
	oc  *artifact.Client
	sub signing.Subject
}

func newWorld(t *testing.T) world {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	oc, err := artifact.NewClient(artifact.ClientOptions{Host: strings.TrimPrefix(s.URL, "http://"), Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	w := world{oc: oc, sub: signing.Subject{Repo: "acme/zlib", Name: clyde.Name{Namespace: "acme", Base: "zlib"}, Version: "1.3.1"}}
	config := []byte("name: \"@acme/zlib\"\nversion: \"1.3.1\"\n")
	c := ocispec.Descriptor{MediaType: "application/vnd.clyde.package.config.v1+yaml", Digest: digest.FromBytes(config), Size: int64(len(config))}
	if err := oc.PutBlob(t.Context(), w.sub.Repo, c, bytes.NewReader(config)); err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifact.TypePackage, Config: c, Layers: []ocispec.Descriptor{}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := oc.PutManifest(t.Context(), w.sub.Repo, "1.3.1", ocispec.MediaTypeImageManifest, m)
	if err != nil {
		t.Fatal(err)
	}
	w.sub.Digest, w.sub.MediaType, w.sub.Size = d.Digest, d.MediaType, d.Size
	return w
}

func (w world) sign(t *testing.T, s signing.Signer) {
	t.Helper()
	if _, err := signing.Sign(t.Context(), w.oc, w.oc, s, w.sub, signing.SignOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (w world) check(t *testing.T, text string, locked ...string) *policy.Decision {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	d, err := p.Check(t.Context(), w.oc, w.sub, before(locked), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func want(t *testing.T, d *policy.Decision, v policy.Verdict, codes ...policy.Code) {
	t.Helper()
	var got []policy.Code
	for _, r := range d.Reasons {
		got = append(got, r.Code)
	}
	if d.Verdict != v || !slices.Equal(got, codes) {
		t.Errorf("verdict %s with %+v; want %s with %v", d.Verdict, d.Reasons, v, codes)
	}
	if (d.Err() != nil) != (v == policy.Denied) || d.Err() != nil && !errors.Is(d.Err(), clyde.ErrUnverified) {
		t.Errorf("Err of %s = %v", d.Verdict, d.Err())
	}
}

// rule is a policy with one rule about acme/*, of keys by name, and more lines
// of the rule and of the file.
func rule(keys map[string]string, more, tail string) string {
	var b strings.Builder
	b.WriteString(head + "policies:\n  - name: acme\n    packages: [\"acme/*\"]\n" + more + "    authorities:\n")
	for name, key := range keys {
		name, valid, _ := strings.Cut(name, " ")
		fmt.Fprintf(&b, "      - name: %s\n        key:\n          data: |\n            %s\n%s", name, key, valid)
	}
	return b.String() + tail
}

func TestCheck(t *testing.T) {
	t.Parallel()
	alice, aliceKey := newKey(t)
	bob, bobKey := newKey(t)
	both := map[string]string{"alice": aliceKey, "bob": bobKey}
	w := newWorld(t)
	want(t, w.check(t, rule(both, "", "")), policy.Denied, policy.Unsigned)
	want(t, w.check(t, rule(both, "    mode: warn\n", "")), policy.Warned, policy.Unsigned)
	want(t, w.check(t, head+"policies: [{name: a, packages: [\"acme/*\"], mode: off}]\n"), policy.Allowed)
	want(t, w.check(t, head+"policies: []\n"), policy.Denied, policy.NoRule)
	want(t, w.check(t, head+"default: warn\npolicies: []\n"), policy.Warned, policy.NoRule)
	want(t, w.check(t, head+"default: allow\npolicies: []\n"), policy.Allowed)

	w.sign(t, alice)
	d := w.check(t, rule(both, "", ""))
	want(t, d, policy.Allowed)
	if me := "key " + alice.Key().Fingerprint; !slices.Equal(d.Signers, []string{me}) || !slices.Equal(d.Matched, []string{"alice"}) {
		t.Errorf("signers %q, matched %q; want %s, alice", d.Signers, d.Matched, me)
	}
	want(t, w.check(t, rule(map[string]string{"bob": bobKey}, "", "")), policy.Denied, policy.Untrusted)
	want(t, w.check(t, rule(both, "    require: 2\n", "")), policy.Denied, policy.Threshold)

	// What is revoked counts no more, and harms nobody who does not need it.
	revoked := "revoked: [{keyFingerprint: \"" + alice.Key().Fingerprint + "\"}]\n"
	want(t, w.check(t, rule(both, "", revoked)), policy.Denied, policy.RevokedPackage)
	want(t, w.check(t, rule(both, "", "revoked: [{digest: \""+w.sub.Digest.String()+"\"}]\n")), policy.Denied, policy.RevokedPackage)

	// Once signed, always signed, by the same.
	me, other := "key "+alice.Key().Fingerprint, "key SHA256:other"
	want(t, w.check(t, rule(both, "", ""), me), policy.Allowed)
	want(t, w.check(t, rule(both, "", ""), other), policy.Denied, policy.SignerChanged)
	want(t, w.check(t, rule(map[string]string{"bob": bobKey}, "    mode: warn\n", ""), me), policy.Denied, policy.Untrusted, policy.SignerChanged)
	want(t, w.check(t, head+"default: allow\npolicies: []\n", me), policy.Denied, policy.SignerChanged)

	// A key of last year, and one of this.
	window := func(from, to int) string {
		return fmt.Sprintf("alice         validFor: {start: %d-01-01T00:00:00Z, end: %d-01-01T00:00:00Z}\n", from, to)
	}
	want(t, w.check(t, rule(map[string]string{window(2026, 2027): aliceKey}, "", "")), policy.Allowed)
	want(t, w.check(t, rule(map[string]string{window(2025, 2026): aliceKey}, "", "")), policy.Denied, policy.OutOfTime)

	w.sign(t, bob)
	want(t, w.check(t, rule(both, "    require: 2\n", "")), policy.Allowed)
	want(t, w.check(t, rule(both, "", revoked)), policy.Allowed)
	want(t, w.check(t, rule(both, "    require: 2\n", revoked)), policy.Denied, policy.RevokedPackage, policy.Threshold)
}

// A required attestation is of the right type, by the right authority, about a
// build by the right builder.
func TestCheckAttestations(t *testing.T) {
	t.Parallel()
	alice, aliceKey := newKey(t)
	bob, bobKey := newKey(t)
	w := newWorld(t)
	w.sign(t, alice)
	const slsa = "https://slsa.dev/provenance/v1"
	asks := func(more string) string {
		return rule(map[string]string{"alice": aliceKey, "bob": bobKey}, "    attestations: [{predicateType: \""+slsa+"\""+more+"}]\n", "")
	}
	want(t, w.check(t, asks("")), policy.Denied, policy.NoAttestation)
	attest := func(s signing.Signer, typ, builder string) {
		t.Helper()
		if _, err := signing.Attest(t.Context(), w.oc, w.oc, s, []signing.Subject{w.sub}, typ, fmt.Appendf(nil, `{"runDetails":{"builder":{"id":%q}}}`, builder)); err != nil {
			t.Fatal(err)
		}
	}
	attest(alice, "https://slsa.dev/other/v1", "hosted")
	want(t, w.check(t, asks("")), policy.Denied, policy.NoAttestation)
	attest(bob, slsa, "hosted")
	want(t, w.check(t, asks("")), policy.Allowed)
	want(t, w.check(t, asks(", authorities: [alice]")), policy.Denied, policy.NoAttestation)
	want(t, w.check(t, asks(", builder: [hosted]")), policy.Allowed)
	want(t, w.check(t, asks(", builder: [laptop]")), policy.Denied, policy.NoAttestation)
	// Attestations alone sign nothing.
	want(t, w.check(t, rule(map[string]string{"bob": bobKey}, "", "")), policy.Denied, policy.Untrusted)
}

// A registry that does not answer is no verdict.
func TestCheckUnavailable(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	w := newWorld(t)
	p, err := policy.Parse([]byte(rule(map[string]string{"alice": key}, "", "")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := p.Check(ctx, w.oc, w.sub, nil, time.Now()); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("Check = %+v, %v; want ErrUnavailable", d, err)
	}
}

// Trap 5: a signature that was taken away is no package that never had one: the
// default refuses, and the lock file remembers.
func TestTrapStripping(t *testing.T) {
	t.Parallel()
	alice, key := newKey(t)
	stripped := newWorld(t)
	me := "key " + alice.Key().Fingerprint
	keys := map[string]string{"alice": key}
	want(t, stripped.check(t, rule(keys, "", "")), policy.Denied, policy.Unsigned)
	want(t, stripped.check(t, rule(keys, "    mode: warn\n", "")), policy.Warned, policy.Unsigned)
	want(t, stripped.check(t, rule(keys, "    mode: warn\n", ""), me), policy.Denied, policy.Unsigned, policy.SignerChanged)
	want(t, stripped.check(t, head+"policies: [{name: a, packages: [\"acme/*\"], mode: off}]\n", me), policy.Denied, policy.SignerChanged)
}

// Where nobody is known who could have signed, the reason does not name an
// empty list.
func TestNobodyCounts(t *testing.T) {
	t.Parallel()
	d, err := policy.Of().Check(t.Context(), newWorld(t).oc, newWorld(t).sub, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want(t, d, policy.Denied, policy.Unsigned)
	if got := d.Reasons[0].Text; got != "it is not signed, and no key is known that could have" {
		t.Errorf("reason %q", got)
	}
}

// Trap 12: two names for one person do not make two.
func TestTrapOnePersonTwoNames(t *testing.T) {
	t.Parallel()
	alice, _ := newKey(t)
	w := newWorld(t)
	w.sign(t, alice)
	k := alice.Key()
	p := policy.Of(signing.Authority{Name: "a", Key: &k}, signing.Authority{Name: "b", Key: &k})
	p.Rules[0].Require = 2
	d, err := p.Check(t.Context(), w.oc, w.sub, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want(t, d, policy.Denied, policy.Threshold)
}

func before(signers []string) *policy.Before {
	if len(signers) == 0 {
		return nil
	}
	return &policy.Before{Signers: signers}
}
