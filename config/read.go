package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// MaxFile is the largest configuration file read, in bytes: ours.
const MaxFile = 1 << 20

// Read decodes YAML over the defaults, then lays the environment over both
// (see Overlay), and validates. An unknown key is an error, so that a typing
// mistake cannot silently leave a default in force. A nil r is an empty file.
func Read(r io.Reader, environ []string) (Config, error) {
	c := Default()
	if r != nil {
		b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
		if err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
		if len(b) > MaxFile {
			return Config{}, fmt.Errorf("config: the file is larger than %d bytes", MaxFile)
		}
		if err := c.decode(b); err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
	}
	if err := c.Overlay(environ); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// ReadFile is Read of a file; a path of "" reads clyde.yaml where there is one.
func ReadFile(path string, environ []string) (Config, error) {
	optional := path == ""
	if optional {
		path = "clyde.yaml"
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && optional {
		return Read(nil, environ)
	}
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	return Read(f, environ)
}

func (c *Config) decode(b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("the file holds more than one document")
	}
	if errs := checkKeys(doc.Content[0], reflect.TypeFor[Config](), ""); len(errs) > 0 {
		return errors.Join(errs...)
	}
	if err := doc.Decode(c); err != nil {
		if e := new(yaml.TypeError); errors.As(err, &e) {
			return errors.New(strings.Join(e.Errors, "\n"))
		}
		return err
	}
	return nil
}

// checkKeys reports every key that t does not have, with its line and the key
// that was probably meant, and aliases, which would let one line mean two things.
func checkKeys(n *yaml.Node, t reflect.Type, path string) (errs []error) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return []error{fmt.Errorf("line %d: anchors and aliases are not understood here", n.Line)}
	}
	if n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		for i, e := range n.Content {
			if e.Kind != yaml.MappingNode {
				errs = append(errs, fmt.Errorf("line %d: %s: want a list of sections", e.Line, path))
				continue
			}
			errs = append(errs, checkKeys(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return errs
	}
	if n.Kind == yaml.SequenceNode {
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode || e.Tag == "!!null" || e.Anchor != "" {
				errs = append(errs, fmt.Errorf("line %d: %s: want a list of texts", e.Line, path))
			}
		}
	}
	if k := t.Kind(); (k == reflect.Int || k == reflect.Int64) && n.Tag == "!!float" {
		return []error{fmt.Errorf("line %d: %s: %s is no whole number", n.Line, path, n.Value)} // the decoder would cut it
	}
	if t.Kind() != reflect.Struct {
		return errs
	}
	if n.Tag == "!!null" {
		return nil // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		return append(errs, fmt.Errorf("line %d: %s: want keys below it", n.Line, orTop(path)))
	}
	keys := keysOf(t)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := slices.Index(keys, k.Value)
		if at < 0 || k.Kind != yaml.ScalarNode {
			msg := fmt.Sprintf("line %d: unknown key %q", k.Line, join(path, k.Value))
			if near := nearest(k.Value, keys); near != "" {
				msg += fmt.Sprintf("; did you mean %q?", join(path, near))
			}
			errs = append(errs, errors.New(msg))
			continue
		}
		errs = append(errs, checkKeys(v, t.Field(at).Type, join(path, k.Value))...)
	}
	return errs
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i], _, _ = strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// nearest returns the candidate with the fewest single-letter edits from s, at
// most a third of it but two at least, or "".
func nearest(s string, candidates []string) string {
	best, least := "", max(2, len(s)/3)+1
	for _, c := range candidates {
		if d := edits(s, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

func edits(a, b string) int {
	if len(a) > 64 { // longer than any key of ours by far
		return len(a)
	}
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur := make([]int, len(b)+1)
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
		}
		prev = cur
	}
	return prev[len(b)]
}
