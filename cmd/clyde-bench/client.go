package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// client speaks just enough of the distribution protocol, and as cheaply as it
// can: on one machine what the client takes, the server lacks.
type client struct {
	http *http.Client
	base string // "http://127.0.0.1:1234"
	auth string // value of Authorization, or ""
}

func newClient(c *child) *client {
	cl := &client{base: "http://" + c.Addr, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}}}
	if c.Secret != "" {
		cl.auth = "Bearer " + c.Secret
	}
	return cl
}

// do sends a request and throws the body of the answer away. It returns the
// answer's header, and an error for a status that is not wanted.
func (c *client) do(ctx context.Context, method, path, contentType string, body io.Reader, size int64, want int) (http.Header, error) {
	if strings.HasPrefix(path, "/") {
		path = c.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.ContentLength = size
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	if method == http.MethodGet {
		req.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return nil, fmt.Errorf("%s %s: %s; want %d: %s", method, path, resp.Status, want, b)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header, err
}

// upload stores a blob: POST, then one PUT.
func (c *client) upload(ctx context.Context, repo string, d digest.Digest, body io.Reader, size int64) error {
	h, err := c.do(ctx, http.MethodPost, "/v2/"+repo+"/blobs/uploads/", "", nil, 0, http.StatusAccepted)
	if err != nil {
		return err
	}
	to := h.Get("Location")
	if strings.Contains(to, "?") {
		to += "&"
	} else {
		to += "?"
	}
	_, err = c.do(ctx, http.MethodPut, to+"digest="+url.QueryEscape(d.String()), "application/octet-stream", body, size, http.StatusCreated)
	return err
}

// parcel is a package ready to be sent.
type parcel struct {
	name            clyde.Name
	version         string
	config, archive []byte
	manifest        []byte
}

// parcelVersion is the version of those packages that have one.
const parcelVersion = "1.0.0"

// pack makes a package with 20 kB of new content. Peers get the same.
func pack(namespace string, i int) (*parcel, error) {
	return packVersion(clyde.Name{Namespace: namespace, Base: fmt.Sprintf("pkg-%d", i)}, parcelVersion, nil, 20_000)
}

// packVersion makes a version of a package with size bytes of new content.
func packVersion(name clyde.Name, version string, requires map[string]string, size int) (*parcel, error) {
	p := &parcel{name: name, version: version}
	needs, err := json.Marshal(requires)
	if err != nil {
		return nil, err
	}
	p.config = fmt.Appendf(nil, "schema: 1\nname: %q\nversion: %q\ntype: library\nlanguage: c\ndescription: Package %s of a measurement\nlicense: MIT\nkeywords: [measurement]\nsources: [\"src/*.c\"]\ninclude: [include]\nbuild: {system: cmake}\n",
		name.String(), version, name.Base)
	if len(requires) > 0 {
		p.config = fmt.Appendf(p.config, "requires: %s\n", needs)
	}
	noise := make([]byte, size)
	_, _ = rand.Read(noise)
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	t := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		body []byte
	}{
		{"package.yaml", p.config},
		{"README.md", fmt.Appendf(nil, "# Package %s\n\nIt measures.\n", name.Base)},
		{"include/" + p.name.Base + ".h", []byte("#pragma once\nint measure(void);\n")},
		{"src/measure.c", []byte("int measure(void) { return 42; }\n")},
		{"data/noise.bin", noise},
	} {
		if err := t.WriteHeader(&tar.Header{Name: p.name.Base + "-" + p.version + "/" + f.name, Mode: 0o644, Size: int64(len(f.body)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.body); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	p.archive = buf.Bytes()
	m, err := clyde.Validate(p.config, clyde.ValidateOptions{Publish: true, Repo: p.name, Tag: p.version})
	if err != nil {
		return nil, err
	}
	layer := artifact.Blob{Descriptor: ocispec.Descriptor{
		MediaType: artifact.TypeSourceGzip, Digest: digest.FromBytes(p.archive), Size: int64(len(p.archive)),
		Annotations: map[string]string{ocispec.AnnotationTitle: p.name.Base + "-" + p.version + ".tar.gz"},
	}}
	p.manifest, _, err = artifact.Assemble(p.config, m, []artifact.Blob{layer}, nil)
	return p, err
}

func (c *client) push(ctx context.Context, p *parcel) error {
	repo := p.name.Repo()
	for _, b := range [][]byte{p.config, p.archive} {
		if err := c.upload(ctx, repo, digest.FromBytes(b), bytes.NewReader(b), int64(len(b))); err != nil {
			return err
		}
	}
	_, err := c.do(ctx, http.MethodPut, "/v2/"+repo+"/manifests/"+p.version, ocispec.MediaTypeImageManifest, bytes.NewReader(p.manifest), int64(len(p.manifest)), http.StatusCreated)
	return err
}

func (c *client) pull(ctx context.Context, p *parcel) error {
	path := "/v2/" + p.name.Repo()
	if _, err := c.do(ctx, http.MethodGet, path+"/manifests/"+p.version, "", nil, 0, http.StatusOK); err != nil {
		return err
	}
	for _, b := range [][]byte{p.config, p.archive} {
		if _, err := c.do(ctx, http.MethodGet, path+"/blobs/"+digest.FromBytes(b).String(), "", nil, 0, http.StatusOK); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for every parcel from so many goroutines and returns how long
// it all took, and the first error.
func each(parcels []*parcel, workers int, f func(*parcel) error) (time.Duration, error) {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	start := time.Now()
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(parcels) {
					return
				}
				if err := f(parcels[i]); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(len(parcels)))
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(start), first
}

// quantile is the value below which the share q of times lies, in
// milliseconds. It sorts times.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return -1
	}
	slices.Sort(times)
	return ms(times[min(int(float64(len(times))*q), len(times)-1)])
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
