package notify

import (
	"net/http"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// ecr reads what EventBridge sends of Amazon ECR: image, artifact and referrer
// actions alike. A push that failed is no push.
func ecr(_ http.Header, body []byte) (Delivery, error) {
	var e struct {
		ID     string `json:"id"`
		Source string `json:"source"`
		Detail *struct {
			Result     string `json:"result"`
			Repository string `json:"repository-name"`
			Digest     string `json:"image-digest"`
			Artifact   string `json:"artifact-digest"`
			Action     string `json:"action-type"`
			Tag        string `json:"image-tag"`
		} `json:"detail"`
	}
	if err := decode("EventBridge", body, &e); err != nil {
		return Delivery{}, err
	}
	if e.Source != "aws.ecr" || e.Detail == nil {
		return Delivery{}, bad("the notification is no event of Amazon ECR: its source is %.80q", e.Source)
	}
	d, x := Delivery{ID: e.ID}, e.Detail
	if x.Result != "" && x.Result != "SUCCESS" {
		return d, nil
	}
	n := Note{Repository: x.Repository, Tag: x.Tag, Digest: x.Digest}
	if n.Digest == "" {
		n.Digest = x.Artifact
	}
	switch x.Action {
	case "PUSH":
		n.Action = clyde.ActionPush
	case "DELETE":
		n.Action = clyde.ActionDelete
	default:
		return d, nil
	}
	d.Notes = []Note{n}
	return d, nil
}
