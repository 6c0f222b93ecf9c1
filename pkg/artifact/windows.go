package artifact

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// CheckWindows refuses files of a package that Windows cannot hold: whoever
// fetches it there could never unpack it. A package whose supports leaves
// Windows out may have them, which is a warning for each. The error has the
// code "path_windows".
//
// Builds have no such rule: their manual pages are called std::vector.3, and
// each is for one system.
func CheckWindows(m *clyde.Manifest, files []File) (warnings []string, err error) {
	there := onWindows(m.Supports)
	for _, f := range files {
		e := checkWindows(f.Path)
		switch {
		case e == nil:
		case there:
			return nil, e.Fix("rename it, or leave it out with files.exclude or %s", IgnoreFile).
				Fix("if the package is not for Windows, say so in package.yaml: supports: \"!windows\"")
		default:
			warnings = append(warnings, fmt.Sprintf("%q is a name that Windows cannot hold: there the package will not unpack", f.Path))
		}
	}
	return warnings, nil
}

// onWindows reports whether a supports expression holds for any machine with
// Windows.
func onWindows(supports string) bool {
	for _, arch := range []string{"x86_64", "x64", "x86", "arm64", "arm"} {
		for _, compiler := range []string{"msvc", "clang", "gcc", "mingw"} {
			for _, linkage := range []string{"static", "shared"} {
				yes, err := clyde.Supports(supports, func(id string) bool {
					return slices.Contains([]string{"windows", arch, compiler, linkage}, id) || arch == "x64" && id == "x86_64"
				})
				if yes || err != nil {
					return true
				}
			}
		}
	}
	return false
}

// checkWindows refuses a path that Windows cannot hold (Microsoft, "Naming
// Files, Paths, and Namespaces").
func checkWindows(p string) *clyde.Error {
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
