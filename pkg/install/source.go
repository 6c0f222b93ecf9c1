package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Origin is where a package is fetched from.
type Origin struct {
	Client *artifact.Client
	Repo   string // below the client's host
}

// pkg is one package on its way into the project.
type pkg struct {
	name     clyde.Name
	locked   *resolve.LockedPackage
	deps     []*pkg // what it needs to be built and linked, by name; private ones too
	tools    []*pkg // build_requires
	direct   bool   // required by the project itself
	asShared bool   // built as a shared library, whatever its traits say
	linked   bool   // goes into the deps folder; else only others are built with it

	config   []byte // package.yaml
	manifest *clyde.Manifest
	archive  ocispec.Descriptor
	prebuilt *Binary // in place of building; nil: none

	key   string // of the built tree, once it is known
	how   How
	entry *Entry // of kind Built
}

func (p *pkg) String() string { return p.name.String() + " " + p.locked.Version.String() }

// offline is the error about something that would have to be fetched.
func offline(p *pkg, what string) error {
	return clyde.Errorf(clyde.ErrUnavailable, "%s: its %s is not in the store, and nothing is fetched offline", p, what).WithCode("offline").
		Fix("run clyde install once without --offline")
}

// describe reads the package's manifest and package.yaml, from the store or
// its registry, and compares them with what the lock file says.
func (in *installer) describe(ctx context.Context, p *pkg) error {
	if p.locked.Local != "" {
		return in.packLocal(ctx, p)
	}
	if p.locked.Git != "" {
		return clyde.Errorf(clyde.ErrInvalid, "%s comes from git:%s, and installing fetches from registries and folders", p.name, p.locked.Git).WithCode("git_requirement").
			Fix("clone it and require it as local:FOLDER").Fix("or require a published version")
	}
	d, err := digest.Parse(p.locked.Digest)
	if err != nil || d.Algorithm() != digest.SHA256 {
		return clyde.Errorf(clyde.ErrInvalid, "clyde.lock has no digest of %s to fetch it by", p).WithCode("lock_invalid").Fix("clyde update %s", p.name)
	}
	payload, err := in.store.readBlob(d, artifact.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		if payload, err = in.fetchManifest(ctx, p, d); err == nil {
			err = in.store.writeBlob(d, payload)
		}
	}
	if err != nil {
		return err
	}
	m, err := artifact.ParsePackage(payload)
	if err != nil {
		return err
	}
	if c := p.locked.Checksum; c != "" && c != m.Source.Digest.String() {
		return clyde.Errorf(clyde.ErrUnverified, "the source archive of %s is %s, and clyde.lock says %s", p, m.Source.Digest, c).WithCode("checksum_mismatch").
			Fix("tell whoever runs %s; clyde update %s accepts what it has now", p.locked.Registry, p.name)
	}
	p.archive = m.Source
	path, err := in.blob(ctx, p, m.Config, "package.yaml")
	if err != nil {
		return err
	}
	if p.config, err = os.ReadFile(path); err != nil {
		return err
	}
	return p.parse()
}

func (in *installer) fetchManifest(ctx context.Context, p *pkg, d digest.Digest) ([]byte, error) {
	if in.o.Offline {
		return nil, offline(p, "manifest")
	}
	at, err := in.o.Origin(ctx, p.name, p.locked.Registry)
	if err != nil {
		return nil, err
	}
	payload, _, err := at.Client.Manifest(ctx, at.Repo, d)
	return payload, err
}

// parse reads the package.yaml and refuses one of another package: a registry
// must not answer for one with another.
func (p *pkg) parse() error {
	m, problems := clyde.ParseManifest(p.config)
	if err := problems.Err("the package.yaml of " + p.String()); err != nil {
		return err
	}
	p.manifest = m
	if m.Name.Base != p.name.Base || m.Name.Namespace != "" && m.Name.Namespace != p.name.Namespace || !m.Version.Equal(p.locked.Version) {
		return clyde.Errorf(clyde.ErrUnverified, "%s has the package.yaml of %s %s", p, m.Name, m.Version).WithCode("package_mismatch").
			Fix("tell whoever runs %s", p.locked.Registry)
	}
	return nil
}

// blob returns the file of a blob in the store, fetched where it is not there.
// Its bytes are those of the digest at this moment.
func (in *installer) blob(ctx context.Context, p *pkg, d ocispec.Descriptor, what string) (string, error) {
	path := in.store.blobPath(d.Digest)
	if artifact.Holds(path, d) {
		touch(path)
		return path, nil
	}
	if in.o.Offline || p.locked.Local != "" {
		return "", offline(p, what)
	}
	at, err := in.o.Origin(ctx, p.name, p.locked.Registry)
	if err != nil {
		return "", err
	}
	add, end := in.o.Begin(p.String()+" "+what, d.Size)
	err = at.Client.FetchBlob(ctx, at.Repo, d, path, add)
	end(err == nil)
	return path, err
}

// tree returns the unpacked source of a package.
func (in *installer) tree(ctx context.Context, p *pkg) (*Entry, error) {
	e := Entry{Kind: Trees, Key: p.archive.Digest.Encoded(), Label: p.String() + " source"}
	out, _, err := in.store.made(ctx, e, in.waiting(p), func(files string) error {
		path, err := in.blob(ctx, p, p.archive, "source")
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := artifact.Unpack(f, p.archive.MediaType, files, unpackLimits); err != nil {
			return fmt.Errorf("unpack %s: %w", p, err)
		}
		return nil
	})
	return out, err
}

// packLocal makes of a folder of the work tree what would be published from
// it: what it installs is then what others will get.
func (in *installer) packLocal(ctx context.Context, p *pkg) error {
	dir := filepath.FromSlash(p.locked.Local)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(in.o.Project, dir)
	}
	packed, err := artifact.Pack(ctx, dir, artifact.PackOptions{Namespace: p.name.Namespace})
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer packed.Close()
	return in.adopt(p, packed)
}

// keep stores a blob that was made here.
func (s *Store) keep(d ocispec.Descriptor, r io.Reader) error {
	path := s.blobPath(d.Digest)
	if artifact.Holds(path, d) {
		touch(path)
		return nil
	}
	f, err := os.CreateTemp(s.path("tmp"), "blob-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
