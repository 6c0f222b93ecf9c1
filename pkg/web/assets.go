package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static/*
var staticFS embed.FS

// asset is a file that never changes under its address, for the address has
// the hash of its content.
type asset struct {
	url  string // "/static/style.0123456789abcdef.css"
	kind string // media type
	body []byte
}

// loadAssets returns the assets by the name that templates use and, again, by
// the last part of their address.
func loadAssets() (map[string]asset, error) {
	out := map[string]asset{}
	err := fs.WalkDir(staticFS, "static", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFS.ReadFile(p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(p)
		file := strings.TrimSuffix(path.Base(p), ext) + "." + hex.EncodeToString(sum[:8]) + ext
		kind := "image/svg+xml"
		if ext != ".svg" {
			kind = mime.TypeByExtension(ext)
		}
		a := asset{url: "/static/" + file, kind: kind, body: b}
		out[path.Base(p)], out[file] = a, a
		return nil
	})
	return out, err
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
	s.serve(w, a, "public, max-age=31536000, immutable")
}

// favicon answers those who do not read the page's <link>.
func (s *Web) favicon(w http.ResponseWriter, _ *http.Request) {
	s.serve(w, s.assets["favicon.svg"], "public, max-age=86400")
}

func (s *Web) serve(w http.ResponseWriter, a asset, cache string) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	_, _ = w.Write(a.body)
}

func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /search\nDisallow: /*/files/*?raw=1\nDisallow: /v2/\n"))
}
