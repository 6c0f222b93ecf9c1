package main

import (
	"io"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// Widths of tables, in columns of the terminal.
const (
	defaultWidth = 80 // where the terminal does not say
	minWidth     = 40 // narrower ones wrap
	minCell      = 8  // what is left of a cell that gives way
	columnGap    = 2
)

// column is one column of a table.
type column struct {
	title string
	right bool // aligned: numbers
	gives bool // way where the terminal is too narrow
}

// table prints rows: aligned and fitted to the width on a terminal, else
// separated by tabs and without titles, for programs.
func (a *app) table(cols []column, rows [][]string) error {
	for _, r := range rows {
		for i := range r {
			r[i] = clean(r[i])
		}
	}
	text := renderTSV(rows)
	if isTerminal(a.stdout) {
		text = renderTable(cols, rows, width(a.stdout), func(s string) string { return a.paint(a.stdout, bold, s) })
	}
	_, err := io.WriteString(a.stdout, text)
	return err
}

func renderTSV(rows [][]string) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(strings.Join(r, "\t"))
		b.WriteByte('\n')
	}
	return b.String()
}

// renderTable lays rows out in at most total columns. Where they need more, the
// columns that give way shrink, the widest first.
func renderTable(cols []column, rows [][]string, total int, title func(string) string) string {
	widths := make([]int, len(cols))
	for i, c := range cols {
		widths[i] = runewidth.StringWidth(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], runewidth.StringWidth(r[i]))
		}
	}
	over := columnGap*(len(cols)-1) - max(total, minWidth)
	for _, w := range widths {
		over += w
	}
	for ; over > 0; over-- {
		widest := -1
		for i, c := range cols {
			if c.gives && widths[i] > minCell && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	var b strings.Builder
	line := func(cell func(i int) string, show func(string) string) {
		var l strings.Builder
		for i, c := range cols {
			if i > 0 {
				l.WriteString(strings.Repeat(" ", columnGap))
			}
			s := runewidth.Truncate(cell(i), widths[i], "…")
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(s))
			if s = show(s); c.right {
				s = pad + s
			} else if i < len(cols)-1 {
				s += pad
			}
			l.WriteString(s)
		}
		b.WriteString(strings.TrimRight(l.String(), " "))
		b.WriteByte('\n')
	}
	line(func(i int) string { return cols[i].title }, title)
	for _, r := range rows {
		line(func(i int) string { return r[i] }, func(s string) string { return s })
	}
	return b.String()
}

// width is how wide a table for w may be.
func width(w any) int {
	if n := terminalWidth(w); n > 0 {
		return n
	}
	return defaultWidth
}

// terminalWidth is how many columns the terminal w has, 0 where it does not
// say: some consoles of containers and CI do not.
func terminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}
