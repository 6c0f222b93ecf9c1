package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// A cursor that is taken is the one we would give.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", encodeCursor("acme/zlib"), encodeCursor("x"), "abc", "ZDE6", "!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		repo, err := decodeCursor(s)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) {
				t.Fatalf("decodeCursor(%q): not ErrInvalid: %v", s, err)
			}
			return
		}
		if again, err := decodeCursor(encodeCursor(repo)); s != "" && (err != nil || again != repo) {
			t.Errorf("decodeCursor(%q) = %q, which does not come back: %q, %v", s, repo, again, err)
		}
	})
}

// A body that is taken is JSON, and says each thing once.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"A":2}`, `{"a":{"b":1,"b":2}}`, `[1,{"a":[]}]`, `{"a":1} x`, strings.Repeat("[", 40), `"\u0061"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v any
		if err := format.Unmarshal([]byte(s), &v); err != nil {
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%q is taken, and is no JSON", s)
		}
		// Every colon outside of a string is a member: as many as v has.
		if got, want := members(v), colons(s); got != want {
			t.Errorf("%q has %d members, of which %d count", s, want, got)
		}
	})
}

func members(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			n += 1 + members(m)
		}
	case []any:
		for _, m := range v {
			n += members(m)
		}
	}
	return n
}

func colons(s string) (n int) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ':' && !quoted:
			n++
		}
	}
	return n
}

// What matches strongly matches weakly, and an own tag always matches.
func FuzzMatches(f *testing.F) {
	for _, s := range []string{`"a"`, `W/"a"`, `"a", "b"`, "*", ",,,", `W/`} {
		f.Add(s)
	}
	const tag = `"abc"`
	f.Fuzz(func(t *testing.T, s string) {
		if matches([]string{s}, tag, false) && !matches([]string{s}, tag, true) {
			t.Errorf("%q matches strongly and not weakly", s)
		}
		if !matches([]string{tag, s}, tag, false) {
			t.Errorf("%q beside the tag: no match", s)
		}
	})
}
