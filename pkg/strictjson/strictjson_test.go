package strictjson_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/strictjson"
)

const depth = 4

var checker = strictjson.New(strictjson.Rules{Depth: depth, Keys: []string{"payloadType", "subject", "data"}, Data: []string{"data"}})

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"a value":                  {`"x"`, ""},
		"an object":                {`{"payloadType": "x", "other": [1, 2.50, true, null], "subject": {}}`, ""},
		"white space":              {" \n{}\t\r\n", ""},
		"one key in two objects":   {`{"a": {"b": 1}, "c": {"b": 1}}`, ""},
		"as deep as may be":        {nested(depth + 1), ""},
		"data in two cases":        {`{"data": {"a": 1, "A": 2, "PAYLOADTYPE": 3}}`, ""},
		"a large number":           {`1e999999`, ""},
		"nothing":                  {``, "not JSON"},
		"cut off":                  {`{"a": [1`, "not JSON"},
		"a key and no value":       {`{"a"}`, "not JSON"},
		"a comma too many":         {`[1,]`, "not JSON"},
		"closed by another":        {`[1}`, "not JSON"},
		"two values":               {`{} {}`, "follows"},
		"a letter behind":          {`{}x`, "follows"},
		"no UTF-8":                 {"\"\xff\"", "UTF-8"},
		"deeper":                   {nested(depth + 2), "nested"},
		"deeper than any stack":    {strings.Repeat("[", 1<<20), "nested"},
		"deeper in objects":        {strings.Repeat(`{"a":`, depth+1) + "1" + strings.Repeat("}", depth+1), "nested"},
		"a key twice":              {`{"a": 1, "a": 1}`, "one key"},
		"a key twice, escaped":     {`{"a": 1, "\u0061": 1}`, "one key"},
		"a key in two cases":       {`{"a": 1, "A": 1}`, "one key"},
		"a key with a long s":      {`{"s": 1, "ſ": 1}`, "one key"},
		"a key with a kelvin sign": {`{"k": 1, "K": 1}`, "one key"},
		"a known key in capitals":  {`{"PayloadType": 1}`, `spelled "payloadType"`},
		"a known key, long s":      {`{"ſubject": 1}`, `spelled "subject"`},
		"inside a list":            {`[{"x": [{"a": 1, "A": 2}]}]`, "one key"},
		"data twice":               {`{"data": {"a": 1, "a": 2}}`, "one key"},
		"below data":               {`{"data": {"x": {"a": 1, "A": 2}}}`, "one key"},
		"data that is a list":      {`{"data": [{"a": 1, "A": 2}]}`, "one key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checker.Check([]byte(tt.in))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check(%.60s) = %v; want %q", tt.in, err, tt.want)
			}
		})
	}
}

// What is accepted is one JSON value that says the same to who takes the first
// of two keys, who takes the last, and who folds case.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[{"c":null}]}`, `{"data":{"a":1,"A":2}}`, `{"s":1,"ſ":2}`, `[[[[]]]]`, "1 2"} {
		f.Add(s)
	}
	strict := strictjson.New(strictjson.Rules{Depth: depth})
	f.Fuzz(func(t *testing.T, in string) {
		if strict.Check([]byte(in)) != nil {
			return
		}
		if !json.Valid([]byte(in)) {
			t.Fatalf("Check accepts %q, which is not JSON", in)
		}
		var v any
		dec := json.NewDecoder(strings.NewReader(in))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if kept, all := distinct(t, v), keys(t, in); kept != all {
			t.Errorf("%q has %d keys, of which %d are kept", in, all, kept)
		}
	})
}

// distinct counts the keys of objects, and fails where two of one are the same
// but for case.
func distinct(t *testing.T, v any) (n int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += distinct(t, e)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k, e := range v {
			for _, other := range keys {
				if strings.EqualFold(k, other) {
					t.Errorf("%q and %q are both accepted", k, other)
				}
			}
			keys = append(keys, k)
			n += 1 + distinct(t, e)
		}
	}
	return n
}

// keys counts the keys as they are written.
func keys(t *testing.T, in string) (n int) {
	dec := json.NewDecoder(strings.NewReader(in))
	dec.UseNumber()
	var inside []bool // by level: in an object, rather than a list
	key := false      // a key comes next
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			inside = append(inside, tok == json.Delim('{'))
			key = tok == json.Delim('{')
			continue
		case json.Delim('}'), json.Delim(']'):
			inside = inside[:len(inside)-1]
		default:
			if key {
				n++
				key = false
				continue
			}
		}
		key = len(inside) > 0 && inside[len(inside)-1]
	}
}
