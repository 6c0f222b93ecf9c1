package notify

import (
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// harborData is what both of Harbor's shapes hold.
type harborData struct {
	Resources []struct {
		Digest string `json:"digest"`
		Tag    string `json:"tag"` // the first of several, or the digest where there is none
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

// harborActions are the types that are about artifacts coming and going, in
// both shapes.
var harborActions = map[string]clyde.Action{
	"PUSH_ARTIFACT": clyde.ActionPush, "harbor.artifact.pushed": clyde.ActionPush,
	"DELETE_ARTIFACT": clyde.ActionDelete, "harbor.artifact.deleted": clyde.ActionDelete,
}

// harbor reads the default shape and CloudEvents in structured mode. The default
// one has no identifier; its second is part of the body.
func harbor(_ http.Header, body []byte) (Delivery, error) {
	var e struct {
		Type        string      `json:"type"`
		Operator    string      `json:"operator"`
		EventData   *harborData `json:"event_data"`
		SpecVersion string      `json:"specversion"`
		ID          string      `json:"id"`
		Data        *harborData `json:"data"`
	}
	if err := decode("Harbor", body, &e); err != nil {
		return Delivery{}, err
	}
	data := e.EventData
	d := Delivery{}
	if e.SpecVersion != "" {
		data, d.ID = e.Data, e.ID
	}
	if e.Type == "" || data == nil {
		return Delivery{}, bad("the notification is no event of Harbor: it has no type or no data")
	}
	action, ok := harborActions[e.Type]
	if !ok {
		return d, nil
	}
	for _, r := range data.Resources {
		n := Note{Action: action, Repository: data.Repository.FullName, Tag: r.Tag, Digest: r.Digest, Actor: e.Operator}
		if strings.HasPrefix(n.Tag, "sha256:") {
			n.Tag = ""
		}
		d.Notes = append(d.Notes, n)
	}
	if d.ID == "" {
		d.ID = hashOf(body)
	}
	return d, nil
}
