package generate

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Bounds on what is read of a package's own descriptions: more than the largest
// packages install (Boost has 160 configurations, the largest file 300 KiB).
const (
	maxOwnFiles = 4096    // .cmake and .pc files of one package
	maxOwnFile  = 1 << 20 // bytes of one
)

// own is what a package installed to describe itself.
type own struct {
	cmake []ownCMake
	pc    []ownPC
}

// ownCMake is a package's own configuration for find_package.
type ownCMake struct {
	name    string // as find_package knows it: "fmt"
	config  string // slash path under the package's folder
	version string // beside it; "" where there is none
	targets []ownTarget
}

// ownTarget is an imported target that a configuration defines.
type ownTarget struct {
	name string   // "fmt::fmt"
	libs []string // file names of its library in every configuration
}

// ownPC is a .pc file of the package.
type ownPC struct {
	name string
	libs []string // what follows -l
}

var (
	configRE   = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}?)(-config|Config)\.cmake$`)
	addRE      = regexp.MustCompile(`(?m)^[ \t]*add_library\([ \t]*([A-Za-z0-9_.+:-]+)[ \t]+(?:STATIC|SHARED|UNKNOWN|INTERFACE)[ \t]+IMPORTED`)
	propsRE    = regexp.MustCompile(`(?m)^[ \t]*set_target_properties\([ \t]*([A-Za-z0-9_.+:-]+)[ \t]+PROPERTIES([^)]*)\)`)
	locationRE = regexp.MustCompile(`IMPORTED_(?:LOCATION|IMPLIB)(?:_[A-Z]+)?[ \t]+"[^"\n]*/([^"/\n]+)"`)
	pcLibsRE   = regexp.MustCompile(`(?m)^Libs:(.*)$`)
	pcLibRE    = regexp.MustCompile(`(?:^|\s)-l(\S+)`)
)

// cmakeFolders and pcFolders are where installations put such files.
var (
	cmakeFolders = []string{"lib/cmake/*", "lib64/cmake/*", "lib/*/cmake/*", "share/cmake/*", "share/*/cmake", "share/*", "cmake"}
	pcFolders    = []string{"lib/pkgconfig", "lib64/pkgconfig", "lib/*/pkgconfig", "share/pkgconfig"}
)

// scan reads what k installed to describe itself. Nothing of it is run; names
// that do not fit the grammar are passed over.
func scan(deps string, k *pack) (o own, err error) {
	defer clyde.Wrap(&err, "generate.scan(%s)", k.Name)
	root, err := os.OpenRoot(filepath.Join(deps, filepath.FromSlash(k.Dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return own{}, nil
	} else if err != nil {
		return own{}, err
	}
	defer root.Close()
	dir := root.FS()
	var all []string
	for _, pattern := range cmakeFolders {
		found, err := fs.Glob(dir, pattern+"/*.cmake")
		if err != nil {
			return own{}, err
		}
		all = append(all, found...)
	}
	var pcs []string
	for _, pattern := range pcFolders {
		found, err := fs.Glob(dir, pattern+"/*.pc")
		if err != nil {
			return own{}, err
		}
		pcs = append(pcs, found...)
	}
	if len(all)+len(pcs) > maxOwnFiles {
		return own{}, clyde.Errorf(clyde.ErrInvalid, "%s has %d files for build systems; at most %d are read", k.Name, len(all)+len(pcs), maxOwnFiles).WithCode("too_many")
	}
	slices.Sort(all)
	slices.Sort(pcs)
	for _, file := range slices.Compact(all) {
		if m := configRE.FindStringSubmatch(path.Base(file)); m != nil && slashPath(file) {
			c, err := readCMake(dir, file, m[1], m[2], all)
			if err != nil {
				return own{}, err
			}
			if !slices.ContainsFunc(o.cmake, func(x ownCMake) bool { return strings.EqualFold(x.name, c.name) }) {
				o.cmake = append(o.cmake, c)
			}
		}
	}
	for _, file := range slices.Compact(pcs) {
		name := strings.TrimSuffix(path.Base(file), ".pc")
		if !findNameRE.MatchString(name) || slices.ContainsFunc(o.pc, func(x ownPC) bool { return x.name == name }) {
			continue
		}
		text, err := readSome(dir, file)
		if err != nil {
			return own{}, err
		}
		pc := ownPC{name: name}
		for _, line := range pcLibsRE.FindAllStringSubmatch(text, -1) {
			for _, l := range pcLibRE.FindAllStringSubmatch(line[1], -1) {
				pc.libs = append(pc.libs, l[1])
			}
		}
		o.pc = append(o.pc, pc)
	}
	return o, nil
}

// readCMake finds the imported targets that a configuration and the files
// beside it define, as CMake's install(EXPORT) writes them.
func readCMake(dir fs.FS, file, name, suffix string, all []string) (ownCMake, error) {
	c := ownCMake{name: name, config: file}
	version := strings.TrimSuffix(file, ".cmake") + map[string]string{"-config": "-version", "Config": "Version"}[suffix] + ".cmake"
	libs := map[string][]string{}
	for _, f := range all {
		if path.Dir(f) != path.Dir(file) {
			continue
		}
		if f == version {
			c.version = f
			continue
		}
		text, err := readSome(dir, f)
		if err != nil {
			return c, err
		}
		for _, m := range addRE.FindAllStringSubmatch(text, -1) {
			if libs[m[1]] == nil && targetRE.MatchString(m[1]) {
				libs[m[1]] = []string{}
			}
		}
		for _, m := range propsRE.FindAllStringSubmatch(text, -1) {
			for _, l := range locationRE.FindAllStringSubmatch(m[2], -1) {
				libs[m[1]] = append(libs[m[1]], l[1])
			}
		}
	}
	for t, l := range libs {
		if targetRE.MatchString(t) {
			c.targets = append(c.targets, ownTarget{t, l})
		}
	}
	slices.SortFunc(c.targets, func(a, b ownTarget) int { return strings.Compare(a.name, b.name) })
	return c, nil
}

// readSome returns a file, or nothing of one that is too large to be what its
// name says.
func readSome(dir fs.FS, file string) (string, error) {
	info, err := fs.Stat(dir, file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxOwnFile {
		return "", nil //nolint:nilerr // a dangling link describes nothing
	}
	b, err := fs.ReadFile(dir, file)
	return string(b), err
}

// target returns the own target that is component n: the one with its
// library, else the one of its name.
func (o own) target(n *node) (ownCMake, string, bool) {
	for _, byName := range []bool{false, true} {
		for _, c := range o.cmake {
			for _, t := range c.targets {
				_, last, ok := strings.Cut(t.name, "::")
				if !ok {
					last = t.name
				}
				if !byName && n.Library != "" && slices.Contains(t.libs, path.Base(n.Library)) {
					return c, t.name, true
				}
				if byName && strings.EqualFold(last, n.Name) && (n.Library == "" || len(t.libs) == 0) {
					return c, t.name, true
				}
			}
		}
	}
	return ownCMake{}, "", false
}
