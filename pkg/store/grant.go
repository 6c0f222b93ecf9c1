package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanHolding(s scanner) (h Holding, err error) {
	err = s.Scan(&h.Pattern, &h.Role, &h.Via, &h.ViaName, &h.Creators)
	return h, err
}

func scanGrant(s scanner) (g Grant, err error) {
	var created int64
	err = s.Scan(&g.Pattern, &g.HolderKind, &g.Holder, &g.HolderName, &g.Role, &g.By, &created)
	g.Created = fromMS(created)
	return g, err
}

// Holdings returns every role that an account holds now: through namespaces,
// organisations, teams, grants and packages handed to it. Its cost grows with
// what the account has, not with the registry.
func (db *DB) Holdings(ctx context.Context, account int64) ([]Holding, error) {
	return list(ctx, db, scanHolding, "Holdings", account)
}

// SetGrant gives a role on a pattern, new or other.
func (db *DB) SetGrant(ctx context.Context, g Grant, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetGrant(%s)", g.Pattern)
	return db.audited(ctx, audit, func(tx *tx) error { return db.setGrant(tx, g) })
}

func (db *DB) setGrant(tx *tx, g Grant) error {
	ns, _, _ := strings.Cut(g.Pattern, "/")
	return tx.exec("SetGrant", g.Pattern, g.HolderKind, g.Holder, ns, g.Role, g.By, ms(db.or(g.Created)))
}

// RemoveGrant takes a role on a pattern away, or is clyde.ErrNotFound.
func (db *DB) RemoveGrant(ctx context.Context, pattern, holderKind string, holder int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveGrant(%s)", pattern)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no such grant on @%s", pattern), "RemoveGrant", pattern, holderKind, holder)
	})
}

// Grants lists the grants in a namespace, by pattern.
func (db *DB) Grants(ctx context.Context, namespace string) ([]Grant, error) {
	return list(ctx, db, scanGrant, "Grants", namespace)
}

// PackageOwner returns whom a package was handed to, or clyde.ErrNotFound where
// it belongs to its namespace's owner.
func (db *DB) PackageOwner(ctx context.Context, repo string) (Owner, error) {
	return one(db.row(ctx, "PackageOwner", repo), func(s scanner) (o Owner, err error) {
		err = s.Scan(&o.Kind, &o.ID)
		return o, err
	}, "%s belongs to the owner of its namespace", packageName(repo))
}

func scanInvitation(s scanner) (i Invitation, err error) {
	var created, expires int64
	err = s.Scan(&i.ID, &i.Org, &i.OrgName, &i.Pattern, &i.Role, &i.Account, &i.Login, &i.By, &i.Inviter, &created, &expires)
	i.Created, i.Expires = fromMS(created), fromMS(expires)
	return i, err
}

// AddInvitation stores an invitation.
func (db *DB) AddInvitation(ctx context.Context, i Invitation, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddInvitation(%s)", i.ID)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddInvitation", i.ID, i.Org, i.Pattern, i.Role, i.Account, i.By, i.Inviter, ms(db.or(i.Created)), ms(i.Expires))
	})
}

// Invitation returns an invitation, expired ones too, or clyde.ErrNotFound.
func (db *DB) Invitation(ctx context.Context, id string) (Invitation, error) {
	return one(db.row(ctx, "Invitation", id), scanInvitation, "there is no invitation %s", id)
}

// InvitationsFor lists what waits for an account, oldest first.
func (db *DB) InvitationsFor(ctx context.Context, account int64) ([]Invitation, error) {
	return list(ctx, db, scanInvitation, "InvitationsFor", account, ms(db.now()))
}

// InvitationsOf lists whom an organisation invited, oldest first.
func (db *DB) InvitationsOf(ctx context.Context, org int64) ([]Invitation, error) {
	return list(ctx, db, scanInvitation, "InvitationsOfOrg", org, ms(db.now()))
}

// InvitationsOn lists who was invited to a pattern, oldest first.
func (db *DB) InvitationsOn(ctx context.Context, pattern string) ([]Invitation, error) {
	return list(ctx, db, scanInvitation, "InvitationsOn", pattern, ms(db.now()))
}

// AcceptInvitation gives the account what it was invited to. It is
// clyde.ErrNotFound when the invitation is gone, expired or another's, and
// clyde.ErrConflict with code "member_already" for a member.
func (db *DB) AcceptInvitation(ctx context.Context, i Invitation, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AcceptInvitation(%s)", i.ID)
	return db.audited(ctx, audit, func(tx *tx) error {
		err := mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the invitation is gone or expired"), "TakeInvitation", i.ID, i.Account, ms(db.now()))
		if err != nil {
			return err
		}
		if i.Org == 0 {
			return db.setGrant(tx, Grant{Pattern: i.Pattern, HolderKind: OwnerAccount, Holder: i.Account, Role: i.Role, By: i.By})
		}
		if _, err := scanMember(tx.row("Member", i.Org, i.Account)); err == nil {
			return clyde.Errorf(clyde.ErrConflict, "the account is a member already").WithCode("member_already")
		}
		return tx.exec("SetMember", i.Org, i.Account, i.Role, ms(db.now()))
	})
}

// RemoveInvitation forgets an invitation, or is clyde.ErrNotFound.
func (db *DB) RemoveInvitation(ctx context.Context, id string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveInvitation(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no invitation %s", id), "RemoveInvitation", id)
	})
}

func scanTransfer(s scanner) (t Transfer, err error) {
	var created, expires int64
	err = s.Scan(&t.ID, &t.Pattern, &t.To.Kind, &t.To.ID, &t.ToName, &t.AskedBy, &t.State, &t.DecidedBy, &created, &expires)
	t.Created, t.Expires = fromMS(created), fromMS(expires)
	return t, err
}

// AddTransfer stores what one side consents to.
func (db *DB) AddTransfer(ctx context.Context, t Transfer, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddTransfer(%s)", t.Pattern)
	ns, _, _ := strings.Cut(t.Pattern, "/")
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddTransfer", t.ID, t.Pattern, ns, t.To.Kind, t.To.ID, t.AskedBy, ms(db.or(t.Created)), ms(t.Expires))
	})
}

// Transfer returns a transfer, or clyde.ErrNotFound.
func (db *DB) Transfer(ctx context.Context, id string) (Transfer, error) {
	return one(db.row(ctx, "Transfer", id), scanTransfer, "there is no transfer %s", id)
}

// TransfersTo lists what waits for an owner to accept, oldest first.
func (db *DB) TransfersTo(ctx context.Context, o Owner) ([]Transfer, error) {
	return list(ctx, db, scanTransfer, "TransfersTo", o.Kind, o.ID, ms(db.now()))
}

// TransfersFrom lists what is on its way out of a namespace, oldest first.
func (db *DB) TransfersFrom(ctx context.Context, namespace string) ([]Transfer, error) {
	return list(ctx, db, scanTransfer, "TransfersFrom", namespace, ms(db.now()))
}

// EndTransfer declines or cancels a waiting transfer.
func (db *DB) EndTransfer(ctx context.Context, id, state string, by int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.EndTransfer(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "no transfer %s waits", id), "EndTransfer", id, state, by, ms(db.now()))
	})
}

// CompleteTransfer hands over what a waiting transfer names, with the other
// side's consent. What the former owner granted on it, its trusted publishers
// and other transfers of it end.
func (db *DB) CompleteTransfer(ctx context.Context, id string, by int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.CompleteTransfer(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		gone := clyde.Errorf(clyde.ErrNotFound, "no transfer %s waits", id)
		if err := mustAffect(tx, gone, "EndTransfer", id, StateDone, by, ms(db.now())); err != nil {
			return err
		}
		t, err := scanTransfer(tx.row("Transfer", id))
		if err != nil {
			return err
		}
		ns, base, _ := strings.Cut(t.Pattern, "/")
		if base == "*" {
			return setNamespaceOwner(tx, ns, t.To)
		}
		return db.setPackageOwner(tx, ns, base, t.To)
	})
}

func (db *DB) setPackageOwner(tx *tx, ns, base string, to Owner) error {
	n, err := scanNamespace(tx.row("Namespace", ns))
	if err != nil {
		return err
	}
	repo := ns + "/" + base
	if n.Owner == to {
		err = tx.exec("RemovePackageOwner", repo)
	} else {
		err = tx.exec("SetPackageOwner", repo, ns, to.Kind, to.ID, ms(db.now()))
	}
	if err != nil {
		return err
	}
	for _, q := range []string{"RemoveGrantsOn", "RemoveInvitationsOn"} {
		if err := tx.exec(q, repo); err != nil {
			return err
		}
	}
	if err := tx.exec("RemovePublishersOf", ns, base); err != nil {
		return err
	}
	return tx.exec("CancelTransfersOn", ns, repo)
}

func scanConfirmation(s scanner) (c Confirmation, err error) {
	var created, expires int64
	err = s.Scan(&c.ID, &c.Org, &c.Kind, (*text)(&c.Payload), &c.AskedBy, &c.ConfirmedBy, &c.State, &created, &expires)
	c.Created, c.Expires = fromMS(created), fromMS(expires)
	return c, err
}

// AddConfirmation stores a change that waits for a second owner.
func (db *DB) AddConfirmation(ctx context.Context, c Confirmation, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddConfirmation(%s)", c.Kind)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddConfirmation", c.ID, c.Org, c.Kind, string(c.Payload), c.AskedBy, ms(db.or(c.Created)), ms(c.Expires))
	})
}

// Confirmation returns one, or clyde.ErrNotFound.
func (db *DB) Confirmation(ctx context.Context, id string) (Confirmation, error) {
	return one(db.row(ctx, "Confirmation", id), scanConfirmation, "there is no change %s", id)
}

// Confirmations lists what waits in an organisation, oldest first.
func (db *DB) Confirmations(ctx context.Context, org int64) ([]Confirmation, error) {
	return list(ctx, db, scanConfirmation, "Confirmations", org, ms(db.now()))
}

// DecideConfirmation marks a waiting change done or declined. Who asked cannot
// be who confirms; that, and one that does not wait, is clyde.ErrNotFound.
func (db *DB) DecideConfirmation(ctx context.Context, id, state string, by int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DecideConfirmation(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "no change %s waits for you", id), "DecideConfirmation", id, state, by, ms(db.now()))
	})
}

func scanPublisher(s scanner) (p Publisher, err error) {
	var created, expires, used int64
	err = s.Scan(&p.ID, &p.Namespace, &p.Base, &p.Provider, &p.Issuer, (*text)(&p.Claims), &p.By, &p.Account, &created, &expires, &used)
	p.Created, p.Expires, p.Used = fromMS(created), fromMS(expires), fromMS(used)
	return p, err
}

// AddPublisher stores a trusted publisher.
func (db *DB) AddPublisher(ctx context.Context, p Publisher, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddPublisher(%s/%s)", p.Namespace, p.Base)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddPublisher", p.ID, p.Namespace, p.Base, p.Provider, p.Issuer, string(p.Claims), p.By, p.Account, ms(db.or(p.Created)), ms(p.Expires))
	})
}

// Publisher returns a trusted publisher, or clyde.ErrNotFound.
func (db *DB) Publisher(ctx context.Context, id string) (Publisher, error) {
	return one(db.row(ctx, "Publisher", id), scanPublisher, "there is no trusted publisher %s", id)
}

// PublishersOf lists a package's trusted publishers, expired pending ones too.
func (db *DB) PublishersOf(ctx context.Context, namespace, base string) ([]Publisher, error) {
	return list(ctx, db, scanPublisher, "PublishersOf", namespace, base)
}

// PublishersIn lists a namespace's trusted publishers, by package.
func (db *DB) PublishersIn(ctx context.Context, namespace string) ([]Publisher, error) {
	return list(ctx, db, scanPublisher, "PublishersIn", namespace)
}

// PublishersByIssuer lists an issuer's trusted publishers, by package.
func (db *DB) PublishersByIssuer(ctx context.Context, issuer string) ([]Publisher, error) {
	return list(ctx, db, scanPublisher, "PublishersByIssuer", issuer)
}

// UsePublisher records a use after which its package exists: it no longer expires.
func (db *DB) UsePublisher(ctx context.Context, id string, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.UsePublisher(%s)", id)
	return db.write(ctx, durable, func(tx *tx) error { return tx.exec("UsePublisher", id, ms(at)) })
}

// usedPublisher is UsePublisher for the one that a CI run was, if it was any.
func (db *DB) usedPublisher(tx *tx, run []byte) error {
	var r struct {
		Publisher string `json:"publisher"`
	}
	if len(run) == 0 {
		return nil
	}
	if err := json.Unmarshal(run, &r); err != nil || r.Publisher == "" {
		return err
	}
	return tx.exec("UsePublisher", r.Publisher, ms(db.now()))
}

// RemovePublisher removes a trusted publisher, or is clyde.ErrNotFound.
func (db *DB) RemovePublisher(ctx context.Context, id string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemovePublisher(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no trusted publisher %s", id), "RemovePublisher", id)
	})
}

// UseJTI marks an OIDC token as used until expires, which must lie past its own
// expiry and leeway. A second use is clyde.ErrConflict with code
// "token_replayed".
func (db *DB) UseJTI(ctx context.Context, issuer string, hash []byte, expires time.Time) (err error) {
	defer clyde.Wrap(&err, "store.UseJTI")
	return db.write(ctx, durable, func(tx *tx) error {
		if err := tx.exec("PurgeJTI", ms(db.now())); err != nil {
			return err
		}
		return mustAffect(tx, clyde.Errorf(clyde.ErrConflict, "the identity token was used already").WithCode("token_replayed"),
			"UseJTI", issuer, hash, ms(expires))
	})
}
