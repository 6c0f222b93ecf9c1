package artifact

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// What the client spends on a registry before it gives up. All are ours.
const (
	MaxAttempts         = 7                // requests in a row that move nothing, the first included: 16 s of waiting, enough for a restart
	MaxTransferAttempts = 64               // requests about one blob or manifest altogether, however much they move
	MaxFirstAttempts    = 2                // requests to a registry that never answered: an address is wrong more often than a network
	MaxRetryAfter       = 60 * time.Second // longest wait that a server may ask for
	MaxWait             = 3 * time.Minute  // all waits of one transfer together
	MaxRedirects        = 5                // of one GET; blobs of hosted registries need one
	DefaultParallel     = 4                // transfers at once

	ChunkSize      = 64 << 20 // bytes of one PATCH; below the 100 MB that some proxies allow a request
	MonolithicSize = 8 << 20  // bytes of a blob that is sent whole: sending it again costs less than asking where it stands

	MaxReferrers = 10_000   // referrers of one manifest that Referrers gathers
	MaxNames     = 1 << 20  // tags or repositories that one listing gathers
	MaxPages     = 2048     // pages of one listing
	maxReply     = 8 << 20  // bytes of one page of a listing; the specification bounds it to 4 MiB
	maxError     = 64 << 10 // bytes of an error that are read
	pageSize     = 1000     // entries asked for; registries give less as they like

	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 8 * time.Second
	dialTimeout  = 10 * time.Second
	stallTimeout = 60 * time.Second // without a byte in either direction
	replyTimeout = 5 * time.Minute  // from the last byte sent to the reply: a registry hashes and copies 1 GiB meanwhile
)

// ClientOptions says which registry to talk to, and as whom.
type ClientOptions struct {
	Host  string // host[:port]
	Plain bool   // HTTP in place of HTTPS
	// Credential is asked once, when the registry wants to know. Nil, and two
	// empty strings, are anonymous; a secret without a user is a token that the
	// registry itself takes; the user "<token>" makes it a refresh token for the
	// registry's token service.
	Credential func(ctx context.Context) (user, secret string, err error)
	Transport  http.RoundTripper // nil means one with time limits on connecting
	UserAgent  string            // empty means "clyde-client"
	Parallel   int               // transfers at once; 0 means DefaultParallel
}

// Client talks to one OCI registry of any make. Its methods may be called at
// once from many goroutines. What may pass (a dropped connection, 429, 5xx) is
// tried again within the bounds above; the rest is returned as the *clyde.Error
// that the registry's answer means, with its own sentence.
//
// Credentials go to the registry and to the token service that it names, and
// nowhere else: not along a redirect, and never from HTTPS to HTTP.
type Client struct {
	base     *url.URL // scheme and host
	http     *http.Client
	still    *http.Client // the same, and follows nobody elsewhere
	auth     *authority
	slots    chan struct{} // one for each transfer
	seen     flag          // the registry has answered
	unlisted flag          // it was seen to have no list of referrers, whatever it says later
	wait     func(ctx context.Context, d time.Duration) error
	chunk    int64 // ChunkSize
}

// NewClient returns a client of one registry; it sends nothing yet. A host
// that is none is clyde.ErrInvalid.
func NewClient(o ClientOptions) (*Client, error) {
	base := &url.URL{Scheme: "https", Host: o.Host}
	if o.Plain {
		base.Scheme = "http"
	}
	u, err := url.Parse(base.String())
	if err != nil || u.Host != o.Host || u.Hostname() == "" || strings.ContainsAny(o.Host, "/@?# \t\r\n") {
		return nil, invalid("address_invalid", "%.80q is no registry: want host or host:port", afterAt(o.Host))
	}
	if o.UserAgent == "" {
		o.UserAgent = "clyde-client"
	}
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   o.Parallel + 2,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   dialTimeout,
			ExpectContinueTimeout: time.Second,
		}
	}
	c := &Client{base: base, slots: make(chan struct{}, o.Parallel), wait: sleep, chunk: ChunkSize}
	c.auth = newAuthority(base, o)
	c.http = &http.Client{Transport: &origin{next: o.Transport, base: base, agent: o.UserAgent}, CheckRedirect: checkRedirect}
	c.still = &http.Client{Transport: c.http.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// afterAt drops what may be a password.
func afterAt(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }

// Host is the registry's host[:port].
func (c *Client) Host() string { return c.base.Host }

// Ping asks for the registry's root with the credential: clyde.ErrUnauthenticated
// when it is wrong or missing, clyde.ErrNotFound when the host is no registry.
func (c *Client) Ping(ctx context.Context) error {
	resp, err := c.do(ctx, request{method: http.MethodGet, url: c.address("/v2/")}, http.StatusOK)
	switch {
	case isStatus(err, http.StatusNotFound):
		return clyde.Errorf(clyde.ErrNotFound, "%s answers, and is no OCI registry", c.base.Host).WithCode("registry_missing").Fix("check the address")
	case err != nil:
		return err
	}
	return finish(resp)
}

// acquire takes a slot for a transfer; the function gives it back.
func (c *Client) acquire(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, c.cancelled(ctx)
	}
}

var (
	// The grammars of the distribution specification.
	repoRE = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRE  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// maxRepo is the longest repository, in bytes; the specification's advice.
const maxRepo = 255

// address is the URL of a path that needs no escaping.
func (c *Client) address(path string) *url.URL {
	u := *c.base
	u.Path = path
	return &u
}

// in is the URL of what lies in a repository.
func (c *Client) in(repo, path string) (*url.URL, error) {
	if len(repo) > maxRepo || !repoRE.MatchString(repo) {
		return nil, invalid("name_invalid", "%.80q is no repository: want names of a-z, 0-9 and . _ - between them, separated by /", repo)
	}
	return c.address("/v2/" + repo + path), nil
}

// checkDigest accepts digests that this client can verify.
func checkDigest(d digest.Digest) error {
	if d.Validate() != nil || !d.Algorithm().Available() {
		return invalid("digest_invalid", "%.90q is no digest: want sha256: and 64 hex digits", d)
	}
	return nil
}

func checkBlob(d ocispec.Descriptor) error {
	if d.Size < 0 {
		return invalid("size_invalid", "blob %s has the size %d", d.Digest, d.Size)
	}
	return checkDigest(d.Digest)
}
