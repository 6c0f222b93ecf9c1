package api

import (
	"context"
	"net/http"

	"github.com/clydepm/clyde-registry/pkg/catalog"
)

type yankInput struct {
	VersionPath
	IfMatch string `header:"If-Match" doc:"ETag of the version as you saw it; the write is refused where it has changed since."`
	Body    catalog.YankRequest
}

type deprecateInput struct {
	PackagePath
	IfMatch string `header:"If-Match" doc:"ETag of the package as you saw it; the write is refused where it has changed since."`
	Body    catalog.Deprecation
}

func (s *server) decisions() {
	const at = base + "/packages/{namespace}/{name}"
	add(s, operation{
		id: "yank-version", method: "PATCH", path: at + "/versions/{version}", tag: "publish", summary: "Yank or unyank a version", token: true,
		about:  "Withdraws a version, or brings it back. Its bytes stay: whoever names it exactly still gets it; ranges no longer choose it.",
		errors: []int{404, 408, 412, 413, 415, 422},
	}, s.yank)
	add(s, operation{
		id: "deprecate-package", method: "PUT", path: at + "/deprecation", tag: "publish", summary: "Deprecate a package", token: true,
		about:  "Marks a package as not to be used for new work; an empty message takes the mark away. Answers with the package.",
		errors: []int{404, 408, 412, 413, 415, 422},
	}, s.deprecate)
}

// match refuses a write where the caller saw another state. The caller holds
// s.decide, so that nothing changes between this and the write.
func match(ctx context.Context, seen any) error {
	fields := callOf(ctx).r.Header.Values("If-Match")
	if len(fields) == 0 {
		return nil
	}
	tag, err := etagOf(seen)
	if err != nil || matches(fields, tag, false) {
		return err
	}
	return refuse(http.StatusPreconditionFailed, "precondition_failed", "it has changed since you read it").fix("Read it again, and decide anew.")
}

func (s *server) yank(ctx context.Context, in *yankInput) (*releaseOutput, error) {
	ref, err := in.ref()
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).who
	s.decide.Lock()
	defer s.decide.Unlock()
	if in.IfMatch != "" {
		r, err := s.Catalog.Release(ctx, who, ref)
		if err != nil {
			return nil, s.unknown(ctx, ref.Name, err)
		}
		if err := match(ctx, r); err != nil {
			return nil, err
		}
	}
	r, err := s.Catalog.Yank(ctx, who, ref, in.Body)
	return &releaseOutput{r}, s.unknown(ctx, ref.Name, err)
}

func (s *server) deprecate(ctx context.Context, in *deprecateInput) (*packageOutput, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).who
	s.decide.Lock()
	defer s.decide.Unlock()
	if in.IfMatch != "" {
		p, err := s.Catalog.Package(ctx, who, name)
		if err != nil {
			return nil, s.unknown(ctx, name, err)
		}
		if err := match(ctx, p); err != nil {
			return nil, err
		}
	}
	p, err := s.Catalog.Deprecate(ctx, who, name, in.Body)
	return &packageOutput{p}, s.unknown(ctx, name, err)
}
