package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
)

// stands reports whether a request can be answered without the database: a read
// of a manifest or a blob of a repository that was public to the end.
func (r *Registry) stands(req *http.Request, t target) bool {
	return (t.kind == kindManifest || t.kind == kindBlob) &&
		(req.Method == http.MethodGet || req.Method == http.MethodHead) && r.o.Public != nil && r.o.Public(t.repo)
}

// pullFromFiles answers such a request from the files: their links say what a
// tag means and which manifests the repository holds, as they do when the
// database is rebuilt from them.
func (r *Registry) pullFromFiles(w http.ResponseWriter, req *http.Request, c call) error {
	if err := r.pullLimit(w, req, c); err != nil {
		return err
	}
	if c.kind == kindBlob {
		return r.getBlob(w, req, c)
	}
	ctx, d := req.Context(), digest.Digest(c.ref)
	if !isDigest(c.ref) {
		link, err := r.disk.GetContent(ctx, tagCurrentLink(c.repo, c.ref))
		if notThere(err) {
			return manifestUnknown(c.repo, c.ref)
		}
		if err == nil {
			d, err = parseDigest(strings.TrimSpace(string(link)))
		}
		if err != nil {
			return fmt.Errorf("registry: tag's link: %w", errors.New(err.Error()))
		}
	}
	if _, err := r.disk.GetContent(ctx, revisionLink(c.repo, d)); err != nil {
		if notThere(err) {
			return manifestUnknown(c.repo, c.ref)
		}
		return fmt.Errorf("registry: manifest's link: %w", err)
	}
	b, err := r.body(d)
	if err != nil {
		return err
	}
	mediaType, err := manifestType("", b)
	if err != nil {
		return err
	}
	return r.serveManifest(w, req, c, d, member{mediaType: mediaType, size: int64(len(b))})
}
