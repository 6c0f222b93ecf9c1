package account

import (
	"context"
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
	if err := requirePerson(by, what); err != nil {
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
