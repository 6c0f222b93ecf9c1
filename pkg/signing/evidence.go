package signing

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Evidence names what a check of subject would read: it changes when something
// that may be a signature comes or goes. Nothing is fetched.
func Evidence(ctx context.Context, src Source, repo string, subject digest.Digest) (digest.Digest, error) {
	list, err := src.Referrers(ctx, repo, subject)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return "", err
	}
	names := make([]string, 0, len(list)+3)
	for _, d := range list {
		names = append(names, d.Digest.String())
	}
	for _, suffix := range []string{"", ".sig", ".att"} {
		d, err := src.Resolve(ctx, repo, tagOf(subject)+suffix)
		switch {
		case err == nil:
			names = append(names, suffix+" "+d.Digest.String())
		case !errors.Is(err, clyde.ErrNotFound):
			return "", err
		}
	}
	slices.Sort(names)
	return digest.FromString(subject.String() + "\n" + strings.Join(slices.Compact(names), "\n")), nil
}
