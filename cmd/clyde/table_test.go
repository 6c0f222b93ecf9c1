package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

var testColumns = []column{{title: "NAME", gives: true}, {title: "DOWNLOADS", right: true}, {title: "DESCRIPTION", gives: true}}

func plain(s string) string { return s }

func TestRenderTable(t *testing.T) {
	t.Parallel()
	rows := [][]string{
		{"@acme/fastjson", "12", "Parses JSON, fast"},
		{"@acme/日本語", "3400", ""},
	}
	got := renderTable(testColumns, rows, 80, func(s string) string { return "<" + s + ">" })
	want := `<NAME>            <DOWNLOADS>  <DESCRIPTION>
@acme/fastjson         12  Parses JSON, fast
@acme/日本語         3400
`
	// The title's colour takes no room; here it does, so that it is seen.
	want = strings.Replace(want, "<NAME>            <DOWN", "<NAME          >  <DOWN", 1)
	got = strings.Replace(got, "<NAME>          ", "<NAME          >", 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("renderTable (-want +got):\n%s", diff)
	}
	got = renderTable(testColumns, [][]string{{"@acme/a", "1", strings.Repeat("long ", 20)}}, 40, plain)
	want = "NAME     DOWNLOADS  DESCRIPTION\n@acme/a          1  long long long long…\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("renderTable in 40 columns (-want +got):\n%s", diff)
	}
}

// TestRenderTableFits: whatever the rows, no line is wider than the terminal
// as long as the columns that do not give way leave room.
func TestRenderTableFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(minWidth, 200).Draw(t, "total")
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []string {
			return []string{clean(rapid.String().Draw(t, "name")), "12", clean(rapid.String().Draw(t, "description"))}
		}), 0, 8).Draw(t, "rows")
		for line := range strings.Lines(renderTable(testColumns, rows, total, plain)) {
			if w := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); w > total {
				t.Fatalf("a line of %d columns in a terminal of %d: %q", w, total, line)
			}
		}
	})
}

func TestRenderTSV(t *testing.T) {
	t.Parallel()
	if got := renderTSV([][]string{{"a", "", "c"}, {"d", "e", "f"}}); got != "a\t\tc\nd\te\tf\n" {
		t.Errorf("renderTSV = %q", got)
	}
}
