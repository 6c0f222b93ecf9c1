package artifact

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxLinkSteps bounds the path elements looked at while all symlinks of one
// archive are followed: links to links can ask for exponentially many.
const maxLinkSteps = 1 << 20

// names is the set of paths of one archive, under rules that hold on every
// file system: no path twice, none that differs from another in case or
// Unicode form only, nothing below what is not a directory.
type names struct {
	entries map[string]fs.FileMode // by exact path; implied directories too
	folded  map[string]string      // folded path to exact path
	given   map[string]bool        // paths that had an entry of their own
	links   map[string]string      // symlink to its target
	fold    cases.Caser
	limit   int    // of entries, those included that only longer paths imply
	steps   int    // elements that following symlinks may still take
	top     string // first component of the first path
	many    bool   // paths differ in their first component, or a file has only one
}

func newNames(limit int) *names {
	return &names{
		entries: map[string]fs.FileMode{},
		folded:  map[string]string{},
		given:   map[string]bool{},
		links:   map[string]string{},
		fold:    cases.Fold(),
		limit:   limit,
		steps:   maxLinkSteps,
	}
}

// refuse is the error for an archive that breaks a rule.
func refuse(code, format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode(code)
}

// cleanPath returns p without a leading "./" or a trailing slash, or refuses
// it: absolute, with "." or ".." or empty elements, with one that is git's, with
// control characters, backslashes or invalid UTF-8, or over-long. The root itself is ".".
func cleanPath(p string) (string, error) {
	if len(p) > MaxPath {
		return "", refuse("path_too_long", "the archive has a path of %d bytes, %.60q…; the limit is %d", len(p), p, MaxPath)
	}
	if !utf8.ValidString(p) {
		return "", refuse("path_invalid", "the archive has the path %q, which is not UTF-8", p)
	}
	for _, r := range p {
		if r == '\\' || unicode.IsControl(r) || isBidi(r) {
			return "", refuse("path_invalid", "the archive has the path %q: %q is not allowed in one", p, r)
		}
	}
	if isAbsolute(p) {
		return "", refuse("path_absolute", "the archive has the absolute path %q", p)
	}
	c := strings.TrimSuffix(strings.TrimPrefix(p, "./"), "/")
	if c == "" || c == "." {
		if p == "" {
			return "", refuse("path_invalid", "the archive has an entry without a path")
		}
		return ".", nil
	}
	for e := range strings.SplitSeq(c, "/") {
		switch e {
		case "..":
			return "", refuse("path_traversal", "the archive has the path %q, which leads out of it", p)
		case "", ".":
			return "", refuse("path_invalid", "the archive has the path %q, which is not in its simplest form", p)
		}
		if isGit(e) {
			return "", refuse("path_git", "the archive has the path %q: git runs what a folder of that name tells it to", p).
				Fix("Leave it out: tar --exclude-vcs, or clyde pack.")
		}
	}
	return c, nil
}

// isGit reports whether some file system takes the path element e for git's own
// folder, whose configuration and hooks name programs that git, an editor or a
// shell's prompt run in whatever folder they find them. Beside case these are
// characters that macOS ignores in names, and short names, trailing dots and
// streams of Windows.
func isGit(e string) bool {
	e = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, e)
	e, _, _ = strings.Cut(e, ":")
	e = strings.TrimRight(e, " .")
	return strings.EqualFold(e, ".git") || strings.EqualFold(e, "git~1")
}

// isAbsolute reports whether some system takes p for a path that does not
// begin where it stands: "/x", "C:/x", "C:x".
func isAbsolute(p string) bool {
	return strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':' && (p[0]|0x20 >= 'a' && p[0]|0x20 <= 'z')
}

// checkTarget refuses targets of the symlink p that systems may read in two
// ways; where they lead is for checkLinks.
func checkTarget(p, target string) error {
	if len(target) > MaxPath {
		return refuse("path_too_long", "%q is a link of %d bytes; the limit is %d", p, len(target), MaxPath)
	}
	if target == "" || !utf8.ValidString(target) || strings.ContainsFunc(target, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || isBidi(r) }) {
		return refuse("link_outside", "%q is a link to %q, which is no path that every system can follow", p, target)
	}
	return nil
}

// isBidi reports whether r changes the direction of text, which can make one
// path look like another.
func isBidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}

// add enters one path, or refuses it. At the second entry of a directory it
// returns false: harmless, and frequent.
func (n *names) add(p string, mode fs.FileMode, link string) (fresh bool, err error) {
	first, _, below := strings.Cut(p, "/")
	switch {
	case n.top == "":
		n.top = first
	case n.top != first:
		n.many = true
	}
	if !below && !mode.IsDir() {
		n.many = true
	}
	for i := 0; i < len(p); i++ {
		if p[i] == '/' {
			if err := n.enter(p[:i], fs.ModeDir, p); err != nil {
				return false, err
			}
		}
	}
	if n.given[p] {
		if mode.IsDir() && n.entries[p].IsDir() {
			return false, nil
		}
		return false, refuse("path_twice", "the archive has the path %q twice", p)
	}
	if err := n.enter(p, mode, p); err != nil {
		return false, err
	}
	n.given[p] = true
	if mode&fs.ModeSymlink != 0 {
		n.links[p] = link
	}
	return true, nil
}

func (n *names) enter(p string, mode fs.FileMode, of string) error {
	if was, ok := n.entries[p]; ok {
		if !was.IsDir() || !mode.IsDir() {
			return refuse("path_under_file", "the archive has %q as a directory and as something else (at %q)", p, of)
		}
		return nil
	}
	key := n.key(p)
	if was, ok := n.folded[key]; ok {
		return refuse("path_collision", "the archive has the paths %q and %q, which are one file on macOS or Windows", was, p)
	}
	n.entries[p], n.folded[key] = mode, p
	if len(n.entries) > n.limit {
		return clyde.Errorf(clyde.ErrTooLarge, "the archive has more than %d files and directories", n.limit).WithCode("too_many_entries")
	}
	return nil
}

// key is what p and everything that some file system takes for p have in
// common.
func (n *names) key(p string) string {
	if strings.IndexFunc(p, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return strings.ToLower(p) // the same, and most paths are ASCII
	}
	return norm.NFC.String(n.fold.String(norm.NFD.String(p)))
}

// spelled returns p as the archive spells it, where it has p in any spelling:
// a link may name it in another, which leads there on macOS and Windows.
func (n *names) spelled(p string) string {
	if _, ok := n.entries[p]; ok {
		return p
	}
	if exact, ok := n.folded[n.key(p)]; ok {
		return exact
	}
	return p
}

// sole returns the directory that holds everything, or "".
func (n *names) sole() string {
	if n.many || n.top == "" || len(n.entries) < 2 || !n.entries[n.top].IsDir() {
		return ""
	}
	return n.top
}

// checkLinks follows every symlink, through other symlinks too, and refuses
// those that leave the package's root (the sole top directory, when there is
// one) or never end. A link to what is not in the archive is fine.
func (n *names) checkLinks() error {
	top := n.sole()
	for _, p := range slices.Sorted(maps.Keys(n.links)) {
		hops := 0
		if _, err := n.follow(path.Dir(p), n.links[p], top, &hops); err != nil {
			return err.Fix("pack the file itself in place of the link %q", p)
		}
	}
	return nil
}

// follow resolves target against the directory dir, as an operating system
// does: element by element, replacing symlinks as they come.
func (n *names) follow(dir, target, top string, hops *int) (string, *clyde.Error) {
	if *hops++; *hops > MaxLinkDepth {
		return "", refuse("link_outside", "the archive has links that lead to each other, at %q", path.Join(dir, target))
	}
	if isAbsolute(target) {
		return "", refuse("link_outside", "the archive has a link to the absolute path %q", target)
	}
	at := dir
	for e := range strings.SplitSeq(target, "/") {
		if n.steps--; n.steps < 0 {
			return "", refuse("link_outside", "the archive has more symlinks to symlinks than can be followed")
		}
		switch e {
		case "", ".":
			continue
		case "..":
			if at == "." || at == top {
				return "", refuse("link_outside", "the archive has a link to %q, which leads out of it", target)
			}
			at = path.Dir(at)
			continue
		}
		next := n.spelled(path.Join(at, e))
		if link, ok := n.links[next]; ok {
			to, err := n.follow(at, link, top, hops)
			if err != nil {
				return "", err
			}
			next = to
		}
		at = next
	}
	return at, nil
}

// Top returns the directory that holds all of files, or "": tar archives of
// releases usually have one, and unpacking strips it.
func Top(files []File) string {
	var top string
	for i, f := range files {
		first, _, below := strings.Cut(f.Path, "/")
		if i == 0 {
			top = first
		}
		if first != top || !below && !f.Mode.IsDir() {
			return ""
		}
	}
	if len(files) == 1 && files[0].Path == top {
		return ""
	}
	return top
}
