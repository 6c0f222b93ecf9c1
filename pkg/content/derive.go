package content

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/markdown"
)

// MaxHeaders is how many public headers of one release are kept, the first by
// name. Ours: Boost as a whole has 15,000.
const MaxHeaders = 20_000

// DeriveOptions come from the manifest.
type DeriveOptions struct {
	MediaType string   // of the archive
	Include   []string // public header roots; none means "include"
	Readme    string   // path of the readme, "" to look for README*
	// ReadmeLayer, when set, is the readme as pushed in its own layer and wins
	// over the one in the archive.
	ReadmeLayer []byte
	BaseURL     string // prefix for relative links and images of the readme, "/packages/acme/zlib/1.3.1/files/"
}

// Derive reads the archive once and stores what follows from it under key (the
// manifest's digest). Doing it again gives the same bytes. Nothing is stored
// when it fails, and what was stored before stays.
func (s *Store) Derive(ctx context.Context, key string, archive io.Reader, o DeriveOptions) (_ *Info, err error) {
	dest, err := s.file(key)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "pack-")
	if err != nil {
		return nil, fmt.Errorf("content.Derive: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	p, err := s.newPacker(f)
	if err != nil {
		return nil, fmt.Errorf("content.Derive: %w", err)
	}
	defer s.release(p)
	d, err := derive(ctx, p, archive, o)
	if err != nil {
		return nil, fmt.Errorf("content.Derive(%s): %w", key, err)
	}
	if err := p.finish(d); err != nil {
		return nil, fmt.Errorf("content.Derive: %w", err)
	}
	// No sync: a crash may lose or tear the pack, which then reads as absent
	// and is derived again.
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("content.Derive: %w", err)
	}
	err = os.Rename(f.Name(), dest)
	if errors.Is(err, fs.ErrNotExist) { // of 256 directories most are there soon
		if err = os.MkdirAll(filepath.Dir(dest), 0o700); err == nil {
			err = os.Rename(f.Name(), dest)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("content.Derive: %w", err)
	}
	x := d.index()
	s.cache.Put(key, x, x.cost())
	return x.info, nil
}

func derive(ctx context.Context, p *packer, archive io.Reader, o DeriveOptions) (document, error) {
	var (
		d   document
		all []artifact.File
	)
	// Whether one directory holds everything is known at the end only, so the
	// readme is looked for both at the top and one level down.
	want := cleanPath(o.Readme)
	flat, below := readmeFinder{want: want}, readmeFinder{want: want}
	err := artifact.List(archive, o.MediaType, func(f artifact.File, body io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		all = append(all, f)
		e := entry{File: File{Path: f.Path, Mode: uint32(f.Mode.Perm()), Link: f.Link}}
		switch {
		case f.Mode&fs.ModeSymlink != 0:
		case !f.Mode.IsRegular():
			return nil
		default:
			body = flat.take(f.Path, body)
			if _, rest, ok := strings.Cut(f.Path, "/"); ok {
				body = below.take(rest, body)
			}
			var err error
			if e.Offset, e.Packed, e.Size, err = p.frame(body); err != nil {
				return err
			}
		}
		d.Entries = append(d.Entries, e)
		return nil
	})
	if err != nil {
		return document{}, err
	}
	readme := &flat
	if top := artifact.Top(all); top != "" {
		readme = &below
		for i := range d.Entries {
			d.Entries[i].Path = strings.TrimPrefix(d.Entries[i].Path, top+"/")
		}
	}
	slices.SortFunc(d.Entries, func(a, b entry) int { return cmp.Compare(a.Path, b.Path) })
	d.Headers = headers(d.Entries, o.Include)
	d.ReadmePath, d.Readme = readme.path, readme.body.String()
	if o.ReadmeLayer != nil {
		d.Readme = string(o.ReadmeLayer[:min(len(o.ReadmeLayer), markdown.MaxInput)])
		d.ReadmePath = cmp.Or(cleanPath(o.Readme), d.ReadmePath, "README.md")
	}
	d.Readme = strings.ToValidUTF8(d.Readme, "\uFFFD")
	if d.ReadmePath == "" || d.Readme == "" {
		d.ReadmePath, d.Readme = "", ""
		return d, nil
	}
	if !markdown.IsMarkdown(d.ReadmePath) {
		d.ReadmeHTML = string(markdown.Plain([]byte(d.Readme)))
		return d, nil
	}
	// A readme over its budget is shown as plain text; that is no failure.
	h, _ := markdown.Render([]byte(d.Readme), markdown.Options{BaseURL: o.BaseURL, Path: d.ReadmePath})
	d.ReadmeHTML = string(h)
	return d, nil
}

func cleanPath(p string) string {
	if p == "" {
		return ""
	}
	return strings.TrimPrefix(path.Clean("/"+p), "/")
}

// headers lists the public headers below the include roots, each as a user
// writes it in #include.
func headers(entries []entry, roots []string) []string {
	if len(roots) == 0 {
		roots = []string{"include"}
	}
	// Asked of each header for the directories above it: a package.yaml has room
	// for a hundred thousand roots, and an archive for as many headers.
	under := make(map[string]bool, len(roots))
	for _, root := range roots {
		under[cleanPath(root)] = true
	}
	out, most := []string{}, "" // nothing above most is among the first
	add := func(name string) {
		if most == "" || name < most {
			out = append(out, name)
		}
	}
	for _, e := range entries {
		if !isHeader(e.Path) {
			continue
		}
		if under[""] {
			add(e.Path)
		}
		for i, c := range e.Path {
			if c == '/' && under[e.Path[:i]] {
				add(e.Path[i+1:])
			}
		}
		if len(out) > 4*MaxHeaders {
			if out = first(out); len(out) == MaxHeaders {
				most = out[MaxHeaders-1]
			}
		}
	}
	return first(out)
}

// first returns the MaxHeaders first names of all, each once.
func first(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), MaxHeaders)]
}

func isHeader(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".h", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".inc", ".ipp", ".ixx", ".tpp", ".tcc", ".txx", ".cuh", ".cppm":
		return true
	}
	return false
}

// readmeFinder keeps the best readme that passes by: the one asked for, else
// the first in readmeNames, of the top directory.
type readmeFinder struct {
	want string
	rank int // of what is kept, greater is better; 0 for nothing
	path string
	body bytes.Buffer
}

// readmeNames are looked for in this order, without regard to case.
var readmeNames = []string{"readme.md", "readme.markdown", "readme.mkd", "readme", "readme.txt", "readme.rst", "readme.adoc", "readme.org"}

func (r *readmeFinder) take(p string, body io.Reader) io.Reader {
	rank := 0
	if p == r.want {
		rank = len(readmeNames) + 1
	} else if i := slices.Index(readmeNames, strings.ToLower(p)); i >= 0 {
		rank = len(readmeNames) - i
	}
	if rank <= r.rank {
		return body
	}
	r.rank, r.path = rank, p
	r.body.Reset()
	return io.TeeReader(body, &capped{b: &r.body, left: markdown.MaxInput})
}

// capped keeps the first left bytes written and swallows the rest.
type capped struct {
	b    *bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.b.Write(p[:n])
	return len(p), nil
}
