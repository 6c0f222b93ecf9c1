package clyde_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		400: clyde.ErrInvalid, 401: clyde.ErrUnauthenticated, 403: clyde.ErrDenied, 404: clyde.ErrNotFound, 405: clyde.ErrInvalid,
		408: clyde.ErrUnavailable, 409: clyde.ErrConflict, 410: clyde.ErrGone, 412: clyde.ErrConflict, 413: clyde.ErrTooLarge,
		416: clyde.ErrInvalid, 422: clyde.ErrInvalid, 429: clyde.ErrRateLimited, 500: clyde.ErrUnavailable, 503: clyde.ErrUnavailable,
	} {
		k := clyde.KindOfStatus(status)
		if !errors.Is(k, want) {
			t.Errorf("KindOfStatus(%d) = %v; want %v", status, k, want)
		}
		wrapped := fmt.Errorf("wrapped: %w", clyde.Errorf(k, "a sentence"))
		if got := clyde.KindNamed(clyde.KindName(wrapped)); !errors.Is(got, want) {
			t.Errorf("%v travels as %q and arrives as %v", k, clyde.KindName(wrapped), got)
		}
	}
	if k := clyde.KindOfStatus(204); k != nil {
		t.Errorf("KindOfStatus(204) = %v", k)
	}
	for _, err := range []error{errors.New("conflict"), clyde.ErrUnverified, nil} {
		if n := clyde.KindName(err); n != "" {
			t.Errorf("KindName(%v) = %q", err, n)
		}
	}
	if k := clyde.KindNamed("unverified"); k != nil {
		t.Errorf("a server tells %v", k)
	}
}
