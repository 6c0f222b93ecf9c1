package compat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// What is hashed is the facts, not how they are written down: the order of
// members and the space between them change no abi_id.
func TestABIIDIsOfTheFacts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := library()
		word := rapid.StringMatching(`[a-z]{1,8}`)
		f.Traits = rapid.MapOfN(word, word, 0, 5).Draw(t, "traits")
		f.ABITraits = nil
		for name := range f.Traits {
			if rapid.Bool().Draw(t, "abi") {
				f.ABITraits = append(f.ABITraits, name)
			}
		}
		slices.Sort(f.ABITraits)
		f.ABIDefines = rapid.MapOfN(rapid.StringMatching(`[A-Z_]{1,8}`), word, 0, 3).Draw(t, "defines")
		b, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var loose map[string]any // its members come out in the order of their names
		if err := json.Unmarshal(b, &loose); err != nil {
			t.Fatal(err)
		}
		other, err := json.MarshalIndent(loose, "", "   ")
		if err != nil {
			t.Fatal(err)
		}
		g, err := compat.Parse(other)
		if err != nil {
			t.Fatalf("Parse(%s): %v", other, err)
		}
		if g.ABIID() != f.ABIID() || g.Key() != f.Key() {
			t.Errorf("abi_id %s, and %s when it is written in another way", f.ABIID(), g.ABIID())
		}
		// What is only recorded or compared is not in it.
		g.Compiler.Version, g.Flags, g.Builder.Run, g.Libc.Min = "99", []string{"-O3"}, "https://ci.example/1", "2.99"
		if g.ABIID() != f.ABIID() {
			t.Error("abi_id follows from the compiler's version, flags, the run or the oldest libc")
		}
		g.Arch = "arm64"
		if g.ABIID() == f.ABIID() {
			t.Error("abi_id does not follow from the processor")
		}
	})
}

// The largest document that is read, and one byte more.
func TestParseLimit(t *testing.T) {
	t.Parallel()
	b, err := library().Encode()
	if err != nil {
		t.Fatal(err)
	}
	full := append(bytes.Clone(b), strings.Repeat(" ", compat.MaxFacts-len(b))...)
	if _, err := compat.Parse(full); err != nil {
		t.Errorf("%d bytes: %v", len(full), err)
	}
	if _, err := compat.Parse(append(full, ' ')); !errors.Is(err, clyde.ErrTooLarge) {
		t.Errorf("%d bytes: %v; want too large", len(full)+1, err)
	}
}

// FuzzParse: what is refused is refused in our words; what is read is written
// and read again as the same facts, with the same abi_id and a tag that is one.
func FuzzParse(f *testing.F) {
	b, err := library().Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(b), `{}`, `{"schema":1,"schema":1}`, `{"schema":1,"os":"\u0000"}`, `[`, `{"deps":[{"name":"@a/b","version":"1","abi_id":"x"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := compat.Parse(b)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) && !errors.Is(err, clyde.ErrTooLarge) {
				t.Fatalf("Parse(%q): %v: neither invalid nor too large", b, err)
			}
			return
		}
		out, err := facts.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := compat.Parse(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if again.ABIID() != facts.ABIID() || again.Tag("1.0.0") != facts.Tag("1.0.0") {
			t.Errorf("abi_id %s became %s", facts.ABIID(), again.ABIID())
		}
		if !json.Valid(facts.Canonical()) {
			t.Errorf("canonical form is no JSON: %s", facts.Canonical())
		}
	})
}
