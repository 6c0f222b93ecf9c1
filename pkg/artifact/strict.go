package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxJSONDepth bounds nesting of a manifest; an image manifest needs five.
const maxJSONDepth = 32

// checkJSON refuses JSON that two readers may understand differently: more
// than one value, invalid UTF-8, and objects with a key twice or in two cases
// (encoding/json folds case, most others do not).
func checkJSON(b []byte) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := checkValue(dec, "", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, at string, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("it is nested more than %d deep", maxJSONDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	switch t {
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := checkValue(dec, fmt.Sprintf("%s[%d]", at, i), depth+1); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		// Keys of annotations are data, where case may differ; all others are
		// names that Go would fold.
		fold := !strings.HasSuffix(at, ".annotations")
		seen := map[string]string{}
		for dec.More() {
			t, err := dec.Token()
			if err != nil {
				return fmt.Errorf("it is not JSON: %w", err)
			}
			key, id := t.(string), t.(string)
			if fold {
				id = strings.ToLower(strings.ToUpper(key)) // encoding/json takes ſ for s, too
				if canon, ok := knownKeys[id]; ok && canon != key {
					return fmt.Errorf("key %q at %q is spelled %q", key, root(at), canon)
				}
			}
			if was, ok := seen[id]; ok {
				return fmt.Errorf("keys %q and %q at %q are one key to some readers", was, key, root(at))
			}
			seen[id] = key
			if err := checkValue(dec, at+"."+key, depth+1); err != nil {
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

// knownKeys maps the lower case of every key that the OCI specification gives
// a meaning to its only spelling.
var knownKeys = func() map[string]string {
	m := map[string]string{}
	for _, k := range []string{"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "digest", "size", "urls", "data", "platform"} {
		m[strings.ToLower(k)] = k
	}
	return m
}()

// invalid is an ErrInvalid error about an OCI manifest.
func invalid(code, format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode(code)
}

func tooLarge(what string, size, limit int64) *clyde.Error {
	return clyde.Errorf(clyde.ErrTooLarge, "%s is %d bytes; the limit is %d", what, size, limit).WithCode("too_large")
}
