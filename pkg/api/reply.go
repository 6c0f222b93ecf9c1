package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Cache-Control of public answers. Whatever a token mattered for is private.
const (
	cachePublic     = "public, max-age=60, stale-while-revalidate=300"
	cacheRevalidate = "public, no-cache" // kept, and asked about each time
	cachePrivate    = "private, no-store"
)

// reply keeps an answer back until it is whole, so that it can have an entity
// tag and a length, or become a 304. What streams says so with direct.
type reply struct {
	w        http.ResponseWriter
	c        *call
	buf      bytes.Buffer
	status   int
	streamed bool
}

func (w *reply) Header() http.Header { return w.w.Header() }

// Unwrap serves http.ResponseController.
func (w *reply) Unwrap() http.ResponseWriter { return w.w }

func (w *reply) WriteHeader(status int) {
	if w.streamed {
		w.w.WriteHeader(status)
	} else if w.status == 0 {
		w.status = status
	}
}

func (w *reply) Write(b []byte) (int, error) {
	if w.streamed {
		return w.w.Write(b)
	}
	return w.buf.Write(b)
}

// direct lets everything pass from here on.
func (w *reply) direct(status int) http.ResponseWriter {
	w.status, w.streamed = status, true
	w.caching()
	return w.w
}

// caching sets Cache-Control where the handler did not.
func (w *reply) caching() {
	h := w.Header()
	if h.Get("Cache-Control") != "" {
		return
	}
	switch {
	case !w.c.who.Anonymous():
		h.Set("Cache-Control", cachePrivate)
	case w.status >= 400 || !safe(w.c.r.Method):
		h.Set("Cache-Control", "no-store")
	case w.c.cache != "":
		h.Set("Cache-Control", w.c.cache)
	default:
		h.Set("Cache-Control", cachePublic)
	}
}

// finish sends what was kept back, and reports whether it was a 304.
func (w *reply) finish() (notModified bool) {
	if w.streamed {
		return w.status == http.StatusNotModified
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	h := w.Header()
	m := w.c.r.Method
	if w.status == http.StatusOK && (safe(m) || m == http.MethodPatch || m == http.MethodPut) {
		if h.Get("ETag") == "" {
			h.Set("ETag", etag(w.buf.Bytes()))
		}
		if safe(m) && matches(w.c.r.Header.Values("If-None-Match"), h.Get("ETag"), true) {
			w.status = http.StatusNotModified
			h.Del("Content-Type")
			h.Del("Content-Disposition")
		}
	}
	w.caching()
	if w.status == http.StatusNotModified || w.status == http.StatusNoContent {
		w.w.WriteHeader(w.status)
		return w.status == http.StatusNotModified
	}
	h.Set("Content-Length", strconv.Itoa(w.buf.Len()))
	w.w.WriteHeader(w.status)
	if m != http.MethodHead {
		_, _ = w.w.Write(w.buf.Bytes())
	}
	return false
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// etag is the strong entity tag of a representation.
func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// encode writes v as every JSON answer is written.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// etagOf is the entity tag that an answer of v has.
func etagOf(v any) (string, error) {
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		return "", err
	}
	return etag(b.Bytes()), nil
}

// matches reports whether the fields of an If-Match (strong comparison) or
// If-None-Match (weak) name tag. At most MaxETags are looked at.
func matches(fields []string, tag string, weak bool) bool {
	n := 0
	for _, f := range fields {
		for t := range strings.SplitSeq(f, ",") { // our tags have no comma
			t = strings.TrimSpace(t)
			if weak {
				t = strings.TrimPrefix(t, "W/")
			}
			if t == "*" || t == tag {
				return true
			}
			if n++; n >= MaxETags {
				return false
			}
		}
	}
	return false
}
