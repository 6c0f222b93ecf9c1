package registry

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Bounds of the distribution specification, in bytes.
const (
	maxRepo = 255
	maxTag  = 128
)

var (
	// repoRE and tagRE are those of the distribution specification 1.1,
	// "Pulling manifests".
	repoRE = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRE  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`)
	// uploadRE is the only form that distribution gives the names of uploads.
	uploadRE = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// kind is what a request path asks for.
type kind int

const (
	kindBase kind = iota
	kindCatalog
	kindManifest
	kindBlob
	kindUploads // the collection: where an upload begins
	kindUpload
	kindTags
	kindReferrers
	kinds // how many there are
)

// target is a request path, read once. Nobody looks at the path after it.
type target struct {
	kind kind
	repo string
	ref  string // tag, digest or upload, by kind
}

// nameInvalid is the one answer to a path that two readers may take for two
// things.
func nameInvalid(why string) error {
	return clyde.Errorf(clyde.ErrInvalid, "the path of the request %s", why).WithCode("name_invalid")
}

// parsePath reads the path of a request, which begins with /v2. It accepts one
// spelling of each: escaped slashes, dots and percent signs, empty segments
// and dot segments are refused rather than resolved, since a proxy in front
// may have resolved them otherwise.
func parsePath(u *url.URL) (target, error) {
	raw := strings.ToLower(u.EscapedPath())
	for _, esc := range []string{"%2f", "%5c", "%2e", "%25", "%00"} {
		if strings.Contains(raw, esc) {
			return target{}, nameInvalid("has the escape " + esc + ": write it plainly")
		}
	}
	rest, ok := strings.CutPrefix(u.Path, "/v2")
	if !ok || rest != "" && rest[0] != '/' {
		return target{}, nameInvalid("does not begin with /v2/")
	}
	rest = strings.TrimPrefix(rest, "/")
	switch rest {
	case "":
		return target{kind: kindBase}, nil
	case "_catalog":
		return target{kind: kindCatalog}, nil
	}
	seg := strings.Split(rest, "/")
	n := len(seg)
	for i, s := range seg {
		switch {
		case s == "" && i < n-1:
			return target{}, nameInvalid("has an empty segment")
		case s == "." || s == "..":
			return target{}, nameInvalid("has a dot segment")
		}
	}
	t := target{}
	switch {
	case n >= 4 && seg[n-3] == "blobs" && seg[n-2] == "uploads":
		t.kind, t.repo, t.ref = kindUpload, strings.Join(seg[:n-3], "/"), seg[n-1]
		if t.ref == "" {
			t.kind = kindUploads
		} else if !uploadRE.MatchString(t.ref) {
			return target{}, clyde.Errorf(clyde.ErrNotFound, "there is no such upload").WithCode("upload_unknown")
		}
	case n >= 3 && seg[n-2] == "blobs" && seg[n-1] == "uploads": // without the last slash, as some clients write it
		t.kind, t.repo = kindUploads, strings.Join(seg[:n-2], "/")
	case n >= 3 && seg[n-2] == "tags" && seg[n-1] == "list":
		t.kind, t.repo = kindTags, strings.Join(seg[:n-2], "/")
	case n >= 3 && seg[n-2] == "manifests":
		t.kind, t.repo, t.ref = kindManifest, strings.Join(seg[:n-2], "/"), seg[n-1]
		if err := checkRef(t.ref); err != nil {
			return target{}, err
		}
	case n >= 3 && seg[n-2] == "blobs":
		t.kind, t.repo, t.ref = kindBlob, strings.Join(seg[:n-2], "/"), seg[n-1]
		if _, err := parseDigest(t.ref); err != nil {
			return target{}, err
		}
	case n >= 3 && seg[n-2] == "referrers":
		t.kind, t.repo, t.ref = kindReferrers, strings.Join(seg[:n-2], "/"), seg[n-1]
		if _, err := parseDigest(t.ref); err != nil {
			return target{}, err
		}
	default:
		return target{}, clyde.Errorf(clyde.ErrNotFound, "there is nothing at this path of the registry").WithCode("page_unknown")
	}
	return t, checkRepo(t.repo)
}

func checkRepo(repo string) error {
	if len(repo) > maxRepo || !repoRE.MatchString(repo) {
		return clyde.Errorf(clyde.ErrInvalid, "%.80q is not a repository: use lower case letters, digits and single . _ - between them", repo).WithCode("name_invalid")
	}
	return nil
}

// checkRef accepts a tag or a digest.
func checkRef(ref string) error {
	if strings.Contains(ref, ":") {
		_, err := parseDigest(ref)
		return err
	}
	if len(ref) > maxTag || !tagRE.MatchString(ref) {
		return clyde.Errorf(clyde.ErrInvalid, "%.80q is not a tag: use letters, digits, . _ and -, at most %d", ref, maxTag).WithCode("tag_invalid")
	}
	return nil
}

// parseDigest accepts a SHA-256 digest in lower case; this registry knows no
// other algorithm.
func parseDigest(s string) (digest.Digest, error) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "%.80q is not a digest: want sha256: and 64 hexadecimal digits", s).WithCode("digest_invalid")
	}
	if d.Algorithm() != digest.SHA256 {
		return "", clyde.Errorf(clyde.ErrInvalid, "digests of %s are not kept here", d.Algorithm()).WithCode("digest_invalid").Fix("Use sha256.")
	}
	return d, nil
}

func isDigest(ref string) bool { return strings.Contains(ref, ":") }
