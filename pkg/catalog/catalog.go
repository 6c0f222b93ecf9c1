package catalog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Catalog answers questions about packages.
type Catalog struct {
	DB      *store.DB
	Engine  index.Engine
	Content *content.Store
	Host    string // registry host as clients write it: "localhost:8080"
	Log     *slog.Logger
	Now     func() time.Time
}

var errStub = errors.New("catalog: being written")

// Search returns one page of results.
func (c *Catalog) Search(ctx context.Context, p account.Principal, q index.Query) (SearchPage, error) {
	return SearchPage{}, errStub
}

// Suggest returns at most index.MaxSuggest names while typing.
func (c *Catalog) Suggest(ctx context.Context, p account.Principal, text string) ([]Suggestion, error) {
	return nil, errStub
}

// Package returns one package with its latest release.
func (c *Catalog) Package(ctx context.Context, p account.Principal, name clyde.Name) (Package, error) {
	return Package{}, errStub
}

// Versions lists a package's versions, highest first.
func (c *Catalog) Versions(ctx context.Context, p account.Principal, name clyde.Name) ([]Release, error) {
	return nil, errStub
}

// Release returns one version whole.
func (c *Catalog) Release(ctx context.Context, p account.Principal, ref Ref) (Release, error) {
	return Release{}, errStub
}

// Pick returns the highest version in r that is not yanked.
func (c *Catalog) Pick(ctx context.Context, p account.Principal, name clyde.Name, r clyde.Range) (Release, error) {
	return Release{}, errStub
}

// Manifest returns package.yaml byte for byte.
func (c *Catalog) Manifest(ctx context.Context, p account.Principal, ref Ref) ([]byte, error) {
	return nil, errStub
}

// Readme returns the readme, or clyde.ErrNotFound when the release has none.
func (c *Catalog) Readme(ctx context.Context, p account.Principal, ref Ref) (Readme, error) {
	return Readme{}, errStub
}

// Files lists the files of the source archive by path.
func (c *Catalog) Files(ctx context.Context, p account.Principal, ref Ref) ([]File, error) {
	return nil, errStub
}

// OpenFile returns one file of the source archive. The caller closes it.
func (c *Catalog) OpenFile(ctx context.Context, p account.Principal, ref Ref, path string) (io.ReadCloser, File, error) {
	return nil, File{}, errStub
}

// Dependencies lists what a version requires.
func (c *Catalog) Dependencies(ctx context.Context, p account.Principal, ref Ref) ([]Dependency, error) {
	return nil, errStub
}

// Dependents lists packages whose latest version requires name, by name.
func (c *Catalog) Dependents(ctx context.Context, p account.Principal, name clyde.Name, cursor string, limit int) (items []Dependent, next string, err error) {
	return nil, "", errStub
}

// Signatures returns what verification found when something last arrived.
func (c *Catalog) Signatures(ctx context.Context, p account.Principal, ref Ref) (Signatures, error) {
	return Signatures{}, errStub
}

// Candidates lists packages of that bare name which p may see.
func (c *Catalog) Candidates(ctx context.Context, p account.Principal, base string) ([]Package, error) {
	return nil, errStub
}

// SparseIndex returns the package's index file: one JSON object a line, a line
// a version, by version order; the same bytes until something changes.
func (c *Catalog) SparseIndex(ctx context.Context, p account.Principal, name clyde.Name) ([]byte, error) {
	return nil, errStub
}

// Yank withdraws a version or brings it back, and returns it.
func (c *Catalog) Yank(ctx context.Context, p account.Principal, ref Ref, req YankRequest) (Release, error) {
	return Release{}, errStub
}

// Deprecate marks a package, or takes the mark away.
func (c *Catalog) Deprecate(ctx context.Context, p account.Principal, name clyde.Name, d Deprecation) (Package, error) {
	return Package{}, errStub
}

// Changes lists feed entries after seq that p may see, at most n, and the last
// sequence number looked at.
func (c *Catalog) Changes(ctx context.Context, p account.Principal, after int64, n int) (items []store.Change, last int64, err error) {
	return nil, 0, errStub
}

// ChangesReady is closed when the feed grows.
func (c *Catalog) ChangesReady() <-chan struct{} { return c.DB.ChangesReady() }

// Epoch identifies this history of the feed.
func (c *Catalog) Epoch(ctx context.Context) (string, error) { return c.DB.Epoch(ctx) }

// Recent lists packages by latest publish, for the home page.
func (c *Catalog) Recent(ctx context.Context, p account.Principal, sort index.Sort, n int) ([]Package, error) {
	return nil, errStub
}

// Stats returns true counts of public packages and their releases.
func (c *Catalog) Stats(ctx context.Context) (Stats, error) { return Stats{}, errStub }

// Downloads lists raw pulls by version and UTC day.
func (c *Catalog) Downloads(ctx context.Context, p account.Principal, name clyde.Name, from, to time.Time) ([]store.Count, error) {
	return nil, errStub
}
