package meilitest

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// startMost is how long a real Meilisearch may take to start.
const startMost = time.Minute

// FreeAddress is a host and port on which nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// AwaitHealth waits until a real Meilisearch answers.
func AwaitHealth(t testing.TB, url string) {
	t.Helper()
	deadline := time.NewTimer(startMost)
	defer deadline.Stop()
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := new(http.Client).Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s does not answer: %v", url, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
