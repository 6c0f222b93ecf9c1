package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var staticFS embed.FS

// stylesheet is what the parts in static/css are served as: one file, in the
// order of their names.
const stylesheet = "style.css"

// asset is a file that never changes under its address, for the address has
// the hash of its content.
type asset struct {
	url  string // "/static/style.0123456789abcdef.css"
	kind string // media type
	body []byte
	gzip []byte // body, compressed
}

// loadAssets returns the assets by the name that templates use and, again, by
// the last part of their address.
func loadAssets() (map[string]asset, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(staticFS, "static", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFS.ReadFile(p)
		name := path.Base(p)
		if path.Dir(p) == "static/css" {
			name = stylesheet
		}
		files[name] = append(files[name], b...)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := map[string]asset{}
	for name, b := range files {
		sum := sha256.Sum256(b)
		ext := path.Ext(name)
		file := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
		a := asset{url: "/static/" + file, kind: kinds[ext], body: b}
		if a.kind == "" {
			return nil, fmt.Errorf("static/%s: no media type is known for %q", name, ext)
		}
		if a.gzip, err = compressed(b); err != nil {
			return nil, err
		}
		out[name], out[file] = a, a
	}
	return out, nil
}

// kinds are the media types of assets.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
}

// Asset returns the address of a static file, "style.css", for pages that are
// not ours but look like them; "" for one that does not exist.
func (s *Web) Asset(name string) string { return s.assets[name].url }

func (s *Web) static(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	a, ok := s.assets[file]
	if !ok || a.url != "/static/"+file {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	s.serve(w, r, a, "public, max-age=31536000, immutable")
}

// favicon answers those who do not read the page's <link>.
func (s *Web) favicon(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, s.assets["favicon.svg"], "public, max-age=86400")
}

func (s *Web) serve(w http.ResponseWriter, r *http.Request, a asset, cache string) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", cache)
	h.Set("Vary", "Accept-Encoding")
	body := a.body
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = a.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
