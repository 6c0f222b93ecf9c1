package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const manifest = "name: \"@acme/fastjson\"\nversion: \"1.4.0\"\nlicense: MIT\n"

// write makes files in dir: name and content, or "-> target" for a symlink. A
// name that begins with "*" is executable, one that ends with "/" a directory.
func write(t testing.TB, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		name, exec := strings.CutPrefix(files[i], "*")
		mode := os.FileMode(0o644)
		if exec {
			mode = 0o755
		}
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch to, link := strings.CutPrefix(files[i+1], "-> "); {
		case link:
			err = os.Symlink(to, p)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(files[i+1]), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// project is a directory with the manifest and files.
func project(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, append([]string{"package.yaml", manifest}, files...)...)
	return dir
}

func pack(t testing.TB, dir string, o artifact.PackOptions) *artifact.Packed {
	t.Helper()
	p, err := artifact.Pack(t.Context(), dir, o)
	if err != nil {
		t.Fatalf("Pack(%s): %v", dir, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// content is what b holds, checked against its descriptor.
func content(t testing.TB, b artifact.Blob) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(text)) != b.Descriptor.Size || digest.FromBytes(text) != b.Descriptor.Digest {
		t.Fatalf("blob of %d bytes, %s; its descriptor says %d, %s", len(text), digest.FromBytes(text), b.Descriptor.Size, b.Descriptor.Digest)
	}
	return text
}

func paths(files []artifact.File) string {
	var out []string
	for _, f := range files {
		out = append(out, f.Path)
	}
	return strings.Join(out, " ")
}

// sample is a tree with everything that counts, of more than one block of the
// compressor.
func sample() []string {
	var code strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&code, "static int f%d(int x) { return x * %d; }\n", i, i*i%977)
	}
	return []string{
		"README.md", "# fastjson\n", "LICENSE", "MIT\n", "include/fastjson/fastjson.h", "#pragma once\n",
		"src/fastjson.cpp", code.String(), "*tools/gen.sh", "#!/bin/sh\n", "include/fj.h", "-> fastjson/fastjson.h",
		"docs/ünïcode.md", "é", "src/" + strings.Repeat("long/", 25) + "name.c", "int x;\n", "empty.txt", "",
	}
}

// Digests of sample: part of the format. Another compressor, level or order
// changes them, and with them what every package packed again is called.
const (
	goldenGzip = "sha256:bc9cdb325c5662501787ee0e049d179dd2cda5345ebdbbcb48b1b42a95b478d9"
	goldenZstd = "sha256:a8329bb3fdec546b953258463ea042542627aa46cd70abeb9ae8d80ba056f74c"
)

func TestPackGolden(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no executable bit")
	}
	dir := project(t, sample()...)
	for _, tt := range []struct {
		zstd bool
		want digest.Digest
	}{{false, goldenGzip}, {true, goldenZstd}} {
		p := pack(t, dir, artifact.PackOptions{Zstd: tt.zstd})
		if p.Descriptor.Digest != tt.want {
			t.Errorf("Pack(zstd %v) = %s; want %s", tt.zstd, p.Descriptor.Digest, tt.want)
		}
	}
}

// TestPackSame packs one tree, made in ways that must not count.
func TestPackSame(t *testing.T) {
	t.Parallel()
	files := sample()
	want := pack(t, project(t, files...), artifact.PackOptions{}).Descriptor.Digest
	reversed := slices.Clone(files)
	slices.Reverse(reversed)
	for i := 0; i < len(reversed); i += 2 {
		reversed[i], reversed[i+1] = reversed[i+1], reversed[i]
	}
	dirs := map[string]string{
		"written in another order": project(t, reversed...),
		"other times":              project(t, files...),
		"other modes":              project(t, files...),
		"empty directories":        project(t, append(files, "void/deep/", "")...),
		"version control":          project(t, append(files, ".git/HEAD", "ref", "sub/.git", "gitdir: x", ".svn/a", "", ".hg/b", "")...),
		"build directories":        project(t, append(files, "build/CMakeCache.txt", "", "build/a.o", "", "out/x/CACHEDIR.TAG", "", "out/x/y", "", "deps/zlib/zlib.h", "")...),
	}
	walk := func(name string, change func(p string, info os.FileInfo) error) {
		err := filepath.Walk(dirs[name], func(p string, info os.FileInfo, err error) error {
			if err != nil || info.Mode()&os.ModeSymlink != 0 {
				return err
			}
			return change(p, info)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk("other times", func(p string, _ os.FileInfo) error {
		return os.Chtimes(p, time.Now(), time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC))
	})
	walk("other modes", func(p string, info os.FileInfo) error { // as with other umasks
		if info.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return os.Chmod(p, info.Mode().Perm()&0o700|0o066)
	})
	for name, dir := range dirs {
		if got := pack(t, dir, artifact.PackOptions{}).Descriptor.Digest; got != want {
			t.Errorf("%s: Pack = %s; want %s", name, got, want)
		}
	}
	zero := pack(t, dirs["other times"], artifact.PackOptions{Epoch: time.Unix(0, 999)})
	if zero.Descriptor.Digest != want {
		t.Errorf("Pack at the epoch = %s; want %s", zero.Descriptor.Digest, want)
	}
	later := pack(t, dirs["other times"], artifact.PackOptions{Epoch: time.Unix(1_700_000_000, 0)})
	again := pack(t, dirs["other modes"], artifact.PackOptions{Epoch: time.Unix(1_700_000_000, 0).In(time.FixedZone("x", 3600))})
	if later.Descriptor.Digest == want || later.Descriptor.Digest != again.Descriptor.Digest {
		t.Errorf("Pack with an epoch = %s, %s; want two alike that are not %s", later.Descriptor.Digest, again.Descriptor.Digest, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	dir := project(t, files...)
	if err := os.Chmod(filepath.Join(dir, "src", "fastjson.cpp"), 0o744); err != nil {
		t.Fatal(err)
	}
	if got := pack(t, dir, artifact.PackOptions{}).Descriptor.Digest; got == want {
		t.Error("Pack gives one digest for files that differ in who may run them")
	}
}

// TestPackWorkingDirectory is not parallel: it changes the working directory.
func TestPackWorkingDirectory(t *testing.T) { //nolint:paralleltest // changes the working directory
	dir := project(t, sample()...)
	want := pack(t, dir, artifact.PackOptions{}).Descriptor.Digest
	t.Chdir(dir)
	if got := pack(t, ".", artifact.PackOptions{}).Descriptor.Digest; got != want {
		t.Errorf("Pack(.) = %s; want %s", got, want)
	}
	t.Chdir("src")
	if got := pack(t, "..", artifact.PackOptions{}).Descriptor.Digest; got != want {
		t.Errorf("Pack(..) = %s; want %s", got, want)
	}
}

func TestPackManifest(t *testing.T) {
	t.Parallel()
	dir := project(t, sample()...)
	for _, zst := range []bool{false, true} {
		p := pack(t, dir, artifact.PackOptions{Zstd: zst, Annotations: map[string]string{"org.example.x": "y"}})
		m, err := artifact.ParsePackage(p.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name.String() != "@acme/fastjson" || p.Version.String() != "1.4.0" || digest.FromBytes(p.Manifest) != p.Descriptor.Digest {
			t.Errorf("Pack = %s %s, %s", p.Name, p.Version, p.Descriptor.Digest)
		}
		if got := string(content(t, p.Config)); got != manifest || m.Config.Digest != p.Config.Descriptor.Digest {
			t.Errorf("the config is %q; want package.yaml", got)
		}
		if got := string(content(t, p.Layers[1])); got != "# fastjson\n" || m.Readme == nil || m.Readme.Digest != digest.FromString(got) {
			t.Errorf("the readme is %q, %v", got, m.Readme)
		}
		wantType, wantTitle := artifact.TypeSourceGzip, "fastjson-1.4.0.tar.gz"
		if zst {
			wantType, wantTitle = artifact.TypeSourceZstd, "fastjson-1.4.0.tar.zst"
		}
		if m.Source.MediaType != wantType || m.Source.Annotations[ocispec.AnnotationTitle] != wantTitle {
			t.Errorf("the source is %s, %v; want %s, %s", m.Source.MediaType, m.Source.Annotations, wantType, wantTitle)
		}
		if m.Annotations["org.example.x"] != "y" || m.Annotations[ocispec.AnnotationCreated] != "" || m.Annotations[ocispec.AnnotationSource] == "" {
			t.Errorf("annotations are %v", m.Annotations)
		}
		top := map[string]bool{}
		err = artifact.List(bytes.NewReader(content(t, p.Layers[0])), wantType, func(f artifact.File, _ io.Reader) error {
			first, _, _ := strings.Cut(f.Path, "/")
			top[first] = true
			return nil
		})
		if err != nil || len(top) != 1 || !top["fastjson-1.4.0"] {
			t.Errorf("top directories are %v (%v); want fastjson-1.4.0", top, err)
		}
		out := filepath.Join(t.TempDir(), "out")
		files, err := artifact.Unpack(bytes.NewReader(content(t, p.Layers[0])), wantType, out, artifact.Limits{})
		if err != nil || !slices.Equal(files, p.Files) {
			t.Errorf("Unpack = %v, %v; want %v", files, err, p.Files)
		}
		if got, want := tree(t, out), tree(t, dir); got != want {
			t.Errorf("unpacked tree\n%s; want\n%s", got, want)
		}
	}
}

func TestPackChooses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, ignore, files string // files: yaml of "files"
		tree, want          string // names; package.yaml and the ignore file are left out of want
	}{
		{"everything", "", "", "a b/c", "a b/c"},
		{"hidden files come along", "", "", ".clang-format .github/x", ".clang-format .github/x"},
		{"installed dependencies", "", "", "deps/z/z.h src/deps/a", "src/deps/a"},
		{"deps taken in again", "!/deps/", "", "deps/z.h", "deps/z.h"},
		{"file called deps", "", "", "deps", "deps"},
		{"version control", "", "", ".git/a x/.git .gitignore CVS/a .svn/b .hg/c .bzr/d", ".gitignore"},
		{"version control stays out", "!.git/", "", ".git/a b", "b"},
		{"build directory", "", "", "build/CMakeCache.txt build/a.o b/c/CACHEDIR.TAG b/c/d b/e", "b/e"},
		{"OCI image layout", "", "", "z-1.0_0.build/oci-layout z-1.0_0.build/index.json z-1.0_0.build/blobs/sha256/0 b", "b"},
		{"build directory taken in", "!build/", "", "build/CMakeCache.txt build/a", "build/CMakeCache.txt build/a"},

		{"name anywhere", "a.o", "", "a.o x/a.o x/a.obj", "x/a.obj"},
		{"star", "*.o", "", "a.o x/b.o x/b.c .o", "x/b.c"},
		{"star stops at a slash", "/x/*.o", "", "x/a.o x/y/b.o", "x/y/b.o"},
		{"question mark", "a?c", "", "abc ac a/c abbc", "a/c abbc ac"},
		{"anchored", "/a", "", "a x/a", "x/a"},
		{"anchored by a slash inside", "x/a", "", "x/a y/x/a", "y/x/a"},
		{"directories only", "a/", "", "a/b x/a y/a/c", "x/a"},
		{"directory with all in it", "x", "", "x/a/b y", "y"},
		{"two stars before", "**/a/b", "", "a/b x/a/b x/b", "x/b"},
		{"two stars behind", "a/**", "", "a/b a/c/d b/a", "b/a"},
		{"two stars between", "a/**/b", "", "a/b a/x/b a/x/y/b a/c", "a/c"},
		{"class", "[a-c]x", "", "ax cx dx", "dx"},
		{"negated class", "[!a-c]x", "", "ax dx", "ax"},
		{"negated class stops at a slash", "/a[!b]c", "", "a/c/c axc", "a/c/c"},
		{"class with bracket", "[]]x", "", "]x ax", "ax"},
		{"class with dash", "[a-]x", "", "ax -x bx", "bx"},
		{"class with escape", `[\]a]x`, "", "]x ax bx", "bx"},
		{"class that spans the slash", "/a[+-9]b", "", "a/b a.b a0b", "a/b"},
		{"class outside ASCII", "[à-ü]x", "", "éx zx", "zx"},
		{"escaped star", `x\*y`, "", "x*y xay", "xay"},
		{"escaped hash", `\#a`, "", "#a a", "a"},
		{"escaped bang", `\!a`, "", "!a a", "a"},
		{"dot is a dot", "a.c", "", "a.c abc", "abc"},
		{"regexp is text", "(a|b)+", "", "a (a|b)+", "a"},
		{"comment and empty lines", "# a\n\n   \na\n", "", "a b", "b"},
		{"Windows' line ends", "a\r\nb\r\n", "", "a b c", "c"},
		{"byte order mark", "\ufeffa\n", "", "a b", "b"},
		{"space at the end", "a  ", "", "a b", "b"},
		{"taken in again", "*.o\n!keep.o", "", "a.o keep.o x/keep.o", "keep.o x/keep.o"},
		{"left out again", "*.o\n!a.o\n/a.o", "", "a.o x/a.o", "x/a.o"},
		{"nothing comes back from a directory left out", "x/\n!x/a", "", "x/a b", "b"},
		{"all but one directory", "/*\n!/src/\n!/package.yaml\n!/.clydeignore", "", "a src/b doc/c", "src/b"},
		{"symlink is no directory", "l/", "", "d/x l->d", "d/x l"},

		{"include", "", "include: [src]", "src/a src/b/c doc/d", "src/a src/b/c"},
		{"include globs", "", `include: ["src/**/*.c", "include/"]`, "src/a.c src/x/b.c src/c.o include/h d", "include/h src/a.c src/x/b.c"},
		{"include with dot", "", `include: ["./src"]`, "src/a b", "src/a"},
		{"include everything", "", `include: ["."]`, "src/a b", "b src/a"},
		{"include keeps readme and license", "", "include: [src]", "src/a README.md LICENSE.txt COPYING NOTICE doc/LICENSE licenses.c", "COPYING LICENSE.txt NOTICE README.md src/a"},
		{"exclude", "", "exclude: [src/gen, \"**/*.o\"]", "src/a src/gen/b x.o y/z.o", "src/a"},
		{"exclude wins over include", "", "{include: [src], exclude: [src/b]}", "src/a src/b", "src/a"},
		{"exclude wins over the ignore file", "!a", "exclude: [a]", "a b", "b"},
		{"ignore wins over include", "src/b", "include: [src]", "src/a src/b", "src/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := manifest
			if tt.files != "" {
				text += "files: {" + strings.Trim(tt.files, "{}") + "}\n"
			}
			write(t, dir, "package.yaml", text)
			if tt.ignore != "" {
				write(t, dir, ".clydeignore", tt.ignore)
			}
			for name := range strings.FieldsSeq(tt.tree) {
				name, to, link := strings.Cut(name, "->")
				if link {
					to = "-> " + to
				}
				write(t, dir, strings.TrimPrefix(name, "/"), to)
			}
			got := strings.Fields(paths(pack(t, dir, artifact.PackOptions{}).Files))
			got = slices.DeleteFunc(got, func(p string) bool { return p == "package.yaml" || p == ".clydeignore" })
			if strings.Join(got, " ") != tt.want {
				t.Errorf("packed %q; want %q", strings.Join(got, " "), tt.want)
			}
		})
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d", 100) + "/" + strings.Repeat("e", 100) + "/"
	fits := artifact.MaxPath - len("fastjson-1.4.0/") - len(long)
	for _, tt := range []struct {
		name string
		in   []string
		o    artifact.PackOptions
		code string
		kind error
	}{
		{"no manifest", nil, artifact.PackOptions{}, "manifest_missing", clyde.ErrNotFound},
		{"two manifests", []string{"package.yaml", manifest, "package.yml", manifest}, artifact.PackOptions{}, "manifest_twice", clyde.ErrConflict},
		{"no name", []string{"package.yaml", "version: \"1.0.0\"\n"}, artifact.PackOptions{}, "", clyde.ErrInvalid},
		{"no namespace", []string{"package.yaml", "name: x1\nversion: \"1.0.0\"\n"}, artifact.PackOptions{}, "name_unqualified", clyde.ErrInvalid},
		{"bad namespace", []string{"package.yaml", "name: x1\nversion: \"1.0.0\"\n"}, artifact.PackOptions{Namespace: "A/B"}, "", clyde.ErrInvalid},
		{"large manifest", []string{"package.yaml", manifest + "#" + strings.Repeat("x", artifact.MaxConfig)}, artifact.PackOptions{}, "too_large", clyde.ErrTooLarge},
		{"readme that is not there", []string{"package.yaml", manifest + "readme: GUIDE.md\n"}, artifact.PackOptions{}, "readme_missing", clyde.ErrInvalid},
		{"readme that is a directory", []string{"package.yaml", manifest + "readme: doc\n", "doc/a", ""}, artifact.PackOptions{}, "readme_missing", clyde.ErrInvalid},
		{"large readme", []string{"package.yaml", manifest + "readme: a.md\n", "a.md", strings.Repeat("x", artifact.MaxReadme+1)}, artifact.PackOptions{}, "too_large", clyde.ErrTooLarge},
		{"ignored", []string{"package.yaml", manifest, ".clydeignore", "*"}, artifact.PackOptions{}, "package_empty", clyde.ErrInvalid},
		{"pattern", []string{"package.yaml", manifest, ".clydeignore", "[a"}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern of everything", []string{"package.yaml", manifest, ".clydeignore", "/"}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern of nothing", []string{"package.yaml", manifest, ".clydeignore", "!"}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern with lone backslash", []string{"package.yaml", manifest, ".clydeignore", `a\`}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern with range backwards", []string{"package.yaml", manifest, ".clydeignore", "[z-a]"}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern with slash in class", []string{"package.yaml", manifest, ".clydeignore", "a[/]b"}, artifact.PackOptions{}, "pattern_invalid", clyde.ErrInvalid},
		{"pattern in the manifest", []string{"package.yaml", manifest + "files: {include: [\"[a\"]}\n"}, artifact.PackOptions{}, "invalid_package", clyde.ErrInvalid},
		{"large ignore file", []string{"package.yaml", manifest, ".clydeignore", strings.Repeat("#", 64<<10+1)}, artifact.PackOptions{}, "too_large", clyde.ErrTooLarge},
		{"1,001 patterns", []string{"package.yaml", manifest, ".clydeignore", strings.Repeat("a\n", 1001)}, artifact.PackOptions{}, "too_large", clyde.ErrTooLarge},
		{"1,000 patterns", []string{"package.yaml", manifest, ".clydeignore", strings.Repeat("a\n", 1000)}, artifact.PackOptions{}, "", nil},
		{"link out", []string{"package.yaml", manifest, "l", "-> ../x"}, artifact.PackOptions{}, "link_outside", clyde.ErrInvalid},
		{"link out, deep", []string{"package.yaml", manifest, "a/b/l", "-> ../../../x"}, artifact.PackOptions{}, "link_outside", clyde.ErrInvalid},
		{"link absolute", []string{"package.yaml", manifest, "l", "-> /etc/passwd"}, artifact.PackOptions{}, "link_outside", clyde.ErrInvalid},
		{"link with backslash", []string{"package.yaml", manifest, "l", `-> a\b`}, artifact.PackOptions{}, "link_outside", clyde.ErrInvalid},
		{"link to itself", []string{"package.yaml", manifest, "l", "-> l"}, artifact.PackOptions{}, "link_outside", clyde.ErrInvalid},
		{"link out, ignored", []string{"package.yaml", manifest, "l", "-> ../x", ".clydeignore", "/l"}, artifact.PackOptions{}, "", nil},
		{"case", []string{"package.yaml", manifest, "Makefile", "", "makefile", ""}, artifact.PackOptions{}, "path_collision", clyde.ErrInvalid},
		{"case of directories", []string{"package.yaml", manifest, "A/x", "", "a/y", ""}, artifact.PackOptions{}, "path_collision", clyde.ErrInvalid},
		{"Unicode forms", []string{"package.yaml", manifest, "\u00e9", "", "e\u0301", ""}, artifact.PackOptions{}, "path_collision", clyde.ErrInvalid},
		{"backslash", []string{"package.yaml", manifest, `a\b`, ""}, artifact.PackOptions{}, "path_invalid", clyde.ErrInvalid},
		{"line feed", []string{"package.yaml", manifest, "a\nb", ""}, artifact.PackOptions{}, "path_invalid", clyde.ErrInvalid},
		{"no UTF-8", []string{"package.yaml", manifest, "a\xff", ""}, artifact.PackOptions{}, "path_invalid", clyde.ErrInvalid},
		{"longest path", []string{"package.yaml", manifest, long + strings.Repeat("f", fits), ""}, artifact.PackOptions{}, "", nil},
		{"path too long", []string{"package.yaml", manifest, long + strings.Repeat("f", fits+1), ""}, artifact.PackOptions{}, "path_too_long", clyde.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS != "linux" {
				t.Skip("needs a file system that holds every name")
			}
			dir := t.TempDir()
			write(t, dir, tt.in...)
			p, err := artifact.Pack(t.Context(), dir, tt.o)
			if tt.kind == nil {
				if err != nil {
					t.Errorf("Pack: %v", err)
				}
				return
			}
			if p != nil || !errors.Is(err, tt.kind) || tt.code != "" && codeOf(err) != tt.code {
				t.Errorf("Pack = %v (code %q); want %v with code %q", err, codeOf(err), tt.kind, tt.code)
			}
		})
	}
	if _, err := artifact.Pack(t.Context(), filepath.Join(t.TempDir(), "nothing"), artifact.PackOptions{}); codeOf(err) != "directory_missing" {
		t.Errorf("Pack of a missing directory = %v; want directory_missing", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := artifact.Pack(ctx, project(t), artifact.PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Pack with a canceled context = %v", err)
	}
}

func TestPackNamespace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "package.yaml", "name: fastjson\nversion: \"1.4.0\"\n")
	if p := pack(t, dir, artifact.PackOptions{Namespace: "acme"}); p.Name.String() != "@acme/fastjson" {
		t.Errorf("Pack = %s; want @acme/fastjson", p.Name)
	}
	// The manifest's own namespace is the one.
	if p := pack(t, project(t), artifact.PackOptions{Namespace: "other"}); p.Name.String() != "@acme/fastjson" {
		t.Errorf("Pack = %s; want @acme/fastjson", p.Name)
	}
	p := pack(t, project(t), artifact.PackOptions{Manifest: []byte("name: \"@x1/given\"\nversion: \"2.0.0\"\n")})
	if p.Name.String() != "@x1/given" || p.Version.String() != "2.0.0" {
		t.Errorf("Pack = %s %s; want the manifest that was given", p.Name, p.Version)
	}
}

func TestPackReadme(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		yaml string
		tree []string
		want string // title and content
	}{
		{"", nil, ""},
		{"", []string{"readme.txt", "t", "ReadMe.md", "m", "doc/README.md", "d"}, "ReadMe.md m"},
		{"", []string{"readme.txt", "t"}, "readme.txt t"},
		{"", []string{"README.md", strings.Repeat("x", artifact.MaxReadme+1), "README", "short"}, "README short"},
		{"readme: doc/guide.rst\n", []string{"README.md", "m", "doc/guide.rst", "g"}, "guide.rst g"},
	} {
		dir := t.TempDir()
		write(t, dir, append(tt.tree, "package.yaml", manifest+tt.yaml)...)
		dirPacked := pack(t, dir, artifact.PackOptions{})
		archive := filepath.Join(t.TempDir(), "x.tar.gz")
		if err := os.WriteFile(archive, content(t, dirPacked.Layers[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		for what, p := range map[string]*artifact.Packed{"directory": dirPacked, "archive": pack(t, "", artifact.PackOptions{Archive: archive})} {
			got := ""
			if len(p.Layers) > 1 {
				got = p.Layers[1].Descriptor.Annotations[ocispec.AnnotationTitle] + " " + string(content(t, p.Layers[1]))
			}
			if got != tt.want {
				t.Errorf("%s with %v: readme %.40q; want %.40q", what, tt.tree, got, tt.want)
			}
		}
	}
}

// A package.yaml further down is a file like any other: somebody's example, or
// what is vendored.
func TestPackDeeperManifest(t *testing.T) {
	t.Parallel()
	dir := project(t, "third_party/zlib/package.yaml", "name: \"@other/zlib\"\nversion: \"9.9.9\"\n", "third_party/zlib/.clyde/package.yaml", "- not even one")
	p := pack(t, dir, artifact.PackOptions{})
	if p.Name.String() != "@acme/fastjson" || p.Version.String() != "1.4.0" || len(p.Files) != 3 {
		t.Errorf("Pack = %s %s with %d files; want @acme/fastjson 1.4.0 with 3", p.Name, p.Version, len(p.Files))
	}
	if got := content(t, p.Config); string(got) != manifest {
		t.Errorf("the config is %q; want the package.yaml at the root", got)
	}
}

func TestPackWarns(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot hold the names")
	}
	names := []string{"src/aux.c", "", "a:b", "", "ok.c", "", "end.", ""}
	_, err := artifact.Pack(t.Context(), project(t, names...), artifact.PackOptions{})
	if e := clyde.AsError(err); e == nil || e.Code != "path_windows" || len(e.Fixes) != 2 {
		t.Errorf("Pack of what Windows cannot hold = %v; want path_windows, and two ways out", err)
	}
	elsewhere := project(t, names...)
	write(t, elsewhere, "package.yaml", manifest+"supports: \"linux | macos\"\n")
	p := pack(t, elsewhere, artifact.PackOptions{})
	got := strings.Join(p.Warnings, "\n")
	if len(p.Warnings) != 3 || !slices.IsSorted(p.Warnings) || !strings.Contains(got, `"src/aux.c"`) || !strings.Contains(got, `"a:b"`) || !strings.Contains(got, `"end."`) {
		t.Errorf("Warnings = %s; want three, sorted", got)
	}
}
