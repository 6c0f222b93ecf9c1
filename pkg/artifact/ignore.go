package artifact

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// IgnoreFile lies at the root of a package and says what is not packed, in a
// subset of .gitignore: a pattern a line; "#" begins a comment; "!" takes a
// file in again; a pattern with a slash at its beginning or inside counts from
// the root, any other in every directory; a slash at the end means directories
// only; "*" and "?" do not match a slash, "**" does; "[a-z]" and "[!a-z]"; a
// backslash takes the next character as it is. The last pattern that matches
// decides, and nothing below a directory that is left out comes in again.
// Ignore files in other directories are not read.
const IgnoreFile = ".clydeignore"

// maxIgnore is the largest IgnoreFile read, in bytes, and maxPatterns the most
// patterns in it or in one list of files: every file is compared with each.
const (
	maxIgnore   = 64 << 10
	maxPatterns = 1000
)

// versionControl are the names that are never packed, at any depth: ".git" is
// a file in submodules and work trees.
var versionControl = []string{".git", ".hg", ".svn", ".bzr", "CVS"}

// buildMarks are the files that make the directory they lie in a build
// directory, a cache (see https://bford.info/cachedir/), or an OCI image layout,
// which "clyde build" and "clyde pack --layout" leave beside the source.
var buildMarks = []string{"CMakeCache.txt", "CACHEDIR.TAG", ocispec.ImageLayoutFile}

// installed is where Clyde installs dependencies. It comes before the lines of
// IgnoreFile, so that "!/deps/" there packs a directory of that name.
const installed = "/deps/"

// ignoreRule is one line of an ignore file.
type ignoreRule struct {
	re       *regexp.Regexp
	dirsOnly bool
	keep     bool
}

// ignoreRules are in the order of the file.
type ignoreRules []ignoreRule

// parseIgnore reads an ignore file.
func parseIgnore(text string) (ignoreRules, error) {
	if len(text) > maxIgnore {
		return nil, tooLarge(IgnoreFile, int64(len(text)), maxIgnore)
	}
	text = strings.TrimPrefix(text, "\ufeff") // Windows' editors begin with it
	var rules ignoreRules
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if trimmed := strings.TrimRight(line, " \t"); !strings.HasSuffix(trimmed, `\`) {
			line = trimmed
		}
		if line == "" || line[0] == '#' {
			continue
		}
		r := ignoreRule{}
		pattern := line
		if pattern, r.keep = strings.CutPrefix(pattern, "!"); pattern == "" {
			return nil, badGlob(line, "it is empty")
		}
		pattern, r.dirsOnly = strings.CutSuffix(pattern, "/")
		anchored := strings.Contains(pattern, "/")
		if pattern = strings.TrimPrefix(pattern, "/"); pattern == "" {
			return nil, badGlob(line, "it would leave out everything")
		}
		if !anchored {
			pattern = "**/" + pattern
		}
		re, err := globRegexp(pattern, "")
		if err != nil {
			return nil, err
		}
		r.re = re
		if rules = append(rules, r); len(rules) > maxPatterns {
			return nil, clyde.Errorf(clyde.ErrTooLarge, "%s has more than %d patterns", IgnoreFile, maxPatterns).WithCode("too_large")
		}
	}
	return rules, nil
}

// match reports whether some rule is about p, and if so whether p is left out.
func (r ignoreRules) match(p string, dir bool) (ignored, decided bool) {
	for _, rule := range slices.Backward(r) {
		if (dir || !rule.dirsOnly) && rule.re.MatchString(p) {
			return !rule.keep, true
		}
	}
	return false, false
}

// Globs are the patterns of files.include or files.exclude. They count from
// the root; one that matches a directory stands for all in it.
type Globs []*regexp.Regexp

// ParseGlobs reads patterns as package.yaml has them: those of files, and of
// sources.
func ParseGlobs(patterns []string) (Globs, error) {
	if len(patterns) > maxPatterns {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "more than %d patterns", maxPatterns).WithCode("too_large")
	}
	var g Globs
	for _, p := range patterns {
		clean := strings.TrimSuffix(strings.TrimPrefix(p, "./"), "/")
		if clean == "." || clean == "" {
			clean = "**"
		}
		re, err := globRegexp(clean, "(?:/.*)?")
		if err != nil {
			return nil, err
		}
		g = append(g, re)
	}
	return g, nil
}

// Match reports whether one of the patterns matches a slash path.
func (g Globs) Match(p string) bool {
	return slices.ContainsFunc(g, func(re *regexp.Regexp) bool { return re.MatchString(p) })
}

// globRegexp compiles a glob with "**". Regular expressions of Go take time
// linear in the path, whatever the pattern.
func globRegexp(glob, suffix string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(glob); {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/") && (i == 0 || glob[i-1] == '/'):
			b.WriteString("(?:.*/)?")
			i += 3
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i += 2
		case c == '*':
			b.WriteString("[^/]*")
			i++
		case c == '?':
			b.WriteString("[^/]")
			i++
		case c == '[':
			n, class := globClass(glob[i:])
			if n == 0 {
				return nil, badGlob(glob, "its [ is not closed, or holds a slash or a range that runs backwards")
			}
			b.WriteString(class)
			i += n
		case c == '\\':
			if i+1 == len(glob) {
				return nil, badGlob(glob, "nothing follows its last backslash")
			}
			b.WriteString(regexp.QuoteMeta(glob[i+1 : i+2]))
			i += 2
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
			i++
		}
	}
	re, err := regexp.Compile("(?s)" + b.String() + suffix + "$")
	if err != nil {
		return nil, badGlob(glob, "it cannot be read").Because(err)
	}
	return re, nil
}

// globClass translates the class at the beginning of s, and returns its length
// in s, 0 where it is none: not closed, with a slash, or with a range that runs
// backwards. As "*", a class never matches a slash, though a range may span it.
func globClass(s string) (n int, class string) {
	rest, negated := s[1:], false
	if strings.HasPrefix(rest, "!") || strings.HasPrefix(rest, "^") {
		rest, negated = rest[1:], true
	}
	next := func() (r rune, ok bool) {
		if rest, _ = strings.CutPrefix(rest, `\`); rest == "" || rest[0] == '/' {
			return 0, false
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		return r, r != utf8.RuneError
	}
	var b strings.Builder
	add := func(lo, hi rune) {
		if lo <= hi {
			fmt.Fprintf(&b, `\x{%x}-\x{%x}`, lo, hi)
		}
	}
	b.WriteString("[")
	if negated {
		b.WriteString("^/")
	}
	for first := true; first || !strings.HasPrefix(rest, "]"); first = false {
		lo, ok := next()
		hi := lo
		if ok && len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			rest = rest[1:]
			hi, ok = next()
		}
		if !ok || hi < lo {
			return 0, ""
		}
		if lo < '/' && '/' < hi {
			add(lo, '/'-1)
			add('/'+1, hi)
			continue
		}
		add(lo, hi)
	}
	b.WriteString("]")
	return len(s) - len(rest) + 1, b.String()
}

func badGlob(glob, why string) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, "the pattern %q cannot be used: %s", glob, why).WithCode("pattern_invalid")
}

// chooser decides what of a directory is packed.
type chooser struct {
	rules            ignoreRules
	include, exclude Globs
	always           []string // packed though include does not name them
	all              bool     // everything is packed, whatever it is called
}

// newChooser reads dir's ignore file and the manifest's file sets.
func newChooser(dir fs.FS, m *clyde.Manifest, always []string) (*chooser, error) {
	text, err := readSmall(dir, IgnoreFile, maxIgnore)
	if err != nil {
		return nil, err
	}
	c := &chooser{always: always}
	if c.rules, err = parseIgnore(string(text)); err != nil {
		return nil, err
	}
	if c.include, err = ParseGlobs(m.Files.Include); err != nil {
		return nil, err
	}
	first, err := parseIgnore(installed)
	if err != nil {
		return nil, err
	}
	c.rules = append(first, c.rules...)
	c.exclude, err = ParseGlobs(m.Files.Exclude)
	return c, err
}

// dir reports whether to look into the directory p, which holds the entries.
func (c *chooser) dir(p string, entries []fs.DirEntry) bool {
	if c.all {
		return true
	}
	if slices.Contains(versionControl, path.Base(p)) || c.exclude.Match(p) {
		return false
	}
	if ignored, decided := c.rules.match(p, true); decided {
		return !ignored
	}
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return slices.Contains(buildMarks, e.Name()) })
}

// file reports whether the file or symlink p is packed.
func (c *chooser) file(p string) bool {
	if c.all {
		return true
	}
	if slices.Contains(versionControl, path.Base(p)) || c.exclude.Match(p) {
		return false
	}
	if ignored, _ := c.rules.match(p, false); ignored {
		return false
	}
	return len(c.include) == 0 || c.include.Match(p) || slices.Contains(c.always, p) || IsLicense(p)
}

// IsLicense reports whether p is, by its name, a license at the root: what is
// packed without one nobody may use.
func IsLicense(p string) bool {
	name, _, _ := strings.Cut(strings.ToLower(p), ".")
	name, _, _ = strings.Cut(name, "-")
	return !strings.Contains(p, "/") && slices.Contains([]string{"license", "licence", "copying", "copyright", "notice", "unlicense"}, name)
}
