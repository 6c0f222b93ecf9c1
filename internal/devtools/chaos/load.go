package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const namespace = "chaos"

// do does one thing, as chance has it.
func (w *world) do(ctx context.Context, rng *rand.Rand, base, v string) {
	name := clyde.Name{Namespace: namespace, Base: base}
	known, ok := w.any(rng)
	switch n := rng.IntN(10); {
	case n < 5 || !ok:
		w.publish(ctx, name, v, fmt.Sprint(rng.Uint64()))
	case n < 6:
		w.again(ctx, known, fmt.Sprint(rng.Uint64()))
	case n < 7:
		w.same(ctx, "pulls", known, func() (string, error) {
			d, err := w.oci.Resolve(ctx, repoOf(known), known.version)
			return d.Digest.String(), err
		})
	case n < 8:
		w.same(ctx, "resolves", known, func() (string, error) {
			r, err := w.api.Release(ctx, nameOf(known), known.version)
			return r.Digest, err
		})
	case n < 9:
		_, err := w.api.Search(ctx, client.SearchQuery{Text: base})
		w.count("searches", err)
	default:
		_, err := w.api.Yank(ctx, nameOf(known), known.version, client.YankRequest{Yanked: true, Reason: "other"})
		w.count("yanks", err)
		if err == nil {
			w.mu.Lock()
			w.yanked[known.name+" "+known.version] = true
			w.mu.Unlock()
		}
	}
}

// any is a version that was acknowledged.
func (w *world) any(rng *rand.Rand) (version, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.acked) == 0 {
		return version{}, false
	}
	return w.acked[rng.IntN(len(w.acked))], true
}

func (w *world) count(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		what += " without success"
	}
	w.counts[what]++
}

func (w *world) breaks(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *world) put(ctx context.Context, name clyde.Name, v, content string) (client.Release, error) {
	yaml := fmt.Sprintf("name: %q\nversion: %q\ndescription: made by chaos\nlicense: MIT\nlanguage: c\ntype: library\n", name.String(), v)
	archive, err := pack(yaml, content)
	if err != nil {
		return client.Release{}, err
	}
	return w.api.Publish(ctx, []byte(yaml), bytes.NewReader(archive), artifact.TypeSourceGzip, "")
}

func (w *world) publish(ctx context.Context, name clyde.Name, v, content string) {
	r, err := w.put(ctx, name, v, content)
	w.count("publishes", err)
	if err == nil {
		w.mu.Lock()
		w.acked = append(w.acked, version{name.String(), v, r.Digest})
		w.mu.Unlock()
	}
}

// again publishes other bytes as a version that is there.
func (w *world) again(ctx context.Context, known version, content string) {
	r, err := w.put(ctx, nameOf(known), known.version, content)
	w.count("publishes again", err)
	if err == nil && r.Digest != known.digest {
		w.breaks("%s %s was %s and was replaced by %s", known.name, known.version, known.digest, r.Digest)
	}
}

// same wants the digest that was acknowledged, where there is an answer.
func (w *world) same(ctx context.Context, what string, known version, ask func() (string, error)) {
	got, err := ask()
	w.count(what, err)
	switch {
	case err == nil && got != known.digest:
		w.breaks("%s: %s %s is %s; acknowledged was %s", what, known.name, known.version, got, known.digest)
	case errors.Is(err, clyde.ErrNotFound) && ctx.Err() == nil:
		w.breaks("%s: %s %s is not there", what, known.name, known.version)
	}
}

// pack makes an archive with those bytes.
func pack(yaml, content string) ([]byte, error) {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	var errs []error
	for _, f := range [][2]string{{"package.yaml", yaml}, {"include/chaos.h", "// " + content + "\n"}} {
		errs = append(errs, tw.WriteHeader(&tar.Header{Name: "chaos/" + f[0], Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := io.WriteString(tw, f[1])
		errs = append(errs, err)
	}
	err := errors.Join(append(errs, tw.Close(), gz.Close())...)
	return b.Bytes(), err
}

func repoOf(v version) string { return strings.TrimPrefix(v.name, "@") }

func nameOf(v version) clyde.Name {
	_, base, _ := strings.Cut(v.name, "/")
	return clyde.Name{Namespace: namespace, Base: base}
}

// check asks for every one of versions, by its tag and through the API, and for
// its bytes, and compares registry and search index.
func (w *world) check(ctx context.Context, versions []version) error {
	for _, v := range versions {
		w.same(ctx, "checks of tags", v, func() (string, error) {
			d, err := w.oci.Resolve(ctx, repoOf(v), v.version)
			return d.Digest.String(), err
		})
		r, err := w.api.Release(ctx, nameOf(v), v.version)
		w.same(ctx, "checks of releases", v, func() (string, error) { return r.Digest, err })
		if err == nil && w.yanked[v.name+" "+v.version] && r.Yanked == nil {
			w.breaks("%s %s was yanked, and is not", v.name, v.version)
		}
		if err := w.bytesOf(ctx, v, r); err != nil {
			w.breaks("%s %s: its bytes: %v", v.name, v.version, err)
		}
	}
	err := until(ctx, func() error { return w.compare(ctx) })
	if err != nil && ctx.Err() == nil {
		w.breaks("%v", err)
		return nil
	}
	return ctx.Err()
}

// bytesOf reads manifest and source, and hashes both.
func (w *world) bytesOf(ctx context.Context, v version, r client.Release) error {
	m, _, err := w.oci.Manifest(ctx, repoOf(v), digest.Digest(v.digest))
	if err != nil {
		return err
	}
	if got := digest.FromBytes(m); got.String() != v.digest {
		return fmt.Errorf("the manifest is %s", got)
	}
	blob, err := w.oci.Blob(ctx, repoOf(v), ocispec.Descriptor{MediaType: artifact.TypeSourceGzip, Digest: digest.Digest(r.SourceDigest), Size: r.SourceSize})
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	got, err := digest.FromReader(blob)
	if err == nil && got.String() != r.SourceDigest {
		err = fmt.Errorf("the source is %s; want %s", got, r.SourceDigest)
	}
	return err
}

// compare says how the search index differs from the registry.
func (w *world) compare(ctx context.Context) error {
	repos, err := w.oci.Repositories(ctx, "", 0)
	if err != nil {
		return err
	}
	var tagged, found []string
	for _, r := range repos {
		tags, err := w.oci.Tags(ctx, r, "", 1)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
		if len(tags) > 0 {
			tagged = append(tagged, "@"+r)
		}
	}
	q := client.SearchQuery{Sort: "name", Limit: 100}
	for {
		page, err := w.api.Search(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range page.Items {
			found = append(found, h.Name)
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	slices.Sort(tagged)
	slices.Sort(found)
	if !slices.Equal(tagged, found) {
		return fmt.Errorf("the registry has %v, search finds %v", tagged, found)
	}
	return nil
}
