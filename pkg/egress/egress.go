// Package egress is the HTTP client for addresses that somebody else chose: a
// user, or an answer of a foreign server. It speaks to public addresses alone,
// unless the operator named others; it resolves a name once and dials what it
// looked at; redirects are looked at like first requests; size and time are
// bounded; and nothing of the environment, such as HTTP_PROXY, leads it
// elsewhere.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of one exchange, ours: what is fetched are documents of some KB, from
// servers that answer at once.
const (
	DefaultTimeout = 10 * time.Second // the whole of it: name, connection, redirects, body
	DefaultBody    = 1 << 20          // bytes of an answer's body, as they come: nothing is decompressed
	MaxRedirects   = 3
	maxHeader      = 64 << 10 // bytes of an answer's header
	maxAddresses   = 8        // of a name that are tried
)

// Options says whom the client may speak to besides everybody in public. The
// zero Options is the strictest.
type Options struct {
	Networks []netip.Prefix // addresses that are not public, and allowed
	Hosts    []string       // names in lower case, or addresses, that the operator wrote down: wherever they are
	Plain    bool           // plain HTTP is accepted from Hosts that are this machine's
	PlainTo  []string       // of Hosts, those that the operator wrote down with http, wherever they are

	Proxy   *url.URL      // what every request goes through; it resolves names then, and has to refuse in our place
	Timeout time.Duration // 0: DefaultTimeout
	MaxBody int64         // bytes; 0: DefaultBody

	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver
	TLS    *tls.Config                                                  // nil: the system's roots
}

// New returns a client. What it refuses is a *clyde.Error in the chain of the
// error of Do: clyde.ErrDenied with code "address_denied", and
// clyde.ErrTooLarge with code "answer_too_large" from the body.
func New(o Options) *http.Client {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultBody
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	g := &guard{o: o}
	t := &http.Transport{
		DialContext: g.dial, TLSClientConfig: o.TLS, TLSHandshakeTimeout: o.Timeout, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: maxHeader, DisableCompression: true, MaxIdleConns: 16, IdleConnTimeout: time.Minute,
	}
	if o.Proxy != nil {
		t.Proxy, t.DialContext = http.ProxyURL(o.Proxy), nil
	}
	g.next = t
	return &http.Client{Transport: g, Timeout: o.Timeout, CheckRedirect: redirect}
}

// guard looks at every request, those that redirects lead to among them.
type guard struct {
	o    Options
	next http.RoundTripper
}

func denied(format string, args ...any) error {
	return clyde.Errorf(clyde.ErrDenied, format, args...).WithCode("address_denied")
}

// RoundTrip sends a request whose address may be asked, and bounds the answer.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	host := strings.ToLower(r.URL.Hostname())
	named := slices.Contains(g.o.Hosts, host)
	switch {
	case r.URL.User != nil:
		return nil, denied("the address has a user in it")
	case r.URL.Scheme == "https":
	case r.URL.Scheme == "http" && named && (g.o.Plain && thisMachine(host) || slices.Contains(g.o.PlainTo, host)):
	default:
		return nil, denied("%s is not asked over %s: want https", host, r.URL.Scheme)
	}
	if a, err := netip.ParseAddr(host); err == nil && !named && !g.allowed(a) {
		return nil, notPublic(host, a)
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{Bounded(resp.Body, g.o.MaxBody, clyde.Errorf(clyde.ErrTooLarge, "the answer of %s has more than %d bytes", host, g.o.MaxBody).WithCode("answer_too_large")), resp.Body}
	return resp, nil
}

func thisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func notPublic(host string, a netip.Addr) error {
	if host == a.String() {
		return denied("%s is no public address", host)
	}
	return denied("%s is at %s, which is no public address", host, a)
}

func (g *guard) allowed(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	return Public(a) || slices.ContainsFunc(g.o.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// dial resolves a name once and connects to an address that was looked at: who
// answers otherwise a moment later changes nothing.
func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	as := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		as = append(as, a)
	} else if as, err = g.o.Lookup(ctx, host); err != nil {
		return nil, err
	}
	named := slices.Contains(g.o.Hosts, strings.ToLower(host))
	var errs []error
	for _, a := range as[:min(len(as), maxAddresses)] {
		if !named && !g.allowed(a) {
			errs = append(errs, notPublic(host, a))
			continue
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return nil, errors.Join(errs...)
}

// redirect follows a few, and takes no credentials to another host.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > MaxRedirects {
		return denied("%s redirects more than %d times", via[0].URL.Hostname(), MaxRedirects)
	}
	if r.URL.Host != via[0].URL.Host {
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
	}
	return nil
}

// Bounded returns a reader of r that fails with tooLarge where r has more than
// limit bytes. The byte too many is read and not passed on.
func Bounded(r io.Reader, limit int64, tooLarge error) io.Reader {
	return &bounded{r: r, left: limit, tooLarge: tooLarge}
}

type bounded struct {
	r        io.Reader
	left     int64 // bytes; below 0 there were too many
	tooLarge error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.tooLarge
	}
	return n, err
}
