package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Made says what to make of a package, and how.
type Made struct {
	Packed *artifact.Packed  // its source: nothing else of its folder is used
	Traits map[string]string // all of them, defaults too
	Shared bool              // a shared library in place of an archive
}

// Part is a package that another was built with.
type Part struct {
	Name     clyde.Name
	Version  clyde.Version
	Manifest *clyde.Manifest
	Source   string            // digest of its source archive
	Traits   map[string]string // as they were chosen; others have their defaults
	Requires []clyde.Name      // what it is linked with
	Dir      string            // what it installed; nobody writes there
}

// Make builds a package from its source as installing it would, and calls use
// with the folder that it installed to, which is gone afterwards, and what it is
// linked with, those that others need first. What the
// package requires is what o.Lock says, which may be nil where it requires
// nothing; o.Deps is not used.
func Make(ctx context.Context, s *Store, o Options, m Made, use func(prefix string, parts []Part) error) (err error) {
	o.setDefaults()
	release, err := s.use(ctx, func() { o.Say("waiting for a clyde that cleans the store") })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if o.Lock == nil {
		o.Lock = &resolve.Lock{}
	}
	in := &installer{o: &o, store: s, signed: map[clyde.Name]Signed{}}
	if err := in.graph(); err != nil {
		return err
	}
	if err := in.fetch(ctx); err != nil {
		return err
	}
	if err := in.buildAll(ctx); err != nil {
		return err
	}
	p := &pkg{name: m.Packed.Name, locked: &resolve.LockedPackage{Version: m.Packed.Version, Local: ".", Traits: m.Traits}, asShared: m.Shared}
	for _, e := range o.Lock.Edges(clyde.Name{}, resolve.Want{Platform: &o.Platform}) {
		switch d := in.byName[e.Name]; {
		case d == nil:
		case e.Kind == resolve.Build:
			p.tools = append(p.tools, d)
		default:
			p.deps = append(p.deps, d)
		}
	}
	if err := in.adopt(p, m.Packed); err != nil {
		return err
	}
	scratch, err := s.scratch("make")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	prefix := filepath.Join(scratch, "prefix")
	if err := os.Mkdir(prefix, 0o755); err != nil {
		return err
	}
	if p.headersOnly() {
		err = in.headers(ctx, p, prefix)
	} else {
		err = in.compile(ctx, p, o.Jobs, in.key(p), prefix)
	}
	if err != nil {
		return err
	}
	var parts []Part
	for _, d := range closure(p) {
		part := Part{Name: d.name, Version: d.locked.Version, Manifest: d.manifest, Source: d.archive.Digest.String(), Traits: d.locked.Traits, Dir: d.entry.Dir()}
		for _, q := range d.deps {
			part.Requires = append(part.Requires, q.name)
		}
		parts = append(parts, part)
	}
	return use(prefix, parts)
}

// adopt keeps the archive of a packed source, and reads its package.yaml.
func (in *installer) adopt(p *pkg, packed *artifact.Packed) error {
	r, err := packed.Config.Open()
	if err != nil {
		return err
	}
	p.config, err = io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	source := packed.Layers[0]
	if r, err = source.Open(); err != nil {
		return err
	}
	p.archive = source.Descriptor
	err = in.store.keep(source.Descriptor, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("keep the source of %s: %w", p, err)
	}
	return p.parse()
}
