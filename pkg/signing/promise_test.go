package signing

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tlog"
)

// What cosign 2 writes with Rekor 1: a certificate and the log's promise to keep
// the entry, signed with its time, in annotations. It counts by that promise; by
// one of another signature, or without it, it does not.
func TestLegacyPromiseOfLog(t *testing.T) {
	t.Parallel()
	vs, tr := virtual(t)
	payload, err := newPayload(fuzzSubject)
	if err != nil {
		t.Fatal(err)
	}
	promised := func(signed []byte) map[string]string {
		e, err := vs.SignAtTime(alice, testIssuer, signed, time.Now().Add(5*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		vc, sc, entries := partsOf(t, e)
		body, ok := entries[0].Body().(string)
		if !ok {
			t.Fatalf("the entry's body is %T", entries[0].Body())
		}
		id, err := vs.RekorLogID()
		if err != nil {
			t.Fatal(err)
		}
		at := entries[0].IntegratedTime().Unix()
		promise, err := vs.RekorSignPayload(tlog.RekorPayload{Body: body, IntegratedTime: at, LogIndex: entries[0].LogIndex(), LogID: id})
		if err != nil {
			t.Fatal(err)
		}
		var l legacyLog
		l.SignedEntryTimestamp = promise
		if l.Payload.Body, err = base64.StdEncoding.DecodeString(body); err != nil {
			t.Fatal(err)
		}
		l.Payload.IntegratedTime, l.Payload.LogIndex, l.Payload.LogID = at, entries[0].LogIndex(), id
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{
			annotationSignature:   base64.StdEncoding.EncodeToString(sc.Signature()),
			annotationCertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vc.Certificate().Raw})),
			annotationBundle:      string(text),
		}
	}
	c, err := newAuthority(identities(tr, 1, Identity{Issuer: testIssuer, Subject: alice}))
	if err != nil {
		t.Fatal(err)
	}
	judged := func(annotations map[string]string) SignatureResult {
		e := Entry{Format: FormatLegacySig, annotations: annotations}
		e.parse(payload)
		res, _ := fuzzJudge(c).entry(&e)
		return res
	}
	good := promised(payload)
	if res := judged(good); res.State != StateVerified || len(res.Logs) != 1 || len(res.Times) != 1 {
		t.Errorf("with the log's promise = %+v; want it verified, by its entry and its time", res)
	}
	other := promised(payload)
	other[annotationSignature], other[annotationCertificate] = good[annotationSignature], good[annotationCertificate]
	if res := judged(other); res.State == StateVerified {
		t.Error("it counts by the promise for another signature")
	}
	delete(good, annotationBundle)
	if res := judged(good); res.State == StateVerified {
		t.Error("it counts without a promise")
	}
}
