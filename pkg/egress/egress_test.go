package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/egress"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "10.1.2.3": false, "172.31.255.255": false, "172.32.0.0": true,
		"192.168.0.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.128.0.1": true, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::7f00:1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::808:808": false, "2002:7f00:1::1": false, "2001:0:1::1": false,
		"fe80::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "2001:db8::1": false, "3fff::1": false, "4000::1": false,
	} {
		if got := egress.Public(netip.MustParseAddr(s)); got != want {
			t.Errorf("Public(%s) = %t", s, got)
		}
	}
	if egress.Public(netip.Addr{}) || egress.Public(netip.MustParseAddr("fe80::1%eth0")) {
		t.Error("no address, or one with a zone, is public")
	}
}

// get asks through a client of those options, and returns the code of what it
// was refused with.
func get(t *testing.T, c *http.Client, address string) (body, code string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	resp, err := c.Do(r)
	var b []byte
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		b, err = io.ReadAll(resp.Body)
	}
	e, ok := errors.AsType[*clyde.Error](err)
	switch {
	case ok:
		return string(b), e.Code
	case err != nil:
		return string(b), err.Error()
	}
	return string(b), ""
}

// world is a TLS server on this machine, and options by which it counts as the
// host named named.example.
func world(t *testing.T, h http.HandlerFunc) (*httptest.Server, egress.Options) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s, egress.Options{TLS: s.Client().Transport.(*http.Transport).TLSClientConfig}
}

func TestAddressesThatAreNotAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s, o := world(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	u, _ := url.Parse(s.URL)
	o.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		return map[string][]netip.Addr{
			"inside.example": {netip.MustParseAddr("127.0.0.1")}, "mapped.example": {netip.MustParseAddr("::ffff:127.0.0.1")},
			"both.example":  {netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("127.0.0.1")},
			"zoned.example": {netip.MustParseAddr("fe80::1%lo")}, "nat.example": {netip.MustParseAddr("64:ff9b::7f00:1")},
		}[host], nil
	}
	c := egress.New(o)
	for _, address := range []string{
		s.URL, "https://[::ffff:127.0.0.1]:" + u.Port(), "https://[64:ff9b::7f00:1]:" + u.Port(), "https://169.254.169.254/latest/meta-data",
		"https://inside.example:" + u.Port(), "https://mapped.example:" + u.Port(), "https://both.example:" + u.Port(), "https://zoned.example", "https://nat.example",
		"https://ada:secret@8.8.8.8/", "http://8.8.8.8/", "ftp://8.8.8.8/",
	} {
		if _, code := get(t, c, address); code != "address_denied" {
			t.Errorf("%s: %q; want address_denied", address, code)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the server inside was asked %d times", n)
	}
}

// A name that is public when it is looked at and inside a moment later is
// dialled where it was looked at: one answer for each connection.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s, o := world(t, func(http.ResponseWriter, *http.Request) { t.Error("the server inside was asked") })
	u, _ := url.Parse(s.URL)
	var asked atomic.Int32
	o.Timeout = 300 * time.Millisecond
	o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return nil, errors.New("the first answer is public; nothing here reaches it")
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	c := egress.New(o)
	for i, want := range []string{"the first answer is public", "address_denied", "address_denied"} {
		if _, code := get(t, c, "https://rebind.example:"+u.Port()); !strings.Contains(code, want) {
			t.Errorf("try %d: %s; want %s", i, code, want)
		}
		if n := asked.Load(); n != int32(i+1) {
			t.Errorf("try %d: resolved %d times", i, n)
		}
	}
}

// Redirects lead nowhere that is not asked at first, nor for ever, and take no
// credentials along.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var to atomic.Value
	s, o := world(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			_, _ = fmt.Fprint(w, r.Host, " ", r.Header.Get("Authorization"))
			return
		}
		http.Redirect(w, r, to.Load().(string), http.StatusFound)
	})
	u, _ := url.Parse(s.URL)
	here := netip.MustParseAddr("127.0.0.1")
	o.Hosts = []string{"example.com"}
	o.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) { return []netip.Addr{here}, nil }
	c := egress.New(o)
	start := "https://example.com:" + u.Port()
	for _, bad := range []string{s.URL + "/end", "https://127.1/end", "http://example.com/end", "https://x:y@example.com/end", "https://169.254.169.254/", "/again"} {
		to.Store(bad)
		if body, code := get(t, c, start); code == "" || strings.Contains(body, "secret") {
			t.Errorf("redirect to %s: %q %q; want a refusal", bad, body, code)
		}
	}
	to.Store("/end")
	if body, code := get(t, c, start); code != "" || body != "example.com:"+u.Port()+" Bearer secret" {
		t.Errorf("redirect within the host: %q %q", body, code)
	}
	// Another host of the operator's is asked, without what was meant for the first.
	o.Hosts = append(o.Hosts, "sub.example.com")
	o.TLS = o.TLS.Clone()
	o.TLS.InsecureSkipVerify = true // the server's certificate has one name; which host is asked is the point here
	to.Store("https://sub.example.com:" + u.Port() + "/end")
	if body, code := get(t, egress.New(o), start); code != "" || body != "sub.example.com:"+u.Port()+" " {
		t.Errorf("redirect to another host: %q %q", body, code)
	}
}

// An answer may be as large as it may be, and no larger; a server that sends a
// byte now and then is not waited for.
func TestBounds(t *testing.T) {
	t.Parallel()
	s, o := world(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
			panic(http.ErrAbortHandler) // a handler that returns would end the body well, which who hangs up may still read
		}
		_, _ = w.Write([]byte(strings.Repeat("x", len(r.URL.Path)-1)))
	})
	o.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.MaxBody = 100
	c := egress.New(o)
	if body, code := get(t, c, s.URL+"/"+strings.Repeat("a", 100)); len(body) != 100 || code != "" {
		t.Errorf("100 bytes: %d, %q", len(body), code)
	}
	if body, code := get(t, c, s.URL+"/"+strings.Repeat("a", 101)); len(body) > 100 || code != "answer_too_large" {
		t.Errorf("101 bytes: %d, %q", len(body), code)
	}
	o.Timeout, o.MaxBody = 200*time.Millisecond, 0
	if _, code := get(t, egress.New(o), s.URL+"/slow"); !strings.Contains(code, "Timeout") && !strings.Contains(code, "deadline") {
		t.Errorf("a slow body: %q", code)
	}
}

// Nothing of the environment leads elsewhere; plain HTTP is for this machine,
// where the operator named it.
func TestPlainAndProxy(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "plain") }))
	t.Cleanup(plain.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy of the environment was asked") }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	if body, code := get(t, egress.New(egress.Options{Hosts: []string{"127.0.0.1"}, Plain: true}), plain.URL); body != "plain" || code != "" {
		t.Errorf("plain HTTP of this machine: %q %q", body, code)
	}
	for _, o := range []egress.Options{{Hosts: []string{"127.0.0.1"}}, {Plain: true, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}} {
		if _, code := get(t, egress.New(o), plain.URL); code != "address_denied" {
			t.Errorf("%+v: %q", o, code)
		}
	}
	_, _ = get(t, egress.New(egress.Options{Timeout: 100 * time.Millisecond, Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, nil }}), "https://nowhere.example")
}
