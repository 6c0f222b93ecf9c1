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
// goes into a directory beside dir first, which takes dir's place at the end:
// an archive that is refused leaves nothing behind.
//
// It refuses by name: paths that are absolute, lead out, come twice, differ
// only in case or Unicode form, lie below a file or are longer than MaxPath;
// symlinks that lead out; hard links, devices and pipes; archives over a limit;
// data after the end. On Windows, names that Windows reserves too. Errors are
// ErrInvalid, ErrTooLarge or ErrConflict (dir is not empty).
func Unpack(r io.Reader, mediaType, dir string, lim Limits) (files []File, err error) {
	lim = lim.withDefaults()
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	switch old, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, clyde.Errorf(clyde.ErrConflict, "%s is in the way", dir).Because(err)
	case len(old) > 0:
		return nil, clyde.Errorf(clyde.ErrConflict, "%s exists and is not empty", dir).WithCode("directory_exists").
			Fix("remove it or name another directory")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	stage, err := os.MkdirTemp(filepath.Dir(dir), ".clyde-unpack-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	root, err := os.OpenRoot(stage)
	if err != nil {
		return nil, err
	}
	defer root.Close()

	w := &writer{root: root, made: map[string]bool{".": true}, left: lim.Unpacked}
	if err := list(r, mediaType, lim, w.entry); err != nil {
		return nil, err
	}
	// Symlinks last: while files are written there is none to be followed.
	for _, f := range w.files {
		if f.Mode&fs.ModeSymlink != 0 {
			if err := w.link(f); err != nil {
				return nil, err
			}
		}
	}
	top := Top(w.files)
	if top != "" {
		// Directories made by MkdirTemp are 0700.
		if err := os.Chmod(filepath.Join(stage, top), 0o755); err != nil {
			return nil, err
		}
	} else if err := os.Chmod(stage, 0o755); err != nil {
		return nil, err
	}
	if err := root.Close(); err != nil {
		return nil, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Rename(filepath.Join(stage, top), dir); err != nil {
		return nil, err
	}
	return Strip(w.files, top), nil
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
	left  int64           // bytes that may still be written
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
	if w.left -= f.Size; w.left < 0 {
		return clyde.Errorf(clyde.ErrTooLarge, "the archive unpacks to more than the limit, at %q", f.Path).WithCode("too_large")
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

// checkWindows refuses a path that Windows cannot hold.
func checkWindows(p string) error {
	for e := range strings.SplitSeq(p, "/") {
		if strings.ContainsAny(e, `<>:"|?*`) || strings.HasSuffix(e, ".") || strings.HasSuffix(e, " ") || reserved(e) {
			return refuse("path_windows", "the archive has the path %q, which Windows cannot hold", p)
		}
	}
	return nil
}

// reserved reports whether Windows takes e for a device, whatever its
// extension.
func reserved(e string) bool {
	base, _, _ := strings.Cut(strings.ToUpper(e), ".")
	base = strings.TrimRight(base, " ")
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	if len(base) < 4 || base[:3] != "COM" && base[:3] != "LPT" {
		return false
	}
	n := base[3:]
	return len(n) == 1 && n >= "0" && n <= "9" || n == "¹" || n == "²" || n == "³"
}
