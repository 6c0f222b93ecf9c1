package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

// maxBuilds is how many builds of one version are looked at: as many as the
// server takes.
const maxBuilds = 256

// chooser finds, for packages that would have to be built, a build that fits.
type chooser struct {
	at       *origins
	judge    *judge
	tools    install.Toolchain // what compiles here; its flags are those of the environment
	platform resolve.Platform
	foreign  bool // platform is not that of this machine
	locked   bool // only builds that the lock file names
	explain  bool

	once sync.Once
	host compat.Host
	err  error
}

// machine is what builds have to fit. The compiler is asked once, and only
// where there is a build to judge.
func (c *chooser) machine(ctx context.Context) (compat.Host, error) {
	c.once.Do(func() {
		if !c.foreign {
			c.host, c.err = toolchain.Detect(ctx, toolchain.Options{CC: c.tools.CC, CXX: c.tools.CXX})
			return
		}
		p := c.platform // nothing else is known of a machine that is elsewhere
		c.host = compat.Host{OS: p.OS, Arch: p.Arch, Libc: compat.HostLibc{Family: p.Libc}, Compiler: compat.Compiler{Family: p.Compiler}}
	})
	return c.host, c.err
}

// find is an install.Prebuilt: the build that the lock file names, where it
// fits, else the best of the registry's.
func (c *chooser) find(ctx context.Context, w install.Wanted) (*install.Binary, string, error) {
	at, err := c.at.locate(ctx, w.Name, w.Locked.Registry)
	if err != nil {
		return nil, "", err
	}
	p := candidate{chooser: c, w: w, origin: at, repo: at.at.repo(w.Name), read: map[string]*artifact.BuildManifest{}}
	whyNot := ""
	if locked, ok := w.Locked.Builds[c.platform.String()]; ok {
		b, err := p.best(ctx, []compat.Candidate{{Digest: locked.Digest}})
		if b != nil || err != nil {
			return b, "", err
		}
		whyNot = "the build that clyde.lock names does not fit this machine"
	}
	if c.locked {
		return nil, whyNot, nil
	}
	all, err := p.list(ctx)
	if err != nil {
		return nil, "", err
	}
	b, err := p.best(ctx, all)
	if b == nil && len(all) > 0 {
		whyNot = fmt.Sprintf("none of its %s fits this machine", plural(len(all), "build"))
		if !c.explain {
			whyNot += "; --explain says why"
		}
	}
	return b, whyNot, err
}

// candidate is a package of which a build is looked for.
type candidate struct {
	*chooser
	origin

	w    install.Wanted
	repo string
	read map[string]*artifact.BuildManifest // by digest
}

// list names the builds of the version: those that our API lists, with what it
// says of them, or in another registry all that refers to the package as a build.
func (p *candidate) list(ctx context.Context) ([]compat.Candidate, error) {
	var out []compat.Candidate
	c, err := p.chooser.at.apiAt(ctx, p.origin.at)
	if err != nil {
		return nil, err
	}
	all, err := c.Builds(ctx, p.w.Name, p.w.Locked.Version.String())
	if err == nil {
		for _, b := range all[:min(len(all), maxBuilds)] {
			out = append(out, compat.Candidate{Digest: b.Digest, Facts: b.Facts})
		}
		return out, nil
	}
	if !noAPI(err) && !errors.Is(err, clyde.ErrNotFound) {
		return nil, err
	}
	refs, err := p.client.Referrers(ctx, p.repo, digest.Digest(p.w.Locked.Digest))
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return nil, err
	}
	for _, r := range refs {
		if r.ArtifactType == artifact.TypeBuild && len(out) < maxBuilds {
			out = append(out, compat.Candidate{Digest: r.Digest.String()})
		}
	}
	return out, nil
}

// apiAt is a client of the API of the registry at an address.
func (o *origins) apiAt(ctx context.Context, at address) (*client.Client, error) {
	if s, err := o.a.site(ctx); err != nil {
		return nil, err
	} else if s.at.host == at.host {
		return o.a.api(ctx)
	}
	cred, err := o.a.credentialFor(ctx, at.host, false)
	if err != nil {
		return nil, err
	}
	return o.a.apiWith(at, cred)
}

// best returns the build that fits best and that whatever policy is in force
// admits; nil for none. What somebody says of a build only orders them: before
// one is taken, its own manifest and facts are read.
func (p *candidate) best(ctx context.Context, builds []compat.Candidate) (*install.Binary, error) {
	if len(builds) == 0 {
		return nil, nil
	}
	host, err := p.machine(ctx)
	if err != nil {
		return nil, err
	}
	var known []compat.Candidate
	for _, b := range builds {
		if b.Facts == nil {
			if b.Facts, err = p.facts(ctx, b.Digest); err != nil && !unusable(err) {
				return nil, err
			} else if err != nil {
				p.tell(b, err.Error())
				continue
			}
		}
		known = append(known, b)
	}
	var taken *install.Binary
	for _, v := range compat.Match(host, p.w.Want, known) {
		switch {
		case !v.Fits():
			p.tell(v.Candidate, v.Why)
		case taken != nil:
			p.tell(v.Candidate, cmp.Or(v.Why, "it fits, and another comes first"))
		default:
			if taken, err = p.take(ctx, host, v); err != nil && !unusable(err) {
				return nil, err
			} else if err != nil {
				p.tell(v.Candidate, err.Error())
				continue
			}
			p.tell(v.Candidate, strings.TrimSuffix("taken, "+v.Class.String()+"; "+v.Why, "; "))
		}
	}
	return taken, nil
}

// unusable reports whether err is about one build, so that another may do.
func unusable(err error) bool {
	for _, kind := range []error{clyde.ErrInvalid, clyde.ErrNotFound, clyde.ErrTooLarge, clyde.ErrUnverified} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// take makes sure that a build is what was said of it and may be used.
func (p *candidate) take(ctx context.Context, host compat.Host, v compat.Verdict) (*install.Binary, error) {
	d := v.Candidate.Digest
	f := v.Candidate.Facts
	if p.read[d] == nil {
		var err error
		if f, err = p.facts(ctx, d); err != nil {
			return nil, err
		}
		if again := compat.Match(host, p.w.Want, []compat.Candidate{{Digest: d, Facts: f}})[0]; !again.Fits() {
			return nil, clyde.Errorf(clyde.ErrInvalid, "it is not what %s says it is: %s", p.origin.at.host, again.Why)
		}
	}
	if err := p.admit(ctx, d); err != nil {
		return nil, err
	}
	return &install.Binary{Tree: p.read[d].Tree, Build: resolve.LockedBuild{ABI: f.ABIID(), Digest: d}}, nil
}

// facts reads what a build says of itself, and refuses one of another package
// or of another source.
func (p *candidate) facts(ctx context.Context, d string) (*compat.Facts, error) {
	id, err := digest.Parse(d)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%q is no digest", d)
	}
	payload, _, err := p.client.Manifest(ctx, p.repo, id)
	if err != nil {
		return nil, err
	}
	m, err := artifact.ParseBuild(payload)
	if err != nil {
		return nil, err
	}
	r, err := p.client.Blob(ctx, p.repo, m.Config)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := readAll(r, compat.MaxFacts, "build.json")
	if err != nil {
		return nil, err
	}
	f, err := compat.Parse(text)
	if err != nil {
		return nil, err
	}
	if m.Subject.Digest.String() != p.w.Locked.Digest || f.SourceDigest != cmp.Or(p.w.Locked.Checksum, f.SourceDigest) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "it is a build of another package or another source")
	}
	p.read[d] = m
	return f, nil
}

// admit asks the policy, if there is one, about the build itself: what it asks
// of a package it asks of what was made of it.
func (p *candidate) admit(ctx context.Context, d string) error {
	if p.judge.policy == nil {
		return nil
	}
	l := located{at: p.origin.at, repo: p.repo, name: p.w.Name, version: p.w.Locked.Version.String()}
	if err := l.describe(ctx, p.client, d); err != nil {
		return err
	}
	_, err := p.judge.admit(ctx, l, nil)
	return err
}

// tell says of one build why it is taken or not, to whoever asked for that.
func (p *candidate) tell(b compat.Candidate, why string) {
	if !p.explain {
		return
	}
	what := []string{"build"}
	if f := b.Facts; f != nil {
		what = append(what, f.OS, f.Arch, f.Compiler.Family, f.Compiler.Version, f.Linkage, f.BuildType)
	}
	line := strings.Join(append(what, b.Digest[:min(len(b.Digest), len("sha256:")+12)]), " ")
	p.chooser.at.a.say("  %s %s, %s: %s", p.w.Name, p.w.Locked.Version, clean(strings.Join(strings.Fields(line), " ")), clean(why))
}
