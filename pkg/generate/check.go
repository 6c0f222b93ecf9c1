package generate

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxText is the longest definition, option or path accepted, in bytes: what
// every shell and compiler takes as one argument.
const MaxText = 4096

var (
	componentRE  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$`)
	definitionRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(=.*)?$`)
	libraryRE    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	targetRE     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*(::[A-Za-z0-9_.+-]+)*$`)
	findNameRE   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$`)
	featureRE    = regexp.MustCompile(`^(?:c|c_std_)(89|90|99|11|17|23)$|^(?:c\+\+|cxx|cxx_std_)(98|03|11|14|17|20|23|26)$`)
	metaRE       = regexp.MustCompile(`^c(?:xx)?_[a-z0-9_]+$`)
)

// linkOption is a link option that changes how a program is linked and cannot
// make the compiler or linker load code, run another program or write
// elsewhere. Anything else is refused: -fplugin, -B, -specs, -wrapper, -o and
// @file would each hand the build to whoever wrote the package.
var linkOption = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`-pthread`, `-rdynamic`, `-static-libgcc`, `-static-libstdc\+\+`, `-fopenmp`, `-shared-libgcc`,
	`-fsanitize=[a-z,-]+`,
	`-stdlib=lib(?:c\+\+|stdc\+\+)`,
	`-l[A-Za-z0-9_][A-Za-z0-9_.+-]*`,
	`-Wl,(?:--?(?:as-needed|no-as-needed|whole-archive|no-whole-archive|export-dynamic|start-group|end-group|gc-sections|` +
		`allow-multiple-definition|no-undefined|dead_strip|ObjC|Bsymbolic|Bsymbolic-functions|Bstatic|Bdynamic|E)` +
		`|-z,(?:now|relro|noexecstack|nodelete|defs|lazy)` +
		`|-u,[A-Za-z0-9_.@]+|--undefined=[A-Za-z0-9_.@]+|--wrap=[A-Za-z0-9_.@]+|-framework,[A-Za-z0-9_]+` +
		`|--exclude-libs,(?:ALL|[A-Za-z0-9_.+-]+))`,
}, "|") + `)$`)

// check refuses what cannot be described to a build system.
func check(p Project) error {
	if !filepath.IsAbs(p.Deps) || !printable(p.Deps) || strings.ContainsAny(p.Deps, ";<>\"") {
		return clyde.Errorf(clyde.ErrInvalid, "build systems cannot use a folder called %s", quoted(p.Deps)).WithCode("deps_path").
			Fix("move the project to a path without ; < > \" and control characters")
	}
	seen := map[clyde.Name]bool{}
	for i := range p.Packages {
		k := &p.Packages[i]
		if _, err := clyde.ParseName(k.Name.String()); err != nil {
			return err
		}
		if seen[k.Name] {
			return invalid(k, "is installed twice")
		}
		seen[k.Name] = true
		if err := checkPackage(k); err != nil {
			return err
		}
	}
	return nil
}

func checkPackage(k *Package) error {
	switch {
	case k.Version.IsZero():
		return invalid(k, "has no version")
	case !slashPath(k.Dir) || k.Dir == ".":
		return invalid(k, "lies in %s, which is not a path below the deps folder", quoted(k.Dir))
	case len(k.Components) == 0:
		return invalid(k, "has no component")
	case k.FindName != "" && !findNameRE.MatchString(k.FindName):
		return invalid(k, "wants to be found as %s; want letters, digits and _ . + -", quoted(k.FindName))
	}
	names := map[string]bool{}
	for i := range k.Components {
		c := &k.Components[i]
		if !componentRE.MatchString(c.Name) {
			return invalid(k, "has a component called %s; want letters, digits and _ . + -", quoted(c.Name))
		}
		if low := strings.ToLower(c.Name); names[low] {
			return invalid(k, "has two components called %s, which are one on some systems", c.Name)
		} else {
			names[low] = true
		}
		if err := checkComponent(k, c); err != nil {
			return err
		}
	}
	return nil
}

func checkComponent(k *Package, c *Component) error {
	switch c.Kind {
	case Archive, Shared, Tool:
		if !slashPath(c.Library) && (c.Kind != Tool || c.Library != "") {
			return invalid(k, "has its component %s at %s, which is not a path below its folder", c.Name, quoted(c.Library))
		}
	case Interface:
		if c.Library != "" {
			return invalid(k, "has a library for its component %s, which is headers alone", c.Name)
		}
	default:
		return invalid(k, "has a component %s of kind %s", c.Name, quoted(string(c.Kind)))
	}
	for _, list := range []struct {
		what   string
		values []string
		ok     func(string) bool
	}{
		{"include folder", c.Includes, slashPath},
		{"definition", c.Definitions, func(s string) bool { return printable(s) && definitionRE.MatchString(s) }},
		{"compile feature", c.CompileFeatures, func(s string) bool { return featureRE.MatchString(s) || metaRE.MatchString(s) }},
		{"system library", c.LinkLibraries, libraryRE.MatchString},
		{"link option", c.LinkOptions, linkOption.MatchString},
		{"CMake target", c.Targets, func(s string) bool { return targetRE.MatchString(s) && !strings.HasPrefix(s, "clyde::") }}, // those are given out here
	} {
		for _, v := range list.values {
			if len(v) > MaxText || !list.ok(v) {
				return invalid(k, "has in component %s the %s %s, which is not handed to a build system", c.Name, list.what, quoted(v))
			}
		}
	}
	return nil
}

// invalid says what is wrong with a package, which only its publisher can mend.
func invalid(k *Package, format string, args ...any) error {
	return clyde.Errorf(clyde.ErrInvalid, "%s %s: "+format, append([]any{k.Name, k.Version}, args...)...).WithCode("package_undescribable").
		Fix("choose another version, or tell its publisher")
}

// slashPath reports whether s is a plain relative path that stays below its
// start: letters and digits of any script, spaces and _ - + . @ between
// slashes. pkg-config and make have no way to write more.
func slashPath(s string) bool {
	return s != "" && len(s) <= MaxText && printable(s) && filepath.IsLocal(filepath.FromSlash(s)) &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _-+.@/", r)
		})
}

// printable reports whether s is text of one line.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// quoted shows hostile text to a person.
func quoted(s string) string {
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return strconv.Quote(s)
}

// standards returns the language standards that features name, by language ("c"
// and "cxx"), as the two digits of the year less those of 2000: C++98 is -2, so
// that order is age.
func standards(features []string) map[string]int {
	out := map[string]int{}
	for _, f := range features {
		m := featureRE.FindStringSubmatch(f)
		if m == nil {
			continue
		}
		lang, digits := "c", m[1]
		if digits == "" {
			lang, digits = "cxx", m[2]
		}
		year, _ := strconv.Atoi(digits) // two digits, by the expression
		if year > 80 {
			year -= 100
		}
		if old, ok := out[lang]; !ok || year > old {
			out[lang] = year
		}
	}
	return out
}

// highest is the newest standard of lang that nodes ask for.
func highest(nodes []*node, lang string) (year int, ok bool) {
	for _, n := range nodes {
		if y, has := n.std[lang]; has && (!ok || y > year) {
			year, ok = y, true
		}
	}
	return year, ok
}

// unique removes repetitions and keeps the first of each.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
