package signing

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	testIssuer = "https://issuer.example"
	alice      = "alice@example.com"
)

// virtual is a sigstore in memory. Its certificates have no promises of a
// certificate transparency log; the real programs' have (TestSigstore…).
func virtual(t *testing.T) (*ca.VirtualSigstore, *Trust) {
	t.Helper()
	vs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return vs, &Trust{Name: "virtual", Hash: digest.FromString("virtual"), material: vs}
}

// partsOf takes a signature of the virtual sigstore apart: who, what, and its
// one entry of the log.
func partsOf(t *testing.T, e *ca.TestEntity) (verify.VerificationContent, verify.SignatureContent, []*tlog.Entry) {
	t.Helper()
	vc, err := e.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	sc, err := e.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := e.TlogEntries()
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return vc, sc, entries
}

// certified is a bundle of who signed the fuzz subject, with a Rekor v2 entry
// and a timestamp.
func certified(t *testing.T, vs *ca.VirtualSigstore, who string) *protobundle.Bundle {
	t.Helper()
	st, err := newStatement([]Subject{fuzzSubject}, predicateSign, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := vs.AttestHashedRekordV2(who, testIssuer, st)
	if err != nil {
		t.Fatal(err)
	}
	vc, sc, entries := partsOf(t, e)
	stamps, err := e.Timestamps()
	if err != nil {
		t.Fatal(err)
	}
	env := sc.EnvelopeContent().RawEnvelope()
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(env.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	m := &protobundle.VerificationMaterial{
		Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: vc.Certificate().Raw}},
		TimestampVerificationData: &protobundle.TimestampVerificationData{},
	}
	for _, s := range stamps {
		m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: s})
	}
	for _, x := range entries {
		m.TlogEntries = append(m.TlogEntries, x.TransparencyLogEntry())
	}
	return &protobundle.Bundle{MediaType: bundleMediaType, VerificationMaterial: m, Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		PayloadType: env.PayloadType, Payload: payload, Signatures: []*protodsse.Signature{{Sig: sig}},
	}}}
}

func identities(tr *Trust, log int, list ...Identity) Authority {
	return Authority{Name: "them", Trust: tr, TransparencyLog: log, Timestamps: 1, Keyless: &Keyless{IgnoreSCT: true, Identities: list}}
}

// state is what one bundle comes to under one authority.
func state(t *testing.T, b *protobundle.Bundle, a Authority) SignatureResult {
	t.Helper()
	c, err := newAuthority(a)
	if err != nil {
		t.Fatal(err)
	}
	res, _ := fuzzJudge(c).entry(&Entry{Format: FormatBundle, bundle: b})
	return res
}

func TestIdentityInMemory(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	b := certified(t, vs, alice)
	res := state(t, b, identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice}))
	if res.State != StateVerified || res.Certificate == nil || res.Certificate.Subject != alice || len(res.Times) == 0 || len(res.Logs) != 1 {
		t.Errorf("result = %+v; want it verified, by %s, with a time and a log entry", res, alice)
	}
	res = state(t, b, identities(tr, 1, Identity{Issuer: testIssuer, Subject: "bob@example.com"}))
	if res.State != StateUntrusted || res.Certificate == nil || !strings.Contains(res.Reason, alice) {
		t.Errorf("result for bob = %+v; want untrusted, and who it is", res)
	}
	_, other := virtual(t)
	if res := state(t, b, identities(other, 1, Identity{Issuer: testIssuer, Subject: alice})); res.State == StateVerified || res.Certificate != nil {
		t.Errorf("result under another sigstore = %+v; want nothing proven", res)
	}
	withSCT := identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice})
	withSCT.Keyless.IgnoreSCT = false
	if res := state(t, b, withSCT); res.State == StateVerified {
		t.Error("a certificate that no certificate transparency log promised to keep counts")
	}
}

// Trap 7: without a proof of when it was signed, a certificate of minutes is
// worth nothing, now as in ten minutes: the clock of the moment is not asked.
func TestTrapNoTimeNoCertificate(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	b := certified(t, vs, alice)
	b.VerificationMaterial.TimestampVerificationData = nil
	a := identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice})
	if res := state(t, b, a); res.State == StateVerified {
		t.Errorf("without a timestamp = %+v; want it refused while the certificate lasts", res)
	}
	a.Timestamps = 0 // asked for nothing, one is wanted all the same
	if res := state(t, b, a); res.State == StateVerified {
		t.Error("timestamps: 0 accepts a certificate by the clock")
	}
}

// Trap 8: without an entry in a log, a stolen token leaves no trace; who asks
// for one is not content with a timestamp.
func TestTrapNoLog(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	b := certified(t, vs, alice)
	b.VerificationMaterial.TlogEntries = nil
	who := Identity{Issuer: testIssuer, Subject: alice}
	if res := state(t, b, identities(tr, 1, who)); res.State == StateVerified {
		t.Errorf("without a log entry = %+v; want it refused", res)
	}
	if res := state(t, b, identities(tr, 0, who)); res.State != StateVerified {
		t.Errorf("with transparencyLog 0 = %+v; want it verified by its timestamp", res)
	}
	// An entry of another signature is none of this one.
	b.VerificationMaterial.TlogEntries = certified(t, vs, alice).VerificationMaterial.TlogEntries
	if res := state(t, b, identities(tr, 1, who)); res.State == StateVerified {
		t.Error("the log entry of another signature counts")
	}
}

// Trap 14: whoever watches a log for what is signed in their name must be able to
// tell which entries the registry knows: what is verified says in which log it is,
// under which number.
func TestTrapLogEntriesAreTold(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	b := certified(t, vs, alice)
	res := state(t, b, identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice}))
	entry := b.GetVerificationMaterial().GetTlogEntries()[0]
	if len(res.Logs) != 1 || res.Logs[0].Index != entry.GetLogIndex() || res.Logs[0].Log != hex.EncodeToString(entry.GetLogId().GetKeyId()) {
		t.Errorf("logs = %+v; want entry %d of %x", res.Logs, entry.GetLogIndex(), entry.GetLogId().GetKeyId())
	}
	// And so does what is verified to be by somebody who does not count: that is
	// what they would be told of.
	res = state(t, b, identities(tr, 1, Identity{Issuer: testIssuer, Subject: "bob@example.com"}))
	if res.State == StateVerified || len(res.Logs) != 1 || res.Logs[0].Index != entry.GetLogIndex() {
		t.Errorf("by another: %+v; want the entry all the same", res.Logs)
	}
}

// A sigstore that replaced its authority, its log (a new shard) and its
// timestamps keeps the old ones in its trusted root: what was signed before the
// change and after it counts, and under either root alone only its own.
func TestRootRotationAndLogShards(t *testing.T) {
	t.Parallel()
	oldStore, old := virtual(t)
	newStore, fresh := virtual(t)
	both := &Trust{Name: "both", Hash: digest.FromString("both"), material: root.TrustedMaterialCollection{newStore, oldStore}}
	who := Identity{Issuer: testIssuer, Subject: alice}
	before, after := certified(t, oldStore, alice), certified(t, newStore, alice)
	for _, tt := range []struct {
		what  string
		b     *protobundle.Bundle
		trust *Trust
		want  State
	}{
		{"before, by both", before, both, StateVerified},
		{"after, by both", after, both, StateVerified},
		{"before, by the old", before, old, StateVerified},
		{"after, by the old", after, old, StateUntrusted},
		{"before, by the new", before, fresh, StateUntrusted},
		{"after, by the new", after, fresh, StateVerified},
	} {
		res := state(t, tt.b, identities(tt.trust, 1, who))
		if res.State != tt.want || tt.want == StateVerified && len(res.Logs) != 1 {
			t.Errorf("%s: %s, %+v, %s; want %s", tt.what, res.State, res.Logs, res.Reason, tt.want)
		}
	}
	// An entry of one shard does not stand for one of the other.
	mixed := certified(t, newStore, alice)
	mixed.VerificationMaterial.TlogEntries = before.GetVerificationMaterial().GetTlogEntries()
	if res := state(t, mixed, identities(both, 1, who)); res.State == StateVerified {
		t.Error("a signature counts by an entry of another in the old shard")
	}
	// Two shards are two logs: who asks for two has them only with an entry in each.
	two := identities(both, 2, who)
	if res := state(t, after, two); res.State == StateVerified {
		t.Error("one entry is two")
	}
}

// Trap 6: a signature of an index, or of a package, is none of what it points
// at, nor the other way round.
func TestTrapIndexIsNotManifest(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	b := certified(t, vs, alice)
	c, err := newAuthority(identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice}))
	if err != nil {
		t.Fatal(err)
	}
	child := fuzzSubject
	child.Digest = digest.FromString("a child")
	j := fuzzJudge(c)
	j.sub = child
	if res, _ := j.entry(&Entry{Format: FormatBundle, bundle: b}); res.State != StateInvalid {
		t.Errorf("the signature of the index over its child = %+v; want invalid", res)
	}
}

// Trap 13: an expression is of the whole text, whatever is in it.
func TestTrapUnanchored(t *testing.T) {
	t.Parallel()
	const expr = `https://github\.com/acme/zlib/.*|alice@example\.com`
	m, err := Identity{Issuer: testIssuer, SubjectRegExp: expr}.compile()
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]bool{
		"https://github.com/acme/zlib/.github/workflows/r.yml@refs/tags/v1": true, alice: true,
		"https://evil.example/?https://github.com/acme/zlib/": false, "malice@example.com": false, "alice@example.com.evil.example": false,
		"alice@exampleXcom": false, "alice@example.com\nx": false, "": false,
	} {
		if got := m.match(&Certificate{Subject: subject, Issuer: testIssuer}) == nil; got != want {
			t.Errorf("%q matches %q: %v; want %v", expr, subject, got, want)
		}
	}
	for _, bad := range []Identity{
		{Issuer: testIssuer}, {Subject: alice}, {Issuer: testIssuer, SubjectRegExp: ".*"}, {Issuer: testIssuer, SubjectRegExp: "(?s).*"},
		{Issuer: testIssuer, SubjectRegExp: "a)|(.*"}, {Issuer: testIssuer, SubjectRegExp: "^.*$"}, {Issuer: testIssuer, SubjectRegExp: `\S+`},
		{Issuer: testIssuer, Subject: strings.Repeat("x", MaxIdentityText+1)}, {Issuer: testIssuer, Subject: alice, Extensions: map[string]string{"sourceRepositoryURI": ""}},
	} {
		if err := bad.Check(); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("Check(%+v) = %v; want ErrInvalid", bad, err)
		}
	}
	if err := (Identity{Issuer: testIssuer, Subject: strings.Repeat("x", MaxIdentityText)}).Check(); err != nil {
		t.Errorf("a subject of %d bytes: %v", MaxIdentityText, err)
	}
}

// Nobody's identities are no verdict, and no authority is half of one.
func TestAuthorityRefuses(t *testing.T) {
	t.Parallel()
	_, tr := virtual(t)
	k := Key{}
	for name, a := range map[string]Authority{
		"nothing":       {Name: "x"},
		"both":          {Name: "x", Key: &k, Keyless: &Keyless{}, Trust: tr},
		"no identities": {Name: "x", Keyless: &Keyless{}, Trust: tr},
		"no trust":      {Name: "x", Keyless: &Keyless{Identities: []Identity{{Issuer: "i", Subject: "s"}}}},
		"empty key":     {Name: "x", Key: &k},
		"negative":      {Name: "x", Trust: tr, TransparencyLog: -1, Keyless: &Keyless{Identities: []Identity{{Issuer: "i", Subject: "s"}}}},
	} {
		if _, err := VerifyBy(t.Context(), nil, fuzzSubject, []Authority{a}, Limits{}); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("%s: VerifyBy = %v; want ErrInvalid", name, err)
		}
	}
	many := make([]Authority, MaxKeys+1)
	if _, err := VerifyBy(t.Context(), nil, fuzzSubject, many, Limits{}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("%d authorities: %v; want ErrInvalid", len(many), err)
	}
}

// Services are shown a token: they speak HTTPS, or are on this machine.
func TestServices(t *testing.T) {
	t.Parallel()
	config := func(address string) []byte {
		return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[{"url":%q,"majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"x"}],
"tsaUrls":[{"url":"https://tsa.example/api","majorApiVersion":1,"validFor":{"start":"2024-01-01T00:00:00Z"},"operator":"x"}],"tsaConfig":{"selector":"ANY"}}`, address)
	}
	for address, want := range map[string]bool{
		"https://fulcio.example": true, "http://127.0.0.1:5555": true, "http://localhost:1": true,
		"http://fulcio.example": false, "ftp://fulcio.example": false, "https://user:pass@fulcio.example": false, "": false, "http://127.0.0.1.evil.example": false,
	} {
		s, err := ParseServices(config(address))
		if (err == nil) != want || err != nil && !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("ParseServices with %q = %v; want accepted %v", address, err, want)
		}
		if err == nil && s.Public {
			t.Errorf("%q is taken for the public sigstore", address)
		}
	}
	s, err := ParseServices(config("https://fulcio.sigstore.dev"))
	if err != nil || !s.Public {
		t.Errorf("the public Fulcio: public %v, %v", s != nil && s.Public, err)
	}
	for _, bad := range []string{"", "{}", "[]", strings.Repeat(" ", MaxTrustRoot+1)} {
		if _, err := ParseServices([]byte(bad)); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("ParseServices(%.20q) = %v; want ErrInvalid", bad, err)
		}
	}
	_, tr := virtual(t)
	for _, token := range []string{"", "a.b", "a.b.c.d", "a." + strings.Repeat("x", MaxIdentityToken) + ".c"} {
		if _, err := NewKeyless(s, tr, token); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("NewKeyless with a token of %d bytes = %v; want ErrInvalid", len(token), err)
		}
	}
}

// FuzzLegacyAnnotations: whatever annotations say, they parse to an entry or to an
// error, and a signature with them is verified only as the seed's own.
func FuzzLegacyAnnotations(f *testing.F) {
	signer, key := fuzzKey(f)
	good, err := newPayload(fuzzSubject)
	if err != nil {
		f.Fatal(err)
	}
	own, err := signer.SignPayload(f.Context(), good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", "", "")
	f.Add("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", `{"SignedEntryTimestamp":"AA==","Payload":{"body":"e30=","logID":"00"}}`, `{"SignedRFC3161Timestamp":"AA=="}`)
	f.Add("x", `{"Payload":null}`, "[]")
	f.Fuzz(func(t *testing.T, certificate, entry, stamp string) {
		e := Entry{Format: FormatLegacySig, annotations: map[string]string{
			annotationSignature: own[annotationSignature], annotationCertificate: certificate, annotationBundle: entry, annotationTimestamp: stamp,
		}}
		e.parse(good)
		res, _ := fuzzJudge(key).entry(&e)
		if certificate != "" && res.State == StateVerified {
			t.Errorf("a signature with the certificate %q counts as the key's", certificate)
		}
		if res.State != StateVerified && res.Reason == "" {
			t.Errorf("state %s without a reason", res.State)
		}
	})
}
