package account

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// AskTransfer offers "@acme/zlib", or with "@acme/*" the namespace, to an
// account or an organisation, for owners of it. It is theirs once they accept.
// waits is as for SetRole.
func (a *Accounts) AskTransfer(ctx context.Context, by Principal, pattern, toKind, to string) (waits *store.Confirmation, err error) {
	defer clyde.Wrap(&err, "account.AskTransfer(%s)", pattern)
	pat, err := repoPattern(pattern)
	if err != nil {
		return nil, err
	}
	if err := a.owns(by, pat, "transferring a package"); err != nil {
		return nil, err
	}
	c := Change{Kind: "transfer.ask", Pattern: pat, To: store.Owner{Kind: toKind}, ToName: to}
	switch toKind {
	case store.OwnerAccount:
		acct, err := a.db.AccountByLogin(ctx, to)
		if err != nil {
			return nil, err
		}
		c.To.ID = acct.ID
	case store.OwnerOrg:
		o, err := a.db.OrgByName(ctx, to)
		if err != nil {
			return nil, err
		}
		c.To.ID = o.ID
	default:
		return nil, clyde.Errorf(clyde.ErrInvalid, "owner %q: want account or org", toKind)
	}
	org, err := a.ownerOrg(ctx, pat)
	if err != nil {
		return nil, err
	}
	return a.change(ctx, by, org, c, true)
}

// ownerOrg is the organisation that owns a pattern; the zero Org for none.
func (a *Accounts) ownerOrg(ctx context.Context, pattern string) (store.Org, error) {
	ns, _, _ := strings.Cut(pattern, "/")
	o, err := a.db.PackageOwner(ctx, pattern)
	if errors.Is(err, clyde.ErrNotFound) {
		var n store.Namespace
		n, err = a.db.Namespace(ctx, ns)
		o = n.Owner
	}
	if err != nil || o.Kind != store.OwnerOrg {
		return store.Org{}, err
	}
	return a.db.Org(ctx, o.ID)
}

// Transfers lists what waits for by, or for an organisation that by owns.
func (a *Accounts) Transfers(ctx context.Context, by Principal, org string) ([]store.Transfer, error) {
	o, err := a.owner(ctx, by, org, "listing transfers")
	if err != nil {
		return nil, err
	}
	return a.db.TransfersTo(ctx, o)
}

// AcceptTransfer takes over what was offered to by, or to an organisation that
// by owns. An offer whose sender no longer owns it is void.
func (a *Accounts) AcceptTransfer(ctx context.Context, by Principal, id string) (err error) {
	defer clyde.Wrap(&err, "account.AcceptTransfer")
	t, err := a.receives(ctx, by, id)
	if err != nil {
		return err
	}
	if err := RequireRecent(by, a.now(), "taking a package over"); err != nil {
		return err
	}
	if t.AskedBy != 0 {
		p, err := a.as(ctx, t.AskedBy)
		if err != nil {
			return err
		}
		if !Allowed(p, Own, Resource{Repo: t.Pattern, Private: true}) {
			return clyde.Errorf(clyde.ErrConflict, "who offered @%s no longer owns it", t.Pattern).WithCode("transfer_void")
		}
	}
	e := a.audit(by, "transfer.accept", "@"+t.Pattern)
	e.After = asJSON(t.To)
	return a.db.CompleteTransfer(ctx, id, by.Account, e)
}

// receives finds a transfer that by may answer.
func (a *Accounts) receives(ctx context.Context, by Principal, id string) (store.Transfer, error) {
	if err := requirePerson(by, "answering a transfer"); err != nil {
		return store.Transfer{}, err
	}
	t, err := a.db.Transfer(ctx, id)
	if err != nil {
		return t, err
	}
	mine := t.To == store.Owner{Kind: store.OwnerAccount, ID: by.Account}
	if t.To.Kind == store.OwnerOrg {
		m, err := a.db.Member(ctx, t.To.ID, by.Account)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return t, err
		}
		mine = err == nil && RoleName(m.Role) == RoleOwner
	}
	if !mine || t.State != store.StateWaiting {
		return t, clyde.Errorf(clyde.ErrNotFound, "there is no transfer %s", id).WithCode("transfer_unknown")
	}
	return t, nil
}

// DeclineTransfer turns an offer down.
func (a *Accounts) DeclineTransfer(ctx context.Context, by Principal, id string) error {
	t, err := a.receives(ctx, by, id)
	if err != nil {
		return err
	}
	return a.db.EndTransfer(ctx, id, store.StateDeclined, by.Account, a.audit(by, "transfer.decline", "@"+t.Pattern))
}

// CancelTransfer takes an offer back, for owners of what was offered.
func (a *Accounts) CancelTransfer(ctx context.Context, by Principal, id string) error {
	t, err := a.db.Transfer(ctx, id)
	if err != nil {
		return err
	}
	if err := Authorize(by, Own, Resource{Repo: t.Pattern, Private: true}); err != nil {
		return err
	}
	return a.db.EndTransfer(ctx, id, store.StateCancelled, by.Account, a.audit(by, "transfer.cancel", "@"+t.Pattern))
}

// Confirm carries out a change that another owner asked for, or with ok false
// drops it, which whoever asked may do too. Who asked must still be an owner.
func (a *Accounts) Confirm(ctx context.Context, by Principal, id string, ok bool) (err error) {
	defer clyde.Wrap(&err, "account.Confirm")
	w, err := a.db.Confirmation(ctx, id)
	if err != nil {
		return err
	}
	o, err := a.db.Org(ctx, w.Org)
	if err != nil {
		return err
	}
	if _, err := a.ownsOrg(ctx, by, o.Name, "confirming a change"); err != nil {
		return err
	}
	e := a.audit(by, "ownership.decline", "org:"+o.Name)
	e.Detail = string(w.Payload)
	if !ok {
		return a.db.DecideConfirmation(ctx, id, store.StateDeclined, by.Account, e)
	}
	if w.AskedBy == by.Account {
		return clyde.Errorf(clyde.ErrDenied, "whoever asks for a change does not confirm it").WithCode("second_owner_required").
			Fix("Ask another owner of %s.", o.Name)
	}
	if m, err := a.db.Member(ctx, o.ID, w.AskedBy); err != nil || RoleName(m.Role) != RoleOwner {
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
		return clyde.Errorf(clyde.ErrConflict, "who asked is no longer an owner of %s", o.Name).WithCode("change_void")
	}
	var c Change
	if err := json.Unmarshal(w.Payload, &c); err != nil {
		return err
	}
	e.Action = "ownership.confirm"
	if err := a.db.DecideConfirmation(ctx, id, store.StateDone, by.Account, e); err != nil {
		return err
	}
	return a.apply(ctx, o, c, w.AskedBy, a.audit(by, c.Kind, "org:"+o.Name))
}
