package githubtest

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // a stand-in for the names of commits
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Repository is a repository of source code.
type Repository struct {
	ID       int64
	OwnerID  int64
	FullName string // "Acme/zlib"
	Private  bool
	Tags     map[string]map[string]string // files by path, by tag; a file that begins with "-> " is a symlink
	Archive  func(w io.Writer, tag string) error
}

// Add adds a repository, or replaces the one of its name.
func (h *Hub) Add(r Repository) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos[strings.ToLower(r.FullName)] = &r
}

// Rename gives a repository another name; the old one leads to it.
func (h *Hub) Rename(from, to string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := *h.repos[strings.ToLower(from)]
	r.FullName = to
	h.repos[strings.ToLower(from)], h.repos[strings.ToLower(to)] = &r, &r
}

// Commit is the commit of a tag.
func (r *Repository) Commit(tag string) string {
	sum := sha1.Sum([]byte(r.FullName + tag)) //nolint:gosec // not for security
	return hex.EncodeToString(sum[:])
}

func (h *Hub) repository(path string) (r *Repository, rest string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after, ok := strings.CutPrefix(path, "/repositories/"); ok {
		id, rest, _ := strings.Cut(after, "/")
		for _, r := range h.repos {
			if strconv.FormatInt(r.ID, 10) == id {
				return r, rest
			}
		}
		return nil, ""
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/repos/"), "/", 3)
	if len(parts) < 2 {
		return nil, ""
	}
	if len(parts) == 3 {
		rest = parts[2]
	}
	return h.repos[strings.ToLower(parts[0]+"/"+parts[1])], rest
}

// api answers as api.github.com and, below /archives/, as what it redirects
// to, which is at the address archives.
func (h *Hub) api(w http.ResponseWriter, r *http.Request, archives string) {
	fail := func(status int, message string) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
	}
	if after, ok := strings.CutPrefix(r.URL.Path, "/archives/"); ok {
		h.archive(w, r, after)
		return
	}
	auth := r.Header.Get("Authorization")
	secret := strings.TrimPrefix(strings.TrimPrefix(auth, "Bearer "), "token ")
	access, ok := h.tokens[secret]
	if auth != "" && !ok {
		fail(http.StatusUnauthorized, "Bad credentials")
		return
	}
	repo, rest := h.repository(r.URL.Path)
	if repo == nil || repo.Private && !slices.Contains(access.Read, strings.ToLower(owner(repo.FullName))) {
		fail(http.StatusNotFound, "Not Found")
		return
	}
	if after, ok := strings.CutPrefix(r.URL.Path, "/repos/"); ok && !strings.HasPrefix(strings.ToLower(after)+"/", strings.ToLower(repo.FullName)+"/") {
		http.Redirect(w, r, fmt.Sprintf("https://%s/repositories/%d/%s", r.Host, repo.ID, rest), http.StatusMovedPermanently) //nolint:gosec // to this stand-in alone
		return
	}
	switch what, ref, _ := strings.Cut(rest, "/"); {
	case rest == "":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		out := map[string]any{
			"id": repo.ID, "full_name": repo.FullName, "private": repo.Private,
			"owner": map[string]any{"login": owner(repo.FullName), "id": repo.OwnerID},
		}
		if access.Login != "" {
			out["permissions"] = map[string]bool{"admin": slices.Contains(access.Admin, repo.FullName), "pull": true}
		}
		_ = json.NewEncoder(w).Encode(out)
	case what == "tarball":
		tag := strings.TrimPrefix(ref, "refs/tags/")
		if _, ok := repo.Tags[tag]; !ok {
			fail(http.StatusNotFound, "Not Found")
			return
		}
		query := ""
		if repo.Private {
			query = "?token=" + secret // a short-lived one, really
		}
		http.Redirect(w, r, fmt.Sprintf("%s/archives/%d/%s%s", archives, repo.ID, tag, query), http.StatusFound) //nolint:gosec // to this stand-in alone
	default:
		fail(http.StatusNotFound, "Not Found")
	}
}

func owner(fullName string) string {
	o, _, _ := strings.Cut(fullName, "/")
	return o
}

// archive sends a tag as GitHub packs it: a header with the commit, and one
// folder that holds everything.
func (h *Hub) archive(w http.ResponseWriter, r *http.Request, path string) {
	id, tag, _ := strings.Cut(path, "/")
	repo, _ := h.repository("/repositories/" + id)
	if repo == nil || r.Header.Get("Authorization") != "" || repo.Private && h.tokens[r.URL.Query().Get("token")].Login == "" {
		http.NotFound(w, r) // the real one, too, wants no header of another host
		return
	}
	w.Header().Set("Content-Type", "application/x-gzip")
	if repo.Archive != nil {
		_ = repo.Archive(w, tag)
		return
	}
	_ = repo.pack(w, tag)
}

func (r *Repository) pack(w io.Writer, tag string) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	commit := r.Commit(tag)
	top := strings.ReplaceAll(r.FullName, "/", "-") + "-" + commit[:7] + "/"
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	head := &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": commit}}
	if err := t.WriteHeader(head); err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: top, Mode: 0o775, ModTime: when}); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(r.Tags[tag])) {
		for i, c := range p {
			if dir := p[:i]; c == '/' && !made[dir] {
				made[dir] = true
				if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: top + dir + "/", Mode: 0o775, ModTime: when}); err != nil {
					return err
				}
			}
		}
		text := r.Tags[tag][p]
		hd := &tar.Header{Name: top + p, Mode: 0o664, ModTime: when, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			hd.Typeflag, hd.Linkname, hd.Size, text = tar.TypeSymlink, to, 0, ""
		}
		if err := t.WriteHeader(hd); err != nil {
			return err
		}
		if _, err := io.WriteString(t, text); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}
