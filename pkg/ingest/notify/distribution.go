package notify

import (
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// distributionEvent is an event of distribution, versions 2 and 3, and of what
// descends from it: GitLab's registry and Azure's.
type distributionEvent struct {
	ID     string `json:"id"`
	Action string `json:"action"` // push | pull | mount | delete, and what descendants add
	Target struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Actor struct {
		Name string `json:"name"`
	} `json:"actor"`
}

// note reads what an event reports. Blobs are stored as octets and never
// interesting by themselves; a deletion names a digest, a tag, or neither.
func (e distributionEvent) note() (Note, bool) {
	n := Note{Repository: e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest, Actor: e.Actor.Name}
	switch e.Action {
	case "push":
		n.Action = clyde.ActionPush
		return n, e.Target.MediaType != "application/octet-stream" && !strings.Contains(e.Target.MediaType, ".layer.")
	case "delete":
		n.Action = clyde.ActionDelete
		return n, true
	}
	return n, false
}

// distribution reads the envelope. Each of its events comes with an identifier,
// and almost always alone.
func distribution(_ http.Header, body []byte) (Delivery, error) {
	var e struct {
		Events []distributionEvent `json:"events"`
	}
	if err := decode("distribution", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Events == nil {
		return Delivery{}, bad("the notification is no distribution envelope: it has no events")
	}
	var d Delivery
	for _, ev := range e.Events {
		if n, ok := ev.note(); ok {
			d.Notes = append(d.Notes, n)
		}
	}
	if len(e.Events) == 1 {
		d.ID = e.Events[0].ID
	}
	return d, nil
}

// azure reads what Azure Container Registry sends: one event of distribution
// without its envelope, and a ping.
func azure(_ http.Header, body []byte) (Delivery, error) {
	var e distributionEvent
	if err := decode("Azure Container Registry", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Action == "" {
		return Delivery{}, bad("the notification is no event of Azure Container Registry: it has no action")
	}
	d := Delivery{ID: e.ID}
	if n, ok := e.note(); ok {
		d.Notes = []Note{n}
	}
	return d, nil
}
