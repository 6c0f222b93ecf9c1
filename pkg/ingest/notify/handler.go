package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// BasePath is where endpoints begin: BasePath + name, and for those with a
// secret path a slash and the secret.
const BasePath = "/api/v1/events/"

// maxBodies is how many bodies are held at once. Ours: with MaxBody it bounds the
// memory of a burst, and what is read takes a millisecond.
const maxBodies = 8

// bodyTimeout is how long a notification may take to arrive. Ours: registries
// are near, and give up themselves after 3 to 30 s.
const bodyTimeout = 10 * time.Second

// Endpoint takes the notifications of one registry.
type Endpoint struct {
	Name  string // in its address, and the source of its events
	Kind  string // which Parse reads
	Proof Proof
	// Repo returns what we call a repository of the registry, "acme/zlib", or
	// the name unchanged where it is none of ours; false where it concerns nobody.
	Repo func(repository string) (string, bool)
}

// Inbox stores events durably; *store.DB implements it.
type Inbox interface {
	PutDelivery(ctx context.Context, endpoint, id string, evs []clyde.Event) (fresh bool, err error)
	ParkEvent(ctx context.Context, ev clyde.Event, reason string) error
}

// Handler answers 202 once what a notification reports is stored. What is no
// notification at all is stored as well, parked with the reason: a refusal would
// only stop the queue of whoever sends it.
type Handler struct {
	endpoints map[string]*Endpoint
	inbox     Inbox
	log       *slog.Logger
	now       func() time.Time
	bodies    chan struct{}
}

// New returns a handler of those endpoints. A kind that does not exist, and a
// name that is there twice, are errors.
func New(endpoints []*Endpoint, inbox Inbox, log *slog.Logger, now func() time.Time) (*Handler, error) {
	h := &Handler{endpoints: map[string]*Endpoint{}, inbox: inbox, log: log, now: now, bodies: make(chan struct{}, maxBodies)}
	for _, e := range endpoints {
		if _, ok := adapters[e.Kind]; !ok {
			return nil, fmt.Errorf("notify: endpoint %s: unknown kind %q", e.Name, e.Kind)
		}
		if h.endpoints[e.Name] != nil {
			return nil, fmt.Errorf("notify: endpoint %s is there twice", e.Name)
		}
		h.endpoints[e.Name] = e
	}
	return h, nil
}

// Accepted is the answer to a notification.
type Accepted struct {
	Events    int  `json:"events"`              // how many of its reports concern us
	Duplicate bool `json:"duplicate,omitempty"` // it came before, and was not stored again
}

// ServeHTTP takes one notification.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	a, err := h.take(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(a) // whoever sent it has gone, at worst
}

func (h *Handler) take(w http.ResponseWriter, r *http.Request) (Accepted, error) {
	name, part, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, BasePath), "/")
	e := h.endpoints[name]
	if e == nil {
		return Accepted{}, errNoEndpoint()
	}
	if err := e.Proof.Knows(r, part); err != nil {
		return Accepted{}, err
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Accepted{}, errMethod
	}
	d, parked, err := h.understand(w, r, e)
	if err != nil || parked {
		return Accepted{}, err
	}
	var evs []clyde.Event
	for _, n := range d.Notes {
		repo, ok := e.Repo(n.Repository)
		if !ok {
			continue
		}
		ev := clyde.Event{Source: e.Name, Action: n.Action, Repo: repo, Tag: n.Tag, Digest: n.Digest, Actor: e.Name, Received: h.now().UTC()}
		if n.Actor != "" {
			ev.Actor += ": " + n.Actor
		}
		evs = append(evs, ev)
	}
	if len(evs) == 0 {
		return Accepted{}, nil
	}
	fresh, err := h.inbox.PutDelivery(r.Context(), e.Name, d.ID, evs)
	return Accepted{Events: len(evs), Duplicate: !fresh}, err
}

// errMethod is answered with 405.
var errMethod = errors.New("notifications are posted")

// understand reads the body, when it is its turn, and what it reports. The body
// is let go before anything waits for the disk.
func (h *Handler) understand(w http.ResponseWriter, r *http.Request, e *Endpoint) (d Delivery, parked bool, err error) {
	select {
	case h.bodies <- struct{}{}:
		defer func() { <-h.bodies }()
	case <-r.Context().Done():
		return d, false, r.Context().Err()
	}
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(bodyTimeout)) // a writer in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	_ = ctl.SetReadDeadline(time.Time{})
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return d, false, clyde.Errorf(clyde.ErrTooLarge, "the notification has more than %d bytes", MaxBody).WithCode("notification_too_large")
	}
	if err != nil {
		return d, false, bad("the notification did not arrive whole")
	}
	if err := e.Proof.Signed(r.Header, body); err != nil {
		return d, false, err
	}
	if d, err = Parse(e.Kind, r.Header, body); err != nil {
		return d, true, h.park(r.Context(), e, body, err)
	}
	return d, false, nil
}

// park keeps what nobody understands where an operator finds it.
func (h *Handler) park(ctx context.Context, e *Endpoint, body []byte, why error) error {
	ev := clyde.Event{Source: e.Name, Action: clyde.ActionPush, Digest: hashOf(body), Actor: e.Name, Received: h.now().UTC()}
	h.log.WarnContext(ctx, "notify: not understood", "endpoint", e.Name, "bytes", len(body), "err", why)
	return h.inbox.ParkEvent(ctx, ev, why.Error())
}

// refuse answers with a problem document.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, code, detail := http.StatusServiceUnavailable, "unavailable", "the notification could not be stored; send it again"
	e := clyde.AsError(err)
	switch {
	case errors.Is(err, errMethod):
		status, code, detail = http.StatusMethodNotAllowed, "method_not_allowed", err.Error()
	case errors.Is(err, clyde.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, clyde.ErrUnauthenticated):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="events"`)
	case errors.Is(err, clyde.ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, clyde.ErrInvalid):
		status = http.StatusBadRequest
	default:
		h.log.ErrorContext(r.Context(), "notify: not stored", "err", err)
		e = nil
	}
	var fixes []string
	if e != nil {
		code, detail, fixes = e.Code, e.Msg, e.Fixes
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string   `json:"type"`
		Title  string   `json:"title"`
		Status int      `json:"status"`
		Detail string   `json:"detail"`
		Code   string   `json:"code"`
		Fixes  []string `json:"fixes,omitempty"`
	}{"about:blank", http.StatusText(status), status, detail, code, fixes})
}
