package signing_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

const (
	bundleType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	signType          = "https://sigstore.dev/cosign/sign/v1"
	scanType          = "https://example.com/scan-result/v1"
)

// statement is an in-toto statement over d.
func statement(predicateType, name string, d digest.Digest) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":%q,"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		name, d.Encoded(), predicateType)
}

// signed returns a bundle by p over a statement.
func signed(tb testing.TB, p pair, st []byte) []byte {
	tb.Helper()
	b, err := p.signer.SignStatement(tb.Context(), st)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// attachBundle makes data a referrer of sub, as cosign stores bundles.
func attachBundle(tb testing.TB, r *remote, sub signing.Subject, data []byte) ocispec.Descriptor {
	tb.Helper()
	return r.attach(tb, sub, bundleType, r.blob(tb, sub.Repo, bundleType, data))
}

// Trap 1: a signed statement of another kind says something else than "I
// published this", and is no signature whatever its annotations claim.
func TestTrapAttestationIsNoSignature(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	for kind, referrers := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, referrers)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			layer := r.blob(t, sub.Repo, bundleType, signed(t, alice, statement(scanType, "", sub.Digest)))
			layer.Annotations = map[string]string{"dev.sigstore.bundle.predicateType": signType}
			r.attach(t, sub, bundleType, layer)
			rep := mustVerify(t, r, sub, alice.key)
			wantState(t, rep, signing.StateUnsigned)
			if len(rep.Attestations) != 1 || rep.Attestations[0].State != signing.StateVerified || rep.Attestations[0].PredicateType != scanType {
				t.Errorf("attestations = %+v; want one, verified, of type %s", rep.Attestations, scanType)
			}
		})
	}
}

// Trap 2: what a stranger attaches neither hides a signature nor makes one.
func TestTrapStrangerNeitherHidesNorAdds(t *testing.T) {
	t.Parallel()
	alice, mallory := newPair(t, "alice"), newPair(t, "mallory")
	strangers := map[string]struct {
		attach func(t *testing.T, r *remote, sub signing.Subject)
		alone  signing.State
	}{
		"own signature": {func(t *testing.T, r *remote, sub signing.Subject) {
			mustSign(t, r, mallory, sub, signing.SignOptions{Legacy: true})
		}, signing.StateUntrusted},
		"own attestation": {func(t *testing.T, r *remote, sub signing.Subject) {
			attachBundle(t, r, sub, signed(t, mallory, statement(scanType, "", sub.Digest)))
		}, signing.StateUnsigned},
		"rubbish": {func(t *testing.T, r *remote, sub signing.Subject) {
			attachBundle(t, r, sub, []byte("rubbish"))
		}, signing.StateInvalid},
		"claims alice's key": {func(t *testing.T, r *remote, sub signing.Subject) {
			forged := signed(t, mallory, statement(signType, sub.PURL(), sub.Digest))
			forged = bytes.ReplaceAll(forged, []byte(hint(t, mallory)), []byte(hint(t, alice)))
			attachBundle(t, r, sub, forged)
		}, signing.StateInvalid},
		"wrong size": {func(t *testing.T, r *remote, sub signing.Subject) {
			layer := r.blob(t, sub.Repo, bundleType, signed(t, mallory, statement(signType, "", sub.Digest)))
			layer.Size += 7
			r.attach(t, sub, bundleType, layer)
		}, signing.StateInvalid},
		"missing layer": {func(t *testing.T, r *remote, sub signing.Subject) {
			r.attach(t, sub, bundleType, ocispec.Descriptor{MediaType: bundleType, Digest: digest.FromString("nothing"), Size: 7})
		}, signing.StateInvalid},
		"an SBOM": {func(t *testing.T, r *remote, sub signing.Subject) {
			r.attach(t, sub, "application/spdx+json", r.blob(t, sub.Repo, "application/spdx+json", []byte("{}")))
		}, signing.StateUnsigned},
	}
	formats := map[string]signing.SignOptions{"legacy": {NoBundle: true, Legacy: true}, "bundle": {}}
	for name, s := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, true)
			alone := r.publish(t, "acme", "alone", "1.0.0")
			s.attach(t, r, alone)
			wantState(t, mustVerify(t, r, alone, alice.key), s.alone)
			for format, opts := range formats {
				sub := r.publish(t, "acme", format, "1.0.0")
				mustSign(t, r, alice, sub, opts)
				s.attach(t, r, sub)
				wantState(t, mustVerify(t, r, sub, alice.key), signing.StateVerified)
			}
		})
	}
}

// hint is how a bundle names p's key.
func hint(tb testing.TB, p pair) string {
	tb.Helper()
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(p.key.Fingerprint, "SHA256:"))
	if err != nil {
		tb.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// counting counts the bytes that leave a Source.
type counting struct {
	*remote
	bytes atomic.Int64
}

func (c *counting) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := c.remote.Blob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	return &countingReader{rc, c}, nil
}

type countingReader struct {
	io.ReadCloser
	c *counting
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.c.bytes.Add(int64(n))
	return n, err
}

// bombMemory bounds what checking one package may hold at once, in bytes,
// whatever lies in the registry.
const bombMemory = 64 << 20

// highWater watches how many bytes the heap holds until the function that it
// returns is called, which says the most.
func highWater(t *testing.T) func() uint64 {
	t.Helper()
	const name = "/memory/classes/heap/objects:bytes"
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var high uint64
		sample := []metrics.Sample{{Name: name}}
		for {
			metrics.Read(sample)
			high = max(high, sample[0].Value.Uint64())
			select {
			case <-stop:
				most <- high
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(stop); return <-most }
}

// Trap 3: a layer that would unpack to gigabytes is read as it is stored, up to
// the limit, and hides nothing.
func TestTrapBomb(t *testing.T) { // not parallel: it measures memory
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, alice, sub, signing.SignOptions{Legacy: true})
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	for range 64 { // 64 MiB in 64 KiB
		if _, err := zw.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	attachBundle(t, r, sub, bomb.Bytes())
	r.attach(t, sub, bundleType, r.blob(t, sub.Repo, bundleType+"+gzip", bomb.Bytes()))
	for i := range 40 { // of a size that is read, and more in sum than is read
		data := bytes.Repeat([]byte{byte(i)}, signing.MaxBlob)
		attachBundle(t, r, sub, data)
	}
	attachBundle(t, r, sub, make([]byte, 8<<20))

	src := &counting{remote: r}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	// What is held at once, as often as the collector looks: the registry of this
	// test is in it, too.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	peak := highWater(t)
	rep := mustVerify(t, src, sub, alice.key)
	most := peak()
	runtime.ReadMemStats(&after)
	wantState(t, rep, signing.StateVerified)
	if held := int64(most) - int64(before.HeapAlloc); held > bombMemory {
		t.Errorf("held %d MiB; want at most %d", held>>20, bombMemory>>20)
	}
	if n := src.bytes.Load(); n > signing.MaxTotal {
		t.Errorf("read %d bytes of layers; the limit is %d", n, signing.MaxTotal)
	}
	// io.ReadAll allocates about three times what it returns, the registry in
	// this process as much again, and parsing once more.
	if n := after.TotalAlloc - before.TotalAlloc; n > 12*signing.MaxTotal {
		t.Errorf("allocated %d MiB in all; want at most %d", n>>20, 12*signing.MaxTotal>>20)
	}
}

// copyTo copies a manifest with its signatures to another package, as anybody
// who may push there can.
func copyTo(t *testing.T, r *remote, from signing.Subject, namespace, base, version string) signing.Subject {
	t.Helper()
	to := from
	to.Name = clyde.Name{Namespace: namespace, Base: base}
	to.Repo, to.Version = to.Name.Repo(), version
	hexTag := "sha256-" + from.Digest.Encoded()
	referrers, err := r.Referrers(t.Context(), from.Repo, from.Digest)
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]string{from.Digest.String(): version, hexTag + ".sig": hexTag + ".sig"}
	for _, d := range referrers {
		refs[d.Digest.String()] = d.Digest.String()
	}
	for ref, as := range refs {
		d, err := r.Resolve(t.Context(), from.Repo, ref)
		if errors.Is(err, clyde.ErrNotFound) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		payload, mediaType, err := r.Manifest(t.Context(), from.Repo, d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		for _, l := range append(m.Layers, m.Config) {
			rc, err := r.Blob(t.Context(), from.Repo, l)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.PutBlob(t.Context(), to.Repo, l, rc); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.PutManifest(t.Context(), to.Repo, as, mediaType, payload); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// Trap 4: a signature is for one package and version, and goes nowhere else.
func TestTrapNameReplay(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	for format, opts := range map[string]signing.SignOptions{"bundle": {}, "legacy": {NoBundle: true, Legacy: true}} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, true)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			mustSign(t, r, alice, sub, opts)
			wantState(t, mustVerify(t, r, copyTo(t, r, sub, "acme", "zlib", "1.3.1"), alice.key), signing.StateVerified)
			wantState(t, mustVerify(t, r, copyTo(t, r, sub, "evil", "openssl", "3.0.0"), alice.key), signing.StateInvalid)
			wantState(t, mustVerify(t, r, copyTo(t, r, sub, "acme", "zlib", "2.0.0"), alice.key), signing.StateInvalid)
			rep := mustVerify(t, r, copyTo(t, r, sub, "acme", "zlib-ng", "1.3.1"), alice.key)
			wantState(t, rep, signing.StateInvalid)
			if s := rep.Signatures[0]; s.Subject != "pkg:clyde/acme/zlib@1.3.1" || !strings.Contains(s.Reason, "pkg:clyde/acme/zlib-ng@1.3.1") {
				t.Errorf("signature = %+v; want a reason that names both packages", s)
			}
		})
	}
}

// moving is a Source whose tags change between two reads.
type moving struct {
	*remote
	resolved atomic.Int64
}

func (m *moving) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	if !strings.HasPrefix(ref, "sha256-") && !strings.HasPrefix(ref, "sha256:") {
		m.resolved.Add(1)
	}
	return m.remote.Resolve(ctx, repo, ref)
}

// Trap 9: a digest is checked, never a tag that may move in between.
func TestTrapTagIsNeverResolved(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, alice, sub, signing.SignOptions{Legacy: true})
	other := r.manifest(t, sub.Repo, "1.3.1", ocispec.Manifest{ArtifactType: "application/vnd.example"}) // the tag moves
	src := &moving{remote: r}
	rep := mustVerify(t, src, sub, alice.key)
	wantState(t, rep, signing.StateVerified)
	if n := src.resolved.Load(); n != 0 || rep.Digest != sub.Digest {
		t.Errorf("resolved %d tags, verified %s; want none, %s", n, rep.Digest, sub.Digest)
	}
	moved := sub
	moved.Digest, moved.Size = other.Digest, other.Size
	wantState(t, mustVerify(t, src, moved, alice.key), signing.StateUnsigned)
}

// Trap 10: lists and tags are written by clients. What they point at is asked
// for its subject, and what it signs for its digest.
func TestTrapListsAreHints(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, false)
	signedSub := r.publish(t, "acme", "zlib", "1.0.0")
	mustSign(t, r, alice, signedSub, signing.SignOptions{Legacy: true})
	list, err := r.Referrers(t.Context(), signedSub.Repo, signedSub.Digest)
	if err != nil || len(list) != 1 {
		t.Fatalf("referrers = %v, %v; want one", list, err)
	}

	sub := r.publish(t, "acme", "zlib", "1.0.1")
	r.index(t, sub, list...) // another manifest's referrer, listed here
	rep := mustVerify(t, r, sub, alice.key)
	wantState(t, rep, signing.StateUnsigned)
	if len(rep.Signatures) != 0 {
		t.Errorf("signatures = %+v; want none: its subject is another manifest", rep.Signatures)
	}

	// The tag .sig has no subject field: the signed bytes must name the digest.
	old, err := r.Resolve(t.Context(), sub.Repo, "sha256-"+signedSub.Digest.Encoded()+".sig")
	if err != nil {
		t.Fatal(err)
	}
	payload, mediaType, err := r.Manifest(t.Context(), sub.Repo, old.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutManifest(t.Context(), sub.Repo, "sha256-"+sub.Digest.Encoded()+".sig", mediaType, payload); err != nil {
		t.Fatal(err)
	}
	wantState(t, mustVerify(t, r, sub, alice.key), signing.StateInvalid)

	// A list that lies about size and type does not hide what it lists.
	good := list[0]
	good.Size, good.ArtifactType = 1<<40, "application/spdx+json"
	r.index(t, signedSub, good,
		ocispec.Descriptor{MediaType: "application/vnd.example", Digest: digest.FromString("gone"), Size: 3})
	rep = mustVerify(t, r, signedSub, alice.key)
	wantState(t, rep, signing.StateVerified)
	if len(rep.Signatures) != 2 || len(rep.Problems) != 1 {
		t.Errorf("signatures = %+v, problems = %q; want two, and one that is gone", rep.Signatures, rep.Problems)
	}
}

// Trap 16: what cannot be read here is not absent, and not wrong either.
func TestTrapUnsupportedIsNotAbsent(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	edit := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	unknown := map[string]func([]byte) []byte{
		"bundle of a later version": edit("bundle.v0.3+json", "bundle.v0.9+json"),
		"field of a later version":  edit("{", `{"novelty":1,`),
		"certificate":               edit(`"publicKey":{"hint":"`+hint(t, alice)+`"}`, `"certificate":{"rawBytes":"aGk="}`),
		"payload of another type":   edit("application/vnd.in-toto+json", "application/vnd.example+json"),
	}
	for name, change := range unknown {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, true)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			b := signed(t, alice, statement(signType, "", sub.Digest))
			b = bytes.ReplaceAll(b, []byte(`": `), []byte(`":`)) // protojson varies its spaces
			changed := change(b)
			if bytes.Equal(changed, b) {
				t.Fatalf("nothing to change in %s", b)
			}
			attachBundle(t, r, sub, changed)
			rep := mustVerify(t, r, sub, alice.key)
			wantState(t, rep, signing.StateUntrusted)
			if len(rep.Signatures) != 1 || !rep.Signatures[0].Unsupported || rep.Signatures[0].Reason == "" {
				t.Errorf("signatures = %+v; want one, unsupported, with a reason", rep.Signatures)
			}
		})
	}
	// An entry of a log that nobody here reads does not spoil a key's signature.
	t.Run("log entry of an unknown kind", func(t *testing.T) {
		t.Parallel()
		r := newRegistry(t, true)
		sub := r.publish(t, "acme", "zlib", "1.3.1")
		b := signed(t, alice, statement(signType, "", sub.Digest))
		b = bytes.ReplaceAll(b, []byte(`": `), []byte(`":`))
		b = bytes.Replace(b, []byte(`"verificationMaterial":{`),
			[]byte(`"verificationMaterial":{"tlogEntries":[{"logIndex":"1","kindVersion":{"kind":"dsse","version":"0.0.2"}}],`), 1)
		attachBundle(t, r, sub, b)
		wantState(t, mustVerify(t, r, sub, alice.key), signing.StateVerified)
	})
}
