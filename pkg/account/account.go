// Package account answers who is calling and what they may do. Authorize is
// the only judge; it denies by default.
package account

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Action is something a principal may be allowed to do to a package.
type Action string

// The actions. Manage covers settings, keys and tokens of a namespace.
const (
	Pull       Action = "pull"
	PublishNew Action = "publish-new" // the first version of a package
	Publish    Action = "publish"     // another version of it, and what refers to it
	Yank       Action = "yank"        // yank, unyank, deprecate
	Manage     Action = "manage"
)

// actions is every action, for messages and validation.
var actions = []Action{Pull, PublishNew, Publish, Yank, Manage}

// ParseAction accepts the text form of an action.
func ParseAction(s string) (Action, error) {
	if a := Action(s); slices.Contains(actions, a) {
		return a, nil
	}
	return "", clyde.Errorf(clyde.ErrInvalid, "action %q: want one of %v", s, actions)
}

// Scope grants actions on the packages that match a pattern.
type Scope struct {
	Actions []Action `json:"actions"`
	Pattern string   `json:"pattern"` // "@acme/zlib", "@acme/*" or "*"
}

// ParsePattern checks a package pattern.
func ParsePattern(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	ns, base, ok := strings.Cut(strings.TrimPrefix(s, "@"), "/")
	probe := base
	if base == "*" {
		probe = "x"
	}
	if _, err := clyde.ParseName("@" + ns + "/" + probe); !ok || !strings.HasPrefix(s, "@") || err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "package pattern %q: want @namespace/name, @namespace/* or *", s)
	}
	return s, nil
}

// check refuses a scope that grants nothing or what nobody can read.
func (s Scope) check() error {
	if len(s.Actions) == 0 {
		return clyde.Errorf(clyde.ErrInvalid, "scope on %q: grants nothing; name at least one of %v", s.Pattern, actions)
	}
	for _, a := range s.Actions {
		if _, err := ParseAction(string(a)); err != nil {
			return err
		}
	}
	_, err := ParsePattern(s.Pattern)
	return err
}

// Names reports whether the scope names the namespace itself, as "*" does not.
func (s Scope) Names(namespace string) bool {
	return strings.HasPrefix(s.Pattern, "@"+namespace+"/")
}

// allows reports whether the scope grants a on repo ("acme/zlib").
func (s Scope) allows(a Action, repo string) bool {
	if !slices.Contains(s.Actions, a) {
		return false
	}
	if s.Pattern == "*" || s.Pattern == "@"+repo {
		return true
	}
	ns, _, _ := strings.Cut(repo, "/")
	return s.Pattern == "@"+ns+"/*"
}

// Principal is who is calling. The zero Principal is anonymous.
type Principal struct {
	ID     string  // token's ID; "" is anonymous
	Name   string  // shown in logs and audit: "admin", "ci of acme"
	Admin  bool    // may do anything
	Scopes []Scope // what the token grants
}

// Anonymous reports whether nobody signed in.
func (p Principal) Anonymous() bool { return p.ID == "" }

// String is how the principal is written into events, claims and audit.
func (p Principal) String() string {
	switch {
	case p.Anonymous():
		return "anonymous"
	case p.Name == "":
		return p.ID
	}
	return p.Name
}

// Resource is what an action is done to: a package's repository, and whether
// it is private.
type Resource struct {
	Repo    string // "acme/zlib"
	Private bool
}

// Authorize returns nil when p may do a to r. Otherwise the error is a
// *clyde.Error that names the missing grant: ErrUnauthenticated for anonymous
// callers, ErrNotFound where r is private and p may not even see it, else
// ErrDenied. Where an answer must not tell absent from private, the caller asks
// whether p may see r first.
func Authorize(p Principal, a Action, r Resource) error {
	if Allowed(p, a, r) {
		return nil
	}
	switch {
	case r.Private && !Allowed(p, Pull, r) && !p.Anonymous():
		return clyde.Errorf(clyde.ErrNotFound, "package @%s was not found", r.Repo).WithCode("package_unknown")
	case p.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s on @%s needs a token", a, r.Repo).
			WithCode("token_required").Fix("Sign in: clyde login, or docker login with a token as the password.")
	}
	return clyde.Errorf(clyde.ErrDenied, "token %q lacks the right to %s @%s", p.Name, a, r.Repo).
		WithCode("grant_missing").Fix("Use a token with the scope %s on @%s; an administrator makes one with: clyde-registry token create --allow %s --package @%s", a, r.Repo, a, r.Repo)
}

// Allowed is Authorize without the sentence.
func Allowed(p Principal, a Action, r Resource) bool {
	switch {
	case !slices.Contains(actions, a):
		return false
	case a == Pull && !r.Private:
		return true
	case p.Anonymous():
		return false // whatever else it claims: nobody vouched for it
	case p.Admin:
		return true
	}
	for _, s := range p.Scopes {
		if s.allows(a, r.Repo) {
			return true
		}
		// Whoever changes a package's versions may see it. publish-new implies
		// nothing: it says what may be made, not what may be looked at.
		if a == Pull && (s.allows(Publish, r.Repo) || s.allows(Yank, r.Repo) || s.allows(Manage, r.Repo)) {
			return true
		}
	}
	return false
}

// RequireAdmin returns nil for an administrator.
func RequireAdmin(p Principal, what string) error {
	switch {
	case p.Admin && !p.Anonymous():
		return nil
	case p.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs the administrator's token", what).WithCode("token_required")
	}
	return clyde.Errorf(clyde.ErrDenied, "%s needs the administrator's token; token %q is not one", what, p.Name).WithCode("grant_missing")
}

func (s Scope) String() string { return fmt.Sprintf("%v on %s", s.Actions, s.Pattern) }
