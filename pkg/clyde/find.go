package clyde

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// manifestPaths is where a package.yaml may be, folder by folder, first one
// first.
var manifestPaths = [][]string{{".clyde/package.yaml"}, {"package.yaml", "package.yml"}}

// FindManifest returns the path of the package.yaml in dir: .clyde/package.yaml,
// package.yaml or package.yml, in that order. Two of them in one folder are an
// ErrConflict, none is an ErrNotFound.
func FindManifest(dir fs.FS) (string, error) {
	for _, group := range manifestPaths {
		var found []string
		for _, path := range group {
			info, err := fs.Stat(dir, path)
			switch {
			case err == nil && info.Mode().IsRegular():
				found = append(found, path)
			case err == nil:
				return "", Errorf(ErrInvalid, "%s is not a file", path)
			case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission):
				return "", fmt.Errorf("look for %s: %w", path, err)
			case errors.Is(err, fs.ErrPermission):
				return "", Errorf(ErrInvalid, "%s cannot be read", path).Because(err)
			}
		}
		if len(found) > 1 {
			return "", Errorf(ErrConflict, "%s are both here, and only one can count", strings.Join(found, " and ")).
				WithCode("manifest_twice").Fix("remove one of them")
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return "", Errorf(ErrNotFound, "there is no package.yaml here").WithCode("manifest_missing").
		Fix("run clyde init to write one, or change to the folder that has it")
}

// Template returns a package.yaml to begin with. name is used as it is; an empty
// language is cpp, an empty typ library. The result validates where name does.
func Template(name, language, typ string) []byte {
	if l := languages[language]; l != "" {
		language = l
	} else {
		language = "cpp"
	}
	if typ == "" {
		typ = "library"
	}
	standard, extension, compiler := "{cxx: \"17\"}", "cpp", "gxx"
	if language == "c" {
		standard, extension, compiler = "{c: \"11\"}", "c", "gcc"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "schema: 1\nname: %s\nversion: \"0.1.0\"\ntype: %s\nlanguage: %s\n", strconv.Quote(name), typ, language)
	fmt.Fprintf(&b, "standard: %s\n", standard)
	b.WriteString("description: \"One line that says what it is for\"\n")
	b.WriteString("license: MIT\n")
	switch typ {
	case "meta":
		b.WriteString("sources: []\n")
	case "header-only":
		b.WriteString("sources: []\ninclude: [include]\n")
	case "application", "tool":
		fmt.Fprintf(&b, "sources: [\"src/**.%s\"]\n", extension)
	default:
		fmt.Fprintf(&b, "sources: [\"src/**.%s\"]\ninclude: [include]\n", extension)
	}
	if typ != "meta" && typ != "header-only" {
		fmt.Fprintf(&b, "cflags: {%s: \"-Wall -Wextra\"}\n", compiler)
	}
	b.WriteString("# A range of versions for each name: \"@namespace/name\": \"^1.2.0\"\nrequires: {}\n")
	return []byte(b.String())
}
