package github

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/egress"
)

// Release is the files of a tag, unpacked.
type Release struct {
	Dir string // folder with package.yaml
	At  string // path of that folder in the repository; "" is its root
}

// FetchOptions bound a Fetch. The zero value has the limits of packages.
type FetchOptions struct {
	MaxArchive int64           // bytes of the archive as it travels; 0: artifact.MaxArchive
	Limits     artifact.Limits // of what is in it
}

// Fetch unpacks the archive of a tag into dir, which must not exist or be
// empty, and finds the package in it: at the root, else where today's Clyde
// client looks, in a folder that is called as the repository or src. What
// unpacking refuses is refused here. Errors are those of Archive and of
// artifact.Unpack.
func (c *Client) Fetch(ctx context.Context, repository, tag, dir string, o FetchOptions) (Release, error) {
	body, err := c.Archive(ctx, repository, tag)
	if err != nil {
		return Release{}, err
	}
	defer body.Close()
	if o.MaxArchive == 0 {
		o.MaxArchive = artifact.MaxArchive
	}
	in := &failing{r: body}
	if _, err := artifact.Unpack(egress.Bounded(in, o.MaxArchive, tooLarge(o.MaxArchive)), artifact.TypeSourceGzip, dir, o.Limits); err != nil {
		if ctx.Err() != nil {
			return Release{}, context.Cause(ctx)
		}
		if in.err != nil && clyde.AsError(in.err) == nil {
			return Release{}, clyde.Errorf(clyde.ErrUnavailable, "the archive of %s from %s broke off", tag, c.base.Host).WithCode("github_unreachable").
				Fix("try again in a moment").Because(in.err)
		}
		return Release{}, err
	}
	return find(repository, dir)
}

// find looks for the package.
func find(repository, dir string) (Release, error) {
	_, base, _ := strings.Cut(repository, "/")
	places := []string{""}
	for _, p := range []string{base, strings.ToLower(base), "src"} {
		if p != "" && filepath.IsLocal(p) && !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	var first error
	for _, p := range places {
		at := filepath.Join(dir, p)
		if info, err := os.Lstat(at); err != nil || !info.IsDir() {
			continue
		}
		root, err := os.OpenRoot(at)
		if err != nil {
			return Release{}, err
		}
		_, err = clyde.FindManifest(root.FS())
		if cerr := root.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			return Release{Dir: at, At: p}, nil
		}
		if first == nil || !errors.Is(err, clyde.ErrNotFound) {
			first = err
		}
		if !errors.Is(err, clyde.ErrNotFound) {
			break
		}
	}
	if errors.Is(first, clyde.ErrNotFound) {
		first = clyde.Errorf(clyde.ErrNotFound, "there is no package.yaml in the tag").WithCode("manifest_missing").
			Fix("add package.yaml or .clyde/package.yaml at the root of the repository, and tag that")
	}
	return Release{}, first
}

// failing remembers why reading ended.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func tooLarge(limit int64) error {
	return clyde.Errorf(clyde.ErrTooLarge, "the archive of the tag has more than %d bytes", limit).WithCode("archive_too_large")
}
