package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/api"
)

// hiddenEscapes are what two readers of a path may take for two things.
var hiddenEscapes = []string{"%2f", "%5c", "%00"}

// misread says why a path has more than one reading, or "".
func misread(u *url.URL) string {
	raw := strings.ToLower(u.EscapedPath())
	for _, esc := range hiddenEscapes {
		if strings.Contains(raw, esc) {
			return "has the escape " + esc + ": write it plainly"
		}
	}
	path, ok := strings.CutPrefix(u.Path, "/")
	switch {
	case !ok:
		return "does not begin with a slash"
	case strings.ContainsAny(path, "\\\x00"):
		return "has a backslash or a zero byte"
	case strings.HasPrefix(path, "/") || strings.Contains(path, "//"):
		return "has two slashes in a row"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "has the segment " + segment
		}
	}
	return ""
}

// canonical refuses paths that have more than one reading before anybody looks
// at them. They are not mended by a redirect, as a ServeMux does: a proxy in
// front that mends them otherwise decides about another path than we do.
func canonical(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The registry refuses more, in the words of its own protocol.
		why := ""
		if part(r.URL.Path) != "registry" {
			why = misread(r.URL)
		}
		if why == "" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := json.Marshal(api.ProblemDetails{
			Type: "about:blank", Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest,
			Detail: "the path of the request " + why, Code: "path_invalid",
			Fixes: []string{"Ask for the path as it is documented."}, RequestID: r.Header.Get(RequestIDHeader),
		})
		if err != nil {
			panic(err) // texts and a number
		}
		h := w.Header()
		h.Set("Content-Type", (*api.ProblemDetails)(nil).ContentType(""))
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(body)
	})
}
