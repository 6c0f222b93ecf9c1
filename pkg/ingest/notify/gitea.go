package notify

import (
	"net/http"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// gitea reads the event package of Gitea and Forgejo. It has no digest: the
// version is a tag, or the digest of what has none.
func gitea(h http.Header, body []byte) (Delivery, error) {
	var e struct {
		Action  string `json:"action"` // created | deleted
		Package *struct {
			Owner struct {
				Login string `json:"login"`
			} `json:"owner"`
			Type    string `json:"type"`
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"package"`
		Sender struct {
			Login string `json:"login"`
		} `json:"sender"`
	}
	if err := decode("Gitea", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Package == nil {
		return Delivery{}, bad("the notification is no package event of Gitea: it has no package")
	}
	d := Delivery{ID: h.Get("X-Gitea-Delivery")}
	if e.Package.Type != "container" {
		return d, nil
	}
	n := Note{Repository: e.Package.Owner.Login + "/" + e.Package.Name, Tag: e.Package.Version, Actor: e.Sender.Login}
	switch e.Action {
	case "created":
		n.Action = clyde.ActionPush
	case "deleted":
		n.Action = clyde.ActionDelete
	default:
		return d, nil
	}
	d.Notes = []Note{n}
	return d, nil
}
