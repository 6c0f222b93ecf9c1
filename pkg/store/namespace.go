package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxAlike bounds the names looked at for each form of a name. Ours: one is
// enough to refuse, the rest may be chance.
const maxAlike = 20

func scanNamespace(s scanner) (n Namespace, err error) {
	var created int64
	err = s.Scan(&n.Name, &n.By, &created, &n.Owner.Kind, &n.Owner.ID, &n.OwnerName,
		&n.TrustedOnly, &n.SignedOnly, &n.TwoPerson, &n.Creators)
	n.Created = fromMS(created)
	return n, err
}

// addNamespace makes a namespace exist, and what looks like it findable.
func (db *DB) addNamespace(tx *tx, name, by string) error {
	if err := tx.exec("AddNamespace", name, by, ms(db.now())); err != nil {
		return err
	}
	return addLikeness(tx, name)
}

// addLikeness stores the forms of a name, and one that says it has them.
func addLikeness(tx *tx, name string) error {
	for _, f := range likeness(name) {
		if err := tx.exec("AddLikeness", f, name); err != nil {
			return err
		}
	}
	return nil
}

func likeness(name string) []string { return append(clyde.LikenessForms(name), "@"+name) }

// addLikenesses makes up for namespaces that an earlier release added.
func addLikenesses(tx *tx) error {
	names, err := listTx(tx, scanString, "NamespacesWithoutLikeness")
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := addLikeness(tx, n); err != nil {
			return err
		}
	}
	return nil
}

// Namespace returns a namespace with the switches of its organisation, or
// clyde.ErrNotFound.
func (db *DB) Namespace(ctx context.Context, name string) (Namespace, error) {
	return one(db.row(ctx, "Namespace", name), scanNamespace, "there is no namespace @%s", name)
}

// NamespacesOf lists what an owner has, by name.
func (db *DB) NamespacesOf(ctx context.Context, o Owner) ([]Namespace, error) {
	return list(ctx, db, scanNamespace, "NamespacesOf", o.Kind, o.ID)
}

// Namespaces lists namespaces after a name, by name, at most n.
func (db *DB) Namespaces(ctx context.Context, after string, n int) ([]Namespace, error) {
	return list(ctx, db, scanNamespace, "Namespaces", after, n)
}

// ClaimNamespace gives a namespace that does not exist to an owner. One that
// has an owner is clyde.ErrConflict with code "namespace_taken". One that
// exists without an owner, because an administrator's token published there, is
// too, with code "namespace_in_use", unless takeOver.
func (db *DB) ClaimNamespace(ctx context.Context, name string, o Owner, by string, takeOver bool, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.ClaimNamespace(%s)", name)
	return db.audited(ctx, audit, func(tx *tx) error { return db.claimNamespace(tx, name, o, by, takeOver) })
}

func (db *DB) claimNamespace(tx *tx, name string, o Owner, by string, takeOver bool) error {
	n, err := scanNamespace(tx.row("Namespace", name))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := db.addNamespace(tx, name, by); err != nil {
			return err
		}
	case err != nil:
		return err
	case n.Owner.Kind != OwnerNone:
		return clyde.Errorf(clyde.ErrConflict, "the namespace @%s belongs to somebody", name).WithCode("namespace_taken").
			Fix("Choose another name, or ask its owner to transfer it.")
	case !takeOver:
		return clyde.Errorf(clyde.ErrConflict, "the namespace @%s is in use and belongs to this registry", name).WithCode("namespace_in_use").
			Fix("Request it; an administrator decides.")
	}
	// Whom somebody else trusted to publish there is not trusted by its owner.
	for _, q := range []string{"RemovePublishersIn", "RemoveBuildPolicy"} {
		if err := tx.exec(q, name); err != nil {
			return err
		}
	}
	return tx.exec("SetNamespaceOwner", name, o.Kind, o.ID)
}

// SetNamespaceOwner gives an existing namespace to an owner, or to nobody, and
// removes what its former owner granted in it: grants, invitations, trusted
// publishers, waiting transfers, rebuilders.
func (db *DB) SetNamespaceOwner(ctx context.Context, name string, o Owner, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetNamespaceOwner(%s)", name)
	return db.audited(ctx, audit, func(tx *tx) error { return setNamespaceOwner(tx, name, o) })
}

func setNamespaceOwner(tx *tx, name string, o Owner) error {
	err := mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no namespace @%s", name), "SetNamespaceOwner", name, o.Kind, o.ID)
	if err != nil {
		return err
	}
	for _, q := range []string{"RemoveGrantsIn", "RemovePublishersIn", "RemoveBuildPolicy"} {
		if err := tx.exec(q, name); err != nil {
			return err
		}
	}
	if err := tx.exec("RemoveInvitationsOn", name+"/*"); err != nil {
		return err
	}
	return tx.exec("CancelTransfersOn", name, "")
}

// AlikeNamespaces returns the namespaces and reserved names that name could be
// taken for (clyde.Alike), sorted.
func (db *DB) AlikeNamespaces(ctx context.Context, name string) (_ []string, err error) {
	defer clyde.Wrap(&err, "store.AlikeNamespaces(%s)", name)
	var out []string
	for _, f := range clyde.LikenessForms(name) {
		names, err := list(ctx, db, scanString, "LikeForm", f, name, maxAlike)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if _, alike := clyde.Alike(name, n); alike {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func scanReserved(s scanner) (r ReservedName, err error) {
	var created int64
	err = s.Scan(&r.Name, &r.Why, &r.By, &created)
	r.Created = fromMS(created)
	return r, err
}

// ReserveName keeps a namespace, and what looks like it, from everybody.
func (db *DB) ReserveName(ctx context.Context, r ReservedName, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.ReserveName(%s)", r.Name)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := tx.exec("ReserveName", r.Name, r.Why, r.By, ms(db.or(r.Created))); err != nil {
			return err
		}
		return addLikeness(tx, r.Name)
	})
}

// ReleaseName ends a reservation, or is clyde.ErrNotFound.
func (db *DB) ReleaseName(ctx context.Context, name string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.ReleaseName(%s)", name)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the name %s is not reserved", name), "ReleaseName", name); err != nil {
			return err
		}
		_, err := scanNamespace(tx.row("Namespace", name))
		if !errors.Is(err, sql.ErrNoRows) {
			return err // it exists all the same, and keeps its likeness
		}
		for _, f := range likeness(name) {
			if err := tx.exec("DropLikeness", f, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReservedName returns a reservation, or clyde.ErrNotFound.
func (db *DB) ReservedName(ctx context.Context, name string) (ReservedName, error) {
	return one(db.row(ctx, "ReservedName", name), scanReserved, "the name %s is not reserved", name)
}

// ReservedNames lists reservations after a name, by name, at most n.
func (db *DB) ReservedNames(ctx context.Context, after string, n int) ([]ReservedName, error) {
	return list(ctx, db, scanReserved, "ReservedNames", after, n)
}

func scanRequest(s scanner) (r NamespaceRequest, err error) {
	var created, decided int64
	err = s.Scan(&r.ID, &r.Namespace, &r.Owner.Kind, &r.Owner.ID, &r.Account, &r.Login, &r.Why, &r.State,
		&r.DecidedBy, &r.DecidedWhy, &created, &decided)
	r.Created, r.Decided = fromMS(created), fromMS(decided)
	return r, err
}

// AddNamespaceRequest stores a request; its state is StateWaiting.
func (db *DB) AddNamespaceRequest(ctx context.Context, r NamespaceRequest, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddNamespaceRequest(%s)", r.Namespace)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddNamespaceRequest", r.ID, r.Namespace, r.Owner.Kind, r.Owner.ID, r.Account, r.Why, ms(db.or(r.Created)))
	})
}

// NamespaceRequest returns a request, or clyde.ErrNotFound.
func (db *DB) NamespaceRequest(ctx context.Context, id string) (NamespaceRequest, error) {
	return one(db.row(ctx, "NamespaceRequest", id), scanRequest, "there is no request %s", id)
}

// NamespaceRequests lists requests in a state, newest first, at most n.
func (db *DB) NamespaceRequests(ctx context.Context, state string, n int) ([]NamespaceRequest, error) {
	return list(ctx, db, scanRequest, "NamespaceRequests", state, n)
}

// NamespaceRequestsOf lists an account's requests, newest first, at most n.
func (db *DB) NamespaceRequestsOf(ctx context.Context, account int64, n int) ([]NamespaceRequest, error) {
	return list(ctx, db, scanRequest, "NamespaceRequestsOf", account, n)
}

// DecideNamespaceRequest grants or refuses a waiting request. Granting claims
// the namespace, one in use without an owner too; errors as for ClaimNamespace.
func (db *DB) DecideNamespaceRequest(ctx context.Context, id string, grant bool, by, why string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DecideNamespaceRequest(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		state := StateRefused
		if grant {
			state = StateGranted
		}
		err := mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "no request %s waits", id), "DecideNamespaceRequest", id, state, by, why, ms(db.now()))
		if err != nil || !grant {
			return err
		}
		r, err := scanRequest(tx.row("NamespaceRequest", id))
		if err != nil {
			return err
		}
		return db.claimNamespace(tx, r.Namespace, r.Owner, by, true)
	})
}
