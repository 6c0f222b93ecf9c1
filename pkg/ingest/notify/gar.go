package notify

import (
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// artifactRegistry reads what Google's Artifact Registry publishes to the topic
// "gcr", pushed by Pub/Sub in its envelope, or unwrapped. Digest and tag are
// whole references; their host is not believed.
func artifactRegistry(_ http.Header, body []byte) (Delivery, error) {
	type change struct {
		Action string `json:"action"`
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
	}
	var e struct {
		change
		Message *struct {
			Data []byte `json:"data"` // base64
			ID   string `json:"messageId"`
		} `json:"message"`
	}
	if err := decode("Pub/Sub", body, &e); err != nil {
		return Delivery{}, err
	}
	var d Delivery
	c := e.change
	if e.Message != nil {
		d.ID, c = e.Message.ID, change{}
		if err := decode("Artifact Registry", e.Message.Data, &c); err != nil {
			return Delivery{}, err
		}
	}
	n := Note{}
	switch c.Action {
	case "INSERT":
		n.Action = clyde.ActionPush
	case "DELETE":
		n.Action = clyde.ActionDelete
	default:
		return Delivery{}, bad("the notification is no event of Artifact Registry: its action is %.80q", c.Action)
	}
	if name, digest, ok := strings.Cut(c.Digest, "@"); ok {
		n.Repository, n.Digest = name, digest
	}
	if name, tag := lastColon(c.Tag); name != "" {
		n.Repository, n.Tag = name, tag
	}
	_, n.Repository, _ = strings.Cut(n.Repository, "/") // the host
	d.Notes = []Note{n}
	return d, nil
}
