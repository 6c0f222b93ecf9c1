package artifact

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

type flag = atomic.Bool

// request is one request that can be sent any number of times.
type request struct {
	method string
	url    *url.URL
	header http.Header
	body   func() io.Reader // nil means none; a new one for each try
	length int64            // bytes of body
	scope  scope
	stay   bool // a redirect is an answer, and not followed
}

// expectAbove is the length, in bytes, of a body that is sent only once the
// registry has looked at the headers: a refusal would else be lost with the
// connection.
const expectAbove = 1 << 20

// errStalled is the cause of a request that was given up by itself.
var errStalled = errors.New("nothing was heard for too long")

// passing is an error that another try may mend.
type passing struct {
	err    *clyde.Error
	after  time.Duration // the server's wish, when stated
	stated bool
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// tries counts what one piece of work has spent.
type tries struct {
	c             *Client
	inARow, total int
	waited        time.Duration
}

func (c *Client) newTries() *tries { return &tries{c: c} }

// moved says that the last try moved bytes.
func (t *tries) moved() { t.inARow = 0 }

// again returns nil once it is time for another try after err, and otherwise
// the error to give up with.
func (t *tries) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return t.c.cancelled(ctx)
	}
	p, ok := errors.AsType[*passing](err)
	if !ok {
		return err
	}
	t.inARow++
	t.total++
	limit := MaxAttempts
	if !t.c.seen.Load() {
		limit = MaxFirstAttempts
	}
	d := p.after
	if !p.stated {
		d = min(firstBackoff<<(t.inARow-1), maxBackoff)
		d = d/2 + rand.N(d/2+1) // so that many clients do not come back at once
	}
	if t.inARow >= limit || t.total >= MaxTransferAttempts || d > MaxRetryAfter || t.waited+d > MaxWait {
		return p.err
	}
	t.waited += d
	if err := t.c.wait(ctx, d); err != nil {
		return t.c.cancelled(ctx)
	}
	return nil
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cancelled is the error about work that the caller ended.
func (c *Client) cancelled(ctx context.Context) error {
	return fmt.Errorf("%s: %w", c.base.Host, context.Cause(ctx))
}

// do sends q, again where that may help, until the status is one of ok.
func (c *Client) do(ctx context.Context, q request, ok ...int) (*http.Response, error) {
	t := c.newTries()
	for {
		resp, err := c.once(ctx, q, ok...)
		if err == nil {
			return resp, nil
		}
		if err := t.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// once sends q, twice where the registry asks who is there. It returns a reply
// whose status is one of ok, or an error: *passing where another try may help.
func (c *Client) once(ctx context.Context, q request, ok ...int) (*http.Response, error) {
	header, err := c.auth.header(ctx, q.scope)
	if err != nil {
		return nil, err
	}
	for asked := false; ; asked = true {
		resp, err := c.send(ctx, q, header)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ok, resp.StatusCode) {
			return resp, nil
		}
		if resp.StatusCode == http.StatusUnauthorized && !asked && sameOrigin(resp.Request.URL, c.base) {
			next, err := c.auth.answer(ctx, resp.Header.Values("WWW-Authenticate"), q.scope, header)
			if err != nil {
				return nil, errors.Join(err, resp.Body.Close())
			}
			if next != "" {
				header = next
				_ = finish(resp) // only so that the connection is used again
				continue
			}
		}
		return nil, c.refusal(resp)
	}
}

// send makes one exchange and watches that it does not stall: the reply's body
// must be closed.
func (c *Client) send(ctx context.Context, q request, authorization string) (*http.Response, error) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(outer)
	w := &watch{cancel: cancel}
	w.timer = time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	var body io.Reader
	if q.body != nil {
		body = &sentBody{r: q.body(), w: w}
		if q.length == 0 {
			body = http.NoBody
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), body)
	if err != nil {
		w.end()
		return nil, invalid("request_invalid", "%s %s is no request", q.method, q.url.Path)
	}
	maps.Copy(req.Header, q.header)
	// What is named by digest travels as it is stored.
	req.Header.Set("Accept-Encoding", "identity")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if q.body != nil {
		req.ContentLength = q.length
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&sentBody{r: q.body(), w: w}), nil }
		if q.length > expectAbove {
			req.Header.Set("Expect", "100-continue")
		}
	}
	client := c.http
	if q.stay {
		client = c.still
	}
	resp, err := client.Do(req)
	if err != nil {
		cause := context.Cause(ctx)
		w.end()
		if outer.Err() != nil {
			return nil, c.cancelled(outer)
		}
		return nil, c.unreachable(err, cause)
	}
	c.seen.Store(true)
	w.touch(stallTimeout)
	resp.Body = &receivedBody{ReadCloser: resp.Body, w: w}
	return resp, nil
}

// watch ends an exchange in which nothing moves.
type watch struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (w *watch) touch(d time.Duration) { w.timer.Reset(d) }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

type sentBody struct {
	r io.Reader
	w *watch
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil {
		b.w.touch(replyTimeout)
	} else {
		b.w.touch(stallTimeout)
	}
	return n, err
}

type receivedBody struct {
	io.ReadCloser
	w *watch
}

func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.w.touch(stallTimeout)
	return n, err
}

func (b *receivedBody) Close() error {
	err := b.ReadCloser.Close()
	b.w.end()
	return err
}

// finish reads the little that may be left of a reply and closes it.
func finish(resp *http.Response) error {
	_, _ = io.CopyN(io.Discard, resp.Body, maxError) // what matters has been read
	return resp.Body.Close()
}

// origin stands below the redirect logic: it takes the credentials off every
// request that goes elsewhere than to the registry.
type origin struct {
	next  http.RoundTripper
	base  *url.URL
	agent string
}

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", o.agent)
	r.Header.Del("Referer")
	if !sameOrigin(r.URL, o.base) {
		r.Header.Del("Authorization")
	}
	return o.next.RoundTrip(r)
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

// checkRedirect follows what reads, within bounds, and never from HTTPS to
// anything else. What writes is not sent elsewhere.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if m := via[0].Method; m != http.MethodGet && m != http.MethodHead {
		return http.ErrUseLastResponse
	}
	refused := func(why string) error {
		return clyde.Errorf(clyde.ErrUnavailable, "%s redirects to %s, %s", via[0].URL.Host, req.URL.Host, why).WithCode("redirect_refused")
	}
	// GitHub's registry leads to a page about packages, which is throttled.
	if listsReferrers(via[0].URL) && !sameOrigin(req.URL, via[0].URL) {
		return refused("and what refers to a manifest is asked of the registry alone")
	}
	if len(via) > MaxRedirects {
		return refused("which is one redirect too many")
	}
	for _, v := range via {
		if v.URL.Scheme == "https" && req.URL.Scheme != "https" {
			return refused("which is not HTTPS any more")
		}
	}
	if req.URL.Scheme != "https" && req.URL.Scheme != "http" || req.URL.User != nil {
		return refused("with an address that is not followed")
	}
	return nil
}

// listsReferrers reports whether an address is that of a list of referrers.
func listsReferrers(u *url.URL) bool { return path.Base(path.Dir(u.Path)) == "referrers" }

// unreachable is the error about a request without a reply; cause is why its
// context ended, or nil.
func (c *Client) unreachable(err, cause error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // without the address, which may carry a signature
	}
	if e := clyde.AsError(err); e != nil {
		return e
	}
	if errors.Is(cause, errStalled) {
		err = errStalled
	}
	e := clyde.Errorf(clyde.ErrUnavailable, "cannot reach the registry at %s: %s", c.base.Host, c.auth.clean(err.Error())).
		WithCode("registry_unreachable").Because(err)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return e.Fix("it speaks plain HTTP: give its address as http://%s", c.base.Host)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Fix("its certificate is not trusted here: add its authority to the system's, or check the address")
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return e.Fix("check the spelling of the address")
	}
	return &passing{err: e.Fix("check the address and the network")}
}

// RetryAfter reads the header of that name, seconds or a date, as the time to
// wait from now; false where it is neither.
func RetryAfter(s string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0), true
	}
	return 0, false
}
