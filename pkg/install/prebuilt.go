package install

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Wanted is a package that would have to be built.
type Wanted struct {
	Name   clyde.Name
	Locked *resolve.LockedPackage
	Want   compat.Want // what a build of it must be, besides fitting the machine
}

// Binary is a build of a package.
type Binary struct {
	Tree  ocispec.Descriptor  `json:"tree"` // the layer that holds what is installed, in the package's repository
	Build resolve.LockedBuild `json:"build"`
}

// Prebuilt looks for a build that fits this machine. Where there is none, b is
// nil and whyNot a sentence about it, which may be empty. What it returns was
// admitted by whatever policy is in force.
type Prebuilt func(ctx context.Context, w Wanted) (b *Binary, whyNot string, err error)

// preferBuilds finds binaries for the packages that would have to be built,
// those first that others need: which one fits may depend on another's. What
// the store has, of either kind, is taken as it is and nobody is asked.
func (in *installer) preferBuilds(ctx context.Context) error {
	if in.o.Prebuilt == nil {
		return nil
	}
	for _, p := range in.order {
		if p.headersOnly() || p.locked.Local != "" {
			continue
		}
		source := in.key(p)
		if _, err := in.store.Entry(Built, source); err == nil {
			continue
		}
		known := in.store.path("tmp", "prebuilt-"+sumJSON([]any{source, in.o.Policy, in.o.flags()}))
		var b Binary
		if readJSON(known, &b) == nil {
			if p.take(&b); in.stored(p) {
				continue
			}
			p.take(nil)
		}
		if in.o.Offline {
			continue
		}
		found, whyNot, err := in.o.Prebuilt(ctx, Wanted{Name: p.name, Locked: p.locked, Want: in.want(p)})
		if err != nil {
			return err
		}
		if found == nil {
			if whyNot != "" {
				in.o.Say("%s is built from source: %s", p, whyNot)
			}
			continue
		}
		p.take(found)
		text, err := json.Marshal(found)
		if err != nil {
			return err
		}
		if err := writeFile(known, text); err != nil {
			return err
		}
	}
	return nil
}

// take has p come from a binary, or from its source where that is nil.
func (p *pkg) take(b *Binary) { p.prebuilt, p.key = b, "" }

func (in *installer) stored(p *pkg) bool {
	_, err := in.store.Entry(Built, in.key(p))
	return err == nil
}

// want is what a build of p has to be: of the traits and the linkage that were
// chosen, fit for linking into anything, and made with what is linked here.
func (in *installer) want(p *pkg) compat.Want {
	w := compat.Want{
		BuildType: in.o.BuildType, Linkage: choose(p.wants() == generate.Shared, compat.Shared, compat.Static), PIC: true,
		Traits: maps.Clone(p.locked.Traits), Deps: map[string]compat.Dep{},
	}
	for _, d := range p.deps {
		dep := compat.Dep{Name: d.name.String(), Version: d.locked.Version.String()}
		if d.prebuilt != nil {
			dep.ABIID = d.prebuilt.Build.ABI
		}
		w.Deps[dep.Name] = dep
	}
	return w
}

// unpackBuild writes the installed tree of a binary to files, and beside it the
// package.yaml that was resolved.
func (in *installer) unpackBuild(ctx context.Context, p *pkg, files string) error {
	path, err := in.blob(ctx, p, p.prebuilt.Tree, "build")
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	form := artifact.TypeSourceGzip
	if strings.HasSuffix(p.prebuilt.Tree.MediaType, "+zstd") {
		form = artifact.TypeSourceZstd
	}
	if _, err := artifact.Unpack(f, form, files, unpackLimits); err != nil {
		return fmt.Errorf("unpack the build of %s: %w", p, err)
	}
	return p.describeIn(files, "")
}
