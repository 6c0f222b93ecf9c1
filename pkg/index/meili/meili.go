// Package meili keeps the search index in a Meilisearch, for registries whose
// roles are split or that outgrow one process. Meilisearch finds, filters and
// counts; the first hits are then put in order by our own ranking, which also
// marks what matched and pins what was asked for by name.
//
// One process writes at a time, from the change feed (pkg/server); how far it
// came stands in Meilisearch itself, so that both go back together when an
// older copy of it is restored. A write is done when its task has succeeded,
// not when it was accepted.
package meili

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Limits of what is asked of Meilisearch. Ours but where a source is named.
const (
	searchTimeout = 2 * time.Second        // of one request that somebody waits for
	writeTimeout  = time.Minute            // of one request with documents
	taskTimeout   = 10 * time.Minute       // of a task: a batch, or a change of settings
	pollFirst     = 5 * time.Millisecond   // between the first looks at a task
	pollMost      = 250 * time.Millisecond // between later ones
	downFor       = 2 * time.Second        // searches fail at once after one found nobody there
	maxAnswer     = 64 << 20               // bytes of one answer
	maxBatch      = 8 << 20                // bytes of documents in one request; Meilisearch takes 100 MB unless told otherwise
)

// Options say where Meilisearch is.
type Options struct {
	URL   string // https://search.example.org, no trailing slash
	Key   string // with the rights search, documents.*, indexes.*, settings.*, stats.get, tasks.get; "" where it wants none
	Index string // names the indexes; several registries may share one Meilisearch. Empty: packages
}

// Engine is an index.Engine.
type Engine struct {
	o      Options
	api    meilisearch.ServiceManager
	http   *http.Client
	closed atomic.Bool
	down   atomic.Int64 // Unix nanoseconds until which nobody is asked
	length atomic.Int64 // Len, as last seen

	rebuild sync.Mutex // held by Rebuild
	mu      sync.Mutex // held by whoever writes
	// While a Rebuild runs, what has changed since it began, by key: the
	// document, or nil when it was deleted. Otherwise nil.
	pending map[string]*index.Document
}

var _ index.Engine = (*Engine)(nil)

// New returns an engine that has not asked anything yet.
func New(o Options) *Engine {
	if o.Index == "" {
		o.Index = "packages"
	}
	client := &http.Client{Transport: limited{http.DefaultTransport.(*http.Transport).Clone()}}
	return &Engine{o: o, http: client, api: meilisearch.New(o.URL,
		meilisearch.WithAPIKey(o.Key), meilisearch.WithCustomClient(client), meilisearch.DisableRetries())}
}

// limited bounds what is read of an answer.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Indexes: what is searched, what the next Rebuild makes, and how far the feed
// was read.
func (e *Engine) main() string  { return e.o.Index }
func (e *Engine) next() string  { return e.o.Index + "_next" }
func (e *Engine) state() string { return e.o.Index + "_state" }

// Prepare makes the index that is searched, unless it is there.
func (e *Engine) Prepare(ctx context.Context) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	if _, err := e.made(ctx); codeOf(err) != "index_not_found" {
		return err
	}
	return e.create(ctx, e.main())
}

// create makes an index with our settings. Settings come before documents:
// changing them afterwards indexes everything again.
func (e *Engine) create(ctx context.Context, uid string) error {
	err := e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.CreateIndexWithContext(ctx, &meilisearch.IndexConfig{Uid: uid, PrimaryKey: "id"})
	})
	if err != nil && codeOf(err) != "index_already_exists" {
		return err
	}
	return e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) { return e.settle(ctx, uid) })
}

// settle sends the settings as we wrote them: the client library leaves out
// what is empty or false, which turns some of them into their opposite.
func (e *Engine) settle(ctx context.Context, uid string) (*meilisearch.TaskInfo, error) {
	body, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, strings.TrimSuffix(e.o.URL, "/")+"/indexes/"+uid+"/settings", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if e.o.Key != "" {
		req.Header.Set("Authorization", "Bearer "+e.o.Key)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusAccepted {
		f := &failure{status: resp.StatusCode}
		_ = json.NewDecoder(resp.Body).Decode(f)
		return nil, f
	}
	var t meilisearch.TaskInfo
	return &t, json.NewDecoder(resp.Body).Decode(&t)
}

// drop removes an index that may not be there.
func (e *Engine) drop(ctx context.Context, uid string) error {
	err := e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.DeleteIndexWithContext(ctx, uid)
	})
	if codeOf(err) == "index_not_found" {
		return nil
	}
	return err
}

// task starts something and waits until it is done: that it was accepted says
// nothing yet.
func (e *Engine) task(ctx context.Context, start func(context.Context) (*meilisearch.TaskInfo, error)) error {
	ctx, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	begin, done := context.WithTimeout(ctx, writeTimeout)
	info, err := start(begin)
	done()
	if err != nil {
		return e.fail(ctx, err)
	}
	for wait := pollFirst; ; wait = min(2*wait, pollMost) {
		ask, done := context.WithTimeout(ctx, writeTimeout)
		t, err := e.api.GetTaskWithContext(ask, info.TaskUID)
		done()
		if err != nil {
			return e.fail(ctx, err)
		}
		switch t.Status {
		case meilisearch.TaskStatusSucceeded:
			return nil
		case meilisearch.TaskStatusFailed, meilisearch.TaskStatusCanceled:
			return e.fail(ctx, &failure{Code: t.Error.Code, Message: t.Error.Message, task: fmt.Sprintf("%s %d %s", t.Type, info.TaskUID, t.Status)})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// failure is what Meilisearch says of a request or a task that failed.
type failure struct {
	status  int // of HTTP; 0 for a task
	task    string
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string {
	return strings.TrimSpace(fmt.Sprintf("meilisearch: %s %d %s: %s", f.task, f.status, f.Code, f.Message))
}

// codeOf is Meilisearch's code of an error, or "".
func codeOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.Code
	}
	if m, ok := errors.AsType[*meilisearch.Error](err); ok {
		return m.MeilisearchApiError.Code
	}
	return ""
}

// fail turns an error of Meilisearch into one for people. The library's own
// carries the whole request, which does not belong into a log.
func (e *Engine) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*clyde.Error](err); ok {
		return err
	}
	if m, ok := errors.AsType[*meilisearch.Error](err); ok {
		f := &failure{task: m.Function, status: m.StatusCode, Code: m.MeilisearchApiError.Code, Message: m.MeilisearchApiError.Message}
		if m.OriginError != nil {
			f.Message = m.OriginError.Error()
		}
		err = f
	}
	f, ok := errors.AsType[*failure](err)
	switch {
	case ok && (f.status == http.StatusUnauthorized || f.status == http.StatusForbidden):
		return clyde.Errorf(clyde.ErrUnavailable, "the search engine refuses the server's key").WithCode("search_key_refused").Because(err).
			Fix("Give the server a key of Meilisearch in search.key_file that may search, and write documents, indexes and settings.")
	case ok && f.Code == "no_space_left_on_device":
		return clyde.Errorf(clyde.ErrUnavailable, "the search engine's disk is full").WithCode("search_disk_full").Because(err).
			Fix("Make room where Meilisearch keeps its data; the server goes on by itself.")
	case ok && f.Code != "":
		return clyde.Errorf(clyde.ErrUnavailable, "the search engine refused a request").WithCode("search_refused").Because(err)
	}
	return clyde.Errorf(clyde.ErrUnavailable, "the search engine does not answer").WithCode("search_unavailable").Because(err)
}

// ready refuses what comes after Close, or after ctx ended.
func (e *Engine) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.closed.Load() {
		return clyde.Errorf(clyde.ErrUnavailable, "search is shutting down").WithCode("search_closed")
	}
	return nil
}

// Len implements index.Engine: as Meilisearch says, or said when it last did.
func (e *Engine) Len() int {
	ctx, cancel := context.WithTimeout(context.Background(), searchTimeout)
	defer cancel()
	if n, err := e.count(ctx, e.main()); err == nil {
		e.length.Store(n)
	}
	return int(e.length.Load())
}

func (e *Engine) count(ctx context.Context, uid string) (int64, error) {
	s, err := e.api.Index(uid).GetStatsWithContext(ctx, nil)
	if err != nil {
		return 0, e.fail(ctx, err)
	}
	return s.NumberOfDocuments, nil
}

// Close implements index.Engine. What Meilisearch has stays.
func (e *Engine) Close() error {
	e.closed.Store(true)
	e.http.CloseIdleConnections()
	return nil
}
