package generate

// addMeson writes a native file (meson setup --native-file
// deps/clyde-native.ini) that leads dependency() to our .pc files first and our
// CMake configurations second.
func addMeson(_ *graph, files map[string]string) {
	files["clyde-native.ini"] = cmakeHead + `
[built-in options]
pkg_config_path = ['@DIRNAME@' / 'lib' / 'pkgconfig']
cmake_prefix_path = ['@DIRNAME@' / 'cmake']
`
}
