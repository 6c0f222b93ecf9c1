package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/diff"
)

// Limits of comparing two versions. All are ours: they bound what one page may
// cost, and two releases of a large library stay within them.
const (
	maxCompared       = 64 << 20         // bytes read of both versions; further files of one size count as the same, and the page says how many
	maxComparedText   = 8 << 20          // bytes of changed files, both versions, that are compared by line; of further ones the page says that they changed
	maxChanges        = 1000             // files listed
	maxShownLines     = 3000             // lines of all files on one page; further files have a page of their own
	maxFoldedLines    = 600              // lines of one file on the page of all
	maxFileLines      = 20_000           // lines of a file on its own page
	contextLines      = 3                // around what changed, as patches have
	maxManifestRows   = 200              // entries of the manifest that are listed
	maxCell           = 300              // bytes of one of them
	comparisonsKept   = 64 << 20         // bytes of comparisons in memory
	comparisonsAtOnce = 2                // that are made at once
	comparisonsQueue  = 10 * time.Second // to wait for a turn
)

// comparison is what changed in the files between two versions. It is kept by
// their digests, and shared.
type comparison struct {
	Files   []fileChange
	Unread  int // files of one size that were not looked into
	Cut     int // changed files that are not listed
	Added   int // files
	Removed int
	Changed int // moved ones among them
	Plus    int // lines
	Minus   int
}

// fileChange is one file of a comparison.
type fileChange struct {
	diff.Change
	diff.Result
	Why   string // why no lines are shown; "" where they are
	Alone bool   // they are on the file's own page
}

// Kind is what happened to the file, in a word.
func (c fileChange) Kind() string {
	switch {
	case c.Old.Path == "":
		return "added"
	case c.New.Path == "":
		return "removed"
	case c.Moved():
		return "renamed"
	}
	return "changed"
}

// Mode says how the file's mode or link changed; "" where it did not.
func (c fileChange) Mode() string {
	switch {
	case c.Old.Path == "" || c.New.Path == "":
		return ""
	case c.Old.Link != c.New.Link:
		return fmt.Sprintf("link to %s, was %s", cmp.Or(c.New.Link, "nothing"), cmp.Or(c.Old.Link, "nothing"))
	case (c.Old.Mode^c.New.Mode)&0o111 != 0:
		if c.New.Mode&0o111 != 0 {
			return "now executable"
		}
		return "no longer executable"
	}
	return ""
}

// Shown is how many lines the file has to show.
func (c fileChange) Shown() (n int) {
	for _, h := range c.Hunks {
		n += len(h.Lines)
	}
	return n
}

// comparing is one version that is compared.
type comparing struct {
	ref catalog.Ref
	rel catalog.Release
}

// compared returns what changed in the files from one version to another.
func (s *Web) compared(r request, from, to comparing) (*comparison, error) {
	key := from.rel.Digest + " " + to.rel.Digest
	if c, ok := s.comparisons.Get(key); ok {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), comparisonsQueue)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, clyde.Errorf(clyde.ErrUnavailable, "Many versions are being compared at the moment.").Fix("Try again in a moment.")
	}
	if c, ok := s.comparisons.Get(key); ok { // made meanwhile
		return c, nil
	}
	old, err := s.tree(r, from.ref)
	if err != nil {
		return nil, err
	}
	new, err := s.tree(r, to.ref)
	if err != nil {
		return nil, err
	}
	left := int64(maxCompared)
	c := &comparison{}
	var changes []diff.Change
	if changes, c.Unread, err = diff.Trees(old, new, s.reader(r, from.ref, old, &left), s.reader(r, to.ref, new, &left)); err != nil {
		return nil, err
	}
	text, cost := int64(maxComparedText), 1<<10
	for _, ch := range changes {
		f := fileChange{Change: ch}
		switch f.Kind() {
		case "added":
			c.Added++
		case "removed":
			c.Removed++
		default:
			c.Changed++
		}
		if len(c.Files) == maxChanges {
			c.Cut++
			continue
		}
		if text -= ch.Old.Size + ch.New.Size; text < 0 {
			f.Why, f.Alone = "More changed than is compared by line here.", true
		} else if err := s.lines(r, &f, from.ref, to.ref); err != nil {
			return nil, err
		}
		c.Plus, c.Minus = c.Plus+f.Result.Added, c.Minus+f.Result.Removed
		cost += 256 + int(ch.Old.Size+ch.New.Size)
		c.Files = append(c.Files, f)
	}
	s.comparisons.Put(key, c, cost)
	return c, nil
}

// tree lists the files of a version, by path.
func (s *Web) tree(r request, ref catalog.Ref) ([]diff.File, error) {
	files, err := s.o.Catalog.Files(r.Context(), r.who, ref)
	if err != nil {
		return nil, err
	}
	out := make([]diff.File, len(files))
	for i, f := range files {
		out[i] = diff.File(f)
	}
	slices.SortFunc(out, func(a, b diff.File) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// reader reads files of a version as long as there is left to be read.
func (s *Web) reader(r request, ref catalog.Ref, files []diff.File, left *int64) diff.Reader {
	size := make(map[string]int64, len(files))
	for _, f := range files {
		size[f.Path] = f.Size
	}
	return func(p string) ([]byte, bool, error) {
		if size[p] > *left {
			return nil, false, nil
		}
		*left -= size[p]
		b, err := s.read(r, ref, p, size[p])
		return b, true, err
	}
}

// lines compares a file of two versions by line, where it is text.
func (s *Web) lines(r request, f *fileChange, from, to catalog.Ref) error {
	text := func(ref catalog.Ref, file diff.File) (string, error) {
		switch {
		case file.Path == "" || file.Link != "":
			return "", nil
		case file.Size > maxView:
			f.Why = "It is larger than " + size(maxView) + "."
			return "", nil
		}
		b, err := s.read(r, ref, file.Path, maxView)
		if err == nil && (bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b) && !mostlyText(b)) {
			f.Why = "It is not text."
		}
		return strings.ToValidUTF8(string(b), "\uFFFD"), err
	}
	old, err := text(from, f.Old)
	if err != nil {
		return err
	}
	new, err := text(to, f.New)
	if err != nil {
		return err
	}
	if f.Why == "" && max(strings.Count(old, "\n"), strings.Count(new, "\n")) > maxLines {
		f.Why = "It has more than " + count(maxLines) + " lines."
	}
	if f.Why == "" {
		f.Result = diff.Lines(old, new, contextLines)
	}
	return nil
}

// fact is one thing that is not the same in both manifests, or in what is
// known of the versions.
type fact struct{ Name, Old, New string }

// chooser is the form that asks which versions to compare.
type chooser struct {
	Versions []catalog.Release // highest first
	From, To catalog.Release   // without a version: nothing is compared yet
}

// IsFrom reports whether a choice begins with the version at i: the one that is
// compared, or else the last but one.
func (c chooser) IsFrom(i int) bool {
	return c.Versions[i].Version == c.From.Version || c.From.Version == "" && i == 1
}

// IsTo is IsFrom for the other choice.
func (c chooser) IsTo(i int) bool {
	return c.Versions[i].Version == c.To.Version || c.To.Version == "" && i == 0
}

// Changes is the address of what the version at i changed, "" for the first.
func (c chooser) Changes(i int) string {
	v := c.Versions[i]
	for _, before := range c.Versions[i+1:] {
		if v.Withdrawn == nil && before.Withdrawn == nil {
			return comparePage{head: head{Package: catalog.Package{Name: v.Name}}, chooser: chooser{From: before, To: v}}.Address(false, "")
		}
	}
	return ""
}

// comparePage is the page about what changed between two versions.
type comparePage struct {
	head
	chooser
	Problem  string
	Split    bool
	Files    *comparison
	Shown    []shownFile
	One      string // the one file that is shown; "" for all
	Facts    []fact
	MoreFact int // that are not listed
}

// shownFile is a file with what of it the page has room for.
type shownFile struct {
	fileChange
	ID     string
	Folded bool // its lines are on a page of its own
}

// Address is that of this comparison with another view, and of one file or all.
func (p comparePage) Address(split bool, file string) string {
	v := url.Values{"from": {p.From.Version}, "to": {p.To.Version}}
	if split {
		v.Set("view", "split")
	}
	if file != "" {
		v.Set("file", file)
	}
	return packageURL(p.Package.Name, "", "compare") + "?" + v.Encode()
}

// Around is the same comparison the other way round.
func (p comparePage) Around() string {
	p.From, p.To = p.To, p.From
	return p.Address(p.Split, "")
}

// compare shows what changed between two versions, or asks for them.
func (s *Web) compare(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "versions")
	if done || err != nil {
		return err
	}
	get := r.URL.Query().Get
	p := comparePage{head: h, Split: get("view") == "split", One: get("file")}
	p.Title, p.NoRobo = "Compare versions · "+p.Title, true
	if p.Versions, err = s.o.Catalog.Versions(r.Context(), r.who, ref.Name); err != nil {
		return err
	}
	p.Versions = slices.DeleteFunc(p.Versions, func(v catalog.Release) bool { return v.Withdrawn != nil })
	from, to := get("from"), get("to")
	if from == "" && to == "" {
		return s.render(w, r, http.StatusOK, "compare.html", p)
	}
	var sides [2]comparing
	for i, v := range []string{from, to} {
		sides[i].ref = catalog.Ref{Name: ref.Name, Version: v}
		if sides[i].rel, err = s.o.Catalog.Release(r.Context(), r.who, sides[i].ref); err != nil {
			if errors.Is(err, clyde.ErrNotFound) || errors.Is(err, clyde.ErrInvalid) {
				p.Problem = fmt.Sprintf("%s has no version %q.", ref.Name, clip(v))
				return s.render(w, r, http.StatusNotFound, "compare.html", p)
			}
			return err
		}
		sides[i].ref.Version = sides[i].rel.Version
	}
	p.From, p.To = sides[0].rel, sides[1].rel
	p.Title = p.From.Version + " … " + p.To.Version + " · " + h.Title
	if p.Files, err = s.compared(r, sides[0], sides[1]); err != nil {
		return err
	}
	if err := p.show(s, r, sides); err != nil {
		return err
	}
	if p.One == "" {
		p.Facts = factsBetween(p.From, p.To)
		if n := len(p.Facts); n > maxManifestRows {
			p.Facts, p.MoreFact = p.Facts[:maxManifestRows], n-maxManifestRows
		}
	}
	return s.render(w, r, http.StatusOK, "compare.html", p)
}

// show chooses the files that the page shows whole.
func (p *comparePage) show(s *Web, r request, sides [2]comparing) error {
	left := maxShownLines
	for i, f := range p.Files.Files {
		if p.One != "" && f.Path() != p.One {
			continue
		}
		x := shownFile{fileChange: f, ID: fmt.Sprintf("file-%d", i+1)}
		n := f.Shown()
		if p.One != "" {
			if f.Alone {
				x.Why = ""
				if err := s.lines(r, &x.fileChange, sides[0].ref, sides[1].ref); err != nil {
					return err
				}
				n = x.Shown()
			}
			if n > maxFileLines {
				x.Hunks, x.Why = nil, "More than "+count(maxFileLines)+" lines of it changed."
			}
		} else if x.Folded = n > maxFoldedLines || n > left; x.Folded {
			x.Hunks = nil
		} else {
			left -= n
		}
		p.Shown = append(p.Shown, x)
	}
	if p.One != "" && len(p.Shown) == 0 {
		return clyde.Errorf(clyde.ErrNotFound, "%s is the same in %s and %s, or in neither.", clip(p.One), p.From.Version, p.To.Version).
			Fix("See what changed: %s", p.Address(p.Split, ""))
	}
	return nil
}

// factsBetween lists what is stated and known of two versions and differs.
func factsBetween(from, to catalog.Release) []fact {
	a, b := flat(from.Manifest), flat(to.Manifest)
	delete(a, "version")
	delete(b, "version")
	for _, v := range []struct {
		rel catalog.Release
		m   map[string]string
	}{{from, a}, {to, b}} {
		v.m["signature"] = v.rel.Signed
		if v.rel.Signer != "" {
			v.m["signed by"] = v.rel.Signer
		}
		v.m["published by"] = v.rel.Publisher
		v.m["size"] = size(v.rel.Size)
	}
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var out []fact
	for k := range keys {
		if a[k] != b[k] {
			out = append(out, fact{k, cell(a[k]), cell(b[k])})
		}
	}
	slices.SortFunc(out, func(x, y fact) int {
		return cmp.Or(cmp.Compare(weight(x.Name), weight(y.Name)), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// weight puts what decides first: who signed, the licence, what is required.
func weight(name string) int {
	for i, prefix := range []string{"signature", "signed by", "published by", "license", "requires", "build_requires", "dev_requires", "standard", "size"} {
		if name == prefix || strings.HasPrefix(name, prefix+" ") {
			return i
		}
	}
	return 100
}

func cell(v string) string {
	if len(v) > maxCell {
		return strings.ToValidUTF8(v[:maxCell], "") + "…"
	}
	return v
}

// flat is a manifest as entries, "requires @acme/zlib" to "^1.2".
func flat(manifest []byte) map[string]string {
	out := map[string]string{}
	var v any
	dec := json.NewDecoder(bytes.NewReader(manifest))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil && err != io.EOF {
		return out // checked when it was published: of another shape, it says nothing here
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				walk(strings.TrimSpace(at+" "+k), below)
			}
		case []any:
			var words []string
			for _, x := range v {
				if _, ok := x.(map[string]any); ok {
					b, _ := json.Marshal(x)
					x = string(b)
				}
				words = append(words, fmt.Sprint(x))
			}
			out[at] = strings.Join(words, ", ")
		case nil:
		default:
			out[at] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out
}

// side is one line of a comparison as it is shown: what is before, in and
// after the part of it that changed.
type side struct {
	Op            string // same, gone, come; "" where there is none
	Number        int
	Pre, In, Post string
	NoEnd         bool
}

// sideRow is two of them, or in one column one of them with both numbers.
type sideRow struct {
	Old, New side
}

// unified lists the lines of a hunk one below the other.
func unified(h diff.Hunk) (out []sideRow) {
	marks := map[*diff.Line]side{}
	for _, r := range h.Rows() {
		o, n := beside(r)
		marks[r.Old], marks[r.New] = o, n
	}
	for i := range h.Lines {
		l := &h.Lines[i]
		row := sideRow{Old: side{Number: l.Old}, New: marks[l]}
		row.New.Number = l.New
		out = append(out, row)
	}
	return out
}

// split lists the lines of a hunk side by side.
func split(h diff.Hunk) (out []sideRow) {
	for _, r := range h.Rows() {
		o, n := beside(r)
		out = append(out, sideRow{o, n})
	}
	return out
}

// beside tells two lines that stand side by side apart.
func beside(r diff.Row) (old, new side) {
	if r.Old != nil {
		old = sideOf(r.Old, "gone")
		old.Number = r.Old.Old
	}
	if r.New != nil {
		new = sideOf(r.New, "come")
		new.Number = r.New.New
	}
	if r.Old == nil || r.New == nil || r.Old == r.New {
		return old, new
	}
	a, b := old.Pre, new.Pre
	start, end := diff.Inside(a, b)
	if blank := strings.TrimSpace(a[:start]+a[len(a)-end:]) == ""; blank {
		return old, new // they have nothing in common but the place
	}
	old.Pre, old.In, old.Post = a[:start], a[start:len(a)-end], a[len(a)-end:]
	new.Pre, new.In, new.Post = b[:start], b[start:len(b)-end], b[len(b)-end:]
	return old, new
}

func sideOf(l *diff.Line, changed string) side {
	s := side{Op: changed, Pre: l.Text, NoEnd: l.NoEnd}
	if l.Op == diff.Same {
		s.Op = "same"
	}
	return s
}
