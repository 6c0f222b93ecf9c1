package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Names of the parts of a publish request, in their order.
const (
	partManifest = "package.yaml"
	partArchive  = "archive"
)

type publishInput struct {
	Key string `header:"Idempotency-Key" maxLength:"128" doc:"Any text of your choice; a request that comes again with it, within a day, has the first one's answer."`

	r *http.Request
	w http.ResponseWriter
}

// Resolve keeps the request, whose body is read as it comes.
func (in *publishInput) Resolve(ctx huma.Context) []error {
	in.r, in.w = unwrap(ctx)
	return nil
}

type publishOutput struct {
	Location string `header:"Location" doc:"address of the version"`
	Replayed string `header:"Idempotent-Replayed" doc:"true where the answer is that of an earlier request with the same key"`
	Body     catalog.Release
}

func (s *server) publish() {
	add(s, operation{
		id: "publish", method: "POST", path: base + "/packages", tag: "publish", summary: "Publish a version", status: http.StatusCreated, token: true,
		about:  "Two parts in this order: package.yaml, then archive (tar, gzip or zstd). The version is visible when the answer comes. The same content again succeeds; another content for a version is 409.",
		errors: []int{408, 409, 413, 415, 422},
	}, s.publishPackage)
}

func (s *server) publishPackage(ctx context.Context, in *publishInput) (_ *publishOutput, err error) {
	c := callOf(ctx)
	body := newUpload(in.w, in.r, artifact.MaxArchive+artifact.MaxConfig+uploadOverhead)
	defer func() { body.end(err != nil) }()
	if err := needToken(c.who, "publishing"); err != nil {
		return nil, err
	}
	release, err := s.running.start(c.who, in.Key)
	if err != nil {
		return nil, err
	}
	defer release()
	form, err := s.openForm(in.r, body)
	if err != nil {
		return nil, err
	}
	ref, replayed, err := s.publishForm(ctx, c, in.Key, form)
	if err != nil {
		return nil, err
	}
	rel, err := s.Catalog.Release(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	n := ref.Name
	out := &publishOutput{
		Location: s.PublicURL + base + "/packages/" + url.PathEscape(n.Namespace) + "/" + url.PathEscape(n.Base) + "/versions/" + url.PathEscape(rel.Version),
		Body:     rel,
	}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}

// publishForm publishes what the two parts hold, or finds that a request with
// the same key already did.
func (s *server) publishForm(ctx context.Context, c *call, key string, form *form) (ref catalog.Ref, replayed bool, err error) {
	manifest, err := form.manifest()
	if err != nil {
		return ref, false, err
	}
	earlier, found, err := s.earlier(ctx, c.who, key)
	if err != nil {
		return ref, false, err
	}
	if !found {
		if err := s.limitPublish(ctx, c, manifest); err != nil {
			return ref, false, err
		}
	}
	archive, mediaType, err := form.archive()
	if err != nil {
		return ref, false, err
	}
	h := sha256.New()
	_, _ = h.Write(manifest)
	tee := io.TeeReader(archive, h)
	if found {
		if _, err := io.Copy(io.Discard, tee); err != nil {
			return ref, false, err
		}
		ref, err = earlier.ref(sum(h))
		return ref, true, err
	}
	name, version, err := s.Publish(ctx, c.who, manifest, tee, mediaType)
	if err != nil {
		return ref, false, err
	}
	ref = catalog.Ref{Name: name, Version: version}
	return ref, false, s.remember(ctx, c.who, key, outcome{Request: sum(h), Name: name.String(), Version: version})
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// limitPublish counts a request as a new package or a new version. What the
// caller may not see counts as new, so that the answer does not tell him.
func (s *server) limitPublish(ctx context.Context, c *call, manifest []byte) error {
	if c.who.Admin {
		return nil
	}
	m, problems := clyde.ParseManifest(manifest)
	k := newPackage
	if len(problems.Errors()) == 0 && m.Name.Namespace != "" {
		_, err := s.Catalog.Versions(ctx, c.who, m.Name)
		switch {
		case err == nil:
			k = newVersion
		case !errors.Is(err, clyde.ErrNotFound):
			return err
		}
	}
	return s.limit(c, k, c.caller)
}

// form is a multipart body that is read as it comes.
type form struct {
	parts *multipart.Reader
	body  *upload
}

func (s *server) openForm(r *http.Request, body *upload) (*form, error) {
	ct, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || ct != "multipart/form-data" || params["boundary"] == "" {
		return nil, refuse(http.StatusUnsupportedMediaType, "media_type_unsupported", "a version is published as multipart/form-data").
			fix("curl -F package.yaml=@package.yaml -F archive=@src.tar.gz sends it so.")
	}
	return &form{parts: multipart.NewReader(body, params["boundary"]), body: body}, nil
}

// part returns the next part, which must have the name given.
func (f *form) part(name string) (*multipart.Part, error) {
	p, err := f.parts.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, clyde.Errorf(clyde.ErrInvalid, "the part %q is missing", name).WithCode("part_missing").
			Fix("Send %d parts in this order: %s, %s.", MaxParts, partManifest, partArchive)
	case err != nil:
		return nil, f.body.explain(err)
	case p.FormName() != name:
		return nil, clyde.Errorf(clyde.ErrInvalid, "the part %q comes where %q is expected", clip(p.FormName()), name).WithCode("part_unexpected").
			Fix("Send %d parts in this order: %s, %s.", MaxParts, partManifest, partArchive)
	}
	return p, nil
}

func (f *form) manifest() ([]byte, error) {
	p, err := f.part(partManifest)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(p, artifact.MaxConfig+1))
	if err != nil {
		return nil, f.body.explain(err)
	}
	if len(b) > artifact.MaxConfig {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "package.yaml has more than %d bytes", artifact.MaxConfig).WithCode("too_large")
	}
	return b, nil
}

// archive returns the archive and its media type. Its last Read fails when the
// body has more parts, so that nothing is published by a body that is wrong.
func (f *form) archive() (io.Reader, string, error) {
	p, err := f.part(partArchive)
	if err != nil {
		return nil, "", err
	}
	head := make([]byte, 4)
	n, err := io.ReadFull(p, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, "", f.body.explain(err)
	}
	mediaType := archiveType(p.Header.Get("Content-Type"), head[:n])
	if mediaType == "" {
		return nil, "", refuse(http.StatusUnsupportedMediaType, "archive_unsupported", "the archive is neither a gzip nor a zstd file").
			fix("Pack it with: tar -czf src.tar.gz .")
	}
	return &archiveReader{f: f, head: head[:n], rest: p}, mediaType, nil
}

// archiveType is what the archive is by its first bytes. What curl says of it
// is as good as anything; a type of ours that contradicts the bytes is wrong.
func archiveType(said string, head []byte) string {
	is := ""
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		is = artifact.TypeSourceGzip
	case string(head) == "\x28\xb5\x2f\xfd":
		is = artifact.TypeSourceZstd
	}
	if (said == artifact.TypeSourceGzip || said == artifact.TypeSourceZstd) && said != is {
		return ""
	}
	return is
}

type archiveReader struct {
	f    *form
	head []byte
	rest io.Reader
}

func (a *archiveReader) Read(b []byte) (int, error) {
	if len(a.head) > 0 {
		n := copy(b, a.head)
		a.head = a.head[n:]
		return n, nil
	}
	n, err := a.rest.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		if _, more := a.f.parts.NextRawPart(); more == nil {
			return n, clyde.Errorf(clyde.ErrInvalid, "the request has more than %d parts", MaxParts).WithCode("part_unexpected").
				Fix("Send %s and %s alone.", partManifest, partArchive)
		} else if !errors.Is(more, io.EOF) {
			return n, a.f.body.explain(more)
		}
		// All is here. What follows may take longer than any read: a deadline
		// left on the connection would end the request's context.
		_ = a.f.body.ctl.SetReadDeadline(time.Time{})
	case err != nil:
		err = a.f.body.explain(err)
	}
	return n, err
}

// upload is a request body that must keep coming.
type upload struct {
	body  io.ReadCloser
	ctl   *http.ResponseController
	start time.Time
	read  int64
	ended bool
	err   error // other than io.EOF
}

func newUpload(w http.ResponseWriter, r *http.Request, limit int64) *upload {
	return &upload{body: http.MaxBytesReader(w, r.Body, limit), ctl: http.NewResponseController(w), start: time.Now()}
}

// Read lets the connection fail when the sender pauses, or is slower than
// MinUploadRate on the whole. A writer without deadlines (in tests) has none.
func (u *upload) Read(b []byte) (int, error) {
	end := u.start.Add(UploadGrace + time.Duration(u.read/MinUploadRate)*time.Second)
	if idle := time.Now().Add(UploadIdle); idle.Before(end) {
		end = idle
	}
	_ = u.ctl.SetReadDeadline(end)
	n, err := u.body.Read(b)
	u.read += int64(n)
	if errors.Is(err, io.EOF) {
		u.ended = true
	} else if err != nil {
		u.err = err
	}
	return n, err
}

// explain names the cause of a failure to read a part: the body's, or a body
// that is cut off or malformed.
func (u *upload) explain(err error) error {
	if u.err != nil {
		if clyde.AsError(transferError(u.err)) != nil {
			return transferError(u.err)
		}
	}
	if clyde.AsError(err) != nil {
		return err
	}
	return clyde.Errorf(clyde.ErrInvalid, "the request body ends before it is whole, or is not well-formed multipart/form-data").
		WithCode("body_invalid").Because(err).Fix("Send it again.")
}

// end takes the deadline away again, after reading some of what is left when
// the request was refused: a sender who is still writing must be able to read
// why.
func (u *upload) end(refused bool) {
	if refused && !u.ended && u.err == nil {
		_ = u.ctl.SetReadDeadline(time.Now().Add(drainTimeout))
		discard(u.body)
	}
	_ = u.ctl.SetReadDeadline(time.Time{})
}
