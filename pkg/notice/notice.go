package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/jobs"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of the reader. Ours.
const (
	Every      = 10 * time.Second   // between two looks
	MaxAge     = 3 * 24 * time.Hour // a notice that is older helps nobody and is left out
	batch      = 100                // entries at once
	recipients = 50                 // of one notice
	maxHold    = 10 * time.Minute   // between two tries while the mail server is away
)

// Names of the readers' cursors.
const (
	readAudit = "notice-audit"
	readFeed  = "notice-feed"
)

// DB is what a Notifier reads; *store.DB implements it.
type DB interface {
	Cursor(ctx context.Context, reader string) (seq int64, ok bool, err error)
	SetCursor(ctx context.Context, reader string, seq int64) error
	LastAudit(ctx context.Context) (int64, error)
	LastChange(ctx context.Context) (int64, error)
	AuditAfter(ctx context.Context, seq int64, n int) ([]store.AuditEntry, error)
	Changes(ctx context.Context, after int64, n int) ([]store.Change, error)
	Account(ctx context.Context, id int64) (store.Account, error)
	AccountByLogin(ctx context.Context, login string) (store.Account, error)
	OrgByName(ctx context.Context, name string) (store.Org, error)
	Members(ctx context.Context, org int64) ([]store.Member, error)
	Namespace(ctx context.Context, name string) (store.Namespace, error)
	PackageOwner(ctx context.Context, repo string) (store.Owner, error)
	Publications(ctx context.Context, repo string) ([]store.Publication, error)
}

// Notifier sends notices about what is in the audit log and in the feed. It
// sends each at least once, in order.
type Notifier struct {
	DB   DB
	Mail Sender
	Host string // of the registry, as people know it
	URL  string // of its pages
	Log  *slog.Logger
	Now  func() time.Time

	hold  time.Duration   // after a failure of the server
	until time.Time       // when to try again
	done  map[string]bool // who has the notice in hand already
}

// Run sends notices until ctx ends. What happened before the first run is
// nobody's surprise any more and is not told.
func (n *Notifier) Run(ctx context.Context) error {
	return jobs.Every(ctx, n.Log, "notice", Every, Every, n.Once)
}

// Once sends what there is to send. Where the server does not take a mail now
// it returns nil and goes on from there later.
func (n *Notifier) Once(ctx context.Context) error {
	if n.Now().Before(n.until) {
		return nil
	}
	for _, r := range []struct {
		name string
		last func(context.Context) (int64, error)
		next func(context.Context, int64) (seq int64, m []Mail, more bool, err error)
	}{{readAudit, n.DB.LastAudit, n.nextAudit}, {readFeed, n.DB.LastChange, n.nextChange}} {
		at, ok, err := n.DB.Cursor(ctx, r.name)
		if err == nil && !ok {
			at, err = r.last(ctx)
			if err == nil {
				err = n.DB.SetCursor(ctx, r.name, at)
			}
		}
		if err != nil {
			return err
		}
		for {
			seq, mails, more, err := r.next(ctx, at)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if !n.deliver(ctx, mails) {
				return nil
			}
			if err := n.DB.SetCursor(ctx, r.name, seq); err != nil {
				return err
			}
			at = seq
		}
	}
	return nil
}

// deliver sends the mails of one entry, and reports whether the next one's
// turn has come.
func (n *Notifier) deliver(ctx context.Context, mails []Mail) bool {
	if n.done == nil {
		n.done = map[string]bool{}
	}
	for _, m := range mails {
		if n.done[m.To] {
			continue
		}
		err := n.Mail.Send(ctx, m)
		switch {
		case err == nil:
		case errors.Is(err, ErrRefused):
			n.Log.WarnContext(ctx, "notice: not sent", "err", err)
		default:
			n.hold = min(max(2*n.hold, Every), maxHold)
			n.until = n.Now().Add(n.hold)
			n.Log.WarnContext(ctx, "notice: the mail server does not answer", "err", err, "again_in", n.hold)
			return false
		}
		n.done[m.To] = true
	}
	clear(n.done)
	n.hold = 0
	return true
}

// nextAudit returns the mails about the next entry that anybody is told of, and
// its seq; more is false at the end of the log.
func (n *Notifier) nextAudit(ctx context.Context, after int64) (seq int64, mails []Mail, more bool, err error) {
	es, err := n.DB.AuditAfter(ctx, after, batch)
	if err != nil || len(es) == 0 {
		return after, nil, false, err
	}
	for _, e := range es {
		seq = e.Seq
		if n.Now().Sub(e.Time) > MaxAge {
			continue
		}
		if mails, err = n.about(ctx, e); err != nil || len(mails) > 0 {
			return seq, mails, true, err
		}
	}
	return seq, nil, true, nil
}

// about says who is told of an audit entry, and what.
func (n *Notifier) about(ctx context.Context, e store.AuditEntry) ([]Mail, error) {
	var after struct{ Name, Login, Role, Why string }
	_ = json.Unmarshal([]byte(e.After), &after) // an entry without is told without
	var detail struct{ Name string }
	_ = json.Unmarshal([]byte(e.Detail), &detail)
	where := fmt.Sprintf("by %s, from %s, at %s", e.Actor, orUnknown(e.Address), e.Time.UTC().Format("2006-01-02 15:04 UTC"))
	switch {
	case e.Action == "token.create" && e.Account != 0:
		name := after.Name
		if name == "" {
			name = detail.Name
		}
		a, err := n.account(n.DB.Account(ctx, e.Account))
		return n.write(a, "A new token of your account",
			fmt.Sprintf("A token named %q was made for your account at %s, %s.\n\nIf that was not you, revoke it and look at your sessions:\n%s/account/tokens\n", name, n.Host, where, n.URL)), err
	case (e.Action == "member.role" || e.Action == "invitation.accept" || e.Action == "grant.set") && after.Role == "owner",
		e.Action == "transfer.accept", e.Action == "namespace.grant":
		to, err := n.owners(ctx, e.Resource)
		who := after.Login
		if who == "" {
			who = e.Actor
		}
		return n.write(to, "A new owner of "+e.Resource,
			fmt.Sprintf("%s has a new owner at %s: %s. It was done %s.\n\nOwners decide who may publish. If nobody of you meant this, write to the administrators.\n", e.Resource, n.Host, who, where)), err
	case e.Action == "publisher.add":
		to, err := n.owners(ctx, e.Resource)
		return n.write(to, "A new trusted publisher of "+e.Resource,
			fmt.Sprintf("A CI workflow may publish %s at %s from now on, without a stored token. It was added %s.\n\n%s\n\nIf nobody of you meant this, remove it in the settings of the package.\n", e.Resource, n.Host, where, e.After)), err
	case e.Action == "account.suspend":
		a, err := n.account(n.DB.AccountByLogin(ctx, strings.TrimPrefix(e.Resource, "account:")))
		return n.write(a, "Your account is suspended",
			fmt.Sprintf("Your account at %s is suspended since %s: %s\n\nYour sessions have ended and your tokens are refused. What you published stays. Write to the administrators if you disagree.\n", n.Host, e.Time.UTC().Format("2006-01-02 15:04 UTC"), after.Why)), err
	}
	return nil, nil
}

// nextChange is nextAudit for the feed: a version that was published by
// somebody who never published the package before.
func (n *Notifier) nextChange(ctx context.Context, after int64) (seq int64, mails []Mail, more bool, err error) {
	cs, err := n.DB.Changes(ctx, after, batch)
	if err != nil || len(cs) == 0 {
		return after, nil, false, err
	}
	for _, c := range cs {
		seq = c.Seq
		if c.Type != "version.published" || n.Now().Sub(c.Time) > MaxAge {
			continue
		}
		if mails, err = n.published(ctx, c); err != nil || len(mails) > 0 {
			return seq, mails, true, err
		}
	}
	return seq, nil, true, nil
}

func (n *Notifier) published(ctx context.Context, c store.Change) ([]Mail, error) {
	name, err := clyde.ParseName(c.Package)
	if err != nil {
		return nil, nil // no package of ours
	}
	v, err := clyde.ParseVersion(c.Version)
	if err != nil {
		return nil, nil
	}
	ps, err := n.DB.Publications(ctx, name.Repo())
	if err != nil {
		return nil, err
	}
	var this store.Publication
	for _, p := range ps {
		if p.VersionKey == v.Canonical() {
			this = p
		}
	}
	earlier := false
	for _, p := range ps {
		if p.VersionKey == this.VersionKey || p.Created.After(this.Created) {
			continue
		}
		earlier = true
		if p.Identity() == this.Identity() {
			return nil, nil
		}
	}
	if this.VersionKey == "" || !earlier {
		return nil, nil // not known, or nobody before to compare with
	}
	to, err := n.owners(ctx, c.Package)
	return n.write(to, fmt.Sprintf("%s %s was published by somebody new", c.Package, c.Version),
		fmt.Sprintf("%s %s was published at %s by %s, who has not published this package before.\n\n%s/packages/%s/%s\n\nIf nobody of you meant this, yank the version and revoke the token.\n",
			c.Package, c.Version, n.Host, c.Actor, n.URL, name.Repo(), c.Version)), err
}

// owners are the people behind "@acme/zlib", "@acme/*", "@acme" or "org:acme".
func (n *Notifier) owners(ctx context.Context, resource string) ([]store.Account, error) {
	if org, ok := strings.CutPrefix(resource, "org:"); ok {
		o, err := n.DB.OrgByName(ctx, org)
		if err != nil {
			return none(err)
		}
		return n.ofOrg(ctx, o.ID)
	}
	repo := strings.TrimPrefix(resource, "@")
	owner, err := n.DB.PackageOwner(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) {
		ns, _, _ := strings.Cut(repo, "/")
		var space store.Namespace
		space, err = n.DB.Namespace(ctx, ns)
		owner = space.Owner
	}
	if err != nil {
		return none(err)
	}
	switch owner.Kind {
	case store.OwnerOrg:
		return n.ofOrg(ctx, owner.ID)
	case store.OwnerAccount:
		return n.account(n.DB.Account(ctx, owner.ID))
	}
	return nil, nil
}

func (n *Notifier) ofOrg(ctx context.Context, org int64) ([]store.Account, error) {
	ms, err := n.DB.Members(ctx, org)
	if err != nil {
		return none(err)
	}
	var out []store.Account
	for _, m := range ms {
		if m.Role != "owner" || len(out) == recipients {
			continue
		}
		a, err := n.account(n.DB.Account(ctx, m.Account))
		if err != nil {
			return nil, err
		}
		out = append(out, a...)
	}
	return out, nil
}

// account is one person, or nobody where the account is gone.
func (n *Notifier) account(a store.Account, err error) ([]store.Account, error) {
	if err != nil {
		return none(err)
	}
	return []store.Account{a}, nil
}

// none takes what is gone for nobody.
func none(err error) ([]store.Account, error) {
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, nil
	}
	return nil, err
}

// write addresses a text to everybody who has an address.
func (n *Notifier) write(to []store.Account, subject, text string) []Mail {
	var out []Mail
	for _, a := range to {
		if a.Email != "" {
			out = append(out, Mail{To: a.Email, Subject: "[" + n.Host + "] " + subject, Text: "Hello " + a.Login + ",\n\n" + text})
		}
	}
	return out
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown address"
	}
	return s
}
