package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// PublishedBy says how a version was published.
type PublishedBy struct {
	Kind        string `json:"kind"` // trusted: from CI, by its identity | account | token
	Login       string `json:"login,omitempty"`
	Provider    string `json:"provider,omitempty"` // github | gitlab | forgejo | oidc
	Repository  string `json:"repository,omitempty"`
	Commit      string `json:"commit,omitempty"`
	Ref         string `json:"ref,omitempty"`
	Workflow    string `json:"workflow,omitempty"`
	Environment string `json:"environment,omitempty"`
	RunURL      string `json:"run_url,omitempty"`
	Actor       string `json:"actor,omitempty"`
}

// TrustedIssuer is an OIDC issuer whose tokens a registry accepts.
type TrustedIssuer struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	Kind     string `json:"kind"`     // github | gitlab | forgejo | generic
	Audience string `json:"audience"` // what its tokens must be made for
}

// TrustedAudience says what identity tokens must be made for.
type TrustedAudience struct {
	Audience string          `json:"audience"`
	Issuers  []TrustedIssuer `json:"issuers"`
}

// ExchangedToken is a token for one package, in exchange for an identity token.
type ExchangedToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
	Seconds int       `json:"expires_in"`
	Package string    `json:"package"`
	New     bool      `json:"new"` // the package does not exist yet
}

// TrustedPublisherRequest says which CI runs may publish a package.
type TrustedPublisherRequest struct {
	Issuer       string            `json:"issuer,omitempty"`
	Repository   string            `json:"repository,omitempty"`
	OwnerID      string            `json:"owner_id,omitempty"`
	RepositoryID string            `json:"repository_id,omitempty"`
	Workflow     string            `json:"workflow,omitempty"`
	JobWorkflow  string            `json:"job_workflow,omitempty"`
	Ref          string            `json:"ref,omitempty"`
	Environment  string            `json:"environment,omitempty"`
	Claims       map[string]string `json:"claims,omitempty"`
}

// TrustedPublisher is a CI workflow that may publish a package.
type TrustedPublisher struct {
	TrustedPublisherRequest

	ID      string     `json:"id"`
	Package string     `json:"package"`
	Kind    string     `json:"kind"`
	By      string     `json:"added_by"`
	Created time.Time  `json:"created_at"`
	Pending bool       `json:"pending"` // its package does not exist yet
	Expires *time.Time `json:"expires_at,omitempty"`
	Used    *time.Time `json:"last_used_at,omitempty"`
}

// TrustedAudience returns what identity tokens for this registry are made for.
func (c *Client) TrustedAudience(ctx context.Context) (TrustedAudience, error) {
	var out TrustedAudience
	err := c.get(ctx, "/trusted-publishing/audience", nil, &out)
	return out, err
}

// Exchange turns the identity token of a CI run into a token of the registry.
// The zero name is the one package that the run may publish.
func (c *Client) Exchange(ctx context.Context, token string, name clyde.Name) (ExchangedToken, error) {
	req := struct {
		Token   string `json:"token"`
		Package string `json:"package,omitempty"`
	}{Token: token}
	if name != (clyde.Name{}) {
		req.Package = name.String()
	}
	var out ExchangedToken
	err := c.call(ctx, http.MethodPost, "/trusted-publishing/exchange", req, &out, nil)
	return out, err
}

func publishersPath(name clyde.Name) string { return packagePath(name) + "/trusted-publishers" }

// TrustedPublishers returns the CI workflows that may publish a package.
func (c *Client) TrustedPublishers(ctx context.Context, name clyde.Name) ([]TrustedPublisher, error) {
	return list[TrustedPublisher](ctx, c, publishersPath(name), nil)
}

// AddTrustedPublisher lets a CI workflow publish a package.
func (c *Client) AddTrustedPublisher(ctx context.Context, name clyde.Name, req TrustedPublisherRequest) (TrustedPublisher, error) {
	var out TrustedPublisher
	err := c.call(ctx, http.MethodPost, publishersPath(name), req, &out, nil)
	return out, err
}

// RemoveTrustedPublisher ends the trust in a CI workflow.
func (c *Client) RemoveTrustedPublisher(ctx context.Context, name clyde.Name, id string) error {
	return c.call(ctx, http.MethodDelete, publishersPath(name)+"/"+url.PathEscape(id), nil, nil, nil)
}
