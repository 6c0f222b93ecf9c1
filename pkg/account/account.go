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
	// Own covers members, transfer and deletion. Only somebody who signed in
	// has it: no token does.
	Own Action = "own"
)

// actions is every action that a token can be given, for messages and validation.
var actions = []Action{Pull, PublishNew, Publish, Yank, Manage}

// Actions returns every action, in the order of the table of roles.
func Actions() []Action { return append(slices.Clone(actions), Own) }

// ParseAction accepts the text form of an action that a token can be given.
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

// RequireAdmin returns nil for an administrator.
func RequireAdmin(p Principal, what string) error {
	switch {
	case p.Admin && !p.Anonymous() && p.usable() == nil:
		return nil
	case p.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs the administrator's token", what).WithCode("token_required")
	}
	if err := p.usable(); err != nil {
		return err
	}
	if p.Session != "" {
		return clyde.Errorf(clyde.ErrDenied, "%s needs an administrator, and %s is not one", what, p).WithCode("grant_missing")
	}
	return clyde.Errorf(clyde.ErrDenied, "%s needs the administrator's token; token %q is not one", what, p.Name).WithCode("grant_missing")
}

func (s Scope) String() string { return fmt.Sprintf("%v on %s", s.Actions, s.Pattern) }
