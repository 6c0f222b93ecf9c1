package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxArchiveIndex is the largest index of an archive read, in bytes: some
// hundred thousand packages.
const MaxArchiveIndex = 64 << 20

// archiveSchema names the form of an archive's index.
const archiveSchema = "clyde.signatures/v1"

// Archive is a folder with what registries said about some packages: their
// signatures, and what is needed to check them without a network. Everything
// named by a digest is checked against it again when it is read; who may change
// the folder can take signatures away, and then nothing verifies.
type Archive struct {
	dir string

	mu    sync.Mutex
	index archiveIndex
}

type archiveIndex struct {
	Schema    string                          `json:"schema"`
	Tags      map[string]*ocispec.Descriptor  `json:"tags"`      // by host/repo:tag; null where there was none
	Referrers map[string][]ocispec.Descriptor `json:"referrers"` // by host/repo@digest
	Manifests map[string]ocispec.Descriptor   `json:"manifests"` // by host/repo@digest
}

// CreateArchive begins an empty archive. Nothing counts before Close.
func CreateArchive(dir string) (*Archive, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, fmt.Errorf("signing.CreateArchive: %w", err)
	}
	return &Archive{dir: dir, index: archiveIndex{
		Schema: archiveSchema, Tags: map[string]*ocispec.Descriptor{},
		Referrers: map[string][]ocispec.Descriptor{}, Manifests: map[string]ocispec.Descriptor{},
	}}, nil
}

// OpenArchive opens a folder that an Archive was written to.
func OpenArchive(dir string) (*Archive, error) {
	data, err := readBounded(filepath.Join(dir, "index.json"), MaxArchiveIndex)
	if err != nil {
		return nil, err
	}
	a := &Archive{dir: dir}
	if err := json.Unmarshal(data, &a.index); err != nil || a.index.Schema != archiveSchema {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s holds no signatures that were fetched", dir).WithCode("bad_archive").
			Fix("clyde trust fetch makes it").Because(err)
	}
	return a, nil
}

// Close writes the index: the archive is whole.
func (a *Archive) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	data, err := json.MarshalIndent(a.index, "", " ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(a.dir, "index.json"), append(data, '\n'))
}

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// Record returns a Source that reads src and keeps what it answers about
// repositories of host.
func (a *Archive) Record(host string, src Source) Source { return &recorder{a, host, src} }

// At returns the recorded repositories of host. What was not asked when the
// archive was made is a clyde.ErrUnavailable error with the code not_archived.
func (a *Archive) At(host string) Source { return &replay{a, host} }

func (a *Archive) blob(d digest.Digest) string {
	return filepath.Join(a.dir, "blobs", "sha256", d.Encoded())
}

// keep stores bytes under their digest. Others than SHA-256 are not kept: no
// client makes them.
func (a *Archive) keep(d digest.Digest, data []byte) error {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return nil
	}
	return writeFile(a.blob(d), data)
}

func (a *Archive) note(f func(i *archiveIndex)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.index)
}

type recorder struct {
	a    *Archive
	host string
	src  Source
}

func (r *recorder) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	d, err := r.src.Resolve(ctx, repo, ref)
	key := r.host + "/" + repo + ":" + ref
	switch {
	case err == nil:
		r.a.note(func(i *archiveIndex) { i.Tags[key] = &d })
	case errors.Is(err, clyde.ErrNotFound):
		r.a.note(func(i *archiveIndex) { i.Tags[key] = nil })
	}
	return d, err
}

func (r *recorder) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	data, mediaType, err := r.src.Manifest(ctx, repo, d)
	if err != nil {
		return nil, "", err
	}
	r.a.note(func(i *archiveIndex) {
		i.Manifests[r.host+"/"+repo+"@"+d.String()] = ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	})
	return data, mediaType, r.a.keep(d, data)
}

func (r *recorder) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := r.src.Blob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, d.Size+1)) // the caller has bounded the size
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), r.a.keep(d.Digest, data)
}

func (r *recorder) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	list, err := r.src.Referrers(ctx, repo, subject)
	if err == nil || errors.Is(err, clyde.ErrNotFound) {
		if list == nil {
			list = []ocispec.Descriptor{}
		}
		r.a.note(func(i *archiveIndex) { i.Referrers[r.host+"/"+repo+"@"+subject.String()] = list })
	}
	return list, err
}

type replay struct {
	a    *Archive
	host string
}

func (r *replay) missing(what string) error {
	return clyde.Errorf(clyde.ErrUnavailable, "%s/%s was not fetched", r.host, what).WithCode("not_archived").
		Fix("run clyde trust fetch again, where there is a network")
}

func (r *replay) Resolve(_ context.Context, repo, ref string) (ocispec.Descriptor, error) {
	r.a.mu.Lock()
	d, ok := r.a.index.Tags[r.host+"/"+repo+":"+ref]
	r.a.mu.Unlock()
	switch {
	case !ok:
		return ocispec.Descriptor{}, r.missing(repo + ":" + ref)
	case d == nil:
		return ocispec.Descriptor{}, clyde.Errorf(clyde.ErrNotFound, "%s has no tag %s", repo, ref)
	}
	return *d, nil
}

func (r *replay) Manifest(_ context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	r.a.mu.Lock()
	desc, ok := r.a.index.Manifests[r.host+"/"+repo+"@"+d.String()]
	r.a.mu.Unlock()
	if !ok || d.Validate() != nil {
		return nil, "", r.missing(repo + "@" + d.String())
	}
	data, err := readBounded(r.a.blob(d), maxArchivedManifest)
	if err != nil {
		return nil, "", r.missing(repo + "@" + d.String())
	}
	return data, desc.MediaType, nil
}

// maxArchivedManifest is the largest manifest read out of an archive, in bytes:
// what registries take.
const maxArchivedManifest = 4 << 20

func (r *replay) Blob(_ context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Digest.Validate() != nil {
		return nil, r.missing(repo)
	}
	f, err := os.Open(r.a.blob(d.Digest))
	if err != nil {
		return nil, r.missing(repo + "@" + d.Digest.String())
	}
	return f, nil
}

func (r *replay) Referrers(_ context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	list, ok := r.a.index.Referrers[r.host+"/"+repo+"@"+subject.String()]
	if !ok {
		return nil, r.missing(repo + "@" + subject.String())
	}
	return list, nil
}

// Fetch reads everything that any check of sub may ask for, so that a recording
// Source has it.
func Fetch(ctx context.Context, src Source, sub Subject) error {
	found, err := discover(ctx, src, sub.Repo, sub.Digest, Limits{})
	if err != nil {
		return err
	}
	if found.failed != nil {
		return found.failed
	}
	if _, err := stated(ctx, src, sub, Limits{}.withDefaults()); errors.Is(err, clyde.ErrUnavailable) {
		return err
	}
	return nil
}
