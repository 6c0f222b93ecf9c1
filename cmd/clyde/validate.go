package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func newValidate(a *app) *cobra.Command {
	var publish bool
	cmd := &cobra.Command{
		Use:   "validate [DIR|FILE|-]",
		Short: "Check a package.yaml and say everything that is wrong with it",
		Long: "Check the package.yaml in DIR (default: here), in FILE, or on standard input. Every problem is\n" +
			"reported at once, with its place. What is fine in a work tree and refused at publish is a warning;\n" +
			"with --publish the rules of publishing apply.",
		Example: "  clyde validate\n  clyde validate --publish path/to/package",
		Args:    wants(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			arg := "."
			if len(args) == 1 {
				arg = args[0]
			}
			path, data, err := a.readManifest(arg)
			if err != nil {
				return err
			}
			m, ps := clyde.Check(data, clyde.ValidateOptions{Publish: publish})
			return a.reportValidation(path, m, ps)
		},
	}
	cmd.Flags().BoolVar(&publish, "publish", false, "apply the rules of publishing")
	return cmd
}

// reportValidation prints the outcome of validating the file at path.
func (a *app) reportValidation(path string, m *clyde.Manifest, ps clyde.Problems) error {
	err := ps.Err(path)
	if a.json {
		if ps == nil {
			ps = clyde.Problems{}
		}
		jerr := a.emit("validate", struct {
			Path     string         `json:"path"`
			Valid    bool           `json:"valid"`
			Name     string         `json:"name,omitempty"`
			Version  string         `json:"version,omitempty"`
			Problems clyde.Problems `json:"problems"`
		}{filepath.ToSlash(path), err == nil, nameOf(m), m.Version.String(), ps})
		if jerr != nil {
			return jerr
		}
	}
	if !a.quiet || err != nil {
		a.problems(path, ps)
	}
	if err != nil {
		fmt.Fprintf(a.stderr, "%s %s: %s\n", a.paint(a.stderr, red, "clyde:"), clean(path), plural(len(ps.Errors()), "error"))
		return shownError{err}
	}
	if !a.json {
		return a.printf("%s: %s %s is valid\n", clean(path), clean(nameOf(m)), m.Version)
	}
	return nil
}

// nameOf is the name as package.yaml has it: with its namespace or without.
func nameOf(m *clyde.Manifest) string {
	if m.Name.Namespace == "" {
		return m.Name.Base
	}
	return m.Name.String()
}

// readManifest reads the package.yaml that arg, a folder, a file or "-",
// stands for. The path is for messages.
func (a *app) readManifest(arg string) (string, []byte, error) {
	if arg == "-" {
		b, err := readAll(a.stdin, clyde.MaxManifestSize, "standard input")
		return "package.yaml", b, err
	}
	info, err := os.Stat(arg)
	if err != nil {
		return "", nil, missing(arg, err)
	}
	file := arg
	if info.IsDir() {
		rel, err := clyde.FindManifest(os.DirFS(arg))
		if err != nil {
			if e := clyde.AsError(err); e != nil && errors.Is(err, clyde.ErrNotFound) && path.Clean(filepath.ToSlash(arg)) != "." {
				e.Msg = fmt.Sprintf("there is no package.yaml in %s", arg)
			}
			return "", nil, err
		}
		file = filepath.Join(arg, filepath.FromSlash(rel))
	}
	f, err := os.Open(file)
	if err != nil {
		return "", nil, missing(file, err)
	}
	defer f.Close()
	b, err := readAll(f, clyde.MaxManifestSize, file)
	return file, b, err
}

// missing turns the absence of a file into exit status 5.
func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return clyde.Errorf(clyde.ErrNotFound, "%s does not exist", path).WithCode("file_missing")
	}
	return err
}
