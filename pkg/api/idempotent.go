package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// outcome is what is kept of a request that succeeded, under its key. Never a
// secret: it lies in the database.
type outcome struct {
	Request string `json:"request"` // hash of the request's content
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Token   string `json:"token,omitempty"` // ID
}

// ref is the version that the first request published.
func (o outcome) ref(request string) (catalog.Ref, error) {
	if err := o.same(request); err != nil {
		return catalog.Ref{}, err
	}
	name, err := clyde.ParseName(o.Name)
	return catalog.Ref{Name: name, Version: o.Version}, err
}

func (o outcome) same(request string) error {
	if o.Request != request {
		return refuse(http.StatusUnprocessableEntity, "idempotency_key_reused", "the Idempotency-Key was used for another request").
			fix("Use a new key for each request; the same one only to send a request again.")
	}
	return nil
}

// running are the keys of requests in hand.
type running struct {
	mu   sync.Mutex
	keys map[string]bool
}

// start claims key until release is called. Without a key there is nothing to
// claim.
func (k *running) start(p account.Principal, key string) (release func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	if len(key) > MaxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the Idempotency-Key must be 1 to %d printable ASCII characters without spaces", MaxIdempotencyKey).
			WithCode("idempotency_key_invalid").Fix("Use a UUID.")
	}
	id := p.ID + " " + key
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[id] {
		r := refuse(http.StatusConflict, "request_running", "a request with this Idempotency-Key is still running").fix("Wait for its answer, or ask again in a moment.")
		r.header.Set("Retry-After", "2")
		return nil, r
	}
	k.keys[id] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.keys, id)
	}, nil
}

// earlier returns what a request with this key led to.
func (s *server) earlier(ctx context.Context, p account.Principal, key string) (o outcome, found bool, err error) {
	if key == "" {
		return o, false, nil
	}
	b, found, err := s.Idempotent(ctx, p.ID, key, nil)
	if err != nil || !found {
		return o, false, err
	}
	return o, true, json.Unmarshal(b, &o)
}

// remember keeps what a request led to.
func (s *server) remember(ctx context.Context, p account.Principal, key string, o outcome) error {
	if key == "" {
		return nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, _, err = s.Idempotent(ctx, p.ID, key, b)
	return err
}
