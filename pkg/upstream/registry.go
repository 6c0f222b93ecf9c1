package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Any stands, among Options.Namespaces, for every namespace that comes from
// nowhere else.
const Any = "*"

// Options says which registry, and what is ours there.
type Options struct {
	Name         string   // in addresses and as the source of events: "harbor"
	Host         string   // host[:port]
	Plain        bool     // HTTP in place of HTTPS
	Namespaces   []string // "acme", "deeper/path/acme", or Any
	Repositories []string // looked at beside those that are known, as the registry calls them
	Catalog      bool     // the registry may be asked for all its repositories

	User, Secret string   // "" and "": anonymous
	Everyone     bool     // what only the credentials can read may be seen by everybody
	VisibleTo    []string // logins that may see it

	Transport http.RoundTripper // guards where requests go; nil means the default of artifact.Client
	PerSecond float64           // requests; 0 is no limit
	Every     time.Duration     // between two sweeps
	UserAgent string
}

// Registry is one registry that somebody else runs. Its repositories go by our
// names, "acme/zlib", wherever they are there. It implements artifact.Source.
type Registry struct {
	o         Options
	spaces    map[string]string // prefix by namespace; "" is none
	any       bool
	client    *artifact.Client
	anonymous *artifact.Client // nil: client is
	pace      *pace
	subjects  subjects
}

// New returns a registry; it asks nothing yet.
func New(o Options) (*Registry, error) {
	r := &Registry{o: o, spaces: map[string]string{}, pace: newPace(o.Transport, o.Host, o.PerSecond)}
	for _, ns := range o.Namespaces {
		if ns == Any {
			r.any = true
			continue
		}
		prefix, last := "", ns
		if i := strings.LastIndexByte(ns, '/'); i >= 0 {
			prefix, last = ns[:i], ns[i+1:]
		}
		r.spaces[last] = prefix
	}
	co := artifact.ClientOptions{Host: o.Host, Plain: o.Plain, Transport: r.pace, UserAgent: o.UserAgent}
	var err error
	if o.Secret != "" {
		if r.anonymous, err = artifact.NewClient(co); err != nil {
			return nil, err
		}
		co.Credential = func(context.Context) (string, string, error) { return o.User, o.Secret, nil }
	}
	r.client, err = artifact.NewClient(co)
	return r, err
}

// Name is what events of the registry have as their source.
func (r *Registry) Name() string { return r.o.Name }

// Host is the registry's host[:port].
func (r *Registry) Host() string { return r.o.Host }

// Address is where clients find the repositories of a namespace, when they are
// below prefix.
func (r *Registry) Address(prefix string) string {
	scheme := "https://"
	if r.o.Plain {
		scheme = "http://"
	}
	if prefix != "" {
		prefix = "/" + prefix
	}
	return scheme + r.o.Host + prefix
}

// Everyone reports whether everybody may see what only our credentials can read.
func (r *Registry) Everyone() bool { return r.o.Everyone }

// VisibleTo lists the logins that may.
func (r *Registry) VisibleTo() []string { return r.o.VisibleTo }

// Configured lists the namespaces that the configuration names, with the prefix
// of each.
func (r *Registry) Configured() map[string]string { return r.spaces }

// Binds reports whether a namespace may come from here, and the prefix of its
// repositories.
func (r *Registry) Binds(ns string) (prefix string, ok bool) {
	prefix, ok = r.spaces[ns]
	return prefix, ok || r.any
}

// split cuts a repository into what comes before the namespace, the namespace
// and the name; ns is "" where there is none.
func split(path string) (prefix, ns, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", path
	}
	base, path = path[i+1:], path[:i]
	if i = strings.LastIndexByte(path, '/'); i < 0 {
		return "", path, base
	}
	return path[:i], path[i+1:], base
}

// Repo returns what we call a repository of the registry. What is under no
// namespace of ours keeps its name; what is beside the place that a namespace
// was given is nobody's: ok is false.
func (r *Registry) Repo(path string) (repo string, ok bool) {
	prefix, ns, base := split(path)
	want, known := r.spaces[ns]
	switch {
	case known && prefix != want:
		return "", false
	case known:
		return ns + "/" + base, true
	}
	return path, true
}

// Path is what the registry calls a repository of ours.
func (r *Registry) Path(repo string) string {
	prefix, ns, _ := split(repo)
	if p := r.spaces[ns]; p != "" && prefix == "" {
		return p + "/" + repo
	}
	return repo
}

// Listed are the repositories that the configuration names, by our names.
func (r *Registry) Listed() []string {
	var out []string
	for _, p := range r.o.Repositories {
		if repo, ok := r.Repo(p); ok {
			out = append(out, repo)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Catalog lists at most n repositories after last, by the registry's own names
// and in their order. Where it has no such list, or may not be asked, it is
// clyde.ErrNotFound with code "no_catalog": nothing follows from that.
func (r *Registry) Catalog(ctx context.Context, last string, n int) ([]string, error) {
	none := clyde.Errorf(clyde.ErrNotFound, "%s does not list its repositories", r.o.Host).WithCode("no_catalog")
	if !r.o.Catalog {
		return nil, none
	}
	out, err := r.client.Repositories(ctx, last, n)
	for _, kind := range []error{clyde.ErrNotFound, clyde.ErrDenied, clyde.ErrUnauthenticated, clyde.ErrInvalid} {
		if errors.Is(err, kind) {
			return nil, none.Because(err)
		}
	}
	return out, err
}

// SweepEvery is the time from the end of a sweep to the next.
func (r *Registry) SweepEvery() time.Duration { return r.o.Every }

// Held returns until when the registry asked to be left alone; zero or past: it
// may be asked.
func (r *Registry) Held() time.Time { return r.pace.heldUntil() }

// Has reports whether the registry has a manifest: false only where it answers
// that it has not. Any other trouble is an error and says nothing.
func (r *Registry) Has(ctx context.Context, repo string, d digest.Digest) (bool, error) {
	_, _, err := r.client.Manifest(ctx, r.Path(repo), d)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Public reports whether everybody may read a manifest. What the registry does
// not answer plainly is an error.
func (r *Registry) Public(ctx context.Context, repo string, d digest.Digest) (bool, error) {
	if r.anonymous == nil {
		return true, nil // we are nobody in particular ourselves
	}
	_, err := r.anonymous.Resolve(ctx, r.Path(repo), d.String())
	for _, kind := range []error{clyde.ErrNotFound, clyde.ErrDenied, clyde.ErrUnauthenticated} {
		if errors.Is(err, kind) {
			return false, nil
		}
	}
	return err == nil, err
}

// Resolve implements artifact.Source.
func (r *Registry) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	return r.client.Resolve(ctx, r.Path(repo), ref)
}

// Manifest implements artifact.Source.
func (r *Registry) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	return r.client.Manifest(ctx, r.Path(repo), d)
}

// Blob implements artifact.Source.
func (r *Registry) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	return r.client.Blob(ctx, r.Path(repo), d)
}

// Tags implements artifact.Source.
func (r *Registry) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	return r.client.Tags(ctx, r.Path(repo), last, n)
}

// Repositories implements artifact.Source; see Catalog.
func (r *Registry) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	return r.Catalog(ctx, last, n)
}
