package install

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/generate"
)

// Extensions of what is compiled, and of headers.
var (
	cxxSources = []string{".cpp", ".cc", ".cxx", ".c++", ".C"}
	cSources   = []string{".c"}
	headers    = []string{".h", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".inl", ".ipp", ".tpp", ".tcc", ".def"}
)

// headers installs a package of which nothing is compiled.
func (in *installer) headers(ctx context.Context, p *pkg, files string) error {
	tree, err := in.tree(ctx, p)
	if err != nil {
		return err
	}
	src, err := in.store.scratch("headers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(src)
	if err := tree.copyTo(src); err != nil {
		return err
	}
	if err := p.installHeaders(tree, src, files); err != nil {
		return err
	}
	return p.describeIn(files, src)
}

// installHeaders puts what lies in the package's include roots under include:
// all of it, or of a root that is the package itself or its sources only what
// has the name of a header.
func (p *pkg) installHeaders(tree *Entry, src, prefix string) error {
	for _, root := range p.manifest.Include {
		root = path.Clean(root)
		for i := range tree.Files {
			f := &tree.Files[i]
			rel := f.Path
			if root != "." {
				var ok bool
				if rel, ok = strings.CutPrefix(f.Path, root+"/"); !ok {
					continue
				}
			}
			if f.Link != "" || path.Base(root) != "include" && !slices.Contains(headers, path.Ext(rel)) {
				continue
			}
			to := filepath.Join(prefix, "include", filepath.FromSlash(rel))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := copyFile(filepath.Join(src, filepath.FromSlash(f.Path)), to); err != nil {
				return err
			}
		}
	}
	return nil
}

// simple builds by the rules of the Clyde client: every file that sources
// matches is compiled with the package's flags for the compiler and its own and
// its requirements' headers, and the objects become lib/libNAME.a, a shared
// library, or for an application bin/NAME.
func (b *builder) simple(ctx context.Context) error {
	globs, err := artifact.ParseGlobs(b.p.manifest.Sources)
	if err != nil {
		return err
	}
	tree, err := b.in.tree(ctx, b.p)
	if err != nil {
		return err
	}
	var objects []string
	anyCXX := false
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(b.jobs)
	for i := range tree.Files {
		f := &tree.Files[i]
		cxx := slices.Contains(cxxSources, path.Ext(f.Path))
		if f.Link != "" || !globs.Match(f.Path) || !cxx && !slices.Contains(cSources, path.Ext(f.Path)) {
			continue
		}
		cc, err := b.compiler(cxx)
		if err != nil {
			return err
		}
		anyCXX = anyCXX || cxx
		object := filepath.Join(b.scratch, "build", filepath.FromSlash(f.Path)+".o")
		if err := os.MkdirAll(filepath.Dir(object), 0o755); err != nil {
			return err
		}
		objects = append(objects, object)
		// Relative, so that __FILE__ does not tell where it was built.
		args := append(b.compileFlags(cxx), "-c", filepath.FromSlash(f.Path), "-o", object)
		g.Go(func() error { return b.run(gctx, b.src, cc, args...) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := b.p.installHeaders(tree, b.src, b.prefix); err != nil {
		return err
	}
	if len(objects) == 0 {
		return nil
	}
	return b.link(ctx, objects, anyCXX)
}

// flagsFor returns what package.yaml gives for the compiler of a language,
// with those of the variant named like the build type.
func (b *builder) flagsFor(all map[string][]string, cxx bool, key string) []string {
	name := map[string]string{"gcc": "gcc", "clang": "clang"}[b.in.o.Toolchain.Family]
	if cxx {
		name = map[string]string{"gcc": "gxx", "clang": "clangxx"}[name]
	}
	out := slices.Clone(all[name])
	variant, _ := b.p.manifest.Variants[strings.ToLower(b.in.o.BuildType)].(map[string]any)
	flags, _ := variant[key].(map[string]any)
	switch v := flags[name].(type) {
	case string:
		out = append(out, strings.Fields(v)...)
	case []any:
		for _, f := range v {
			if s, ok := f.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func (b *builder) compileFlags(cxx bool) []string {
	m := b.p.manifest
	args := strings.Fields(b.lookup(choose(cxx, "CXXFLAGS", "CFLAGS")))
	if cxx && m.Standard.CXX != "" {
		args = append(args, "-std=c++"+m.Standard.CXX)
	}
	if !cxx && m.Standard.C != "" {
		args = append(args, "-std=c"+m.Standard.C)
	}
	for _, root := range m.Include {
		if dir := filepath.FromSlash(path.Clean(root)); isDir(filepath.Join(b.src, dir)) {
			args = append(args, "-I"+dir)
		}
	}
	for _, d := range b.needs {
		for _, c := range d.components() {
			for _, dir := range c.Includes {
				args = append(args, "-I"+filepath.Join(d.entry.Dir(), filepath.FromSlash(dir)))
			}
			for _, def := range c.Definitions {
				args = append(args, "-D"+def)
			}
		}
	}
	for _, name := range b.traitNames() {
		args = append(args, "-D"+traitVariable(name)+"="+defined(b.p.locked.Traits[name]))
	}
	return append(args, b.flagsFor(m.CFlags, cxx, "cflags")...)
}

// defined is a trait's value as a macro: 1 and 0 for what is true and false.
func defined(v string) string {
	switch v {
	case "true":
		return "1"
	case "false":
		return "0"
	}
	return v
}

// link makes of objects what the package is.
func (b *builder) link(ctx context.Context, objects []string, cxx bool) error {
	base, m := b.p.name.Base, b.p.manifest
	program := m.Type == "application" || m.Type == "tool"
	to := filepath.Join(b.prefix, choose(program, "bin", "lib"))
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	slices.Sort(objects)
	if !program && !b.shared() {
		ar := b.in.o.Toolchain.AR
		if ar == "" {
			ar = "ar"
		}
		return b.run(ctx, b.src, ar, append([]string{"rcs", filepath.Join(to, "lib"+base+".a")}, objects...)...)
	}
	cc, err := b.compiler(cxx)
	if err != nil {
		return err
	}
	args := b.in.o.CFlags // -fsanitize and -stdlib are the linker's, too
	if cxx {
		args = b.in.o.CXXFlags
	}
	args = slices.Clone(args)
	out := filepath.Join(to, base)
	if !program {
		name := "lib" + base + choose(b.in.o.Platform.OS == "macos", ".dylib", ".so")
		out = filepath.Join(to, name)
		args = append(args, "-shared")
		if b.in.o.Platform.OS != "macos" {
			args = append(args, "-Wl,-soname,"+name)
		}
	}
	args = append(args, "-o", out)
	args = append(args, objects...)
	for _, d := range slices.Backward(b.needs) { // a library before those that it needs
		for _, c := range d.components() {
			if c.Library != "" && c.Kind != generate.Tool {
				args = append(args, filepath.Join(d.entry.Dir(), filepath.FromSlash(c.Library)))
			}
			for _, l := range c.LinkLibraries {
				args = append(args, "-l"+l)
			}
		}
	}
	args = append(args, b.rpathFlags()...)
	return b.run(ctx, b.src, cc, append(args, b.flagsFor(m.LDFlags, cxx, "ldflags")...)...)
}
