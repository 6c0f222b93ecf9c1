package catalog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Refusal is something that was pushed and could not be taken.
type Refusal struct {
	ID       int64     `json:"id" doc:"of the event in the inbox"`
	Tag      string    `json:"tag,omitempty" doc:"that was pushed"`
	Digest   string    `json:"digest,omitempty"`
	Reason   string    `json:"reason" doc:"why it could not be taken"`
	Source   string    `json:"source" doc:"where it was heard of: registry, sweep, api, or the name of another registry"`
	Received time.Time `json:"received_at"`
}

// Problems lists what was pushed to a package and could not be taken, the newest
// first. Who may not see the package gets clyde.ErrNotFound, as for one that does
// not exist. Of one that is public everybody sees what was heard of it where it
// comes from; the rest, and what there is of a package that never was, is for
// those who hold a role on it.
func (c *Catalog) Problems(ctx context.Context, p account.Principal, name clyde.Name) ([]Refusal, error) {
	repo := name.Repo()
	set, err := c.DB.Setting(ctx, repo)
	if err != nil {
		return nil, err
	}
	home := ""
	up, err := c.DB.UpstreamRepo(ctx, repo)
	if err == nil && c.HomeName != nil {
		home = c.HomeName(up.Host)
	}
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return nil, err
	}
	items, err := c.DB.Problems(ctx, repo)
	if err != nil {
		return nil, err
	}
	holds := account.Allowed(p, account.Pull, account.Resource{Repo: repo, Private: true})
	out := []Refusal{}
	for _, it := range items {
		if !holds && (set.Private || home == "" || it.Event.Source != home) {
			continue
		}
		out = append(out, Refusal{
			ID: it.Event.ID, Tag: it.Event.Tag, Digest: it.Event.Digest, Reason: strings.ToValidUTF8(it.Reason, "�"),
			Source: it.Event.Source, Received: it.Event.Received,
		})
	}
	if len(out) > 0 {
		return out, nil
	}
	if _, err := c.see(ctx, p, name); err != nil {
		return nil, err
	}
	return out, nil
}
