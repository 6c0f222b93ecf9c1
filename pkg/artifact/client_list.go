package artifact

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Tags returns at most n tags after last, in byte order; n <= 0 means all.
func (c *Client) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	u, err := c.in(repo, "/tags/list")
	if err != nil {
		return nil, err
	}
	return c.names(ctx, u, pull(repo), last, n)
}

// Repositories returns at most n repositories after last, in byte order;
// n <= 0 means all. Many hosted registries have no such list, or keep it to
// administrators.
func (c *Client) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	return c.names(ctx, c.address("/v2/_catalog"), catalog, last, n)
}

// names gathers a listing. Registries that page in another order than that of
// bytes, or not at all, are read whole and sorted here.
func (c *Client) names(ctx context.Context, u *url.URL, s scope, last string, n int) ([]string, error) {
	out, err := c.pagesOfNames(ctx, u, s, last, n)
	if err != nil {
		return nil, err
	}
	ordered := slices.IsSorted(out) && (len(out) == 0 || last == "" || out[0] > last)
	if !ordered && (n > 0 || last != "") {
		if out, err = c.pagesOfNames(ctx, u, s, "", 0); err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	out = slices.DeleteFunc(out, func(x string) bool { return last != "" && x <= last })
	if n > 0 && len(out) > n {
		out = out[:n]
	}
	return out, nil
}

func (c *Client) pagesOfNames(ctx context.Context, u *url.URL, s scope, last string, n int) ([]string, error) {
	q := url.Values{"n": {strconv.Itoa(pageSize)}}
	if n > 0 {
		q.Set("n", strconv.Itoa(min(n, pageSize)))
	}
	if last != "" {
		q.Set("last", last)
	}
	out, err := c.listNames(ctx, u, s, q, n)
	if isStatus(err, http.StatusBadRequest) {
		// A distribution with smaller pages refuses to be asked for larger ones.
		q.Del("n")
		out, err = c.listNames(ctx, u, s, q, n)
	}
	return out, err
}

// listNames gathers what is asked for by q, until there are n.
func (c *Client) listNames(ctx context.Context, u *url.URL, s scope, q url.Values, n int) ([]string, error) {
	first := *u
	first.RawQuery = q.Encode()
	out := []string{}
	err := c.pages(ctx, request{method: http.MethodGet, url: &first, scope: s}, func(b []byte, _ http.Header) (more bool, err error) {
		var page struct {
			Tags         []string `json:"tags"`
			Repositories []string `json:"repositories"`
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return false, c.notOCI(err)
		}
		out = append(append(out, page.Tags...), page.Repositories...)
		if len(out) > MaxNames {
			return false, clyde.Errorf(clyde.ErrTooLarge, "%s lists more than %d names", c.base.Host, MaxNames).WithCode("too_large")
		}
		return n <= 0 || len(out) < n, nil
	})
	return out, err
}

// notOCI is the error about a success that cannot be read.
func (c *Client) notOCI(err error) error {
	return clyde.Errorf(clyde.ErrUnavailable, "%s answered with something that no OCI registry does", c.base.Host).WithCode("registry_missing").
		Fix("check the address").Because(err)
}

// pages calls each with every page of a listing while it wants more.
func (c *Client) pages(ctx context.Context, q request, each func(b []byte, h http.Header) (more bool, err error)) error {
	seen := map[string]bool{}
	for range MaxPages {
		b, h, err := c.get(ctx, q, maxReply)
		if err != nil {
			return err
		}
		more, err := each(b, h)
		if err != nil || !more {
			return err
		}
		next := nextLink(h.Values("Link"))
		if next == "" {
			return nil
		}
		u, err := q.url.Parse(next)
		if err != nil || !strings.EqualFold(u.Hostname(), c.base.Hostname()) || u.User != nil || seen[u.RequestURI()] {
			return clyde.Errorf(clyde.ErrUnavailable, "%s continues its listing at an address that is not followed", c.base.Host).WithCode("redirect_refused")
		}
		seen[u.RequestURI()] = true
		u.Scheme, u.Host, u.Fragment = c.base.Scheme, c.base.Host, ""
		q.url = u
	}
	return clyde.Errorf(clyde.ErrTooLarge, "the listing of %s has more than %d pages", c.base.Host, MaxPages).WithCode("too_large")
}

// nextLink returns the address of the next page (RFC 8288), or "".
func nextLink(links []string) string {
	for _, l := range links {
		for l != "" {
			_, rest, ok := strings.Cut(l, "<")
			if !ok {
				break
			}
			address, params, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			own, _, _ := strings.Cut(params, "<")
			if strings.Contains(strings.ReplaceAll(strings.ToLower(own), " ", ""), `rel="next"`) || strings.Contains(strings.ToLower(own), "rel=next") {
				return address
			}
			l = params
		}
	}
	return ""
}

// Referrers returns every manifest that names subject as its subject, each
// once, by the registry's word: fetch one to know. Where the registry has no
// such list, or leads elsewhere for it, it is the index under the tag
// sha256-<hex>. More than
// MaxReferrers are clyde.ErrTooLarge.
func (c *Client) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	out, _, err := c.ListReferrers(ctx, repo, subject)
	return out, err
}

// ListReferrers is Referrers; listed is false where the registry has no such
// list and the tag, which parallel writers take entries from each other, was all
// there is.
//
// A registry that redirects is one that has no list, wherever it leads: GHCR
// answers 303, and 429 to those who ask again.
func (c *Client) ListReferrers(ctx context.Context, repo string, subject digest.Digest) (_ []ocispec.Descriptor, listed bool, err error) {
	if err := checkDigest(subject); err != nil {
		return nil, false, err
	}
	u, err := c.in(repo, "/referrers/"+subject.String())
	if err != nil {
		return nil, false, err
	}
	if c.unlisted.Load() {
		out, err := c.taggedReferrers(ctx, repo, subject)
		return out, false, err
	}
	out := []ocispec.Descriptor{}
	known := map[digest.Digest]bool{}
	errNoAPI := invalid("unsupported", "%s lists no referrers", c.base.Host)
	q := request{method: http.MethodGet, url: u, header: http.Header{"Accept": {ocispec.MediaTypeImageIndex}}, scope: pull(repo), stay: true}
	err = c.pages(ctx, q, func(b []byte, h http.Header) (bool, error) {
		if mediaTypeOf(h) != ocispec.MediaTypeImageIndex {
			return false, errNoAPI // a page for people, from what took the path for its own
		}
		var index ocispec.Index
		if err := json.Unmarshal(b, &index); err != nil {
			return false, c.notOCI(err)
		}
		return true, gather(&out, known, index.Manifests)
	})
	elsewhere := isStatus(err, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
	if elsewhere {
		c.unlisted.Store(true)
	}
	if err == errNoAPI || elsewhere || isStatus(err, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented) {
		out, err := c.taggedReferrers(ctx, repo, subject)
		return out, false, err
	}
	if err != nil {
		return nil, true, err
	}
	return out, true, nil
}

// gather adds what can be fetched at all, once.
func gather(out *[]ocispec.Descriptor, known map[digest.Digest]bool, more []ocispec.Descriptor) error {
	for _, d := range more {
		if checkBlob(d) != nil || known[d.Digest] {
			continue
		}
		if len(*out) == MaxReferrers {
			return clyde.Errorf(clyde.ErrTooLarge, "more than %d manifests refer to this one", MaxReferrers).WithCode("too_large")
		}
		known[d.Digest] = true
		*out = append(*out, d)
	}
	return nil
}

// taggedReferrers reads the index that clients keep where a registry does not
// list referrers itself.
func (c *Client) taggedReferrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	out := []ocispec.Descriptor{}
	tag := subject.Algorithm().String() + "-" + subject.Encoded()
	b, _, err := c.manifest(ctx, repo, tag)
	if isStatus(err, http.StatusNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, invalid("manifest_invalid", "the tag %s of %s is no index of referrers", tag, repo).Because(err)
	}
	err = gather(&out, map[digest.Digest]bool{}, index.Manifests)
	return out, err
}
