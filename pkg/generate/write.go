package generate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// listFile names, one a line, what the last Write made, so that the next knows
// what to remove. It holds paths under deps alone.
const listFile = ".clyde-generated"

// maxList is the largest list of an earlier Write that is believed, in bytes.
const maxList = 8 << 20

// mark is in the first line or member of each file that Write may replace
// outside the deps folder.
const mark = "clyde install"

// commit puts files under deps. It writes all of them beside their places
// first and renames them after, so that a full disk leaves the old ones. The
// list is extended before and cut after, so that a crash leaves no file that
// nobody knows of.
func commit(deps string, files map[string]string) (written []string, err error) {
	defer clyde.Wrap(&err, "generate.commit")
	if err := os.MkdirAll(deps, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(deps)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	presets, outside := files[presetsFile]
	names := make([]string, 0, len(files))
	for name := range files {
		if name != presetsFile {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	old, err := readList(root)
	if err != nil {
		return nil, err
	}
	if err := put(root, listFile, list(slices.Concat(old, names))); err != nil {
		return nil, err
	}
	changed := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return same(root, name, files[name]) })
	if err := putAll(root, changed, files); err != nil {
		return nil, err
	}
	for _, name := range old {
		if _, keep := files[name]; !keep {
			if err := remove(root, name); err != nil {
				return nil, err
			}
		}
	}
	if err := put(root, listFile, list(names)); err != nil {
		return nil, err
	}
	if outside {
		above, err := os.OpenRoot(filepath.Dir(deps))
		if err != nil {
			return nil, err
		}
		defer above.Close()
		if err := put(above, path.Base(presetsFile), presets); err != nil {
			return nil, err
		}
		names = append(names, presetsFile)
	}
	return names, nil
}

// putAll writes the files under temporary names, then gives each its own.
func putAll(root *os.Root, names []string, files map[string]string) (err error) {
	staged := 0
	defer func() {
		if err != nil {
			for _, name := range names[:min(staged+1, len(names))] {
				_ = root.Remove(name + tmpSuffix) // what is left is ours
			}
		}
	}()
	for ; staged < len(names); staged++ {
		if err := stage(root, names[staged], files[names[staged]]); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := root.Rename(name+tmpSuffix, name); err != nil {
			return err
		}
	}
	return nil
}

const tmpSuffix = ".clyde-tmp"

func stage(root *os.Root, name, content string) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return root.WriteFile(name+tmpSuffix, []byte(content), 0o644)
}

// same reports whether a file has that content already. It is then left alone,
// so that build systems see no change.
func same(root *os.Root, name, content string) bool {
	b, err := root.ReadFile(name)
	return err == nil && string(b) == content
}

// put replaces one file.
func put(root *os.Root, name, content string) error {
	if same(root, name, content) {
		return nil
	}
	if err := stage(root, name, content); err != nil {
		return err
	}
	return root.Rename(name+tmpSuffix, name)
}

// remove deletes a file of an earlier Write and the folders that it leaves
// empty.
func remove(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if root.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}

func list(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n") + "\n"
}

// readList returns the paths that an earlier Write noted. A line that this
// package would never write is passed over: the file may have been edited, and
// must not become a way to delete others.
func readList(root *os.Root) ([]string, error) {
	info, err := root.Lstat(listFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if info.Size() > maxList || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a list that clyde wrote", listFile)
	}
	b, err := root.ReadFile(listFile)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); ours(line) {
			out = append(out, line)
		}
	}
	return out, nil
}

// ours reports whether name is a path that Write could have written: inside
// deps, and not in the folder of a package, which starts with "@".
func ours(name string) bool {
	if !slashPath(name) || path.Clean(name) != name {
		return false
	}
	first, _, below := strings.Cut(name, "/")
	if !below {
		return slices.Contains(topFiles, name)
	}
	return slices.Contains(topFolders, first)
}

// topFiles and topFolders are all that Write makes directly under deps.
var (
	topFiles   = []string{"clyde.cmake", "clyde-presets.json", "clyde-native.ini", "flags.txt", "MODULE.bazel", "BUILD.bazel"}
	topFolders = []string{"cmake", "cps", "flags", "include", "lib", "subprojects"}
)

// jsonText is v as JSON for people: indented, and with a line end.
func jsonText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err) // the values are maps, lists and text of this package
	}
	return b.String()
}
