package client

import (
	"context"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// LinkedTag is a tag of a linked repository on its way to be a version.
type LinkedTag struct {
	Tag      string     `json:"tag"`
	State    string     `json:"state"` // waiting | failed | done
	Version  string     `json:"version,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Fix      string     `json:"fix,omitempty"`
	Attempt  int        `json:"attempt"`
	Received time.Time  `json:"received_at"`
	Next     *time.Time `json:"next_at,omitempty"`
}

// LinkedRepository is the repository that a package is published from.
type LinkedRepository struct {
	ID           string      `json:"id"`
	Package      string      `json:"package"`
	Repository   string      `json:"repository"`
	RepositoryID string      `json:"repository_id"`
	By           string      `json:"linked_by"`
	Created      time.Time   `json:"created_at"`
	Webhook      string      `json:"webhook"`
	Secret       string      `json:"secret,omitempty"` // when it is linked
	Tags         []LinkedTag `json:"tags"`
}

func linkPath(name clyde.Name) string { return packagePath(name) + "/repository" }

// LinkedRepository returns what a package is published from, or
// clyde.ErrNotFound.
func (c *Client) LinkedRepository(ctx context.Context, name clyde.Name) (out LinkedRepository, err error) {
	return out, c.call(ctx, http.MethodGet, linkPath(name), nil, &out, nil)
}

// LinkRepository has a package published from a repository of GitHub. The token
// is GitHub's, of somebody who administers the repository.
func (c *Client) LinkRepository(ctx context.Context, name clyde.Name, repository, token string) (out LinkedRepository, err error) {
	return out, c.call(ctx, http.MethodPut, linkPath(name), map[string]string{"repository": repository, "token": token}, &out, nil)
}

// UnlinkRepository ends that.
func (c *Client) UnlinkRepository(ctx context.Context, name clyde.Name) error {
	return c.call(ctx, http.MethodDelete, linkPath(name), nil, nil, nil)
}

// PublishTag has a tag of the linked repository fetched and published.
func (c *Client) PublishTag(ctx context.Context, name clyde.Name, tag string) (out LinkedRepository, err error) {
	return out, c.call(ctx, http.MethodPost, linkPath(name)+"/tags", map[string]string{"tag": tag}, &out, nil)
}
