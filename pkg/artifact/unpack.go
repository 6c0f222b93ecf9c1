package artifact

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Unpack writes a source archive to dir, without its sole top directory, and
// returns its files sorted by path. dir must not exist or be empty. Everything
// goes into a new directory first, beside dir or in it where it exists, and
// takes its place at the end: an archive that is refused leaves nothing behind,
// nor do directories that were made to hold dir. Modes are those of files and
// directories under the umask.
//
// It refuses by name: paths that are absolute, lead out, come twice, differ
// only in case or Unicode form, lie below a file or are longer than MaxPath;
// symlinks that lead out; hard links, devices and pipes; what tools read in
// different ways; archives over a limit; a missing end and data after it. On
// Windows, names that Windows reserves too. Errors are ErrInvalid, ErrTooLarge
// or ErrConflict (dir is not empty), but for those of r and the file system.
func Unpack(r io.Reader, mediaType, dir string, lim Limits) (files []File, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	exists := true
	switch old, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
		exists = false
	case err != nil:
		return nil, clyde.Errorf(clyde.ErrConflict, "%s is in the way", dir).WithCode("directory_exists").Because(err)
	case len(old) > 0:
		return nil, clyde.Errorf(clyde.ErrConflict, "%s exists and is not empty", dir).WithCode("directory_exists").
			Fix("remove it or name another directory")
	}
	beside := dir
	if !exists {
		beside = filepath.Dir(dir)
		made, e := makeParents(beside)
		defer func() {
			if err != nil {
				for _, p := range made {
					_ = os.Remove(p) // stays where others have put something into it
				}
			}
		}()
		if e != nil {
			return nil, e
		}
	}
	stage, err := os.MkdirTemp(beside, ".clyde-unpack-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := os.RemoveAll(stage); e != nil {
			err = errors.Join(err, e)
		}
	}()
	files, top, err := unpackInto(filepath.Join(stage, "tree"), r, mediaType, lim)
	if err != nil {
		return nil, err
	}
	if exists {
		err = moveAll(filepath.Join(stage, "tree", top), dir)
	} else {
		err = os.Rename(filepath.Join(stage, "tree", top), dir)
	}
	if err != nil {
		return nil, err
	}
	return Strip(files, top), nil
}

// makeParents makes dir and what is missing above it, and returns what it
// made, innermost first.
func makeParents(dir string) (made []string, err error) {
	for p := dir; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			break
		}
		made = append(made, p)
	}
	return made, os.MkdirAll(dir, 0o755)
}

// moveAll moves what is in from to the empty directory to, which stays the
// directory that it was: a shell may stand in it, or a volume be mounted there.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			for _, moved := range entries[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(to, moved.Name())))
			}
			return err
		}
	}
	return nil
}

// unpackInto writes an archive as it is to the new directory tree, and returns
// its entries and its sole top directory.
func unpackInto(tree string, r io.Reader, mediaType string, lim Limits) (files []File, top string, err error) {
	if err := os.Mkdir(tree, 0o755); err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	w := &writer{root: root, made: map[string]bool{".": true}}
	if err := list(r, mediaType, lim, w.entry); err != nil {
		return nil, "", err
	}
	// Symlinks last: while files are written there is none to be followed.
	for _, f := range w.files {
		if f.Mode&fs.ModeSymlink != 0 {
			if err := w.link(f); err != nil {
				return nil, "", err
			}
		}
	}
	return w.files, Top(w.files), nil
}

// Strip returns files below top, sorted by path; top may be "".
func Strip(files []File, top string) []File {
	var out []File
	for _, f := range files {
		if top != "" {
			rest, ok := strings.CutPrefix(f.Path, top+"/")
			if !ok {
				continue // top itself
			}
			f.Path = rest
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// writer writes entries below root.
type writer struct {
	root  *os.Root
	files []File
	made  map[string]bool // directories that exist
}

func (w *writer) entry(f File, body io.Reader) error {
	if runtime.GOOS == "windows" {
		if err := checkWindows(f.Path); err != nil {
			return err
		}
	}
	w.files = append(w.files, f)
	switch {
	case f.Mode.IsDir():
		return w.mkdir(f.Path)
	case f.Mode&fs.ModeSymlink != 0:
		return w.mkdir(path.Dir(f.Path))
	}
	if err := w.mkdir(path.Dir(f.Path)); err != nil {
		return err
	}
	out, err := w.root.OpenFile(filepath.FromSlash(f.Path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode.Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	return errors.Join(err, out.Close())
}

func (w *writer) mkdir(p string) error {
	if w.made[p] {
		return nil
	}
	w.made[p] = true
	return w.root.MkdirAll(filepath.FromSlash(p), 0o755)
}

func (w *writer) link(f File) error {
	err := w.root.Symlink(filepath.FromSlash(f.Link), filepath.FromSlash(f.Path))
	if err != nil && runtime.GOOS == "windows" {
		return clyde.Errorf(clyde.ErrDenied, "Windows refuses to make the symlink %q", f.Path).Because(err).
			Fix("turn on Developer Mode in Windows' settings")
	}
	return err
}
