package account

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// RoleName is what somebody is to a package, a namespace or an organisation.
type RoleName string

// The roles, each with everything that the one after it may do.
const (
	RoleOwner      RoleName = "owner"
	RoleMaintainer RoleName = "maintainer"
	RolePublisher  RoleName = "publisher"
	RoleReader     RoleName = "reader"
)

// roleTable is the one table of who may do what. PublishNew is an owner's and a
// maintainer's here; the organisation's switch Creators moves that line.
var roleTable = []struct {
	role    RoleName
	actions []Action
}{
	{RoleOwner, []Action{Pull, PublishNew, Publish, Yank, Manage, Own}},
	{RoleMaintainer, []Action{Pull, PublishNew, Publish, Yank, Manage}},
	{RolePublisher, []Action{Pull, Publish, Yank}},
	{RoleReader, []Action{Pull}},
}

// DefaultCreators is the least role that may create packages where nothing else
// is set.
const DefaultCreators = RoleMaintainer

// Roles returns every role, the most powerful first.
func Roles() []RoleName {
	out := make([]RoleName, len(roleTable))
	for i, r := range roleTable {
		out[i] = r.role
	}
	return out
}

// Actions returns what the role may do where nothing else is set; nil for a
// role that does not exist.
func (n RoleName) Actions() []Action {
	for _, r := range roleTable {
		if r.role == n {
			return slices.Clone(r.actions)
		}
	}
	return nil
}

// AtLeast reports whether n may do all that m may. A role that does not exist
// is below every other, and nothing is at least it.
func (n RoleName) AtLeast(m RoleName) bool {
	i, j := slices.Index(Roles(), n), slices.Index(Roles(), m)
	return i >= 0 && j >= 0 && i <= j
}

// ParseRole accepts the text form of a role.
func ParseRole(s string) (RoleName, error) {
	if n := RoleName(s); slices.Contains(Roles(), n) {
		return n, nil
	}
	return "", clyde.Errorf(clyde.ErrInvalid, "role %q: want one of %v", s, Roles()).WithCode("role_invalid")
}

// Role is a role that an account holds now, and from where.
type Role struct {
	Pattern  string   // "acme/zlib", "acme/*", or "*" for an administrator
	Name     RoleName // "" takes the wildcards of others away: the package was handed on
	Via      string   // store.ViaNamespace and the like, or "administrator"
	ViaName  string   // organisation or team
	Creators RoleName // least role that may create packages there; "" is DefaultCreators
}

// matches reports whether the role is about repo, "acme/zlib" or "acme/*".
func (r Role) matches(repo string) bool {
	if r.Pattern == "*" || r.Pattern == repo {
		return true
	}
	ns, _, ok := strings.Cut(repo, "/")
	return ok && r.Pattern == ns+"/*"
}

// allows reports whether the role's name covers a.
func (r Role) allows(a Action) bool {
	if a == PublishNew && r.Name != RoleOwner {
		least := r.Creators
		if least == "" {
			least = DefaultCreators
		}
		return r.Name.AtLeast(RolePublisher) && r.Name.AtLeast(least)
	}
	for i := range roleTable {
		if roleTable[i].role == r.Name {
			return slices.Contains(roleTable[i].actions, a)
		}
	}
	return false
}

// String says the role as a person would: "maintainer of @acme/* (team release of acme)".
func (r Role) String() string {
	what := "@" + r.Pattern
	if r.Pattern == "*" {
		what = "everything"
	}
	s := string(r.Name) + " of " + what
	switch r.Via {
	case store.ViaOrg, store.ViaPackageOrg:
		s += ", as a member of " + r.ViaName
	case store.ViaTeam:
		s += ", by the team " + r.ViaName
	case store.ViaGrant:
		s += ", by a grant"
	case store.ViaNamespace:
		s += ", which the account owns"
	case store.ViaPackage:
		s += ", which was handed to the account"
	case viaAdmin:
		s += ", as an administrator"
	}
	return s
}

// viaAdmin is the role that a scoped token of an administrator narrows.
const viaAdmin = "administrator"

// rolesOf turns what the store knows into roles.
func rolesOf(hs []store.Holding) []Role {
	out := make([]Role, len(hs))
	for i, h := range hs {
		out[i] = Role{Pattern: h.Pattern, Name: RoleName(h.Role), Via: h.Via, ViaName: h.ViaName, Creators: RoleName(h.Creators)}
	}
	return out
}

// held returns the first of roles that allows a on repo. A wildcard does not
// reach a package that was handed to somebody else.
func held(roles []Role, a Action, repo string) (Role, bool) {
	away := slices.ContainsFunc(roles, func(r Role) bool { return r.Via == store.ViaTransferred && r.Pattern == repo })
	for _, r := range roles {
		if !r.matches(repo) || !r.allows(a) {
			continue
		}
		if away && r.Pattern != repo && r.Via != viaAdmin {
			continue
		}
		return r, true
	}
	return Role{}, false
}
