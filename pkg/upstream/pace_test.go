package upstream

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// answers is a registry that answers with these fields, and when it was asked.
type answers struct {
	status int
	after  string // Retry-After
	asked  []time.Time
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	a.asked = append(a.asked, time.Now())
	return &http.Response{StatusCode: a.status, Header: http.Header{"Retry-After": {a.after}}, Body: http.NoBody}, nil
}

func ask(ctx context.Context, p *pace, host string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := p.RoundTrip(req)
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// A registry is asked as often as it may be, and not at all while it wants peace.
// Time is that of a bubble.
func TestPace(t *testing.T) {
	t.Parallel()
	const host = "registry.example"
	synctest.Test(t, func(t *testing.T) {
		a := &answers{status: http.StatusOK}
		p := newPace(a, host, 4)
		began := time.Now()
		for range 5 {
			if err := ask(t.Context(), p, host); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("five requests at four a second took %v; want a second", took)
		}
		for range 10 {
			if err := ask(t.Context(), p, "blobs.example"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("another host was paced: %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a := &answers{status: http.StatusTooManyRequests, after: "30"}
		p := newPace(a, host, 0)
		for range 2 {
			if err := ask(t.Context(), p, host); err != nil {
				t.Fatal(err)
			}
		}
		if gap := a.asked[1].Sub(a.asked[0]); gap != 30*time.Second {
			t.Errorf("asked again after %v; want 30s", gap)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := ask(ctx, p, host); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request whose time ends first: %v", err)
		}
		a.after = "7200"
		if err := ask(t.Context(), p, host); err != nil {
			t.Fatal(err)
		}
		before, now := len(a.asked), time.Now()
		if err := ask(t.Context(), p, host); clyde.AsError(err) == nil || clyde.AsError(err).Code != "registry_busy" || time.Since(now) != 0 || len(a.asked) != before {
			t.Errorf("a registry that wants peace for long: %v after %v, asked %d times", err, time.Since(now), len(a.asked)-before)
		}
		if got := p.heldUntil().Sub(now); got != maxHold {
			t.Errorf("it is left alone for %v; want %v", got, maxHold)
		}
	})
}
