package api

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// VersionPath is the part of a path that names a version.
type VersionPath struct {
	PackagePath
	Version string `path:"version" maxLength:"111" doc:"An exact version, or latest." example:"1.3.1"`
}

func (in VersionPath) ref() (catalog.Ref, error) {
	name, err := in.name()
	return catalog.Ref{Name: name, Version: in.Version}, err
}

// Releases are versions, highest first.
type Releases struct {
	Items []catalog.Release `json:"items"`
	Total int               `json:"total"`
}

// Dependencies are what a version requires.
type Dependencies struct {
	Items []catalog.Dependency `json:"items"`
	Whole *catalog.Whole       `json:"whole,omitempty" doc:"only where transitive is asked for"`
}

type dependenciesInput struct {
	VersionPath
	Transitive bool `query:"transitive" doc:"With everything that it needs: versions chosen, licences, sizes, and what does not go together."`
}

// Builds are the binary builds of a version, oldest first.
type Builds struct {
	Items []catalog.Build `json:"items"`
	Rules int             `json:"rules_version" doc:"of the rules by which a build is chosen"`
}

type (
	releasesOutput     struct{ Body Releases }
	releaseOutput      struct{ Body catalog.Release }
	dependenciesOutput struct{ Body Dependencies }
	buildsOutput       struct{ Body Builds }
	signaturesOutput   struct{ Body catalog.Signatures }
)

type signatureInput struct {
	VersionPath
	Digest string `path:"digest" maxLength:"71" doc:"Digest of the layer." example:"sha256:…"`
}

type resolveInput struct {
	PackagePath
	Range string `query:"range" required:"true" maxLength:"512" doc:"Range, as in requires." example:"^1.2"`
}

// rawOutput is an answer that is not JSON.
type rawOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *server) versions() {
	const at = base + "/packages/{namespace}/{name}"
	add(s, operation{
		id: "list-versions", method: "GET", path: at + "/versions", tag: "packages", summary: "List versions",
		about: "Every version, highest first, withdrawn ones too.", errors: []int{404, 410},
	}, func(ctx context.Context, in *PackagePath) (*releasesOutput, error) {
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		rs, err := s.Catalog.Versions(ctx, callOf(ctx).who, name)
		if err != nil {
			return nil, s.unknown(ctx, name, err)
		}
		for i := range rs {
			rs[i].Manifest, rs[i].Headers = nil, nil // where one version is asked for
		}
		return &releasesOutput{Releases{Items: items(rs), Total: len(rs)}}, nil
	})
	add(s, operation{
		id: "get-version", method: "GET", path: at + "/versions/{version}", tag: "packages", summary: "Get a version",
		about: "One version whole: digests to pull by, package.yaml as JSON, requirements, public headers. Its ETag is what If-Match wants.", errors: []int{404, 410},
	}, func(ctx context.Context, in *VersionPath) (*releaseOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		r, err := s.Catalog.Release(ctx, callOf(ctx).who, ref)
		return &releaseOutput{r}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "resolve-range", method: "GET", path: at + "/resolve", tag: "packages", summary: "Find the version for a range",
		about: "The highest version in the range that is not withdrawn. Caches ask again each time.", errors: []int{404, 410},
	}, func(ctx context.Context, in *resolveInput) (*releaseOutput, error) {
		callOf(ctx).cache = cacheRevalidate
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		r, err := clyde.ParseRange(in.Range)
		if err != nil {
			return nil, err
		}
		out, err := s.Catalog.Pick(ctx, callOf(ctx).who, name, r)
		return &releaseOutput{out}, s.unknown(ctx, name, err)
	})
	add(s, operation{
		id: "get-manifest", method: "GET", path: at + "/versions/{version}/manifest", tag: "packages", summary: "Get package.yaml",
		about: "package.yaml, byte for byte as it was published.", errors: []int{404, 410}, content: map[string]any{textType: "name: \"@acme/zlib\"\nversion: \"1.3.1\"\n"},
	}, func(ctx context.Context, in *VersionPath) (*rawOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		b, err := s.Catalog.Manifest(ctx, callOf(ctx).who, ref)
		return &rawOutput{textType, b}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "list-dependencies", method: "GET", path: at + "/versions/{version}/dependencies", tag: "packages", summary: "List what a version requires",
		about: "Requirements of every kind, and whether this registry has them. With `transitive`, everything that it needs, as a project that requires this version alone would get it today; " +
			"where that cannot be had, the failure is that of choosing versions.", errors: []int{404, 410, 413, 422},
	}, s.dependencies)
	add(s, operation{
		id: "list-builds", method: "GET", path: at + "/versions/{version}/builds", tag: "packages", summary: "List binary builds",
		about: "Every binary build of a version, oldest first, with its facts. Whether one fits a machine follows from them by the rules whose version is given; clyde builds --for-host applies them.", errors: []int{404, 410},
	}, func(ctx context.Context, in *VersionPath) (*buildsOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		found, err := s.Catalog.Builds(ctx, callOf(ctx).who, ref)
		return &buildsOutput{Builds{Items: items(found), Rules: compat.RulesVersion}}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "get-signatures", method: "GET", path: at + "/versions/{version}/signatures", tag: "packages", summary: "See what verification found",
		about: "What the registry found when something about this version last arrived. It is a hint: whoever cares verifies again.", errors: []int{404, 410},
	}, func(ctx context.Context, in *VersionPath) (*signaturesOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		sig, err := s.Catalog.Signatures(ctx, callOf(ctx).who, ref)
		return &signaturesOutput{sig}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "get-signature", method: "GET", path: at + "/versions/{version}/signatures/{digest}", tag: "packages", summary: "Get the bytes of a signature",
		about: "One signature or attestation as it was pushed, by the digest of its layer in the report: a sigstore bundle, or what cosign signed before there were bundles.", errors: []int{404, 410},
		content: map[string]any{"application/octet-stream": nil},
	}, func(ctx context.Context, in *signatureInput) (*rawOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		b, err := s.Catalog.SignatureBytes(ctx, callOf(ctx).who, ref, digest.Digest(in.Digest))
		return &rawOutput{"application/octet-stream", b}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "list-problems", method: "GET", path: at + "/problems", tag: "packages", summary: "See what could not be taken",
		about: "What was pushed to the package, here or in the registry that it comes from, and was not taken, with the reasons, newest first.", errors: []int{404},
	}, func(ctx context.Context, in *PackagePath) (*problemsOutput, error) {
		callOf(ctx).cache = cacheRevalidate
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		found, err := s.Catalog.Problems(ctx, callOf(ctx).who, name)
		return &problemsOutput{PackageProblems{Items: items(found)}}, s.unknown(ctx, name, err)
	})
	add(s, operation{
		id: "get-index", method: "GET", path: base + "/index/{namespace}/{name}.ndjson", tag: "packages", summary: "Get the index of a package",
		about: "What resolving needs: a line of JSON a version, lowest first; the same bytes until something changes. Made for caches, which ask again each time.", errors: []int{404, 410},
		content: map[string]any{ndjson: `{"name":"@acme/zlib","version":"1.3.1","digest":"sha256:…","source":"sha256:…","size":1497445}` + "\n"},
	}, func(ctx context.Context, in *PackagePath) (*rawOutput, error) {
		callOf(ctx).cache = cacheRevalidate
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		b, err := s.Catalog.SparseIndex(ctx, callOf(ctx).who, name)
		return &rawOutput{ndjson, b}, s.unknown(ctx, name, err)
	})
}

func (s *server) dependencies(ctx context.Context, in *dependenciesInput) (*dependenciesOutput, error) {
	ref, err := in.ref()
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).who
	found, err := s.Catalog.Dependencies(ctx, who, ref)
	if err != nil || !in.Transitive {
		return &dependenciesOutput{Dependencies{Items: items(found)}}, s.unknown(ctx, ref.Name, err)
	}
	callOf(ctx).cache = cacheRevalidate // what it needs changes without it
	whole, err := s.Catalog.Whole(ctx, who, ref)
	if err != nil {
		return nil, s.unknown(ctx, ref.Name, s.unsatisfiable(ctx, err))
	}
	return &dependenciesOutput{Dependencies{Items: items(found), Whole: &whole}}, nil
}

const (
	textType = "text/plain; charset=utf-8"
	ndjson   = "application/x-ndjson"
)

// PackageProblems is what could not be taken of a package.
type PackageProblems struct {
	Items []catalog.Refusal `json:"items"`
}

type problemsOutput struct{ Body PackageProblems }
