package linked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/github"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Run publishes tags as they come until ctx ends, one after another.
func (l *Linked) Run(ctx context.Context) error {
	for {
		worked, err := l.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			l.o.Log.ErrorContext(ctx, "linked: a tag", "err", err)
		case worked:
			continue
		}
		t := time.NewTimer(poll)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// Step publishes one tag that is due, and reports whether there was one.
func (l *Linked) Step(ctx context.Context) (bool, error) {
	r, err := l.o.DB.ClaimTag(ctx, l.o.Now().UTC(), lease)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	version, err := l.publish(ctx, r)
	if ctx.Err() != nil {
		return true, ctx.Err() // another attempt, after the lease
	}
	now := l.o.Now().UTC()
	r.State, r.Version, r.Reason, r.Fix, r.Ended = "done", version, "", "", now
	if err != nil {
		r.State = "failed"
		r.Reason = "the registry failed; its log says why"
		passing := errors.Is(err, clyde.ErrUnavailable) || errors.Is(err, clyde.ErrRateLimited)
		if e := clyde.AsError(err); e != nil {
			r.Reason, r.Fix = e.Msg, strings.Join(e.Fixes, "; ")
			for _, p := range e.Problems.Errors() {
				r.Reason += fmt.Sprintf("\nline %d: %s", p.Line, p.Msg)
			}
		} else {
			l.o.Log.ErrorContext(ctx, "linked: publish", "link", r.Link, "tag", r.Tag, "err", err)
			passing = true
		}
		if passing && r.Attempt < MaxAttempts {
			r.State, r.Next = "waiting", now.Add(firstWait<<(r.Attempt-1))
		}
	}
	return true, l.o.DB.EndTag(ctx, r)
}

// publish fetches a tag and publishes what is in it.
func (l *Linked) publish(ctx context.Context, r store.TagRun) (version string, err error) {
	link, err := l.o.DB.RepoLinkByID(ctx, r.Link)
	if err != nil {
		return "", err
	}
	name := clyde.Name{Namespace: link.Namespace, Base: link.Base}
	c, err := l.client("")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "clyde-tag-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	limited, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	rel, err := c.Fetch(limited, link.RepositoryID, r.Tag, filepath.Join(dir, "tree"), github.FetchOptions{})
	if err != nil {
		return "", err
	}
	p, err := artifact.Pack(limited, rel.Dir, artifact.PackOptions{Namespace: link.Namespace})
	if err != nil {
		return "", err
	}
	defer p.Close()
	if p.Name.Identity() != name.Identity() {
		return "", clyde.Errorf(clyde.ErrInvalid, "the tag holds %s, and the repository is linked to %s", p.Name, name).WithCode("name_mismatch").
			Fix("write name: \"%s\" in package.yaml", name)
	}
	if v, err := clyde.ParseVersion(strings.TrimPrefix(strings.TrimPrefix(r.Tag, "v"), "V")); err == nil && !v.Equal(p.Version) {
		return "", clyde.Errorf(clyde.ErrInvalid, "the tag is %s, and package.yaml says version %s", r.Tag, p.Version).WithCode("tag_mismatch").
			Fix("write version: \"%s\" in package.yaml, and make another release", v)
	}
	who, err := l.principal(ctx, link, name)
	if err != nil {
		return "", err
	}
	config, err := read(p.Config)
	if err != nil {
		return "", err
	}
	archive, err := p.Layers[0].Open()
	if err != nil {
		return "", err
	}
	defer archive.Close()
	_, version, err = l.o.Publish(ctx, who, config, archive, p.Layers[0].Descriptor.MediaType)
	return version, err
}

// principal is who linked the repository, by a token for this package alone that
// nobody is told and that ends soon: they may do what they may at this moment.
func (l *Linked) principal(ctx context.Context, link store.RepoLink, name clyde.Name) (account.Principal, error) {
	secret, _, err := l.o.Accounts.Mint(ctx, account.Principal{ID: "linked", Name: "linked repository"}, link.Account, account.TokenSpec{
		Name: "release of " + link.Repository, Expires: l.o.Now().UTC().Add(account.RunTokenLife),
		Scopes: []account.Scope{{Actions: []account.Action{account.Publish, account.PublishNew}, Pattern: name.String()}},
	})
	if err != nil {
		return account.Principal{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	if err != nil {
		return account.Principal{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	return l.o.Accounts.Authenticate(req)
}

func read(b artifact.Blob) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, artifact.MaxConfig))
}
