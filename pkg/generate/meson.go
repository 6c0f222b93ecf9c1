package generate

import (
	"path/filepath"
	"strings"
)

// addMeson writes a native file (meson setup --native-file
// deps/clyde-native.ini) that leads dependency() to our .pc files. Its path is
// absolute, since Meson 1.0 knows no name for where the file lies, and has no
// escapes: quotes are threefold where the path has one.
func addMeson(g *graph, files map[string]string) {
	deps := "'" + filepath.ToSlash(g.deps) + "'"
	if strings.Contains(g.deps, "'") {
		deps = "''" + deps + "''"
	}
	files["clyde-native.ini"] = cmakeHead + `
[built-in options]
pkg_config_path = [` + deps + ` / 'lib' / 'pkgconfig']
`
}
