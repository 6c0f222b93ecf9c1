package account

import (
	"context"
	"errors"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// OwnerView is a person or an organisation as everybody sees them.
type OwnerView struct {
	store.Owner
	Login      string // or the organisation's name
	Name       string // for people; may be empty
	Namespaces []store.Namespace
	Links      []string // addresses at providers that vouched for them by a login; none of an organisation
	Suspended  bool     // nothing but the login is said
}

// vouching are the providers whose accounts have public pages, at the issuer's
// address and the login.
var vouching = map[string]bool{"https://github.com": true, "https://gitlab.com": true, "https://codeberg.org": true}

// OwnerView returns who owns namespaces, by kind and login or name. Whoever owns
// none is not found: that they own one is what is public about them.
func (a *Accounts) OwnerView(ctx context.Context, kind, login string) (v OwnerView, err error) {
	defer clyde.Wrap(&err, "account.OwnerView(%s, %s)", kind, login)
	absent := clyde.Errorf(clyde.ErrNotFound, "Nobody called %s owns a namespace here.", cut(login, MaxDisplayName)).WithCode("owner_unknown").
		Fix("Check the spelling, or search for a package.")
	v.Kind = kind
	switch kind {
	case store.OwnerAccount:
		acct, err := a.db.AccountByLogin(ctx, login)
		if errors.Is(err, clyde.ErrNotFound) {
			return v, absent
		} else if err != nil {
			return v, err
		}
		v.ID, v.Login, v.Name, v.Suspended = acct.ID, acct.Login, acct.Name, !acct.Suspended.IsZero()
	case store.OwnerOrg:
		org, err := a.db.OrgByName(ctx, login)
		if errors.Is(err, clyde.ErrNotFound) {
			return v, absent
		} else if err != nil {
			return v, err
		}
		v.ID, v.Login, v.Name = org.ID, org.Name, org.Display
	default:
		return v, absent
	}
	if v.Namespaces, err = a.db.NamespacesOf(ctx, v.Owner); err != nil {
		return v, err
	}
	if len(v.Namespaces) == 0 {
		return OwnerView{}, absent
	}
	if v.Suspended {
		v.Name = ""
		return v, nil
	}
	if kind == store.OwnerAccount {
		ids, err := a.db.Identities(ctx, v.ID)
		if err != nil {
			return v, err
		}
		for _, i := range ids {
			if vouching[i.Issuer] && i.Login != "" {
				v.Links = append(v.Links, i.Issuer+"/"+url.PathEscape(i.Login))
			}
		}
	}
	return v, nil
}
