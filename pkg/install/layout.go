package install

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// stateFolder holds, below a deps folder, what installing notes there.
	stateFolder = ".clyde"
	stateFile   = "state.json"
	// stampFile lies in the folder of every package that was installed: a
	// folder without it is somebody else's.
	stampFile = ".clyde-installed.json"

	stateVersion = 1

	// maxState bounds both files, in bytes.
	maxState = maxEntry
)

// stamp is what was put into one folder.
type stamp struct {
	Name    clyde.Name    `json:"name"`
	Version clyde.Version `json:"version"`
	Digest  string        `json:"digest,omitempty"` // of the manifest; of a local package none
	Key     string        `json:"key"`              // of the built tree
	// Files holds what was written, with the time of its last change, so that
	// one look at the folder tells whether somebody changed it.
	Files []stamped `json:"files"`
}

type stamped struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	Time int64  `json:"time"` // nanoseconds since 1970
}

// state is what the last Run did.
type state struct {
	Version     int       `json:"version"`
	Fingerprint string    `json:"fingerprint"`
	Packages    []Package `json:"packages"`
	Generated   []stamped `json:"generated"` // by Generate
}

func readJSON(path string, v any) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxState {
		return fs.ErrInvalid
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// current returns the result of the last Run where nothing would change, else
// nil.
func (in *installer) current(print string) *Result {
	var st state
	if print == "" || readJSON(filepath.Join(in.o.Deps, stateFolder, stateFile), &st) != nil || st.Version != stateVersion || st.Fingerprint != print {
		return nil
	}
	for i := range st.Packages {
		p := &st.Packages[i]
		if p.Dir == "" {
			continue
		}
		s, ok := in.stamped(p.Dir)
		if !ok || s.Name != p.Name {
			return nil
		}
		p.Change = Kept
		touch(in.store.path(string(Built), s.Key, entryFile))
	}
	for _, g := range st.Generated {
		if !g.unchanged(in.o.Deps) {
			return nil
		}
	}
	return &Result{Deps: in.o.Deps, Packages: st.Packages, Current: true}
}

// stamped returns the stamp of a package's folder, and whether the folder still
// is what the stamp says.
func (in *installer) stamped(dir string) (s stamp, intact bool) {
	at := filepath.Join(in.o.Deps, filepath.FromSlash(dir))
	if readJSON(filepath.Join(at, stampFile), &s) != nil {
		return stamp{}, false
	}
	for _, f := range s.Files {
		if !f.unchanged(at) {
			return s, false
		}
	}
	return s, true
}

func (f *stamped) unchanged(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path)))
	return err == nil && info.Size() == f.Size && info.ModTime().UnixNano() == f.Time
}

// note records a file as it is now.
func note(dir, path string) (stamped, error) {
	info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil {
		return stamped{}, err
	}
	return stamped{path, info.Size(), info.ModTime().UnixNano()}, nil
}

// lay puts the packages into the deps folder, takes away those that an earlier
// Run put there and that are not needed any more, and has the files of build
// systems written.
func (in *installer) lay(print string) (*Result, error) {
	statePath := filepath.Join(in.o.Deps, stateFolder, stateFile)
	// From here on the folder is between two states, and says so.
	if err := os.Remove(statePath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	tmp := filepath.Join(in.o.Deps, stateFolder, "tmp")
	if err := os.RemoveAll(tmp); err != nil { // what a killed Run left
		return nil, err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := in.vacant(); err != nil {
		return nil, err
	}
	res := &Result{Deps: in.o.Deps}
	var linked []*pkg
	for _, p := range in.order {
		out := Package{Name: p.name, Version: p.locked.Version, Digest: p.locked.Digest, How: p.how, Signed: in.signed[p.name]}
		if p.prebuilt != nil {
			out.Build = p.prebuilt.Build
		}
		if p.linked {
			linked = append(linked, p)
			out.Dir = dirOf(p.name)
			var err error
			if out.Change, err = in.place(p, tmp); err != nil {
				return nil, err
			}
		}
		res.Packages = append(res.Packages, out)
	}
	var err error
	if res.Removed, err = in.prune(tmp); err != nil {
		return nil, err
	}
	generated, err := in.o.Generate(in.project(in.o.Deps, linked, nil))
	if err != nil {
		return nil, err
	}
	st := state{Version: stateVersion, Fingerprint: print, Packages: res.Packages, Generated: []stamped{}}
	for _, g := range generated {
		s, err := note(in.o.Deps, g)
		if err != nil {
			return nil, err
		}
		st.Generated = append(st.Generated, s)
	}
	b, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return res, writeFile(statePath, b)
}

// noLinks refuses links in place of the folders that Run works in: a project
// that came from elsewhere could have it write, and remove, outside of deps.
func noLinks(deps string) error {
	entries, err := os.ReadDir(deps)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 && (e.Name() == stateFolder || strings.HasPrefix(e.Name(), "@")) {
			return inTheWay(filepath.Join(deps, e.Name()))
		}
	}
	return err
}

func inTheWay(path string) error {
	return clyde.Errorf(clyde.ErrConflict, "%s is in the way: clyde did not put it there", path).WithCode("directory_exists").
		Fix("move it away").Fix("or name another folder with --deps")
}

// vacant refuses folders, and links to them, in the places of packages that
// nobody installed.
func (in *installer) vacant() error {
	for _, p := range in.order {
		if !p.linked {
			continue
		}
		at := filepath.Join(in.o.Deps, filepath.FromSlash(dirOf(p.name)))
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || !info.IsDir() {
			return inTheWay(at)
		}
		left, err := os.ReadDir(at)
		if err == nil && len(left) == 0 {
			continue
		}
		if _, err := os.Lstat(filepath.Join(at, stampFile)); err != nil {
			return inTheWay(at)
		}
	}
	return nil
}

// place makes a package's folder what the store has, unless it is that already.
func (in *installer) place(p *pkg, tmp string) (Change, error) {
	dir := dirOf(p.name)
	old, intact := in.stamped(dir)
	if intact && old.Key == p.entry.Key {
		return Kept, nil
	}
	if old.Key == p.entry.Key {
		in.o.Say("%s was changed by hand; it is put back", filepath.Join(filepath.Base(in.o.Deps), filepath.FromSlash(dir)))
	}
	fresh := filepath.Join(tmp, p.name.Namespace+"-"+p.name.Base)
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return "", err
	}
	if err := p.entry.copyTo(fresh); err != nil {
		return "", err
	}
	s := stamp{Name: p.name, Version: p.locked.Version, Digest: p.locked.Digest, Key: p.entry.Key, Files: []stamped{}}
	for _, f := range p.entry.Files {
		n, err := note(fresh, f.Path)
		if err != nil {
			return "", err
		}
		s.Files = append(s.Files, n)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(fresh, stampFile), b, 0o644); err != nil {
		return "", err
	}
	at := filepath.Join(in.o.Deps, filepath.FromSlash(dir))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return "", err
	}
	change := Added
	if old.Key != "" {
		change = Updated
	}
	if err := os.Rename(at, fresh+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return change, os.Rename(fresh, at)
}

// unneeded lists the folders of packages that are not needed any more: those
// with a stamp, and no others.
func (in *installer) unneeded() (dirs []string, err error) {
	stamps, err := filepath.Glob(filepath.Join(globQuote(in.o.Deps), "@*", "*", stampFile))
	for _, s := range stamps {
		at := filepath.Dir(s)
		dir := filepath.Base(filepath.Dir(at)) + "/" + filepath.Base(at)
		if !slices.ContainsFunc(in.order, func(p *pkg) bool { return p.linked && dirOf(p.name) == dir }) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, err
}

// globQuote has filepath.Glob take a path as it is.
func globQuote(path string) string {
	if filepath.Separator == '\\' {
		return path // there, nothing quotes
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// prune removes the folders of packages that are not needed any more, and those
// of namespaces that are empty then.
func (in *installer) prune(tmp string) (removed []string, err error) {
	removed, err = in.unneeded()
	for _, dir := range removed {
		at := filepath.Join(in.o.Deps, filepath.FromSlash(dir))
		if err := os.Rename(at, filepath.Join(tmp, strings.ReplaceAll(dir, "/", "-")+".old")); err != nil {
			return nil, err
		}
		_ = os.Remove(filepath.Dir(at)) // stays where there is something in it
	}
	return removed, err
}

// Plan says what Run would change, by the lock file and the deps folder alone:
// nothing is fetched, and How is not known.
func Plan(o Options) (*Result, error) {
	o.setDefaults()
	in := &installer{o: &o}
	if err := in.graph(); err != nil {
		return nil, err
	}
	res := &Result{Deps: o.Deps, Packages: []Package{}}
	for _, p := range in.order {
		out := Package{Name: p.name, Version: p.locked.Version, Digest: p.locked.Digest}
		if p.linked {
			out.Dir = dirOf(p.name)
			old, intact := in.stamped(out.Dir)
			switch {
			case old.Key == "":
				out.Change = Added
			case !intact || old.Digest != p.locked.Digest || !old.Version.Equal(p.locked.Version):
				out.Change = Updated
			default:
				out.Change = Kept
			}
		}
		res.Packages = append(res.Packages, out)
	}
	var err error
	res.Removed, err = in.unneeded()
	return res, err
}
