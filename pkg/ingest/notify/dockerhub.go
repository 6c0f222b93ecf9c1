package notify

import (
	"net/http"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// dockerHub reads a push to a repository of Docker Hub. The second it happened
// in is part of the body; a deletion is never sent. The callback address is
// never asked.
func dockerHub(_ http.Header, body []byte) (Delivery, error) {
	var e struct {
		Push *struct {
			Tag    string `json:"tag"`
			Pusher string `json:"pusher"`
			At     int64  `json:"pushed_at"`
		} `json:"push_data"`
		Repository struct {
			Name string `json:"repo_name"`
		} `json:"repository"`
	}
	if err := decode("Docker Hub", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Push == nil || e.Repository.Name == "" {
		return Delivery{}, bad("the notification is no event of Docker Hub: it has no push_data or no repository")
	}
	d := Delivery{Notes: []Note{{Action: clyde.ActionPush, Repository: e.Repository.Name, Tag: e.Push.Tag, Actor: e.Push.Pusher}}}
	if e.Push.At != 0 {
		d.ID = hashOf(body)
	}
	return d, nil
}
