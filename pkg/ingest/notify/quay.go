package notify

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// quay reads a push to a repository: a list of tags, in very old versions an
// object by tag. There is no identifier, and the same tags pushed again look the
// same: nothing may be taken for a repetition. A deletion is never sent.
func quay(_ http.Header, body []byte) (Delivery, error) {
	var e struct {
		Repository string          `json:"repository"`
		Tags       json.RawMessage `json:"updated_tags"`
	}
	if err := decode("Quay", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Repository == "" {
		return Delivery{}, bad("the notification is no event of Quay: it has no repository")
	}
	if len(e.Tags) == 0 {
		return Delivery{}, nil // a scan, a build
	}
	var tags []string
	if json.Unmarshal(e.Tags, &tags) != nil {
		var by map[string]json.RawMessage
		if err := json.Unmarshal(e.Tags, &by); err != nil {
			return Delivery{}, bad("the notification is no event of Quay: updated_tags is neither a list nor an object")
		}
		tags = slices.Sorted(maps.Keys(by))
	}
	var d Delivery
	for _, t := range tags {
		d.Notes = append(d.Notes, Note{Action: clyde.ActionPush, Repository: e.Repository, Tag: t})
	}
	return d, nil
}
