package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func manifestUnknown(repo, ref string) error {
	return clyde.Errorf(clyde.ErrNotFound, "%s has no %s", repo, ref).WithCode("manifest_unknown")
}

// member proves that the repository holds the manifest.
func (r *Registry) member(ctx context.Context, repo string, d digest.Digest) (member, error) {
	key := repo + "@" + d.String()
	m, gen, ok := r.members.get(key)
	if ok && r.o.Replica == "" { // else another may have removed it
		return m, nil
	}
	row, err := r.o.DB.Manifest(ctx, repo, d.String())
	if errors.Is(err, clyde.ErrNotFound) {
		return member{}, manifestUnknown(repo, d.String())
	}
	if err != nil {
		return member{}, err
	}
	m = memberOf(row)
	r.members.put(key, m, gen)
	return m, nil
}

// resolve returns what ref means in repo now.
func (r *Registry) resolve(ctx context.Context, repo, ref string) (digest.Digest, member, error) {
	d := digest.Digest(ref)
	if !isDigest(ref) {
		tag, err := r.o.DB.Tag(ctx, repo, ref)
		if errors.Is(err, clyde.ErrNotFound) {
			return "", member{}, manifestUnknown(repo, ref)
		}
		if err != nil {
			return "", member{}, err
		}
		d = digest.Digest(tag.Digest)
	}
	m, err := r.member(ctx, repo, d)
	return d, m, err
}

// body returns the bytes of a manifest whose membership was proved.
func (r *Registry) body(d digest.Digest) ([]byte, error) {
	if b, ok := r.bodies.get(d); ok {
		return b, nil
	}
	f, size, err := r.disk.OpenBlob(d)
	if err != nil {
		// A row without its file is damage, not absence.
		return nil, fmt.Errorf("registry: manifest %s: %w", d, errors.New(err.Error()))
	}
	defer f.Close()
	if size > artifact.MaxManifest {
		return nil, fmt.Errorf("registry: manifest %s is %d bytes", d, size)
	}
	b, err := io.ReadAll(io.LimitReader(f, artifact.MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("registry: manifest %s: %w", d, err)
	}
	if digest.FromBytes(b) != d {
		return nil, fmt.Errorf("registry: manifest %s is damaged on disk", d)
	}
	r.bodies.put(d, b)
	return b, nil
}

// getManifest serves whatever the Accept header says: a manifest has one form,
// and people use curl.
func (r *Registry) getManifest(w http.ResponseWriter, req *http.Request, c call) error {
	d, m, err := r.resolve(req.Context(), c.repo, c.ref)
	if err != nil {
		return err
	}
	return r.serveManifest(w, req, c, d, m)
}

// serveManifest answers with a manifest that the repository holds.
func (r *Registry) serveManifest(w http.ResponseWriter, req *http.Request, c call, d digest.Digest, m member) error {
	h := w.Header()
	r.cacheControl(h, req, isDigest(c.ref))
	h.Set("Content-Type", m.mediaType)
	h.Set("Docker-Content-Digest", d.String())
	etag := `"` + d.String() + `"`
	h.Set("ETag", etag)
	if etagMatch(req, etag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	b, err := r.body(d)
	if err != nil && req.Method == http.MethodHead {
		r.log.ErrorContext(req.Context(), "registry: a manifest's bytes are not there", "repo", c.repo, "digest", d, "err", err)
		return manifestUnknown(c.repo, c.ref) // so that it is pushed again, which heals it
	}
	if err != nil {
		return err
	}
	if req.Method == http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(http.StatusOK)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if r.o.Pulled != nil {
		r.o.Pulled(Pull{Repo: c.repo, Digest: d.String(), Address: req.RemoteAddr, UserAgent: req.UserAgent(), CI: c.p.Run != nil})
	}
	_, _ = w.Write(b) // the client has gone; there is nobody to tell
	return nil
}

func etagMatch(req *http.Request, etag string) bool {
	for _, v := range req.Header.Values("If-None-Match") {
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimPrefix(strings.TrimSpace(s), "W/"); s == etag || s == "*" {
				return true
			}
		}
	}
	return false
}

// cacheControl says how long an answer holds. What a digest names never
// changes, but a takedown must reach shared caches within a minute; what a tag
// means is asked anew each time.
func (r *Registry) cacheControl(h http.Header, req *http.Request, byDigest bool) {
	h.Add("Vary", "Authorization")
	switch {
	case !byDigest:
		h.Set("Cache-Control", "no-cache")
	case req.Header.Get("Authorization") != "":
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	default:
		h.Set("Cache-Control", "public, max-age=31536000, s-maxage=60, immutable")
	}
}

func (r *Registry) servePutManifest(w http.ResponseWriter, req *http.Request, c call) error {
	if req.ContentLength > artifact.MaxManifest {
		return manifestTooLarge()
	}
	payload, err := io.ReadAll(io.LimitReader(req.Body, artifact.MaxManifest+1))
	if err != nil {
		return clyde.Errorf(clyde.ErrInvalid, "the manifest was cut off").WithCode("manifest_invalid").Because(err)
	}
	if err := r.publishLimit(req, w.Header(), c); err != nil {
		return err
	}
	desc, subject, err := r.storeManifest(req.Context(), c.p, c.repo, c.ref, req.Header.Get("Content-Type"), payload)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Location", "/v2/"+c.repo+"/manifests/"+desc.Digest.String())
	h.Set("Docker-Content-Digest", desc.Digest.String())
	if subject != "" {
		h.Set("OCI-Subject", subject)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// publishLimit counts what is pushed under a version's tag.
func (r *Registry) publishLimit(req *http.Request, h http.Header, c call) error {
	if r.o.PublishLimit == nil || isDigest(c.ref) {
		return nil
	}
	if _, err := clyde.ParseVersion(c.ref); err != nil {
		return nil
	}
	known, err := r.o.DB.HasVersions(req.Context(), c.repo)
	if err != nil {
		return err
	}
	return r.o.PublishLimit(c.p, req.RemoteAddr, !known, h)
}

func manifestTooLarge() error {
	return clyde.Errorf(clyde.ErrTooLarge, "the manifest is larger than %d bytes", artifact.MaxManifest).WithCode("manifest_invalid")
}

// storeManifest admits, stores, syncs and commits. When it returns nil the
// manifest, everything it refers to and the tag are durable and visible; when
// it fails nothing is visible.
func (r *Registry) storeManifest(ctx context.Context, p account.Principal, repo, ref, contentType string, payload []byte) (_ ocispec.Descriptor, subject string, err error) {
	none := ocispec.Descriptor{}
	if len(payload) > artifact.MaxManifest {
		return none, "", manifestTooLarge()
	}
	push := ingest.Push{Principal: p, Repo: repo, Payload: payload}
	if push.MediaType, err = manifestType(contentType, payload); err != nil {
		return none, "", err
	}
	if isDigest(ref) {
		if got := digest.FromBytes(payload); got.String() != ref {
			return none, "", clyde.Errorf(clyde.ErrInvalid, "the manifest has the digest %s, not %s", got, ref).WithCode("digest_invalid")
		}
	} else {
		push.Tag = ref
	}
	done, err := r.storing(ctx)
	if err != nil {
		return none, "", err
	}
	defer done()
	// One push of a tag at a time: cosign's tags are read, merged and written.
	if push.Tag != "" {
		unlock, err := r.lockTag(ctx, repo, push.Tag)
		if err != nil {
			return none, "", err
		}
		defer unlock()
	}
	ad, err := r.o.Admit.Admit(ctx, push, r)
	if err != nil {
		return none, "", err
	}
	// From here on a client that goes away does not stop half a publish.
	ctx = context.WithoutCancel(ctx)
	if ad.Payload == nil {
		ad.Payload = payload
	}
	d := digest.FromBytes(ad.Payload)
	fillCommit(&ad.Commit, push, ad.Payload, r.now())
	r.born.add(ad.Commit.Manifest) // before the commit, of which nobody may learn that it succeeded
	undo, err := r.writeManifest(ctx, repo, push.Tag, d, ad.Payload)
	if err == nil {
		err = r.disk.Sync(ctx)
	}
	if err == nil {
		_, err = r.o.DB.Commit(ctx, ad.Commit)
	}
	if err != nil {
		r.o.Admit.Abandon(ctx, ad)
		undo()
		return none, "", err
	}
	r.bodies.put(d, ad.Payload)
	return ocispec.Descriptor{MediaType: ad.Commit.Manifest.MediaType, Digest: d, Size: int64(len(ad.Payload))}, ad.Commit.Manifest.Subject, nil
}

// lockTag keeps a tag for the caller until unlock, from other processes too
// unless it is a version, whose reservation decides.
func (r *Registry) lockTag(ctx context.Context, repo, tag string) (unlock func(), err error) {
	key := repo + ":" + tag
	here := r.locks.Lock(key)
	if _, err := clyde.ParseVersion(tag); err == nil {
		return here, nil
	}
	everywhere, err := r.o.DB.Lock(ctx, "tag:"+key)
	if err != nil {
		here()
		return nil, err
	}
	return func() { everywhere(); here() }, nil
}

// writeManifest writes the manifest and its links as distribution lays them
// out. SQL decides what a tag means; the files are for rebuilding it, so undo
// puts the tag's back.
func (r *Registry) writeManifest(ctx context.Context, repo, tag string, d digest.Digest, payload []byte) (undo func(), err error) {
	undo = func() {}
	link := []byte(d.String())
	// One that was damaged is healed by pushing it again.
	if had, err := r.disk.GetContent(ctx, blobPath(d)); err != nil || !bytes.Equal(had, payload) {
		if err := r.disk.PutContent(ctx, blobPath(d), payload); err != nil {
			return undo, fmt.Errorf("registry: store: %w", err)
		}
	}
	if err := r.putOnce(ctx, revisionLink(repo, d), link); err != nil {
		return undo, err
	}
	if tag == "" {
		return undo, nil
	}
	current := tagCurrentLink(repo, tag)
	was, err := r.disk.GetContent(ctx, current)
	if err == nil && string(was) == string(link) {
		return undo, nil
	}
	if err != nil {
		if !notThere(err) {
			return undo, fmt.Errorf("registry: store: %w", err)
		}
		was = nil
	}
	undo = func() {
		var err error
		if was == nil {
			err = r.disk.Delete(ctx, repoPath(repo, "_manifests", "tags", tag))
		} else {
			err = r.disk.PutContent(ctx, current, was)
		}
		if err != nil {
			r.log.ErrorContext(ctx, "registry: put a tag's link back", "repo", repo, "tag", tag, "err", err)
		}
	}
	if err := r.disk.PutContent(ctx, tagIndexLink(repo, tag, d), link); err != nil {
		return undo, fmt.Errorf("registry: store: %w", err)
	}
	if err := r.disk.PutContent(ctx, current, link); err != nil {
		return undo, fmt.Errorf("registry: store: %w", err)
	}
	return undo, nil
}

// manifestType returns the media type of a manifest, without parameters: what
// the header says, which must be what the manifest says of itself.
func manifestType(contentType string, payload []byte) (string, error) {
	var m struct {
		MediaType string          `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "the manifest is not JSON: %v", err).WithCode("manifest_invalid")
	}
	mt, _, err := mime.ParseMediaType(contentType)
	if err != nil || mt == "application/json" || mt == "application/x-www-form-urlencoded" || mt == "application/octet-stream" {
		mt = m.MediaType // curl and friends name what they do not know
	}
	switch {
	case mt == "" && m.Manifests != nil:
		return ocispec.MediaTypeImageIndex, nil
	case mt == "":
		return ocispec.MediaTypeImageManifest, nil
	case m.MediaType != "" && m.MediaType != mt:
		return "", clyde.Errorf(clyde.ErrInvalid, "Content-Type is %q and the manifest's mediaType is %q", mt, m.MediaType).WithCode("manifest_invalid")
	}
	return mt, nil
}

// describe reads what the row of a manifest holds out of its bytes.
func describe(repo, mediaType string, payload []byte) (store.Manifest, error) {
	var m struct {
		ArtifactType string              `json:"artifactType"`
		Config       *ocispec.Descriptor `json:"config"`
		Subject      *ocispec.Descriptor `json:"subject"`
		Annotations  map[string]string   `json:"annotations"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return store.Manifest{}, fmt.Errorf("registry: manifest: %w", err)
	}
	row := store.Manifest{
		Repo: repo, Digest: digest.FromBytes(payload).String(), MediaType: mediaType,
		ArtifactType: m.ArtifactType, Size: int64(len(payload)), Annotations: m.Annotations,
	}
	if m.Config != nil {
		if row.ArtifactType == "" {
			row.ArtifactType = m.Config.MediaType
		}
	}
	refs, err := named(payload)
	if err != nil {
		return store.Manifest{}, err
	}
	for _, d := range refs {
		row.Refs = append(row.Refs, d.Digest.String())
	}
	if m.Subject != nil {
		row.Subject = m.Subject.Digest.String()
	}
	return row, nil
}

// named lists what a manifest refers to besides its subject.
func named(payload []byte) ([]ocispec.Descriptor, error) {
	var m struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("registry: manifest: %w", err)
	}
	out := append(m.Layers, m.Manifests...)
	if m.Config != nil {
		out = append([]ocispec.Descriptor{*m.Config}, out...)
	}
	return out, nil
}
