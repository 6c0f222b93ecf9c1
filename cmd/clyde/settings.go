package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/sparse"
)

// defaultRegistry is where `make run` serves.
const defaultRegistry = "http://localhost:8080"

// maxSettings bounds the configuration file, in bytes: it has a few keys, and a
// line for each namespace that comes from elsewhere.
const maxSettings = 64 << 10

// settings is the configuration file. Credentials are never in it.
type settings struct {
	Registry string `yaml:"registry,omitempty"` // address, as --registry takes it
	Progress string `yaml:"progress,omitempty"` // auto | plain | none
	Key      string `yaml:"key,omitempty"`      // private key that publish --sign and sign use
	Store    string `yaml:"store,omitempty"`    // folder of the packages that installing keeps
	// Registries are the addresses of the registries that namespaces come from,
	// where it is not Registry.
	Registries map[string]string `yaml:"registries,omitempty"`
}

// field is one key of the settings, for clyde config.
type field struct {
	name  string
	get   func(*settings) string
	set   func(*settings, string)
	check func(string) error
}

// fields lists the keys in the order they are shown.
func fields() []field {
	text := func(name string, at func(*settings) *string, check func(string) error) field {
		return field{name, func(s *settings) string { return *at(s) }, func(s *settings, v string) { *at(s) = v }, check}
	}
	return []field{
		text("registry", func(s *settings) *string { return &s.Registry }, func(v string) error {
			_, err := parseAddress(v)
			return err
		}),
		text("progress", func(s *settings) *string { return &s.Progress }, checkProgress),
		text("key", func(s *settings) *string { return &s.Key }, func(string) error { return nil }),
		text("store", func(s *settings) *string { return &s.Store }, checkStore),
	}
}

// fieldNamed returns the field called name, or a usage error.
func fieldNamed(name string) (field, error) {
	if ns, ok := strings.CutPrefix(name, bindingPrefix); ok {
		return bindingField(ns)
	}
	var names []string
	for _, f := range fields() {
		if f.name == name {
			return f, nil
		}
		names = append(names, f.name)
	}
	return field{}, usagef("there is no setting %q", name).fix("use one of %s, %sNAMESPACE", strings.Join(names, ", "), bindingPrefix)
}

// bindingField is the setting of one namespace's registry.
func bindingField(ns string) (field, error) {
	if err := clyde.CheckNamespace(ns); err != nil {
		return field{}, err
	}
	return field{
		name:  bindingPrefix + ns,
		get:   func(s *settings) string { return s.Registries[ns] },
		check: func(v string) error { return checkBinding(ns, v) },
		set: func(s *settings, v string) {
			if v == "" {
				delete(s.Registries, ns)
				return
			}
			if s.Registries == nil {
				s.Registries = map[string]string{}
			}
			s.Registries[ns] = v
		},
	}, nil
}

func checkStore(v string) error {
	if v != "" && !filepath.IsAbs(v) {
		return clyde.Errorf(clyde.ErrInvalid, "%q is not an absolute path", v)
	}
	return nil
}

func checkProgress(v string) error {
	if !slices.Contains([]string{"", "auto", "plain", "none"}, v) {
		return clyde.Errorf(clyde.ErrInvalid, "%q is not auto, plain or none", v)
	}
	return nil
}

// configPath is CLYDE_CONFIG, else clyde/config.yaml in $XDG_CONFIG_HOME, else
// in ~/.config, or where Windows keeps such files.
func configPath() (string, error) {
	if p := os.Getenv("CLYDE_CONFIG"); p != "" {
		return p, nil
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	// The XDG specification has relative paths ignored.
	if !filepath.IsAbs(dir) {
		var err error
		if runtime.GOOS == "windows" {
			dir, err = os.UserConfigDir()
		} else if dir, err = os.UserHomeDir(); err == nil {
			dir = filepath.Join(dir, ".config")
		}
		if err != nil {
			return "", clyde.Errorf(clyde.ErrInvalid, "the configuration file has no place: %v", err).
				Fix("set HOME, XDG_CONFIG_HOME or CLYDE_CONFIG")
		}
	}
	return filepath.Join(dir, "clyde", "config.yaml"), nil
}

// readSettings reads the file at path; where there is none it returns the zero
// settings. Unknown keys are errors: a typing mistake must not pass for a
// default.
func readSettings(path string) (s settings, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	b, err := readAll(f, maxSettings, path)
	if err != nil {
		return s, err
	}
	bad := func(err error) error {
		return clyde.Errorf(clyde.ErrInvalid, "%s: %v", path, err).WithCode("config_invalid").
			Fix("mend or remove the file; clyde config list shows the keys")
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return settings{}, bad(errors.New(yamlSentence(err)))
	}
	for _, f := range fields() {
		if v := f.get(&s); v != "" {
			if err := f.check(v); err != nil {
				return settings{}, bad(fmt.Errorf("%s: %w", f.name, err))
			}
		}
	}
	for ns := range s.Registries {
		if err := checkBinding(ns, s.Registries[ns]); err != nil {
			return settings{}, bad(fmt.Errorf("%s%s: %w", bindingPrefix, ns, err))
		}
	}
	return s, nil
}

// bindingPrefix begins the names of the settings that bind a namespace to its
// registry: "registries.acme".
const bindingPrefix = "registries."

func checkBinding(namespace, address string) error {
	if err := clyde.CheckNamespace(namespace); err != nil {
		return err
	}
	return sparse.CheckAddress(address)
}

// unknownField is how the decoder names a key that the settings do not have.
var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// yamlSentence is what is wrong, without what only a Go programmer understands.
func yamlSentence(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n  ", " ")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "yaml: "), "unmarshal errors: ")
	return unknownField.ReplaceAllString(s, `there is no setting "$1"`)
}

// write stores s at path, readable by its owner only and replaced whole.
func (s settings) write(path string) error {
	b, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return writeWhole(path, b, 0o600)
}

// writeWhole replaces the file at path with data, or leaves it as it was.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".clyde-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Chmod(f.Name(), mode)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
