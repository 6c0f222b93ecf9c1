package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Fields of the feed's answers.
const (
	epochHeader = "Clyde-Epoch"    // identifies one history of the feed
	lastHeader  = "Clyde-Last-Seq" // last sequence number that the answer looked at
)

const eventStream = "text/event-stream"

type changesInput struct {
	Since int64  `query:"since" minimum:"0" doc:"Sequence number after which to begin; 0 for everything."`
	Epoch string `query:"epoch" maxLength:"64" doc:"Clyde-Epoch of an earlier answer: 409 where the feed has begun anew since."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"Entries looked at for one answer; a stream goes on."`
	Last  string `header:"Last-Event-ID" maxLength:"96" doc:"The id of the last event, which browsers send when they connect again; it wins over since."`
}

func (s *server) changes() {
	add(s, operation{
		id: "list-changes", method: "GET", path: base + "/changes", tag: "feed", summary: "Follow what happens",
		about:  "The change feed: one JSON object an entry, in the order in which things became true, a page at a time, and then the end. With Accept: text/event-stream a stream that stays open. Ask again from Clyde-Last-Seq.",
		errors: []int{409}, content: map[string]any{
			ndjson:      `{"seq":42,"time":"2026-01-31T12:00:00Z","type":"version.published","package":"@acme/zlib","version":"1.3.1","digest":"sha256:…","actor":"ci of acme"}` + "\n",
			eventStream: "id: 2f1c.42\nevent: version.published\ndata: {\"seq\":42,…}\n\n",
		},
	}, s.feed)
}

func (s *server) feed(ctx context.Context, in *changesInput) (*streamOutput, error) {
	c := callOf(ctx)
	epoch, err := s.Catalog.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	since, known := in.Since, in.Epoch
	if in.Last != "" {
		e, n, ok := strings.Cut(in.Last, ".")
		if since, err = strconv.ParseInt(n, 10, 64); !ok || err != nil || since < 0 {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the Last-Event-ID is none of this feed").WithCode("event_id_invalid").Fix("Start over without it.")
		}
		known = e
	}
	if known != "" && known != epoch {
		return nil, clyde.Errorf(clyde.ErrConflict, "the change feed has begun anew").WithCode("epoch_changed").Fix("Start over from 0.")
	}
	if strings.Contains(c.r.Header.Get("Accept"), eventStream) {
		release, err := s.streams.open(c.caller)
		if err != nil {
			return nil, err
		}
		return &streamOutput{func(hc huma.Context) {
			defer release()
			s.follow(hc, epoch, since)
		}}, nil
	}
	items, last, err := s.Catalog.Changes(ctx, c.who, since, in.Limit)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, ch := range items {
		if err := encode(&b, ch); err != nil {
			return nil, err
		}
	}
	return &streamOutput{func(hc huma.Context) {
		c.cache = cacheRevalidate
		hc.SetHeader("Content-Type", ndjson)
		hc.SetHeader(epochHeader, epoch)
		hc.SetHeader(lastHeader, strconv.FormatInt(last, 10))
		if last > since {
			hc.SetHeader("Link", s.next(ctx, "since", strconv.FormatInt(last, 10)))
		}
		hc.SetHeader("ETag", etag(append(b.Bytes(), lastHeader+epoch+strconv.FormatInt(last, 10)...)))
		hc.SetStatus(http.StatusOK)
		_, _ = hc.BodyWriter().Write(b.Bytes())
	}}, nil
}

// follow writes events as they come, until the caller goes, the server stops,
// the token is revoked, or MaxStream is over.
func (s *server) follow(hc huma.Context, epoch string, since int64) {
	r, w := unwrap(hc)
	c := callOf(hc.Context())
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	out := c.w.direct(http.StatusOK)
	ctl := http.NewResponseController(out)
	send := func(b []byte) error {
		_ = ctl.SetWriteDeadline(time.Now().Add(StreamWrite)) // a writer without deadlines has none
		if _, err := out.Write(b); err != nil {
			return err
		}
		return ctl.Flush()
	}
	defer func() { _ = ctl.SetWriteDeadline(time.Time{}) }()
	out.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead || send([]byte(": clyde change feed\n\n")) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), MaxStream)
	defer cancel()
	beat := time.NewTicker(s.Heartbeat)
	defer beat.Stop()
	for {
		ready := s.Catalog.ChangesReady() // before looking, so that nothing slips between
		b, last, more, err := s.events(ctx, c, epoch, since)
		if err != nil || len(b) > 0 && send(b) != nil {
			return
		}
		since = last
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ready:
		case <-beat.C:
			if send([]byte(": still here\n\n")) != nil {
				return
			}
		}
	}
}

// streamBatch is how many entries a stream reads at once.
const streamBatch = 100

// events renders the next entries that the caller may see, now.
func (s *server) events(ctx context.Context, c *call, epoch string, since int64) (b []byte, last int64, more bool, err error) {
	p, err := s.authenticate(c.r)
	if err != nil {
		return nil, 0, false, err
	}
	items, last, err := s.Catalog.Changes(ctx, p, since, streamBatch)
	if err != nil {
		return nil, 0, false, err
	}
	var buf bytes.Buffer
	for _, ch := range items {
		if err := event(&buf, epoch, ch); err != nil {
			return nil, 0, false, err
		}
	}
	return buf.Bytes(), last, last-since >= streamBatch, nil
}

func event(w *bytes.Buffer, epoch string, ch store.Change) error {
	data, err := json.Marshal(ch)
	if err == nil {
		fmt.Fprintf(w, "id: %s.%d\nevent: %s\ndata: %s\n\n", epoch, ch.Seq, ch.Type, data)
	}
	return err
}

// streams counts open streams.
type streams struct {
	mu    sync.Mutex
	total int
	by    map[string]int
}

func (t *streams) open(caller string) (release func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[caller] >= MaxStreamsEach || t.total >= MaxStreamsAtOnce {
		r := refuse(http.StatusTooManyRequests, "too_many_streams", "too many event streams are open").fix("Close one, or ask without Accept: text/event-stream.")
		r.err.Kind = clyde.ErrRateLimited
		r.header.Set("Retry-After", "60")
		return nil, r
	}
	t.by[caller]++
	t.total++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.total--
		if t.by[caller]--; t.by[caller] == 0 {
			delete(t.by, caller)
		}
	}, nil
}
