package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Bounds of one page. Ours; clients follow the Link header to the next.
const (
	maxPage          = 1000    // entries of any listing
	maxReferrersPage = 3 << 20 // bytes of annotations; the specification bounds the page to 4 MiB
)

// page reads n and last.
func page(req *http.Request) (n int, last string, q url.Values, err error) {
	if q, err = query(req); err != nil {
		return 0, "", nil, err
	}
	n = maxPage
	if s := q.Get("n"); s != "" {
		n, err = strconv.Atoi(s)
		if err != nil || n < 0 {
			return 0, "", nil, clyde.Errorf(clyde.ErrInvalid, "n is %.20q: want a number from 0", s).WithCode("pagination_invalid")
		}
	}
	return min(n, maxPage), q.Get("last"), q, nil
}

func writeJSON(w http.ResponseWriter, req *http.Request, mediaType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("registry: encode: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if req.Method != http.MethodHead {
		_, _ = w.Write(b) // the client has gone; there is nobody to tell
	}
	return nil
}

func link(w http.ResponseWriter, path string, q url.Values) {
	w.Header().Set("Link", "<"+path+"?"+q.Encode()+`>; rel="next"`)
}

func (r *Registry) getTags(w http.ResponseWriter, req *http.Request, c call) error {
	n, last, _, err := page(req)
	if err != nil {
		return err
	}
	tags, err := r.shownTags(req.Context(), c.p, c.repo, last, n+1)
	if err != nil {
		return err
	}
	if len(tags) > n {
		if tags = tags[:n]; n > 0 {
			link(w, "/v2/"+c.repo+"/tags/list", url.Values{"n": {strconv.Itoa(n)}, "last": {tags[n-1]}})
		}
	}
	r.cacheControl(w.Header(), req, false)
	return writeJSON(w, req, "application/json", struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{c.repo, tags})
}

// getCatalog lists the repositories that the asker may see.
func (r *Registry) getCatalog(w http.ResponseWriter, req *http.Request, c call) error {
	n, last, _, err := page(req)
	if err != nil {
		return err
	}
	ctx, repos := req.Context(), []string{}
	for more := n > 0; more && len(repos) <= n; {
		batch, err := r.o.DB.Repos(ctx, last, maxPage)
		if err != nil {
			return err
		}
		more = len(batch) == maxPage
		for _, repo := range batch {
			last = repo
			ok, err := r.visible(ctx, c.p, repo)
			if err != nil {
				return err
			}
			if ok {
				repos = append(repos, repo)
			}
			if len(repos) > n {
				break
			}
		}
	}
	if len(repos) > n {
		repos = repos[:n]
		link(w, "/v2/_catalog", url.Values{"n": {strconv.Itoa(n)}, "last": {repos[n-1]}})
	}
	r.cacheControl(w.Header(), req, false)
	return writeJSON(w, req, "application/json", struct {
		Repositories []string `json:"repositories"`
	}{repos})
}

func (r *Registry) getReferrers(w http.ResponseWriter, req *http.Request, c call) error {
	n, last, q, err := page(req)
	if err != nil {
		return err
	}
	n = max(n, 1)
	want := q.Get("artifactType")
	rows, err := r.o.DB.Referrers(req.Context(), c.repo, c.ref, want, last, n+1)
	if err != nil {
		return err
	}
	out := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	size := 0
	for i, m := range rows {
		for k, v := range m.Annotations {
			size += len(k) + len(v)
		}
		if i > 0 && (i == n || size > maxReferrersPage) {
			next := url.Values{"n": {strconv.Itoa(n)}, "last": {rows[i-1].Digest}}
			if want != "" {
				next.Set("artifactType", want)
			}
			link(w, "/v2/"+c.repo+"/referrers/"+c.ref, next)
			break
		}
		out.Manifests = append(out.Manifests, descriptorOf(m))
	}
	if want != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	r.cacheControl(w.Header(), req, false)
	return writeJSON(w, req, ocispec.MediaTypeImageIndex, out)
}

// eachTag calls fn for every tag of the repository, in order.
func (r *Registry) eachTag(ctx context.Context, repo string, fn func(store.Tag) error) error {
	for last := ""; ; {
		tags, err := r.o.DB.Tags(ctx, repo, last, maxPage)
		if err != nil {
			return err
		}
		for _, t := range tags {
			last = t.Tag
			if err := fn(t); err != nil {
				return err
			}
		}
		if len(tags) < maxPage {
			return nil
		}
	}
}
