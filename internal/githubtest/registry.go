package githubtest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// grant is what a token of the token service stands for.
type grant struct {
	scope  string
	access Access
}

// ociPath splits the path of a request for a repository.
var ociPath = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests|tags|referrers)/.*$`)

// refuse answers with the error document of the distribution specification.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// registry answers as ghcr.io.
func (h *Hub) registry(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/token":
		h.token(w, r)
		return
	case r.URL.Path == "/v2" || r.URL.Path == "/v2/":
		if h.granted(r, "").scope == "" {
			challenge(w, "repository:user/image:pull") // what ghcr.io says, whoever asks
			return
		}
		w.WriteHeader(http.StatusOK)
		return
	case r.URL.Path == "/v2/_catalog", !strings.HasPrefix(r.URL.Path, "/v2/"):
		http.NotFound(w, r)
		return
	}
	m := ociPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	repo, kind := m[1], m[2]
	if repo != strings.ToLower(repo) || !strings.Contains(repo, "/") {
		refuse(w, http.StatusBadRequest, "NAME_INVALID", "invalid repository name")
		return
	}
	writes := r.Method != http.MethodGet && r.Method != http.MethodHead
	action := "pull"
	if writes {
		action = "push"
	}
	g := h.granted(r, repo)
	if g.scope == "" || !strings.Contains(g.scope, action) {
		challenge(w, "repository:"+repo+":"+map[bool]string{false: "pull", true: "pull,push"}[writes])
		return
	}
	owner, _, _ := strings.Cut(repo, "/")
	if writes && !slices.Contains(g.access.Write, owner) {
		h.mu.Lock()
		known := h.known[repo]
		h.mu.Unlock()
		message := "permission_denied: write_package"
		if !known && g.access.Identity {
			message = "installation not allowed to Create organization package"
		}
		refuse(w, http.StatusForbidden, "DENIED", message)
		return
	}
	if kind == "referrers" {
		// Recorded: the digest is cut off, and the page behind it is throttled.
		to := "https://" + Site + "/-/v2/packages/container/package/" + url.PathEscape(repo+"/referrers/sha256")
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	if kind == "manifests" && r.Method == http.MethodPut {
		h.mu.Lock()
		h.known[repo] = true
		h.mu.Unlock()
	}
	if kind == "manifests" && r.Method == http.MethodDelete {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.") // by the web API alone
		return
	}
	h.store.ServeHTTP(w, r)
}

func challenge(w http.ResponseWriter, scope string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+Registry+`/token",service="`+Registry+`",scope="`+scope+`"`)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
}

// granted is what the bearer token of a request may do in a repository.
func (h *Hub) granted(r *http.Request, repo string) grant {
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.bearer[t]
	if repo != "" && !strings.HasPrefix(g.scope, "repository:"+repo+":") {
		return grant{}
	}
	return g
}

// token is the token service: it takes a personal token or a run's as the
// password of Basic, whatever the user is called, and nothing else.
func (h *Hub) token(w http.ResponseWriter, r *http.Request) {
	user, password, basic := r.BasicAuth()
	access, ok := h.tokens[password]
	if basic && (!ok || user == "") {
		refuse(w, http.StatusForbidden, "DENIED", "denied")
		return
	}
	scope := ""
	for _, s := range r.URL.Query()["scope"] {
		if parts := strings.Split(s, ":"); len(parts) == 3 && parts[0] == "repository" && parts[1] != "user/image" {
			scope = s
		}
	}
	repo := strings.TrimPrefix(scope, "repository:")
	repo, _, _ = strings.Cut(repo, ":")
	owner, _, _ := strings.Cut(repo, "/")
	h.mu.Lock()
	defer h.mu.Unlock()
	if repo != "" && !h.public[repo] && !slices.Contains(access.Read, owner) && !slices.Contains(access.Write, owner) {
		// One answer for what is private and what is not there.
		if !basic {
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		if !strings.Contains(scope, "push") {
			refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
			return
		}
	}
	if scope == "" {
		scope = "none"
	}
	t := rand.Text()
	h.bearer[t] = grant{scope, access}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": t})
}
