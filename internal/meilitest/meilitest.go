// Package meilitest stands in for Meilisearch at its HTTP boundary, where no
// real one is at hand: the requests that package meili makes, answered in the
// shapes of Meilisearch's v1 API. Writes are tasks that are done later and may
// fail although they were accepted; settings, filters and orders that a real one
// would refuse are refused. How well it finds is its own matter, so it says
// nothing about ranking.
package meilitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a Meilisearch that keeps everything in memory, also while it is
// stopped.
type Server struct {
	URL string
	Key string // who asks must have it; "" lets everybody in

	t    testing.TB
	addr string

	mu         sync.Mutex
	http       *http.Server
	indexes    map[string]*index
	tasks      []*task
	done       int // tasks that were run
	refuse     func(kind string) string
	maxPayload int64
	settings   string // as last received, indented
}

type task struct {
	uid   int
	kind  string
	index string
	run   func() *problem
	seen  bool // asked about once
	err   *problem
}

// problem is an error as Meilisearch writes it.
type problem struct {
	status  int
	Message string `json:"message"`
	Code    string `json:"code"`
	Type    string `json:"type"`
	Link    string `json:"link"`
}

func bad(status int, code, format string, args ...any) *problem {
	return &problem{status: status, Code: code, Message: fmt.Sprintf(format, args...), Type: "invalid_request", Link: "https://docs.meilisearch.com/errors#" + code}
}

// Start runs one until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, addr: "127.0.0.1:0", indexes: map[string]*index{}, maxPayload: 100 << 20}
	s.Run()
	s.URL = "http://" + s.addr
	t.Cleanup(s.Stop)
	return s
}

// Run listens, again at the same address after Stop.
func (s *Server) Run() {
	s.t.Helper()
	ln, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	s.mu.Lock()
	s.http = srv
	s.mu.Unlock()
	go func() { _ = srv.Serve(ln) }() // ends with Stop
}

// Stop closes the address and every connection.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.http.Close()
}

// Refuse lets tasks fail: fn gets a task's type ("documentAdditionOrUpdate",
// "indexSwap", …) and returns the error code with which it fails, or "".
func (s *Server) Refuse(fn func(kind string) (code string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = fn
}

// LimitPayload answers 413 to what has more bytes.
func (s *Server) LimitPayload(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxPayload = n
}

// Wipe forgets every index, as a Meilisearch on a new disk.
func (s *Server) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexes = map[string]*index{}
}

// Documents is how many documents an index has; -1 where there is none.
func (s *Server) Documents(uid string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexes[uid]; i != nil {
		return len(i.docs)
	}
	return -1
}

// LastSettings are the settings that were sent last, indented.
func (s *Server) LastSettings() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(r *http.Request, body []byte) (int, any, *problem)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, out, p := s.serve(r, fn)
			if p != nil {
				status, out = p.status, p
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	handle("POST /indexes", s.createIndex)
	handle("GET /indexes/{uid}", s.getIndex)
	handle("DELETE /indexes/{uid}", s.deleteIndex)
	handle("PATCH /indexes/{uid}/settings", s.changeSettings)
	handle("GET /indexes/{uid}/stats", s.stats)
	handle("POST /indexes/{uid}/documents", s.addDocuments)
	handle("POST /indexes/{uid}/documents/delete-batch", s.deleteDocuments)
	handle("GET /indexes/{uid}/documents/{id}", s.getDocument)
	handle("POST /swap-indexes", s.swap)
	handle("POST /multi-search", s.multiSearch)
	handle("GET /tasks/{uid}", s.getTask)
	return mux
}

// serve checks key and payload and runs fn with the lock held.
func (s *Server) serve(r *http.Request, fn func(*http.Request, []byte) (int, any, *problem)) (int, any, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch got := r.Header.Get("Authorization"); {
	case s.Key != "" && got == "":
		return 0, nil, bad(http.StatusUnauthorized, "missing_authorization_header", "The Authorization header is missing. It must use the bearer authorization method.")
	case s.Key != "" && got != "Bearer "+s.Key:
		return 0, nil, bad(http.StatusForbidden, "invalid_api_key", "The provided API key is invalid.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, bad(http.StatusBadRequest, "bad_request", "%v", err)
	}
	if int64(len(body)) > s.maxPayload {
		return 0, nil, bad(http.StatusRequestEntityTooLarge, "payload_too_large", "The provided payload reached the size limit. The maximum accepted payload size is %d.", s.maxPayload)
	}
	return fn(r, body)
}

// enqueue accepts a task.
func (s *Server) enqueue(kind, uid string, run func() *problem) (int, any, *problem) {
	t := &task{uid: len(s.tasks), kind: kind, index: uid, run: run}
	s.tasks = append(s.tasks, t)
	return http.StatusAccepted, map[string]any{"taskUid": t.uid, "indexUid": uid, "status": "enqueued", "type": kind, "enqueuedAt": now()}, nil
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// getTask says "enqueued" at first; whoever asks again finds it done, and all
// before it.
func (s *Server) getTask(r *http.Request, _ []byte) (int, any, *problem) {
	n, err := strconv.Atoi(r.PathValue("uid"))
	if err != nil || n < 0 || n >= len(s.tasks) {
		return 0, nil, bad(http.StatusNotFound, "task_not_found", "Task `%s` not found.", r.PathValue("uid"))
	}
	t := s.tasks[n]
	for t.seen && s.done <= n {
		next := s.tasks[s.done]
		code := ""
		if s.refuse != nil {
			code = s.refuse(next.kind)
		}
		if code != "" {
			next.err = bad(0, code, "the task was told to fail")
		} else {
			next.err = next.run()
		}
		s.done++
	}
	status := "enqueued"
	if s.done > n {
		status = "succeeded"
	}
	out := map[string]any{"uid": t.uid, "indexUid": t.index, "type": t.kind, "error": nil, "enqueuedAt": now()}
	if t.err != nil {
		status, out["error"] = "failed", t.err
	}
	t.seen, out["status"] = true, status
	return http.StatusOK, out, nil
}

func noIndex(uid string) *problem {
	return bad(http.StatusNotFound, "index_not_found", "Index `%s` not found.", uid)
}

func (s *Server) createIndex(_ *http.Request, body []byte) (int, any, *problem) {
	var in struct {
		UID        string `json:"uid"`
		PrimaryKey string `json:"primaryKey"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.UID == "" {
		return 0, nil, bad(http.StatusBadRequest, "bad_request", "%v", err)
	}
	return s.enqueue("indexCreation", in.UID, func() *problem {
		if s.indexes[in.UID] != nil {
			return bad(0, "index_already_exists", "Index `%s` already exists.", in.UID)
		}
		s.indexes[in.UID] = newIndex(in.PrimaryKey)
		return nil
	})
}

func (s *Server) getIndex(r *http.Request, _ []byte) (int, any, *problem) {
	uid := r.PathValue("uid")
	i := s.indexes[uid]
	if i == nil {
		return 0, nil, noIndex(uid)
	}
	return http.StatusOK, map[string]any{"uid": uid, "primaryKey": i.primary, "createdAt": i.made, "updatedAt": now()}, nil
}

func (s *Server) deleteIndex(r *http.Request, _ []byte) (int, any, *problem) {
	uid := r.PathValue("uid")
	return s.enqueue("indexDeletion", uid, func() *problem {
		if s.indexes[uid] == nil {
			return noIndex(uid)
		}
		delete(s.indexes, uid)
		return nil
	})
}

// settingNames are those that Meilisearch knows.
var settingNames = strings.Fields(`displayedAttributes searchableAttributes filterableAttributes sortableAttributes rankingRules typoTolerance
	faceting pagination nonSeparatorTokens separatorTokens stopWords synonyms dictionary distinctAttribute proximityPrecision searchCutoffMs
	facetSearch prefixSearch localizedAttributes embedders`)

func (s *Server) changeSettings(r *http.Request, body []byte) (int, any, *problem) {
	uid := r.PathValue("uid")
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return 0, nil, bad(http.StatusBadRequest, "malformed_payload", "%v", err)
	}
	for name := range raw {
		if !slices.Contains(settingNames, name) {
			return 0, nil, bad(http.StatusBadRequest, "bad_request", "Unknown field `%s`", name)
		}
	}
	var pretty bytes.Buffer
	_ = json.Indent(&pretty, body, "", "  ") // it was read above
	s.settings = pretty.String()
	return s.enqueue("settingsUpdate", uid, func() *problem {
		i := s.indexes[uid]
		if i == nil {
			i = newIndex("")
			s.indexes[uid] = i
		}
		if err := json.Unmarshal(body, &i.settings); err != nil {
			return bad(0, "bad_request", "%v", err)
		}
		return nil
	})
}

func (s *Server) stats(r *http.Request, _ []byte) (int, any, *problem) {
	i := s.indexes[r.PathValue("uid")]
	if i == nil {
		return 0, nil, noIndex(r.PathValue("uid"))
	}
	return http.StatusOK, map[string]any{"numberOfDocuments": len(i.docs), "isIndexing": false, "fieldDistribution": map[string]int{}}, nil
}

func (s *Server) addDocuments(r *http.Request, body []byte) (int, any, *problem) {
	uid, primary := r.PathValue("uid"), r.URL.Query().Get("primaryKey")
	if ct := r.Header.Get("Content-Type"); ct != "application/x-ndjson" {
		return 0, nil, bad(http.StatusUnsupportedMediaType, "invalid_content_type", "The Content-Type `%s` is invalid.", ct)
	}
	var docs []map[string]any
	for dec := json.NewDecoder(strings.NewReader(string(body))); ; {
		var d map[string]any
		if err := dec.Decode(&d); err == io.EOF {
			break
		} else if err != nil {
			return 0, nil, bad(http.StatusBadRequest, "malformed_payload", "%v", err)
		}
		docs = append(docs, d)
	}
	return s.enqueue("documentAdditionOrUpdate", uid, func() *problem {
		if s.indexes[uid] == nil {
			s.indexes[uid] = newIndex(cmp.Or(primary, "id")) // it infers what ends with id
		}
		return s.indexes[uid].put(docs)
	})
}

func (s *Server) deleteDocuments(r *http.Request, body []byte) (int, any, *problem) {
	uid := r.PathValue("uid")
	var ids []string
	if err := json.Unmarshal(body, &ids); err != nil {
		return 0, nil, bad(http.StatusBadRequest, "malformed_payload", "%v", err)
	}
	return s.enqueue("documentDeletion", uid, func() *problem {
		if s.indexes[uid] == nil {
			return noIndex(uid)
		}
		for _, id := range ids {
			delete(s.indexes[uid].docs, id)
		}
		return nil
	})
}

func (s *Server) getDocument(r *http.Request, _ []byte) (int, any, *problem) {
	i := s.indexes[r.PathValue("uid")]
	if i == nil {
		return 0, nil, noIndex(r.PathValue("uid"))
	}
	d, ok := i.docs[r.PathValue("id")]
	if !ok {
		return 0, nil, bad(http.StatusNotFound, "document_not_found", "Document `%s` not found.", r.PathValue("id"))
	}
	return http.StatusOK, d, nil
}

func (s *Server) swap(_ *http.Request, body []byte) (int, any, *problem) {
	var in []struct {
		Indexes []string `json:"indexes"`
		Rename  bool     `json:"rename"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in) != 1 || len(in[0].Indexes) != 2 {
		return 0, nil, bad(http.StatusBadRequest, "invalid_swap_indexes", "%v", err)
	}
	a, b := in[0].Indexes[0], in[0].Indexes[1]
	return s.enqueue("indexSwap", "", func() *problem {
		if s.indexes[a] == nil || s.indexes[b] == nil {
			return noIndex(a + ", " + b)
		}
		s.indexes[a], s.indexes[b] = s.indexes[b], s.indexes[a]
		return nil
	})
}
