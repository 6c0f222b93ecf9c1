package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxLookup bounds a provider's answer about a repository, in bytes: GitHub's
// have some 7 KB.
const maxLookup = 1 << 20

// NewLookup returns a Lookup that asks the providers' public APIs, without
// credentials: private repositories are not found. It speaks to hosts of
// configured issuers only.
func NewLookup(client *http.Client) Lookup {
	c := *client
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		// GitHub redirects a renamed repository, within its API.
		if len(via) > 3 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return func(ctx context.Context, i TrustedIssuer, repository string) (owner, repo string, err error) {
		owner, repo, err = ask(ctx, &c, i, repository)
		if err != nil && clyde.AsError(err) == nil {
			return "", "", clyde.Errorf(clyde.ErrUnavailable, "%s cannot be asked about %s: %v", i.Name, repository, err).WithCode("lookup_failed").
				Fix("Give owner_id and repository_id, the numeric identifiers.")
		}
		return owner, repo, err
	}
}

// lookupURL is where a provider tells about a repository.
func lookupURL(i TrustedIssuer, repository string) string {
	site := i.site()
	switch {
	case i.Kind == KindGitLab:
		return strings.TrimSuffix(i.URL, "/") + "/api/v4/projects/" + url.PathEscape(repository)
	case i.Kind == KindForgejo:
		return site + "/api/v1/repos/" + repository // its form was checked: two names
	case i.URL == GitHubIssuer:
		return "https://api.github.com/repos/" + repository
	}
	return site + "/api/v3/repos/" + repository
}

func ask(ctx context.Context, c *http.Client, i TrustedIssuer, repository string) (owner, repo string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, lookupURL(i, repository), nil)
	if err != nil {
		return "", "", errors.New("its address is none")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "clyde-registry")
	resp, err := c.Do(req)
	if err != nil {
		return "", "", errors.New("it does not answer")
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", "", clyde.Errorf(clyde.ErrInvalid, "repository: %s has no public repository %s", i.Name, repository).WithCode("publisher_invalid").
			Fix("Check the spelling.").Fix("Give owner_id and repository_id, the numeric identifiers, of a private one.")
	default:
		return "", "", fmt.Errorf("it answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxLookup+1))
	if err != nil || len(b) > maxLookup {
		return "", "", errors.New("its answer is too large, or broke off")
	}
	type numbered struct {
		ID json.Number `json:"id"`
	}
	var out struct {
		numbered

		Owner     numbered `json:"owner"`
		Namespace numbered `json:"namespace"`
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return "", "", errors.New("its answer has another shape")
	}
	if i.Kind == KindGitLab {
		return out.Namespace.ID.String(), out.ID.String(), nil
	}
	return out.Owner.ID.String(), out.ID.String(), nil
}
