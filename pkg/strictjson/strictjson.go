// Package strictjson refuses JSON that two readers may understand differently.
package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Rules says what a document may look like.
type Rules struct {
	Depth int // levels below the value that is the document
	// Keys is the names that the format gives a meaning to; another spelling
	// of one of them, in case alone, is refused.
	Keys []string
	// Data names the members (by their own key) whose keys are data, where
	// case may differ.
	Data []string
}

// Checker checks documents of one format.
type Checker struct {
	depth int
	keys  map[string]string // by lower case
	data  map[string]bool
}

// New returns a Checker for r.
func New(r Rules) *Checker {
	c := &Checker{depth: r.Depth, keys: map[string]string{}, data: map[string]bool{}}
	for _, k := range r.Keys {
		c.keys[fold(k)] = k
	}
	for _, k := range r.Data {
		c.data[k] = true
	}
	return c
}

// fold is how encoding/json compares keys: it takes ſ for s, too.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// Check refuses more than one value, invalid UTF-8, nesting beyond the limit,
// and objects with a key twice or in two cases (encoding/json folds case, most
// others do not). The error completes "the document cannot be read: ".
func (c *Checker) Check(b []byte) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := c.value(dec, "", false, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}

func (c *Checker) value(dec *json.Decoder, at string, data bool, depth int) error {
	if depth > c.depth {
		return fmt.Errorf("it is nested more than %d deep", c.depth)
	}
	t, err := dec.Token()
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	switch t {
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := c.value(dec, fmt.Sprintf("%s[%d]", at, i), false, depth+1); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		seen := map[string]string{}
		for dec.More() {
			t, err := dec.Token()
			if err != nil {
				return fmt.Errorf("it is not JSON: %w", err)
			}
			key := t.(string)
			id := key
			if !data {
				id = fold(key)
				if canon, ok := c.keys[id]; ok && canon != key {
					return fmt.Errorf("key %q at %q is spelled %q", key, root(at), canon)
				}
			}
			if was, ok := seen[id]; ok {
				return fmt.Errorf("keys %q and %q at %q are one key to some readers", was, key, root(at))
			}
			seen[id] = key
			if err := c.value(dec, at+"."+key, !data && c.data[key], depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	if _, err := dec.Token(); err != nil { // the closing delimiter
		return fmt.Errorf("it is not JSON: %w", err)
	}
	return nil
}

func root(at string) string {
	if at == "" {
		return "."
	}
	return at
}
