package sparse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of what a registry says about itself. Ours: ours says a kilobyte.
const (
	maxWellKnown  = 1 << 20 // bytes
	maxNamespaces = 10_000  // that one registry names others for
	maxRedirects  = 3       // of one file
)

// wellKnownPath is where a registry says where everything is.
const wellKnownPath = ".well-known/clyde/registry.json"

// apiPath is where the files of the index begin, below an address.
const apiPath = "api/v1/"

// errNotCached is what reading returns while offline.
var errNotCached = errors.New("not in the cache")

// place is one registry.
type place struct {
	s      *Source
	base   *url.URL
	client *client.Client // nil for a folder

	once  sync.Once
	err   error
	plain bool // it says nothing of itself: any OCI registry, perhaps

	address string            // as it was given
	host    string            // what lock files call it
	hosts   map[string]string // and what they call others, by the namespaces whose repositories are there
	other   map[string]string // addresses of the registries that it names for namespaces
}

// wellKnown is the part of a registry's description that matters here.
type wellKnown struct {
	OCI struct {
		Host   string `json:"host"`
		Prefix string `json:"prefix"`
		// Namespaces whose repositories are elsewhere, while their index is here.
		Namespaces map[string]string `json:"namespaces"`
	} `json:"oci"`
	Namespaces map[string]string `json:"namespaces"`
}

// Registry returns what lock files call the registry that a namespace comes
// from: the host of its OCI repositories.
func (s *Source) Registry(ctx context.Context, namespace string) (string, error) {
	p, err := s.placeOf(ctx, namespace)
	if err != nil {
		return "", err
	}
	return p.hostOf(namespace), nil
}

// hostOf is what lock files call the registry of a namespace whose index is here.
func (p *place) hostOf(namespace string) string {
	if h, ok := p.hosts[namespace]; ok {
		return h
	}
	return p.host
}

// placeOf returns the registry that a namespace comes from. What the user bound
// is never overruled by what a registry says.
func (s *Source) placeOf(ctx context.Context, namespace string) (*place, error) {
	if address, ok := s.Bound[namespace]; ok {
		return s.place(ctx, address)
	}
	p, err := s.place(ctx, s.Default)
	if err != nil {
		return nil, err
	}
	if address, ok := p.other[namespace]; ok {
		return s.place(ctx, address)
	}
	return p, nil
}

// place returns the registry at an address, described.
func (s *Source) place(ctx context.Context, address string) (*place, error) {
	address = strings.TrimRight(address, "/")
	s.mu.Lock()
	p := s.places[address]
	if p == nil {
		p = &place{s: s, address: address}
		s.places[address] = p
	}
	s.mu.Unlock()
	p.once.Do(func() { p.err = p.describe(ctx, address) })
	return p, p.err
}

// describe asks the registry what it is called and which namespaces it leaves
// to others. One that says nothing of itself is called by its host.
func (p *place) describe(ctx context.Context, address string) (err error) {
	if p.base, err = url.Parse(address); err != nil {
		return CheckAddress(address)
	}
	if p.base.Scheme != "file" && !p.s.Offline {
		if p.client, err = p.s.open(ctx, address); err != nil {
			return err
		}
	}
	p.host = strings.ToLower(p.base.Host)
	if p.base.Scheme != "file" && p.s.Tagged != nil && p.s.NoIndex != nil && p.s.NoIndex(address) {
		p.plain = true
		return nil
	}
	data, err := p.read(ctx, wellKnownPath, maxWellKnown)
	var wk wellKnown
	switch {
	case p.client != nil && p.s.Tagged != nil && refusal(err):
		p.plain = true
		return nil
	case errors.Is(err, clyde.ErrNotFound), errors.Is(err, errNotCached):
		return nil
	case err != nil:
		return err
	case json.Unmarshal(data, &wk) != nil:
		return nil // a page, where there is no such document
	}
	// Through a tunnel, or in a test, the registry is where the user says.
	if wk.OCI.Host != "" && !loopback(p.base.Hostname()) {
		if p.host = strings.ToLower(wk.OCI.Host); !plainHost(p.host) {
			return clyde.Errorf(clyde.ErrInvalid, "%s says that its repositories are on %q, which is no host", p.label(), wk.OCI.Host).WithCode("registry_invalid")
		}
	}
	if n := len(wk.Namespaces) + len(wk.OCI.Namespaces); n > maxNamespaces {
		return clyde.Errorf(clyde.ErrTooLarge, "%s names registries for %d namespaces: the limit is %d", p.label(), n, maxNamespaces).WithCode("registry_invalid")
	}
	if err := p.checkOthers(wk.Namespaces); err != nil {
		return err
	}
	if err := p.checkOthers(wk.OCI.Namespaces); err != nil {
		return err
	}
	p.other, p.hosts = wk.Namespaces, map[string]string{}
	for ns, other := range wk.OCI.Namespaces {
		u, err := url.Parse(other)
		if err != nil {
			return err // checked above
		}
		p.hosts[ns] = strings.ToLower(u.Host)
	}
	return nil
}

// checkOthers looks at the addresses of other registries.
func (p *place) checkOthers(others map[string]string) error {
	for ns, other := range others {
		u, err := url.Parse(other)
		// A registry may send nobody to a folder of their own, nor from https to
		// where others read along.
		if err != nil || CheckAddress(other) != nil || u.Scheme == "file" || u.Scheme == "http" && p.base.Scheme != "http" || clyde.CheckNamespace(ns) != nil {
			return clyde.Errorf(clyde.ErrInvalid, "%s names %q as the registry of @%s, which is no https address", p.label(), other, ns).WithCode("registry_invalid")
		}
	}
	return nil
}

// open returns a client of the registry at an address.
func (s *Source) open(ctx context.Context, address string) (*client.Client, error) {
	token := ""
	if s.Token != nil {
		var err error
		if token, err = s.Token(ctx, address); err != nil {
			return nil, err
		}
	}
	return client.New(client.Options{BaseURL: address, Token: token, UserAgent: s.UserAgent, HTTP: &http.Client{CheckRedirect: stay}})
}

// stay refuses redirects to another host: a namespace comes from the registry
// that it is bound to, and that one does not hand it on.
func stay(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return fmt.Errorf("it redirects to another host, %s", r.URL.Host)
	}
	return nil
}

// plainHost reports whether s is a host with or without a port.
func plainHost(s string) bool {
	u, err := url.Parse("//" + s)
	return err == nil && u.Host == s && u.Hostname() != ""
}

// loopback reports whether host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// label names the registry to a person.
func (p *place) label() string {
	if p.base.Scheme == "file" {
		return p.base.Path
	}
	return p.base.Host
}

// read returns a file of the registry, of at most limit bytes. A file that is
// not there is clyde.ErrNotFound.
func (p *place) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	if path != wellKnownPath {
		path = apiPath + path
	}
	if p.base.Scheme == "file" {
		return readFile(filepath.Join(filepath.FromSlash(p.base.Path), filepath.FromSlash(path)), limit)
	}
	c := cached{dir: p.s.Cache, base: p.base, path: path, limit: limit}
	old, etag := c.load()
	if p.s.Offline {
		if old == nil {
			return nil, errNotCached
		}
		return old, nil
	}
	h := http.Header{"Accept": {"*/*"}}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	resp, err := p.client.Do(ctx, http.MethodGet, "/"+path, nil, h)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return old, nil
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		c.remove()
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s has no %s", p.label(), path)
	case resp.StatusCode != http.StatusOK:
		return nil, p.refused(resp)
	}
	data, err := readLimited(resp.Body, limit, p.label()+"/"+path)
	if err != nil {
		return nil, err
	}
	c.store(data, resp.Header.Get("ETag"))
	return data, nil
}

// refusal reports whether err is how a server answers that has no such
// document: a registry that asks everybody who they are refuses it, too.
func refusal(err error) bool {
	for _, kind := range []error{clyde.ErrNotFound, clyde.ErrUnauthenticated, clyde.ErrDenied, clyde.ErrInvalid} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// refused is the failure of a reply that is neither the file nor its absence.
func (p *place) refused(resp *http.Response) error {
	kind := clyde.KindOfStatus(resp.StatusCode)
	if kind == nil {
		kind = clyde.ErrUnavailable
	}
	e := clyde.Errorf(kind, "%s answered %s when asked for its index", p.label(), resp.Status).WithCode("registry_failed")
	if errors.Is(kind, clyde.ErrUnauthenticated) || errors.Is(kind, clyde.ErrDenied) {
		return e.Fix("clyde login --registry %s", p.base)
	}
	return e.Fix("try again in a moment, or use --offline")
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("sparse: %w", err)
	}
	defer f.Close()
	return readLimited(f, limit, path)
}

func readLimited(r io.Reader, limit int64, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "%s could not be read to its end", what).WithCode("registry_unreachable").Because(err)
	}
	if int64(len(b)) > limit {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s has more than %d bytes", what, limit).WithCode("index_invalid")
	}
	return b, nil
}
