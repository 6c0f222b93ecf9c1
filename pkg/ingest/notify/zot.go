package notify

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// zotData is what zot says of an image.
type zotData struct {
	Name      string `json:"name"`
	Reference string `json:"reference"` // a tag or a digest
	Digest    string `json:"digest"`
	Actor     struct {
		Name string `json:"name"`
	} `json:"actor"`
}

// zot reads CloudEvents in binary mode, where the header says what the body is,
// and in structured mode. Its source is a constant: the host is never in it.
func zot(h http.Header, body []byte) (Delivery, error) {
	kind, id := h.Get("Ce-Type"), h.Get("Ce-Id")
	var data zotData
	if kind == "" {
		var e struct {
			ID   string          `json:"id"`
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		}
		if err := decode("CloudEvents", body, &e); err != nil {
			return Delivery{}, err
		}
		if kind, id, body = e.Type, e.ID, e.Data; len(body) == 0 {
			body = []byte("{}")
		}
	}
	image, ok := strings.CutPrefix(kind, "zotregistry.")
	if !ok {
		return Delivery{}, bad("the notification is no event of zot: its type is %.80q", kind)
	}
	d := Delivery{ID: id}
	if err := decode("zot", body, &data); err != nil {
		return Delivery{}, err
	}
	n := Note{Repository: data.Name, Tag: data.Reference, Digest: data.Digest, Actor: data.Actor.Name}
	switch image {
	case "image.updated":
		n.Action = clyde.ActionPush
	case "image.deleted":
		n.Action = clyde.ActionDelete
	default:
		return d, nil
	}
	d.Notes = []Note{n}
	return d, nil
}
