package catalog

import (
	"context"
	"errors"
	"io"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
)

func (c *Catalog) info(ctx context.Context, p account.Principal, ref Ref) (*content.Info, string, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return nil, "", err
	}
	info, err := c.Content.Info(ctx, r.Digest)
	return info, r.Digest, err
}

// Readme returns the readme, or clyde.ErrNotFound when the release has none.
func (c *Catalog) Readme(ctx context.Context, p account.Principal, ref Ref) (Readme, error) {
	info, _, err := c.info(ctx, p, ref)
	if err != nil {
		return Readme{}, err
	}
	if info.ReadmePath == "" && info.Readme == "" {
		return Readme{}, clyde.Errorf(clyde.ErrNotFound, "%s has no readme", ref.Name).WithCode("readme_unknown")
	}
	return Readme{Path: info.ReadmePath, Raw: info.Readme, HTML: info.ReadmeHTML}, nil
}

// Files lists the files of the source archive by path.
func (c *Catalog) Files(ctx context.Context, p account.Principal, ref Ref) ([]File, error) {
	info, _, err := c.info(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	out := make([]File, len(info.Files))
	for i, f := range info.Files {
		out[i] = File(f)
	}
	return out, nil
}

// OpenFile returns one file of the source archive. The caller closes it.
func (c *Catalog) OpenFile(ctx context.Context, p account.Principal, ref Ref, path string) (io.ReadCloser, File, error) {
	_, key, err := c.info(ctx, p, ref)
	if err != nil {
		return nil, File{}, err
	}
	r, f, err := c.Content.OpenFile(ctx, key, path)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, File{}, clyde.Errorf(clyde.ErrNotFound, "%s has no file %q", ref.Name, path).WithCode("file_unknown")
	}
	return r, File(f), err
}
