package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/diff"
)

// show writes hunks as patches do.
func show(r diff.Result) string {
	var b strings.Builder
	for _, h := range r.Hunks {
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", h.Old, h.OldCount, h.New, h.NewCount)
		for _, l := range h.Lines {
			end := ""
			if l.NoEnd {
				end = "$"
			}
			fmt.Fprintf(&b, "%c%s%s\n", l.Op, l.Text, end)
		}
	}
	return b.String()
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, new, want string }{
		{"same", "a\nb\n", "a\nb\n", ""},
		{"empty", "", "", ""},
		{"added", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"removed", "a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"changed", "a\nb\nc\nd\ne\n", "a\nb\nX\nd\ne\n", "@@ -2,3 +2,3 @@\n b\n-c\n+X\n d\n"},
		{"two hunks", "a\nb\nc\nd\ne\nf\n", "X\nb\nc\nd\ne\nY\n", "@@ -1,2 +1,2 @@\n-a\n+X\n b\n@@ -5,2 +5,2 @@\n e\n-f\n+Y\n"},
		{"near hunks are one", "a\nb\nc\nd\n", "X\nb\nc\nY\n", "@@ -1,4 +1,4 @@\n-a\n+X\n b\n c\n-d\n+Y\n"},
		{"repeated lines", "}\n}\n}\n", "}\n}\n", "@@ -2,2 +2,1 @@\n }\n-}\n"},
		{"moved block", "a\nb\nc\n", "c\na\nb\n", "@@ -1,3 +1,3 @@\n+c\n a\n b\n-c\n"},
		{"no end of line", "a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b$\n+b\n"},
		{"ends of lines", "a\r\n", "a\n", "@@ -1,1 +1,1 @@\n-a\r\n+a\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, show(diff.Lines(tt.old, tt.new, 1))); d != "" {
				t.Errorf("Lines(%q, %q) (-want +got):\n%s", tt.old, tt.new, d)
			}
		})
	}
}

// TestLinesProperty: with all context, what is kept and removed is the old
// text, what is kept and added the new one, and the counts are true.
func TestLinesProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n", "}\n", "int x;\n"}), 0, 30).Draw(t, "lines"), "") + rapid.SampledFrom([]string{"", "z"}).Draw(t, "end")
		})
		old, new := text.Draw(t, "old"), text.Draw(t, "new")
		check(t, old, new, diff.Lines(old, new, 1<<20))
		near := diff.Lines(old, new, 2)
		all := diff.Lines(old, new, 1<<20)
		if near.Added != all.Added || near.Removed != all.Removed {
			t.Fatalf("counts depend on the context")
		}
		for _, h := range near.Hunks {
			olds, news := 0, 0
			for _, r := range h.Rows() {
				if r.Old != nil {
					olds++
				}
				if r.New != nil {
					news++
				}
			}
			if olds != h.OldCount || news != h.NewCount {
				t.Fatalf("rows have %d and %d lines; want %d and %d", olds, news, h.OldCount, h.NewCount)
			}
		}
	})
}

type fataler interface {
	Fatalf(string, ...any)
}

func check(t fataler, old, new string, r diff.Result) {
	if old == new {
		if len(r.Hunks) != 0 {
			t.Fatalf("the same text has changes")
		}
		return
	}
	var a, b strings.Builder
	added, removed := 0, 0
	for _, h := range r.Hunks {
		for _, l := range h.Lines {
			line := l.Text
			if !l.NoEnd {
				line += "\n"
			}
			if l.Op != diff.Added {
				a.WriteString(line)
			} else {
				added++
			}
			if l.Op != diff.Removed {
				b.WriteString(line)
			} else {
				removed++
			}
		}
	}
	if a.String() != old || b.String() != new || added != r.Added || removed != r.Removed {
		t.Fatalf("Lines(%q, %q) is about %q and %q, +%d -%d; counted +%d -%d", old, new, a.String(), b.String(), r.Added, r.Removed, added, removed)
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb\n", "b\nc")
	f.Add("\x00", "\x00\n")
	f.Fuzz(func(t *testing.T, old, new string) {
		check(t, old, new, diff.Lines(old, new, 1<<30))
	})
}

// TestLinesCost: texts made to be hard take no more than the tables allow.
func TestLinesCost(t *testing.T) {
	t.Parallel()
	var a, b strings.Builder
	for i := range 25_000 {
		fmt.Fprintf(&a, "%d\n", i%97)
		fmt.Fprintf(&b, "%d\n", i%89)
	}
	start := time.Now()
	check(t, a.String(), b.String(), diff.Lines(a.String(), b.String(), 1<<20))
	t.Logf("25,000 lines that repeat: %v", time.Since(start))
}

func TestInside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, new, want string }{
		{"int a = 1;", "int a = 22;", "int a = [1|22];"},
		{"aa", "aaa", "aa[|a]"},
		{"ü", "ö", "[ü|ö]"},
		{"xü", "xö", "x[ü|ö]"},
		{"é", "è", "[é|è]"},
		{"", "a", "[|a]"},
		{"aba", "aa", "a[b|]a"},
	} {
		start, end := diff.Inside(tt.old, tt.new)
		if got := tt.old[:start] + "[" + tt.old[start:len(tt.old)-end] + "|" + tt.new[start:len(tt.new)-end] + "]" + tt.old[len(tt.old)-end:]; got != tt.want {
			t.Errorf("Inside(%q, %q) = %s; want %s", tt.old, tt.new, got, tt.want)
		}
	}
}

func tree(files map[string]string) (out []diff.File, read diff.Reader) {
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		out = append(out, diff.File{Path: p, Size: int64(len(files[p])), Mode: 0o644})
	}
	return out, func(p string) ([]byte, bool, error) { return []byte(files[p]), true, nil }
}

func TestTrees(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a line of it\n", 3) + "another\nand one\nand two\n"
	old, readOld := tree(map[string]string{"same": "x", "changed": "one", "moved/a.c": long, "renamed.c": long + "more of it, which makes it another file\n", "gone": "bye\n", "empty": ""})
	new, readNew := tree(map[string]string{"same": "x", "changed": "two", "lib/a.c": long, "name.c": strings.Replace(long, "another", "a third", 1) + "more of it, which makes it another file\n", "come": "hello\n", "void": ""})
	changes, unread, err := diff.Trees(old, new, readOld, readNew)
	if err != nil || unread != 0 {
		t.Fatal(unread, err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s>%s %d %t", c.Old.Path, c.New.Path, c.Similar, c.Moved()))
	}
	want := []string{"changed>changed 100 false", ">come 0 false", "empty> 0 false", "gone> 0 false", "moved/a.c>lib/a.c 100 true", "renamed.c>name.c 92 true", ">void 0 false"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Trees (-want +got):\n%s", d)
	}
	_, unread, err = diff.Trees(old, new, readOld, func(string) ([]byte, bool, error) { return nil, false, nil })
	if err != nil || unread != 2 { // same and changed have their sizes
		t.Errorf("Trees without reading: %d unread, %v; want 2", unread, err)
	}
	old[0].Mode, new[0].Mode = 0o755, 0o755
	if changes, _, _ := diff.Trees(old[4:5], []diff.File{{Path: old[4].Path, Size: old[4].Size, Mode: 0o755}}, readOld, readOld); len(changes) != 1 {
		t.Errorf("a file that became a program is no change: %v", changes)
	}
}
