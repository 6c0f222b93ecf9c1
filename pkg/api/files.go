package api

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/catalog"
)

// sniffed is how much of a file is looked at to tell text from the rest, in
// bytes: what browsers look at.
const sniffed = 512

// Files are the files of a source archive, by path.
type Files struct {
	Items []catalog.File `json:"items"`
	Total int            `json:"total"`
}

type (
	filesOutput  struct{ Body Files }
	readmeOutput struct{ Body catalog.Readme }
	streamOutput struct{ Body func(huma.Context) }
)

type fileInput struct {
	VersionPath
	Path string `path:"path" maxLength:"1024" doc:"Path in the source archive, with its slashes." example:"include/zlib.h"`
}

func (s *server) files() {
	const at = base + "/packages/{namespace}/{name}/versions/{version}"
	add(s, operation{
		id: "get-readme", method: "GET", path: at + "/readme", tag: "packages", summary: "Get the readme",
		about: "The readme, raw and as sanitised HTML.", errors: []int{404, 410},
	}, func(ctx context.Context, in *VersionPath) (*readmeOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		r, err := s.Catalog.Readme(ctx, callOf(ctx).who, ref)
		return &readmeOutput{r}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "list-files", method: "GET", path: at + "/files", tag: "packages", summary: "List files",
		about: "The files of the source archive, by path.", errors: []int{404, 410},
	}, func(ctx context.Context, in *VersionPath) (*filesOutput, error) {
		ref, err := in.ref()
		if err != nil {
			return nil, err
		}
		found, err := s.Catalog.Files(ctx, callOf(ctx).who, ref)
		return &filesOutput{Files{Items: items(found), Total: len(found)}}, s.unknown(ctx, ref.Name, err)
	})
	add(s, operation{
		id: "get-file", method: "GET", path: at + "/files/{path}", tag: "packages", summary: "Get a file",
		about:  "The raw bytes of one file: as plain text or as an attachment, in a sandbox, for what a package contains is never a page of this site. Ranges work.",
		errors: []int{404, 410}, content: map[string]any{textType: "#ifndef ZLIB_H\n", "application/octet-stream": nil},
	}, s.file)
}

func (s *server) file(ctx context.Context, in *fileInput) (*streamOutput, error) {
	ref, err := in.ref()
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).who
	rel, err := s.Catalog.Release(ctx, who, ref)
	if err != nil {
		return nil, s.unknown(ctx, ref.Name, err)
	}
	f, info, err := s.Catalog.OpenFile(ctx, who, catalog.Ref{Name: ref.Name, Version: rel.Version}, in.Path)
	if err != nil {
		return nil, s.unknown(ctx, ref.Name, err)
	}
	head := make([]byte, min(sniffed, info.Size))
	n, err := io.ReadFull(f, head)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &streamOutput{func(hc huma.Context) {
		defer f.Close()
		r, w := unwrap(hc)
		h := w.Header()
		h.Set("Content-Type", textType)
		if !text(head[:n], int64(n) < info.Size) {
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(in.Path)}))
		}
		// A version's digest names all of its files.
		h.Set("ETag", etag([]byte(rel.Digest+"\x00"+in.Path)))
		s.stream(hc, w, r, head[:n], f, info.Size)
	}}, nil
}

// stream answers with a file whose first bytes are head.
func (s *server) stream(hc huma.Context, w http.ResponseWriter, r *http.Request, head []byte, rest io.Reader, size int64) {
	c := callOf(hc.Context())
	if seeker, ok := rest.(io.ReadSeeker); ok {
		if _, err := seeker.Seek(0, io.SeekStart); err == nil {
			status := http.StatusOK
			if matches(r.Header.Values("If-None-Match"), w.Header().Get("ETag"), true) {
				status = http.StatusNotModified
			}
			c.w.status = status
			http.ServeContent(c.w.direct(status), r, "", time.Time{}, seeker)
			return
		}
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	out := c.w.direct(http.StatusOK)
	out.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(out, io.MultiReader(bytes.NewReader(head), rest))
	}
}

// text reports whether b looks like text; cut says that more follows, so that
// its last character may be incomplete.
func text(b []byte, cut bool) bool {
	if cut {
		for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
			if utf8.RuneStart(b[len(b)-i]) {
				if !utf8.FullRune(b[len(b)-i:]) {
					b = b[:len(b)-i]
				}
				break
			}
		}
	}
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b || c == 0x7f {
			return false
		}
	}
	return true
}
