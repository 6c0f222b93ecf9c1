// Package linked publishes packages from repositories of GitHub without any CI:
// somebody who administers a repository links it to a package once, and from
// then on GitHub's word that a release was made has its tag fetched, checked
// like any push, and published on behalf of who linked it.
//
// A repository is known by its number. What is fetched comes from the one GitHub
// that the operator configured. Packages that are published by trusted
// publishing alone are not published so.
package linked

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/github"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits, ours.
const (
	MaxEvent     = 1 << 20         // bytes of an event; GitHub's of a release have some 20 KB
	MaxShown     = 20              // tags that a link shows
	MaxAttempts  = 6               // of one tag while GitHub does not answer: half an hour
	FetchTimeout = 5 * time.Minute // of one archive
	lease        = 2 * FetchTimeout
	firstWait    = time.Minute // doubled after each attempt
	poll         = 5 * time.Second
)

// Store is what links need of the store; *store.DB is one.
type Store interface {
	SaveRepoLink(ctx context.Context, l store.RepoLink, audit store.AuditEntry) error
	RepoLink(ctx context.Context, namespace, base string) (store.RepoLink, error)
	RepoLinkByID(ctx context.Context, id string) (store.RepoLink, error)
	RemoveRepoLink(ctx context.Context, l store.RepoLink, audit store.AuditEntry) error
	QueueTag(ctx context.Context, link, tag string, at time.Time) error
	ClaimTag(ctx context.Context, at time.Time, lease time.Duration) (store.TagRun, error)
	EndTag(ctx context.Context, r store.TagRun) error
	TagRuns(ctx context.Context, link string, n int) ([]store.TagRun, error)
}

// Options are what New needs.
type Options struct {
	DB       Store
	Accounts *account.Accounts
	Trusted  *account.Trusted // who may say by whom a package is published
	API      string           // of the one GitHub that is asked; "" is github.DefaultAPI
	Client   *http.Client     // of pkg/egress
	Secret   []byte           // of this registry; secrets of webhooks are made of it
	// Publish is the API's way to publish.
	Publish func(ctx context.Context, who account.Principal, manifest []byte, archive io.Reader, mediaType string) (clyde.Name, string, error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Linked knows which repository a package is published from.
type Linked struct {
	o    Options
	wake chan struct{}
}

// New returns a Linked. It asks nobody anything; Run does the work.
func New(o Options) *Linked { return &Linked{o: o, wake: make(chan struct{}, 1)} }

// Link is a package's repository.
type Link struct {
	store.RepoLink

	Package clyde.Name
	Runs    []store.TagRun // newest first
}

// client asks GitHub, with a token or without.
func (l *Linked) client(token string) (*github.Client, error) {
	return github.New(github.Options{API: l.o.API, Token: token, UserAgent: "clyde-registry", HTTP: l.o.Client})
}

// Set links a package to a repository on behalf of by, who needs the right to
// manage the package, or to publish it first. The token, of GitHub's, must be of
// somebody who administers the repository; it is used for that one question and
// kept nowhere. What the package was linked to before is no longer.
func (l *Linked) Set(ctx context.Context, by account.Principal, name clyde.Name, repository, token string) (Link, error) {
	if err := l.o.Trusted.MayTrust(ctx, by, name); err != nil {
		return Link{}, err
	}
	if strings.TrimSpace(token) == "" {
		return Link{}, clyde.Errorf(clyde.ErrInvalid, "a token of GitHub's has to show that you administer %s", repository).WithCode("proof_missing").
			Fix("make a fine-grained token that reads the repository's metadata; it is used once and not kept")
	}
	c, err := l.client(token)
	if err != nil {
		return Link{}, err
	}
	r, err := c.ByName(ctx, repository)
	if err != nil {
		return Link{}, refused(err)
	}
	if !r.Admin {
		return Link{}, clyde.Errorf(clyde.ErrDenied, "the token is of nobody who administers %s", r.Name).WithCode("repository_not_yours").
			Fix("ask an administrator of the repository to link it")
	}
	now := l.o.Now().UTC()
	row := store.RepoLink{
		Namespace: name.Namespace, Base: name.Base, ID: "rl_" + strings.ToLower(rand.Text()[:16]), Repository: r.Name, RepositoryID: r.ID, OwnerID: r.OwnerID,
		By: by.String(), Account: by.Account, Created: now,
	}
	e := l.audit(by, "repository.link", name)
	after, err := json.Marshal(map[string]string{"repository": r.Name, "repository_id": r.ID, "owner_id": r.OwnerID})
	if err != nil {
		return Link{}, err
	}
	e.After = string(after)
	return Link{RepoLink: row, Package: name}, l.o.DB.SaveRepoLink(ctx, row, e)
}

// refused makes a refusal of GitHub's one of the request: a 401 of ours would
// be about another token.
func refused(err error) error {
	e := clyde.AsError(err)
	if e == nil || errors.Is(err, clyde.ErrUnavailable) || errors.Is(err, clyde.ErrRateLimited) {
		return err
	}
	refusal := clyde.Errorf(clyde.ErrInvalid, "%s", e.Msg).WithCode(e.Code) // without its cause, whose kind would count
	refusal.Fixes = e.Fixes
	return refusal
}

// Get returns what a package is linked to, for who may say so. Errors are
// clyde.ErrNotFound where it is linked to nothing.
func (l *Linked) Get(ctx context.Context, by account.Principal, name clyde.Name) (Link, error) {
	if err := l.o.Trusted.MayTrust(ctx, by, name); err != nil {
		return Link{}, err
	}
	row, err := l.o.DB.RepoLink(ctx, name.Namespace, name.Base)
	if err != nil {
		return Link{}, err
	}
	runs, err := l.o.DB.TagRuns(ctx, row.ID, MaxShown)
	return Link{RepoLink: row, Package: name, Runs: runs}, err
}

// Remove ends the link of a package.
func (l *Linked) Remove(ctx context.Context, by account.Principal, name clyde.Name) error {
	k, err := l.Get(ctx, by, name)
	if err != nil {
		return err
	}
	e := l.audit(by, "repository.unlink", name)
	e.Before = k.Repository
	return l.o.DB.RemoveRepoLink(ctx, k.RepoLink, e)
}

// Retry has a tag published that failed, or of which GitHub never told.
func (l *Linked) Retry(ctx context.Context, by account.Principal, name clyde.Name, tag string) error {
	k, err := l.Get(ctx, by, name)
	if err != nil {
		return err
	}
	if err := github.CheckTag(tag); err != nil {
		return err
	}
	return l.queue(ctx, k.ID, tag)
}

func (l *Linked) queue(ctx context.Context, link, tag string) error {
	if err := l.o.DB.QueueTag(ctx, link, tag, l.o.Now().UTC()); err != nil {
		return err
	}
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	return nil
}

// Secret is what GitHub signs the events of a link with: of this registry's
// secret and the link's ID, so that it is kept nowhere.
func (l *Linked) Secret(link string) string {
	m := hmac.New(sha256.New, l.o.Secret)
	m.Write([]byte("github webhook\x00" + link))
	return hex.EncodeToString(m.Sum(nil))
}

// Event is a webhook's event as GitHub sends it.
type Event struct {
	Kind      string // X-GitHub-Event
	Signature string // X-Hub-Signature-256
	Body      []byte
}

// errUnknown answers alike for a link that is not there and a wrong signature.
func errUnknown() error {
	return clyde.Errorf(clyde.ErrUnauthenticated, "no linked repository signs its events so").WithCode("webhook_unknown").
		Fix("set the secret of the webhook to the one that linking showed; link again for a new one")
}

// Receive takes an event for a link. It is stored when Receive returns, and
// said is what is done about it. Errors are clyde.ErrUnauthenticated where the
// signature is not the link's, and clyde.ErrInvalid.
func (l *Linked) Receive(ctx context.Context, link string, ev Event) (said string, err error) {
	m := hmac.New(sha256.New, []byte(l.Secret(link)))
	m.Write(ev.Body)
	sum, herr := hex.DecodeString(strings.TrimPrefix(ev.Signature, "sha256="))
	row, err := l.o.DB.RepoLinkByID(ctx, link)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return "", err
	}
	if !strings.HasPrefix(ev.Signature, "sha256=") || herr != nil || !hmac.Equal(sum, m.Sum(nil)) || err != nil {
		return "", errUnknown()
	}
	var body struct {
		Action  string `json:"action"`
		Release struct {
			Tag        string `json:"tag_name"`
			Draft      bool   `json:"draft"`
			Prerelease bool   `json:"prerelease"`
		} `json:"release"`
		Repository struct {
			ID json.Number `json:"id"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(ev.Body, &body); err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "the event is no JSON").WithCode("event_invalid").Fix("set the webhook's content type to application/json").Because(err)
	}
	if got := body.Repository.ID.String(); got != row.RepositoryID {
		return "", clyde.Errorf(clyde.ErrInvalid, "the event is of the repository %.40q, and the package is linked to %s", got, row.RepositoryID).WithCode("repository_other").
			Fix("link the package to this repository, or remove the webhook here")
	}
	switch {
	case ev.Kind == "ping":
		return "the webhook works", nil
	case ev.Kind != "release" || body.Action != "published":
		return "nothing to do: releases are taken when they are published", nil
	case body.Release.Draft:
		return "nothing to do: a draft", nil
	}
	if err := github.CheckTag(body.Release.Tag); err != nil {
		return "", err
	}
	return "the tag will be published", l.queue(ctx, row.ID, body.Release.Tag)
}

func (l *Linked) audit(by account.Principal, action string, name clyde.Name) store.AuditEntry {
	e := store.AuditEntry{Time: l.o.Now().UTC(), Actor: by.String(), Account: by.Account, Token: by.ID, Action: action, Resource: name.String()}
	if by.Addr.IsValid() {
		e.Address = by.Addr.Unmap().String()
	}
	return e
}
