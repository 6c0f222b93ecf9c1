// Package github reads repositories of GitHub, and of servers that speak its
// API: what a repository is, and the files of a tag as a folder to make a
// package of. It asks one address, and follows it to the hosts that it was told
// of and nowhere else.
package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Where GitHub is.
const (
	DefaultAPI  = "https://api.github.com"
	DefaultSite = "https://github.com"
)

// DefaultArchives are the hosts that GitHub's API sends readers of archives to.
func DefaultArchives() []string { return []string{"codeload.github.com"} }

// Limits of one question to the API, ours: what it says of a repository takes
// some 10 KB.
const (
	maxAnswer    = 1 << 20 // bytes
	MaxRedirects = 4       // of one request: a renamed repository, then its archive
	maxTag       = 255     // bytes of a tag; what file systems hold
)

// fullName is owner/name as GitHub has them.
var fullName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)

// CheckName refuses what is no owner/name. Errors are clyde.ErrInvalid.
func CheckName(s string) error {
	_, base, _ := strings.Cut(s, "/")
	if !fullName.MatchString(s) || base == "." || base == ".." {
		return clyde.Errorf(clyde.ErrInvalid, "%q is no repository of GitHub", short(s)).WithCode("repository_invalid").Fix("write OWNER/NAME")
	}
	return nil
}

// CheckTag refuses what git takes for no tag (git-check-ref-format). Errors are
// clyde.ErrInvalid.
func CheckTag(s string) error {
	bad := s == "" || len(s) > maxTag || strings.Contains(s, "..") || strings.Contains(s, "//") || strings.Contains(s, "@{") ||
		strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasSuffix(s, ".") || s == "@" || strings.HasPrefix(s, "-")
	for _, r := range s {
		bad = bad || r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r)
	}
	for part := range strings.SplitSeq(s, "/") {
		bad = bad || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return clyde.Errorf(clyde.ErrInvalid, "%q is no tag", short(s)).WithCode("tag_invalid")
	}
	return nil
}

func short(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

// Options are what New needs.
type Options struct {
	API       string   // "" is DefaultAPI
	Archives  []string // hosts that the API may send readers of archives to; nil: DefaultArchives
	Token     string   // shown to the API alone; may be empty
	UserAgent string
	// HTTP makes the requests. Its CheckRedirect is replaced. Nil is a client of
	// the system's settings; on a server it is one of pkg/egress.
	HTTP *http.Client
}

// Client reads repositories. Its methods may be called at once.
type Client struct {
	o    Options
	base *url.URL
	http *http.Client
}

// New returns a client. It asks nothing yet.
func New(o Options) (*Client, error) {
	if o.API == "" {
		o.API = DefaultAPI
	}
	if strings.TrimRight(o.API, "/") == DefaultAPI && o.Archives == nil {
		o.Archives = DefaultArchives()
	}
	base, err := url.Parse(strings.TrimRight(o.API, "/"))
	if err != nil || base.Host == "" || base.User != nil || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("github: %q is no address of an API", o.API)
	}
	c := &Client{o: o, base: base, http: &http.Client{}}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	}
	c.http.CheckRedirect = c.follow
	return c, nil
}

// follow allows the API's own host, and those of archives.
func (c *Client) follow(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > MaxRedirects:
		return clyde.Errorf(clyde.ErrUnavailable, "%s redirects too often", c.base.Host).WithCode("redirect_refused")
	case r.URL.Scheme != c.base.Scheme || r.URL.User != nil,
		r.URL.Host != c.base.Host && !slices.Contains(c.o.Archives, r.URL.Host):
		return clyde.Errorf(clyde.ErrDenied, "%s redirects to %s, which is not asked", c.base.Host, r.URL.Host).WithCode("redirect_refused")
	}
	if r.URL.Host != c.base.Host {
		r.Header.Del("Authorization")
	}
	return nil
}

// Repository is what the API says of a repository.
type Repository struct {
	ID      string // numeric; it stays when the repository is renamed or moves
	OwnerID string // numeric
	Name    string // "Acme/zlib", as it is called now
	Private bool
	Admin   bool // whoever the token is of administers it
}

// ByName returns a repository by its name. A repository that is private, or
// not there, is clyde.ErrNotFound.
func (c *Client) ByName(ctx context.Context, name string) (Repository, error) {
	if err := CheckName(name); err != nil {
		return Repository{}, err
	}
	return c.repository(ctx, "/repos/"+name, name)
}

// ByID returns a repository by its number.
func (c *Client) ByID(ctx context.Context, id string) (Repository, error) {
	if _, err := strconv.ParseUint(id, 10, 63); err != nil {
		return Repository{}, clyde.Errorf(clyde.ErrInvalid, "%q is no number of a repository", short(id)).WithCode("repository_invalid")
	}
	return c.repository(ctx, "/repositories/"+id, "the repository "+id)
}

func (c *Client) repository(ctx context.Context, path, what string) (Repository, error) {
	resp, err := c.get(ctx, path, what)
	if err != nil {
		return Repository{}, err
	}
	defer resp.Body.Close()
	var a struct {
		ID       uint64 `json:"id"`
		FullName string `json:"full_name"`
		Private  bool   `json:"private"`
		Owner    struct {
			ID uint64 `json:"id"`
		} `json:"owner"`
		Permissions struct {
			Admin bool `json:"admin"`
		} `json:"permissions"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil || a.ID == 0 || a.Owner.ID == 0 || CheckName(a.FullName) != nil {
		return Repository{}, clyde.Errorf(clyde.ErrUnavailable, "%s answered about %s with something that cannot be read", c.base.Host, what).
			WithCode("github_unreadable").Because(err)
	}
	return Repository{
		ID: strconv.FormatUint(a.ID, 10), OwnerID: strconv.FormatUint(a.Owner.ID, 10),
		Name: a.FullName, Private: a.Private, Admin: a.Permissions.Admin,
	}, nil
}

// Archive opens the gzipped tar of a tag. The repository is a name, or a
// number, which no other repository can take over. The caller closes it.
func (c *Client) Archive(ctx context.Context, repository, tag string) (io.ReadCloser, error) {
	if err := CheckTag(tag); err != nil {
		return nil, err
	}
	path := "/repositories/" + repository
	if _, err := strconv.ParseUint(repository, 10, 63); err != nil {
		if err := CheckName(repository); err != nil {
			return nil, err
		}
		path = "/repos/" + repository
	}
	resp, err := c.get(ctx, path+"/tarball/refs/tags/"+(&url.URL{Path: tag}).EscapedPath(), "the tag "+tag+" of "+repository)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// get asks the API for a path; a success is returned with its body open.
func (c *Client) get(ctx context.Context, path, what string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+path, nil)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s is no address", what).WithCode("repository_invalid").Because(err)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if c.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if e := clyde.AsError(err); e != nil {
			return nil, e
		}
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // without the address, which may carry a token
		}
		return nil, clyde.Errorf(clyde.ErrUnavailable, "cannot reach %s", c.base.Host).WithCode("github_unreachable").Fix("try again in a moment").Because(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refused(resp, what)
}

// refused is the failure that a status means.
func (c *Client) refused(resp *http.Response, what string) error {
	limited := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-RateLimit-Remaining") == "0"
	switch {
	case limited:
		e := clyde.Errorf(clyde.ErrRateLimited, "%s answers no more requests from here until its limit is reset", c.base.Host).WithCode("github_limited")
		if n, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			e = e.Fix("try again after %s", time.Unix(n, 0).UTC().Format(time.TimeOnly+" UTC"))
		}
		return e.Fix("with a token it answers more of them")
	case resp.StatusCode == http.StatusNotFound && c.o.Token == "":
		return clyde.Errorf(clyde.ErrNotFound, "%s has %s not, or not for everybody", c.base.Host, what).WithCode("github_missing").
			Fix("check the spelling").Fix("where it is private: give a token that reads it")
	case resp.StatusCode == http.StatusNotFound:
		return clyde.Errorf(clyde.ErrNotFound, "%s has %s not, or not for this token", c.base.Host, what).WithCode("github_missing").Fix("check the spelling")
	case resp.StatusCode == http.StatusUnauthorized:
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s does not take the token", c.base.Host).WithCode("github_token").Fix("make a new one")
	case resp.StatusCode == http.StatusForbidden:
		return clyde.Errorf(clyde.ErrDenied, "%s refuses %s", c.base.Host, what).WithCode("github_denied")
	case resp.StatusCode >= 500:
		return clyde.Errorf(clyde.ErrUnavailable, "%s answers %d", c.base.Host, resp.StatusCode).WithCode("github_unreachable").Fix("try again in a moment")
	}
	return clyde.Errorf(clyde.ErrUnavailable, "%s answers %d when asked for %s", c.base.Host, resp.StatusCode, what).WithCode("github_unreadable")
}
