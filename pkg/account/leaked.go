package account

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of the keys that sign reports of leaked tokens. All are ours.
const (
	leakKeysFor     = 24 * time.Hour   // keys are believed without asking again
	leakKeysAgain   = time.Minute      // between two questions about a key that is unknown
	leakKeysTimeout = 10 * time.Second // of one question
	maxLeakKeys     = 64 << 10         // bytes of the answer; GitHub's has 1 KB
)

// LeakKeys verifies reports of GitHub's secret scanning: the body is signed by
// ECDSA over P-256 and SHA-256, with a key that is published at an address
// (docs.github.com, "Secret scanning partner program").
type LeakKeys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	keys  map[string]*ecdsa.PublicKey
	asked time.Time
}

// NewLeakKeys returns the keys at an address, which is asked when the first
// report comes. client and now may be nil.
func NewLeakKeys(url string, client *http.Client, now func() time.Time) *LeakKeys {
	if client == nil {
		client = &http.Client{}
	}
	c := *client
	c.Timeout = leakKeysTimeout
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if now == nil {
		now = time.Now
	}
	return &LeakKeys{url: url, client: &c, now: now}
}

// Verify returns nil where the key signed body. Errors are clyde.ErrDenied with
// code "signature_invalid", and clyde.ErrUnavailable.
func (k *LeakKeys) Verify(ctx context.Context, id, signature string, body []byte) error {
	bad := func(why string) error {
		return clyde.Errorf(clyde.ErrDenied, "the report is not signed by the secret scanner: %s", why).WithCode("signature_invalid")
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(sig) == 0 || id == "" {
		return bad("there is no signature that can be read")
	}
	key, err := k.key(ctx, id)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnavailable, "the secret scanner's keys cannot be had").WithCode("keys_unavailable").Because(err)
	}
	if key == nil {
		return bad("its key is unknown")
	}
	sum := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(key, sum[:], sig) {
		return bad("the signature is about something else")
	}
	return nil
}

// key returns a key, or nil for one that is not published. One request asks at
// a time; the others wait for its answer.
func (k *LeakKeys) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	key, ok := k.keys[id]
	if age := now.Sub(k.asked); !k.asked.IsZero() && (ok && age < leakKeysFor || !ok && age < leakKeysAgain) {
		return key, nil
	}
	keys, err := k.fetch(ctx)
	k.asked = now // a failure, too: whoever sends nonsense must not make us ask each time
	if err != nil {
		return nil, err
	}
	k.keys = keys
	return keys[id], nil
}

func (k *LeakKeys) fetch(ctx context.Context) (map[string]*ecdsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxLeakKeys+1))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || len(b) > maxLeakKeys {
		return nil, fmt.Errorf("%s answered %s with %d bytes", k.url, resp.Status, len(b))
	}
	return parseLeakKeys(b)
}

// parseLeakKeys reads the list; keys of another kind are left out.
func parseLeakKeys(b []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			Key string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, v := range list.Keys {
		block, _ := pem.Decode([]byte(v.Key))
		if block == nil {
			continue
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if ec, ok := key.(*ecdsa.PublicKey); err == nil && ok && ec.Curve == elliptic.P256() {
			keys[v.ID] = ec
		}
	}
	return keys, nil
}
