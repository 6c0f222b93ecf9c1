package diff

import (
	"cmp"
	"slices"
	"strings"
)

// Limits of looking for files that moved. Ours: a release that moves more at
// once shows the rest as removed and added.
const (
	MaxMoved     = 200       // files on either side that are compared with each other
	MaxMovedSize = 256 << 10 // bytes of a file that is compared by its lines
	minSimilar   = 50        // per cent of lines that a file which moved keeps
)

// File is one file of a tree.
type File struct {
	Path string
	Size int64 // bytes
	Mode uint32
	Link string // target, of a symbolic link
}

// Change is a file that is not the same in both trees. Old.Path or New.Path is
// "" where it is not there.
type Change struct {
	Old, New File
	Similar  int // per cent of its lines that a file keeps which moved
}

// Moved reports whether the file has another path.
func (c Change) Moved() bool { return c.Old.Path != "" && c.New.Path != "" && c.Old.Path != c.New.Path }

// Path is where the file is, or was.
func (c Change) Path() string { return cmp.Or(c.New.Path, c.Old.Path) }

// Reader returns the bytes of a file, or false where they may not be read: for
// their size or because enough was read.
type Reader func(path string) ([]byte, bool, error)

// Trees compares two trees, each by path. A file of the same size is the same
// where both readers say so; where they do not, unread counts it and it is
// taken for the same. A file that is in the other tree under another path, whole
// or by most of its lines, is one that moved.
func Trees(old, new []File, readOld, readNew Reader) (changes []Change, unread int, err error) {
	var gone, come []File
	for i, k := 0, 0; i < len(old) || k < len(new); {
		switch {
		case k == len(new) || i < len(old) && old[i].Path < new[k].Path:
			gone = append(gone, old[i])
			i++
		case i == len(old) || new[k].Path < old[i].Path:
			come = append(come, new[k])
			k++
		default:
			same, read, err := equal(old[i], new[k], readOld, readNew)
			if err != nil {
				return nil, 0, err
			}
			if !read {
				unread++
			}
			if !same {
				changes = append(changes, Change{Old: old[i], New: new[k], Similar: 100})
			}
			i, k = i+1, k+1
		}
	}
	moves, gone, come, err := moved(gone, come, readOld, readNew)
	if err != nil {
		return nil, 0, err
	}
	changes = append(changes, moves...)
	for _, f := range gone {
		changes = append(changes, Change{Old: f})
	}
	for _, f := range come {
		changes = append(changes, Change{New: f})
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Path(), b.Path()), cmp.Compare(a.Old.Path, b.Old.Path))
	})
	return changes, unread, nil
}

// equal compares two files of one path. read is false where it could not tell.
func equal(a, b File, readA, readB Reader) (same, read bool, err error) {
	if a.Size != b.Size || a.Link != b.Link || (a.Mode^b.Mode)&0o111 != 0 {
		return false, true, nil
	}
	if a.Link != "" || a.Size == 0 {
		return true, true, nil
	}
	x, ok, err := readA(a.Path)
	if err != nil || !ok {
		return true, false, err
	}
	y, ok, err := readB(b.Path)
	if err != nil || !ok {
		return true, false, err
	}
	return string(x) == string(y), true, nil
}

// side is a file that is on one side only, with what it is compared by.
type side struct {
	File
	body  string
	lines map[string]int
	used  bool
}

// moved pairs files that went with files that came, the most alike first.
func moved(gone, come []File, readOld, readNew Reader) (moves []Change, left, right []File, err error) {
	if len(gone) == 0 || len(come) == 0 {
		return nil, gone, come, nil
	}
	a, err := sides(gone, readOld)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := sides(come, readNew)
	if err != nil {
		return nil, nil, nil, err
	}
	type match struct{ i, k, similar int }
	var all []match
	for i, x := range a {
		for k, y := range b {
			if n := x.similar(y); n >= minSimilar {
				all = append(all, match{i, k, n})
			}
		}
	}
	slices.SortFunc(all, func(x, y match) int {
		named := func(m match) int { // the same name in another folder, before another name
			if base(a[m.i].Path) == base(b[m.k].Path) {
				return 0
			}
			return 1
		}
		return cmp.Or(y.similar-x.similar, named(x)-named(y), x.i-y.i, x.k-y.k)
	})
	taken := map[string]bool{}
	for _, m := range all {
		x, y := a[m.i], b[m.k]
		if !x.used && !y.used {
			x.used, y.used = true, true
			taken["-"+x.Path], taken["+"+y.Path] = true, true
			moves = append(moves, Change{Old: x.File, New: y.File, Similar: m.similar})
		}
	}
	rest := func(files []File, side string) []File {
		return slices.DeleteFunc(slices.Clone(files), func(f File) bool { return taken[side+f.Path] })
	}
	return moves, rest(gone, "-"), rest(come, "+"), nil
}

func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// sides reads what may be compared of files.
func sides(files []File, read Reader) (out []*side, err error) {
	for _, f := range files {
		if len(out) == MaxMoved {
			break
		}
		if f.Link != "" || f.Size == 0 || f.Size > MaxMovedSize {
			continue
		}
		b, ok, err := read(f.Path)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		s := &side{File: f, body: string(b), lines: map[string]int{}}
		for l := range strings.Lines(s.body) {
			s.lines[l] += len(l)
		}
		out = append(out, s)
	}
	return out, nil
}

// similar is how much of two files is the same, in per cent of the larger one,
// by the bytes of their lines.
func (s *side) similar(o *side) int {
	if s.body == o.body {
		return 100
	}
	small, large := s, o
	if large.Size < small.Size {
		small, large = large, small
	}
	if small.Size*100 < large.Size*minSimilar {
		return 0
	}
	shared := 0
	for l, n := range small.lines {
		shared += min(n, large.lines[l])
	}
	return min(99, shared*100/int(large.Size))
}
