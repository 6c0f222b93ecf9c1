package catalog

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Ways of publishing.
const (
	ByRun     = "trusted" // a CI run, by its identity: trusted publishing
	ByAccount = "account" // a person, or a robot that has an account
	ByToken   = "token"   // a token of the registry's own
)

// PublishedBy says how a version was published. What a CI provider vouched for
// is there for ByRun alone.
type PublishedBy struct {
	Kind        string `json:"kind" enum:"trusted,account,token" doc:"trusted: by a CI run's own identity"`
	Login       string `json:"login,omitempty" doc:"of the account"`
	Provider    string `json:"provider,omitempty" enum:"github,gitlab,forgejo,oidc" doc:"of the CI run"`
	Repository  string `json:"repository,omitempty" doc:"address of the repository that the run was of" example:"https://github.com/acme/zlib"`
	Commit      string `json:"commit,omitempty" doc:"revision that the run built"`
	Ref         string `json:"ref,omitempty" doc:"branch or tag that the run built" example:"refs/tags/v1.3.1"`
	Workflow    string `json:"workflow,omitempty" doc:"file that the run came from"`
	Environment string `json:"environment,omitempty" doc:"of the job"`
	RunURL      string `json:"run_url,omitempty" doc:"address of the run"`
	Actor       string `json:"actor,omitempty" doc:"who started the run, at the provider"`
}

// publishedBy returns how a release was published, or nil where it is not
// known.
func (c *Catalog) publishedBy(ctx context.Context, r store.Release) (*PublishedBy, error) {
	p, err := c.DB.Publication(ctx, r.Repo, r.VersionKey)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(p.Run) > 0:
		var run account.Run
		if err := json.Unmarshal(p.Run, &run); err != nil {
			return nil, err
		}
		return &PublishedBy{
			Kind: ByRun, Provider: run.Provider, Repository: run.Repository, Commit: run.Commit, Ref: run.Ref, Workflow: run.Workflow,
			Environment: run.Env, RunURL: run.Link(), Actor: run.Actor,
		}, nil
	case p.Account != 0:
		return &PublishedBy{Kind: ByAccount, Login: p.Login}, nil
	}
	return &PublishedBy{Kind: ByToken}, nil
}
