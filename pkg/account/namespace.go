package account

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// reserved are names that would pass for this registry, for everybody's code or
// for a part of an address. Why is shown.
var reserved = map[string]string{
	"clyde": "it stands for this registry", "clydepm": "it stands for this registry", "registry": "it stands for this registry",
	"official": "it stands for this registry", "core": "it stands for this registry", "security": "it stands for this registry",
	"support": "it stands for this registry", "admin": "it stands for this registry", "administrator": "it stands for this registry",
	"system": "it stands for this registry", "root": "it stands for this registry", "staff": "it stands for this registry",
	"std": "it is C++'s own", "stdlib": "it is C++'s own", "libc": "it is C's own", "cpp": "it is a language", "cxx": "it is a language",
	"api": "it is part of an address", "www": "it is part of an address", "static": "it is part of an address", "assets": "it is part of an address",
	"packages": "it is part of an address", "search": "it is part of an address", "login": "it is part of an address", "logout": "it is part of an address",
	"account": "it is part of an address", "orgs": "it is part of an address", "settings": "it is part of an address", "v2": "it is part of an address",
	"anonymous": "it stands for nobody", "nobody": "it stands for nobody", "null": "it stands for nobody", "undefined": "it stands for nobody",
	"example": "it is for documentation", "localhost": "it is for documentation", "test": "it is for documentation", "library": "other registries give it a meaning",
}

// wellKnown are names of C and C++ that a look-alike would profit from. They
// are open to whoever the provider vouches for; nothing near them is.
var wellKnown = []string{
	"abseil", "adobe", "amazon", "apache", "apple", "arm-software", "boost", "boostorg", "bloomberg", "catchorg", "cern", "cisco", "cloudflare",
	"cmake", "conan-io", "curl", "docker", "eigen", "electron", "envoyproxy", "facebook", "ffmpeg", "fmtlib", "freebsd", "freedesktop", "gabime",
	"github", "gitlab", "glfw", "gnome", "google", "googleapis", "godotengine", "gnutls", "grpc", "haproxy", "huggingface", "ibm", "imagemagick", "intel",
	"isocpp", "jetbrains", "kitware", "libarchive", "libevent", "libexpat", "libgit2", "libsdl-org", "libssh2", "libuv", "linux", "llvm", "madler",
	"mariadb", "mbed-tls", "mesonbuild", "meta", "microsoft", "mongodb", "mozilla", "mysql", "netflix", "nginx", "ninja-build", "nlohmann", "nvidia",
	"nokia", "opencv", "openssl", "openssh", "oracle", "pocoproject", "postgres", "protobuf", "pytorch", "qt", "qtproject", "raysan5", "redhat", "redis",
	"rocksdb", "samsung", "simdjson", "sony", "sqlite", "sqlitebrowser", "tencent", "tensorflow", "tinyxml2", "ubuntu", "uber", "unrealengine", "valvesoftware",
	"vcpkg", "webkit", "wolfssl", "xiph", "yandex", "zeromq", "zlib", "zstd",
}

// nearKnown returns the well-known name that s looks like, and how; "" for none.
func nearKnown(s string) (name, how string) {
	for _, k := range wellKnown {
		if how, alike := clyde.Alike(s, k); alike {
			return k, how
		}
	}
	for k := range reserved {
		if clyde.Skeleton(k) == clyde.Skeleton(s) && k != s {
			return k, "looks the same as"
		}
	}
	return "", ""
}

// CheckName returns why a namespace cannot be claimed: its grammar
// (clyde.ErrInvalid), a reservation ("name_reserved"), or a name that it could
// be taken for ("name_alike"), both clyde.ErrConflict. A name that a provider
// vouched for may look like another.
func (a *Accounts) CheckName(ctx context.Context, name string, verified bool) (err error) {
	defer clyde.Wrap(&err, "account.CheckName")
	if err := clyde.CheckNamespace(name); err != nil {
		return err
	}
	why, ok := reserved[name]
	r, err := a.db.ReservedName(ctx, name)
	switch {
	case err == nil:
		ok, why = true, r.Why
	case !errors.Is(err, clyde.ErrNotFound):
		return err
	}
	if ok {
		return clyde.Errorf(clyde.ErrConflict, "the namespace @%s is reserved: %s", name, why).WithCode("name_reserved").Fix("Choose another name.")
	}
	if verified {
		return nil
	}
	like, how := nearKnown(name)
	if like == "" {
		names, err := a.db.AlikeNamespaces(ctx, name)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			like = names[0]
			how, _ = clyde.Alike(name, like)
		}
	}
	if like != "" {
		return clyde.Errorf(clyde.ErrConflict, "the namespace @%s %s @%s, and one would be taken for the other", name, how, like).WithCode("name_alike").
			Fix("Choose a name that differs by more.")
	}
	return nil
}

// owner returns the owner that a name stands for: the organisation org, in which
// by is an owner, or by itself for "".
func (a *Accounts) owner(ctx context.Context, by Principal, org, what string) (store.Owner, error) {
	if err := requireSession(by, what); err != nil {
		return store.Owner{}, err
	}
	if org == "" {
		return store.Owner{Kind: store.OwnerAccount, ID: by.Account}, nil
	}
	o, err := a.inOrg(ctx, by, org, RoleOwner, what)
	return store.Owner{Kind: store.OwnerOrg, ID: o.ID}, err
}

// ClaimNamespace gives a namespace to by, or to an organisation that by owns,
// at once. verified are the names that by's provider vouched for just now: the
// own login, and organisations administered there. Any other name is
// clyde.ErrDenied with code "name_unverified": it is requested. Errors of
// CheckName apply, and "namespace_taken", "namespace_in_use".
func (a *Accounts) ClaimNamespace(ctx context.Context, by Principal, name, org string, verified []string) (err error) {
	defer clyde.Wrap(&err, "account.ClaimNamespace(%s)", name)
	o, err := a.owner(ctx, by, org, "claiming a namespace")
	if err != nil {
		return err
	}
	if err := clyde.CheckNamespace(name); err != nil {
		return err
	}
	if !slices.ContainsFunc(verified, func(v string) bool { return strings.ToLower(v) == name }) {
		return clyde.Errorf(clyde.ErrDenied, "nobody vouches that the name %s is yours", name).WithCode("name_unverified").
			Fix("Claim your login or an organisation that you administer at the provider you signed in with, or request the name.")
	}
	if err := a.CheckName(ctx, name, true); err != nil {
		return err
	}
	e := a.audit(by, "namespace.claim", "@"+name)
	e.After = asJSON(o)
	return a.db.ClaimNamespace(ctx, name, o, by.String(), false, e)
}

// RequestNamespace asks an administrator for a namespace for by, or for an
// organisation that by owns. Errors of CheckName apply.
func (a *Accounts) RequestNamespace(ctx context.Context, by Principal, name, org, why string) (_ store.NamespaceRequest, err error) {
	defer clyde.Wrap(&err, "account.RequestNamespace(%s)", name)
	o, err := a.owner(ctx, by, org, "requesting a namespace")
	if err != nil {
		return store.NamespaceRequest{}, err
	}
	if len(why) > 2000 {
		return store.NamespaceRequest{}, clyde.Errorf(clyde.ErrInvalid, "the reason is %d bytes long; the limit is 2000", len(why))
	}
	if err := a.CheckName(ctx, name, false); err != nil {
		return store.NamespaceRequest{}, err
	}
	if n, err := a.db.Namespace(ctx, name); err == nil && n.Owner.Kind != store.OwnerNone {
		return store.NamespaceRequest{}, clyde.Errorf(clyde.ErrConflict, "the namespace @%s belongs to somebody", name).WithCode("namespace_taken")
	}
	r := store.NamespaceRequest{
		ID: newID(), Namespace: name, Owner: o, Account: by.Account, Login: by.Login, Why: why, State: store.StateWaiting, Created: a.now().UTC(),
	}
	return r, a.db.AddNamespaceRequest(ctx, r, a.audit(by, "namespace.request", "@"+name))
}

// DecideRequest grants or refuses a request, for administrators.
func (a *Accounts) DecideRequest(ctx context.Context, by Principal, id string, grant bool, why string) error {
	if err := RequireAdmin(by, "deciding on a namespace"); err != nil {
		return err
	}
	r, err := a.db.NamespaceRequest(ctx, id)
	if err != nil {
		return err
	}
	action := "namespace.refuse"
	if grant {
		action = "namespace.grant"
	}
	e := a.audit(by, action, "@"+r.Namespace)
	e.After = asJSON(map[string]any{"owner": r.Owner, "why": why})
	return a.db.DecideNamespaceRequest(ctx, id, grant, by.String(), why, e)
}

// ReserveName keeps a name from everybody, for administrators.
func (a *Accounts) ReserveName(ctx context.Context, by Principal, name, why string) error {
	if err := RequireAdmin(by, "reserving a name"); err != nil {
		return err
	}
	if err := clyde.CheckNamespace(name); err != nil {
		return err
	}
	e := a.audit(by, "name.reserve", "@"+name)
	e.After = asJSON(map[string]string{"why": why})
	return a.db.ReserveName(ctx, store.ReservedName{Name: name, Why: why, By: by.String()}, e)
}

// ReleaseName ends a reservation, for administrators.
func (a *Accounts) ReleaseName(ctx context.Context, by Principal, name string) error {
	if err := RequireAdmin(by, "releasing a name"); err != nil {
		return err
	}
	return a.db.ReleaseName(ctx, name, a.audit(by, "name.release", "@"+name))
}

// Resource describes a package for Authorize as it is now: private, new, and
// what its organisation asks. A package that was handed to another organisation
// answers to that one.
func (a *Accounts) Resource(ctx context.Context, repo string) (r Resource, err error) {
	defer clyde.Wrap(&err, "account.Resource(%s)", repo)
	r.Repo = repo
	ns, base, _ := strings.Cut(repo, "/")
	if base != "*" {
		set, err := a.db.Setting(ctx, repo)
		if err != nil {
			return r, err
		}
		r.Private = set.Private
		known, err := a.db.HasRepo(ctx, repo)
		if err != nil {
			return r, err
		}
		r.New = !known
	}
	s, err := a.Switches(ctx, ns, base)
	r.TrustedOnly = s.TrustedOnly
	return r, err
}

// Switches returns what the organisation that owns a package asks of it; zero
// where no organisation does.
func (a *Accounts) Switches(ctx context.Context, namespace, base string) (store.Switches, error) {
	o, err := a.db.PackageOwner(ctx, namespace+"/"+base)
	switch {
	case err == nil && o.Kind == store.OwnerOrg:
		org, err := a.db.Org(ctx, o.ID)
		return org.Switches, err
	case err == nil:
		return store.Switches{}, nil
	case !errors.Is(err, clyde.ErrNotFound):
		return store.Switches{}, err
	}
	n, err := a.db.Namespace(ctx, namespace)
	if errors.Is(err, clyde.ErrNotFound) {
		return store.Switches{}, nil
	}
	return n.Switches, err
}

// repoPattern checks "@acme/zlib" or "@acme/*" and returns it without the @.
func repoPattern(s string) (string, error) {
	p, err := ParsePattern(s)
	if err != nil {
		return "", err
	}
	if p == "*" {
		return "", clyde.Errorf(clyde.ErrInvalid, "package pattern %q: want @namespace/name or @namespace/*", s)
	}
	return strings.TrimPrefix(p, "@"), nil
}

// owns returns nil where by may change who owns or works on a pattern now.
func (a *Accounts) owns(by Principal, pattern, what string) error {
	if err := Authorize(by, Own, Resource{Repo: pattern}); err != nil {
		return err
	}
	return RequireRecent(by, a.now(), what)
}

// GrantTeam gives a team a role on "@acme/zlib" or "@acme/*", for owners of it.
// The team's organisation need not be the one that owns the package.
func (a *Accounts) GrantTeam(ctx context.Context, by Principal, pattern, org, team string, role RoleName) (err error) {
	defer clyde.Wrap(&err, "account.GrantTeam(%s)", pattern)
	if _, err := ParseRole(string(role)); err != nil {
		return err
	}
	pat, err := repoPattern(pattern)
	if err != nil {
		return err
	}
	if err := a.owns(by, pat, "granting a role"); err != nil {
		return err
	}
	o, err := a.db.OrgByName(ctx, org)
	if err != nil {
		return err
	}
	t, err := a.db.Team(ctx, o.ID, team)
	if err != nil {
		return err
	}
	e := a.audit(by, "grant.set", pattern)
	e.After = asJSON(map[string]string{"team": org + "/" + team, "role": string(role)})
	return a.db.SetGrant(ctx, store.Grant{Pattern: pat, HolderKind: store.HolderTeam, Holder: t.ID, Role: string(role), By: by.String()}, e)
}

// GrantAccount invites an account to a role on "@acme/zlib" or "@acme/*", for
// owners of it. The role is held once the invitation is accepted.
func (a *Accounts) GrantAccount(ctx context.Context, by Principal, pattern, login string, role RoleName) (_ store.Invitation, err error) {
	defer clyde.Wrap(&err, "account.GrantAccount(%s)", pattern)
	if _, err := ParseRole(string(role)); err != nil {
		return store.Invitation{}, err
	}
	pat, err := repoPattern(pattern)
	if err != nil {
		return store.Invitation{}, err
	}
	if err := a.owns(by, pat, "granting a role"); err != nil {
		return store.Invitation{}, err
	}
	return a.invite(ctx, by, store.Invitation{Pattern: pat, Role: string(role)}, login, pattern)
}

// RevokeGrant takes a role away from an account or, as "org/team", a team. An
// account may give up its own.
func (a *Accounts) RevokeGrant(ctx context.Context, by Principal, pattern, kind, holder string) (err error) {
	defer clyde.Wrap(&err, "account.RevokeGrant(%s)", pattern)
	pat, err := repoPattern(pattern)
	if err != nil {
		return err
	}
	if !(kind == store.OwnerAccount && by.Session != "" && holder == by.Login) {
		if err := a.owns(by, pat, "revoking a role"); err != nil {
			return err
		}
	}
	e := a.audit(by, "grant.remove", pattern)
	e.Before = asJSON(map[string]string{kind: holder})
	switch kind {
	case store.OwnerAccount:
		acct, err := a.db.AccountByLogin(ctx, holder)
		if err != nil {
			return err
		}
		return a.db.RemoveGrant(ctx, pat, kind, acct.ID, e)
	case store.HolderTeam:
		org, team, _ := strings.Cut(holder, "/")
		o, err := a.db.OrgByName(ctx, org)
		if err != nil {
			return err
		}
		t, err := a.db.Team(ctx, o.ID, team)
		if err != nil {
			return err
		}
		return a.db.RemoveGrant(ctx, pat, kind, t.ID, e)
	}
	return clyde.Errorf(clyde.ErrInvalid, "holder %q: want account or team", kind)
}

// Grants lists the grants in a namespace, for who manages it.
func (a *Accounts) Grants(ctx context.Context, by Principal, namespace string) ([]store.Grant, error) {
	if err := Authorize(by, Manage, Resource{Repo: namespace + "/*"}); err != nil {
		return nil, err
	}
	return a.db.Grants(ctx, namespace)
}

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
	if err := requireSession(by, "answering a transfer"); err != nil {
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
	if !mine {
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
