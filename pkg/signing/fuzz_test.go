package signing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

var fuzzSubject = Subject{
	Repo: "acme/zlib", Name: clyde.Name{Namespace: "acme", Base: "zlib"}, Version: "1.3.1",
	Digest: digest.FromString("a manifest"), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 10,
}

// fuzzKey returns a signer and the authority of its key. The key is never
// encrypted: that takes a second, in every worker.
func fuzzKey(f *testing.F) (*KeySigner, *checker) {
	f.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	sv, err := signature.LoadDefaultSignerVerifier(k)
	if err != nil {
		f.Fatal(err)
	}
	s, err := newKeySigner(sv, k.Public())
	if err != nil {
		f.Fatal(err)
	}
	a, err := newAuthority(*s.Authority())
	if err != nil {
		f.Fatal(err)
	}
	return s, a
}

// fuzzJudge judges for the fuzz subject, whose manifest states nothing.
func fuzzJudge(c *checker) *judge {
	return &judge{sub: fuzzSubject, authorities: []*checker{c}, witnesses: func() []*checker { return nil }, states: func() error { return errors.New("nothing is stated") }}
}

// FuzzBundle: whatever bytes a referrer holds, judging them ends in a state of
// a signature with a reason, and is verified only for bytes that the key's
// owner signed: here, nothing but the seed.
func FuzzBundle(f *testing.F) {
	signer, key := fuzzKey(f)
	st, err := newStatement([]Subject{fuzzSubject}, predicateSign, []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := signer.SignStatement(f.Context(), st)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.9+json"}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{"signatures":[null]}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":null},"messageSignature":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{}},"dsseEnvelope":{}}`))
	want, err := parseBundle(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range []Format{FormatBundle, FormatLegacyAtt} {
			e := Entry{Format: format}
			e.parse(data)
			res, _ := fuzzJudge(key).entry(&e)
			switch res.State {
			case StateVerified:
				if string(e.bundle.GetDsseEnvelope().GetPayload()) != string(want.GetDsseEnvelope().GetPayload()) {
					t.Errorf("judge(%q) = verified; nobody signed that", data)
				}
			case StateInvalid, StateUntrusted:
				if res.Reason == "" {
					t.Errorf("judge(%q) = %s without a reason", data, res.State)
				}
			default:
				t.Errorf("judge(%q) = %s; want a state of a signature", data, res.State)
			}
		}
	})
}

// FuzzPayload: a payload that passes the check names this digest and no other
// package, and without its own signature it is never verified.
func FuzzPayload(f *testing.F) {
	signer, key := fuzzKey(f)
	good, err := newPayload(fuzzSubject)
	if err != nil {
		f.Fatal(err)
	}
	annotations, err := signer.SignPayload(f.Context(), good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"critical":{"identity":{"docker-reference":"localhost:8080/acme/zlib:1"},"image":{"docker-manifest-digest":"` +
		string(fuzzSubject.Digest) + `"},"type":"cosign container image signature"},"optional":null}`))
	f.Add([]byte(`{"critical":null}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePayload(data)
		if err == nil && p.check(fuzzSubject) == nil {
			other := fuzzSubject
			other.Digest = digest.FromString("another manifest")
			if p.check(other) == nil {
				t.Errorf("payload %q passes for two digests", data)
			}
			if purl := p.purl(); strings.HasPrefix(purl, purlPrefix) {
				if n, _, ok := parsePURL(purl); !ok || n.Identity() != fuzzSubject.Name.Identity() {
					t.Errorf("payload %q passes and names %q", data, purl)
				}
			}
		}
		e := Entry{Format: FormatLegacySig, annotations: annotations}
		e.parse(data)
		if res, _ := fuzzJudge(key).entry(&e); res.State == StateVerified && string(data) != string(good) {
			t.Errorf("judge(%q) = verified; nobody signed that", data)
		}
	})
}

// FuzzPURL: what parses is written back the same.
func FuzzPURL(f *testing.F) {
	for _, s := range []string{"pkg:clyde/acme/zlib@1.3.1", "pkg:clyde/acme/zlib", "pkg:clyde/a/b@1%2B2", "pkg:clyde/a/b@", "pkg:clyde/a/b?x=y", "pkg:clyde/a%2Fb/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, v, ok := parsePURL(s)
		if ok && PURL(n, v) != s {
			t.Errorf("parsePURL(%q) = %v, %q, which is written %q", s, n, v, PURL(n, v))
		}
	})
}

// FuzzStatement: a statement that passes the check has this digest.
func FuzzStatement(f *testing.F) {
	st, err := newStatement([]Subject{fuzzSubject}, predicateSign, []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(st)
	f.Add([]byte(`{"subject":[{"name":"pkg:clyde/evil/openssl@3.0.0","digest":{"sha256":"` + fuzzSubject.Digest.Encoded() + `"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := json.Marshal(map[string]any{"payloadType": inTotoMediaType, "payload": data, "signatures": []any{map[string]any{"sig": []byte("x")}}})
		if err != nil {
			t.Fatal(err)
		}
		pb, err := legacyAttestation(env, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseStatement(pb)
		if err != nil {
			return
		}
		name, err := s.check(fuzzSubject)
		if err == nil && !strings.Contains(string(data), "sha256") {
			t.Errorf("statement %q passes without a digest", data)
		}
		if err == nil && fuzzSubject.namedBy(name) != nil {
			t.Errorf("statement %q passes and names %q", data, name)
		}
	})
}
