// Package githubtest is a stand-in for what of GitHub matters to packages: the
// container registry ghcr.io, the REST API and its tag archives. Programs reach
// it by the real names, over TLS through a proxy, so that nothing in them needs
// to know that they are tested. Tests only.
//
// The shapes are recorded ones: the token dance with its odd scope at /v2/, no
// catalog, lists of referrers that are a 303 to github.com and a 429 there, names
// in lower case alone, packages that are private until somebody publishes them,
// refusals in GitHub's words. What stores manifests and blobs is a real registry.
package githubtest

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/clydepm/clyde-registry/internal/tlstest"
)

// Hosts that the stand-in answers for.
const (
	Registry = "ghcr.io"
	API      = "api.github.com"
	Site     = "github.com"
	Archives = "codeload.github.com"
)

// Access is what a token may do.
type Access struct {
	Login    string
	Read     []string // owners, in lower case, whose private packages and repositories it reads
	Write    []string // owners whose packages it writes
	Admin    []string // repositories, "Acme/zlib", that it administers
	Identity bool     // a run's GITHUB_TOKEN rather than a person's token
}

// Hub is the stand-in.
type Hub struct {
	tokens map[string]Access

	mu     sync.Mutex
	repos  map[string]*Repository // by lower-case full name
	public map[string]bool        // repositories of the registry that anybody may read
	known  map[string]bool        // repositories of the registry that exist
	bearer map[string]grant       // tokens of the token service
	asked  []string               // "METHOD host/path" of every request, in order

	store http.Handler
	proxy *httptest.Server
	front *http.Server
	conns *listener
	dir   string
}

// New starts a stand-in that knows these tokens and whose certificate goes to a
// folder. The caller closes it.
func New(dir string, tokens map[string]Access) (*Hub, error) {
	h := &Hub{
		tokens: tokens, repos: map[string]*Repository{}, public: map[string]bool{}, known: map[string]bool{}, bearer: map[string]grant{},
		store: registry.New(registry.Logger(log.New(io.Discard, "", 0))), conns: newListener(), dir: dir,
	}
	ca, key, err := tlstest.New(Registry, API, Site, Archives)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(ca, key)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if err := os.WriteFile(h.CAFile(), ca, 0o600); err != nil {
		return nil, err
	}
	h.front = &http.Server{Handler: http.HandlerFunc(h.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = h.front.Serve(tls.NewListener(h.conns, cfg)) }() // ends with Close
	h.proxy = httptest.NewServer(http.HandlerFunc(h.connect))
	return h, nil
}

// Close ends the stand-in.
func (h *Hub) Close() {
	h.proxy.Close()
	_ = h.front.Close()
}

// CAFile is the certificate that SSL_CERT_FILE must name.
func (h *Hub) CAFile() string { return filepath.Join(h.dir, "github-ca.pem") }

// Environment is what a program needs to reach the stand-in by GitHub's names.
func (h *Hub) Environment() map[string]string {
	return map[string]string{"HTTPS_PROXY": h.proxy.URL, "SSL_CERT_FILE": h.CAFile(), "NO_PROXY": "127.0.0.1,localhost"}
}

// Requests lists "METHOD host/path" of what was asked so far.
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.asked...)
}

// Publish makes a repository of the registry readable by anybody, which takes a
// person at GitHub's pages.
func (h *Hub) Publish(repo string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.public[repo] = true
}

// ServeHTTP answers as the API and the archives do, for who is configured with
// an address in place of GitHub's.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	h.api(w, r, "http://"+r.Host)
}

func (h *Hub) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r.Method+" "+r.Host+r.URL.Path)
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	switch r.Host {
	case Registry:
		h.registry(w, r)
	case API, Archives:
		h.api(w, r, "https://"+Archives)
	case Site:
		if strings.HasPrefix(r.URL.Path, "/-/v2/packages/container/package/") {
			w.WriteHeader(http.StatusTooManyRequests) // where ghcr.io sends who asks for referrers
			return
		}
		http.NotFound(w, r)
	default:
		http.NotFound(w, r)
	}
}

// connect hands the connection behind a CONNECT to the front.
func (h *Hub) connect(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	hj, ok := w.(http.Hijacker)
	if r.Method != http.MethodConnect || !ok || host != Registry && host != API && host != Site && host != Archives {
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	conn, _, err := hj.Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	h.conns.give(conn)
}

// listener hands out connections that it was given.
type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *listener) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		_ = c.Close()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
