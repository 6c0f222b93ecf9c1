package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// packageTypes and languages are what --type and --language take.
var (
	packageTypes = []string{"library", "application", "foreign", "header-only", "plugin", "tool", "meta"}
	languages    = []string{"c", "cpp"}
)

func newInit(a *app) *cobra.Command {
	var name, language, typ string
	var dry bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a package.yaml to begin with",
		Long: "Write a package.yaml into DIR (default: here). The name is taken from the folder's unless\n" +
			"--name gives one. A package.yaml that is there already is left alone.",
		Example: "  clyde init --name @acme/fastjson\n  clyde init --language c --type header-only mylib",
		Args:    wants(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if !slices.Contains(packageTypes, typ) {
				return usagef("--type: %q is none", typ).fix("use one of %s", strings.Join(packageTypes, ", "))
			}
			if !slices.Contains(languages, language) {
				return usagef("--language: %q is none", language).fix("use c or cpp")
			}
			if name == "" {
				abs, err := filepath.Abs(dir)
				if err != nil {
					return fmt.Errorf("init: %w", err)
				}
				name = nameFrom(filepath.Base(abs))
			}
			if err := checkPackageName(name); err != nil {
				return err
			}
			path, err := findExisting(dir)
			if err != nil {
				return err
			}
			if path != "" {
				return clyde.Errorf(clyde.ErrConflict, "%s is already here", filepath.Join(dir, path)).
					WithCode("manifest_exists").Fix("edit it, or remove it first")
			}
			data := clyde.Template(name, language, typ)
			path = filepath.Join(dir, "package.yaml")
			if !dry {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return fmt.Errorf("init: %w", err)
				}
				// O_EXCL: what appeared since we looked is somebody's work.
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
				if err != nil {
					return fmt.Errorf("init: %w", err)
				}
				_, err = f.Write(data)
				if err := errors.Join(err, f.Close()); err != nil {
					return fmt.Errorf("init: %w", err)
				}
			}
			if a.json {
				return a.emit("init", struct {
					Path   string `json:"path"`
					Name   string `json:"name"`
					DryRun bool   `json:"dry_run"`
				}{filepath.ToSlash(path), name, dry})
			}
			if dry {
				a.say("would write %s:", path)
				return a.printf("%s", data)
			}
			a.say("wrote %s; next: clyde validate", path)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the package, like @acme/fastjson")
	cmd.Flags().StringVar(&language, "language", "cpp", "c or cpp")
	cmd.Flags().StringVar(&typ, "type", "library", strings.Join(packageTypes, ", "))
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the file instead of writing it")
	fixedCompletion(cmd, "language", languages)
	fixedCompletion(cmd, "type", packageTypes)
	return cmd
}

// findExisting returns the package.yaml in dir, or "" where there is none.
func findExisting(dir string) (string, error) {
	path, err := clyde.FindManifest(os.DirFS(dir))
	if errors.Is(err, clyde.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path, err
}

// checkPackageName accepts a full name, and one without its namespace.
func checkPackageName(name string) error {
	if strings.ContainsAny(name, "@/") {
		_, err := clyde.ParseName(name)
		return err
	}
	return clyde.CheckBase(name)
}

// nameFrom makes a name of a folder's: lower case, with a hyphen for what a
// name cannot have.
func nameFrom(folder string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(folder) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	if len(s) > clyde.MaxBaseLen {
		s = s[:clyde.MaxBaseLen]
	}
	if s = strings.Trim(s, "-"); s == "" {
		return "my-package"
	}
	return s
}
