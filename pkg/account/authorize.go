package account

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Principal is who is calling. The zero Principal is anonymous.
type Principal struct {
	ID     string  // of the token or the session; "" is anonymous
	Name   string  // shown in logs and audit: "admin", "ci of acme", the login of an account
	Admin  bool    // may do anything
	Scopes []Scope // what the token grants; of an account's token, at most

	Account   int64  // 0: a token of the instance
	Login     string // of the account
	Token     string // the name of the token, "" for a session
	Session   string // public ID of the session; "" for a token
	Roles     []Role // what the account holds now
	Suspended string // why the account is suspended; "" when it is not

	Addr     netip.Addr     // where the request came from; zero when unknown
	Networks []netip.Prefix // where the token may be used from; none: anywhere
	Run      *Run           // the CI run that the token was made for
	Proved   time.Time      // when the owner last signed in actively; of a token, only of a proof
}

// Run is what a CI provider vouched for when it was given a token.
type Run struct {
	Provider   string `json:"provider"`         // github | gitlab | forgejo | oidc
	Issuer     string `json:"issuer"`           // of the OIDC token
	Publisher  string `json:"publisher"`        // ID of the trusted publisher that matched
	Repository string `json:"repository"`       // "acme/zlib" at the provider, or its address
	Commit     string `json:"commit,omitempty"` // the revision that was built
	Ref        string `json:"ref,omitempty"`    // "refs/tags/v1.2.0"
	Workflow   string `json:"workflow,omitempty"`
	Env        string `json:"environment,omitempty"`
	URL        string `json:"url,omitempty"`     // of the run
	Actor      string `json:"actor,omitempty"`   // who started it, at the provider
	Subject    string `json:"subject,omitempty"` // sub of the OIDC token
}

// Resource is what an action is done to.
type Resource struct {
	Repo        string // "acme/zlib", or "acme/*" for the namespace
	Private     bool
	New         bool // no version was ever published: Publish is PublishNew
	TrustedOnly bool // its organisation publishes from CI by trusted publishing alone
}

// reason is why a decision fell as it did.
type reason int

const (
	unknownAction reason = iota
	public
	anonymous
	suspended
	network
	administrator
	trustedOnly
	notByToken
	noScope
	noRole
	granted
)

// verdict is a decision with what it rests on.
type verdict struct {
	action Action
	why    reason
	scope  Scope // that allows it
	role   Role  // that allows it
}

func (v verdict) ok() bool { return v.why == public || v.why == administrator || v.why == granted }

// decide is where every question about rights ends. It denies by default.
func decide(p Principal, a Action, r Resource) verdict {
	if a == Publish && r.New {
		a = PublishNew
	}
	v := verdict{action: a}
	switch {
	case a != Own && !slices.Contains(actions, a):
		v.why = unknownAction
		return v
	case a == Pull && !r.Private:
		v.why = public
		return v
	case p.Anonymous():
		v.why = anonymous // whatever else it claims: nobody vouched for it
		return v
	case p.Suspended != "":
		v.why = suspended
		return v
	case !p.inNetwork():
		v.why = network
		return v
	case p.Admin:
		v.why = administrator
		return v
	case r.TrustedOnly && p.Run == nil && (a == Publish || a == PublishNew):
		v.why = trustedOnly
		return v
	}
	if p.Session == "" || p.Account == 0 {
		if a == Own && !p.proof() {
			v.why = notByToken
			return v
		}
		i := slices.IndexFunc(p.Scopes, func(s Scope) bool { return s.covers(a, r.Repo) })
		if i < 0 {
			v.why = noScope
			return v
		}
		v.scope = p.Scopes[i]
	}
	if p.Account != 0 {
		role, ok := held(p.Roles, a, r.Repo)
		if !ok {
			v.why = noRole
			return v
		}
		v.role = role
	}
	v.why = granted
	return v
}

// covers is allows, and seeing what one may change. publish-new implies
// nothing: it says what may be made, not what may be looked at.
func (s Scope) covers(a Action, repo string) bool {
	return s.allows(a, repo) ||
		a == Pull && (s.allows(Publish, repo) || s.allows(Yank, repo) || s.allows(Manage, repo))
}

// inNetwork reports whether the token may be used from where it is. An address
// that is not known is in no network.
func (p Principal) inNetwork() bool {
	if len(p.Networks) == 0 {
		return true
	}
	addr := p.Addr.Unmap().WithZone("")
	return slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// usable returns why nothing but reading what is public is open to p.
func (p Principal) usable() error {
	switch {
	case p.Suspended != "":
		return clyde.Errorf(clyde.ErrDenied, "the account %s is suspended: %s", p.Login, p.Suspended).WithCode("account_suspended").
			Fix("Write to the administrators of this registry.")
	case !p.inNetwork():
		where := "an unknown address"
		if p.Addr.IsValid() {
			where = p.Addr.Unmap().String()
		}
		return clyde.Errorf(clyde.ErrDenied, "token %q may not be used from %s; it is for %s", p.tokenName(), where, prefixes(p.Networks)).
			WithCode("network_denied").Fix("Use it from there, or make a token for the network you are in.")
	}
	return nil
}

func prefixes(ps []netip.Prefix) string {
	ss := make([]string, len(ps))
	for i, p := range ps {
		ss[i] = p.String()
	}
	return strings.Join(ss, ", ")
}

// tokenName is how the token is called in messages to its owner.
func (p Principal) tokenName() string {
	if p.Token != "" {
		return p.Token
	}
	return p.Name
}

// Allowed is Authorize without the sentence.
func Allowed(p Principal, a Action, r Resource) bool { return decide(p, a, r).ok() }

// Authorize returns nil when p may do a to r. Otherwise the error is a
// *clyde.Error that names the missing grant: ErrUnauthenticated for anonymous
// callers, ErrNotFound where r is private and p may not even see it, else
// ErrDenied. Where an answer must not tell absent from private, the caller asks
// whether p may see r first.
//
// The zero answer is no. A token of the instance may do what its scopes say; a
// token of an account what its scopes say and its owner's roles allow now; a
// session what the roles allow.
func Authorize(p Principal, a Action, r Resource) error {
	v := decide(p, a, r)
	if v.ok() {
		return nil
	}
	if r.Private && !p.Anonymous() && !Allowed(p, Pull, r) {
		return clyde.Errorf(clyde.ErrNotFound, "package @%s was not found", r.Repo).WithCode("package_unknown")
	}
	return v.refusal(p, r)
}

// refusal says what is missing.
func (v verdict) refusal(p Principal, r Resource) error {
	a := v.action
	switch v.why {
	case anonymous:
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s on @%s needs a token", a, r.Repo).
			WithCode("token_required").Fix("Sign in: clyde login, or docker login with a token as the password.")
	case suspended, network:
		return p.usable()
	case trustedOnly:
		ns, _, _ := strings.Cut(r.Repo, "/")
		return clyde.Errorf(clyde.ErrDenied, "@%s is published from CI by trusted publishing alone, so %s may not %s @%s by hand", ns, p, a, r.Repo).
			WithCode("trusted_publishing_required").Fix("Publish from the workflow that is a trusted publisher of @%s.", r.Repo)
	case notByToken:
		return p.unproven(clyde.Errorf(clyde.ErrDenied, "no lasting token may %s @%s; it takes an owner who signed in", a, r.Repo))
	case noRole:
		e := clyde.Errorf(clyde.ErrDenied, "the account %s has no role that may %s @%s", p.Login, a, r.Repo).
			WithCode("grant_missing").Fix("Ask an owner of @%s for the role %s, or a higher one.", r.Repo, leastRole(a))
		if ns, _, _ := strings.Cut(r.Repo, "/"); a == PublishNew {
			return e.Fix("Where nobody has @%s yet: clyde namespace claim %s, or clyde namespace request %s.", ns, ns, ns)
		}
		return e
	case unknownAction:
		return clyde.Errorf(clyde.ErrDenied, "there is no action %s, so nobody may do it to @%s", a, r.Repo).WithCode("action_unknown")
	}
	e := clyde.Errorf(clyde.ErrDenied, "token %q lacks the right to %s @%s", p.tokenName(), a, r.Repo).WithCode("grant_missing")
	if p.Account != 0 {
		return e.Fix("Use a token with the scope %s on @%s; make one on your page of tokens, or with clyde token create.", a, r.Repo)
	}
	return e.Fix("Use a token with the scope %s on @%s; an administrator makes one with: clyde-registry token create --allow %s --package @%s", a, r.Repo, a, r.Repo)
}

// leastRole is the lowest role that may do a where nothing else is set.
func leastRole(a Action) RoleName {
	least := RoleOwner
	for _, row := range roleTable {
		if slices.Contains(row.actions, a) {
			least = row.role
		}
	}
	return least
}

// Explanation says why somebody may do something, or may not.
type Explanation struct {
	Allowed  bool     `json:"allowed"`
	Action   Action   `json:"action"`   // what was decided: publish of a package that is new is publish-new
	Resource string   `json:"resource"` // "@acme/zlib"
	Who      string   `json:"who"`
	Because  string   `json:"because"`           // one sentence: the grant, or what is missing
	Scope    string   `json:"scope,omitempty"`   // of the token, that allows it
	Role     string   `json:"role,omitempty"`    // of the account, that allows it
	Missing  string   `json:"missing,omitempty"` // "scope", "role" or a code
	Fixes    []string `json:"fixes,omitempty"`
}

// Explain says what Authorize decides and which grant it rests on, or which
// one is missing. It tells of private packages only what Authorize would.
func Explain(p Principal, a Action, r Resource) Explanation {
	v := decide(p, a, r)
	x := Explanation{Allowed: v.ok(), Action: v.action, Resource: "@" + r.Repo, Who: p.String()}
	switch v.why {
	case public:
		x.Because = "Anybody may read what is public."
	case administrator:
		x.Because = p.String() + " is an administrator."
	case granted:
		if v.scope.Pattern != "" {
			x.Scope = v.scope.String()
			x.Because = "The token grants " + x.Scope + "."
		}
		if v.role.Name != "" {
			x.Role = v.role.String()
			x.Because = strings.TrimSpace(x.Because + " " + p.Login + " is " + x.Role + ".")
		}
	default:
		e := clyde.AsError(Authorize(p, a, r))
		x.Because, x.Missing, x.Fixes = e.Msg+".", e.Code, e.Fixes
		if e.Code == "grant_missing" {
			x.Missing = map[reason]string{noScope: "scope", noRole: "role"}[v.why]
		}
	}
	return x
}

// RecentFor is how long a sign in counts as recent for what cannot be undone.
// Ours: long enough for a round of changes, shorter than a lunch.
const RecentFor = 30 * time.Minute

// RequireRecent returns nil when p signed in actively not longer than RecentFor
// ago, or holds the proof of it (ProofFor). Any other token is never recent, but
// for the administrator's of the instance, who has no other way.
func RequireRecent(p Principal, now time.Time, what string) error {
	if p.Admin && p.Account == 0 && !p.Anonymous() {
		return p.usable()
	}
	if (p.Session != "" && p.Account != 0 || p.proof()) && !p.Proved.IsZero() && now.Sub(p.Proved) <= RecentFor {
		return p.usable()
	}
	if p.Anonymous() {
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs somebody who signed in", what).WithCode("sign_in_required")
	}
	if p.Session == "" {
		return p.unproven(clyde.Errorf(clyde.ErrDenied, "%s needs a recent sign in", what))
	}
	return clyde.Errorf(clyde.ErrDenied, "%s needs a recent sign in", what).WithCode("sign_in_again").
		Fix("Sign in again on the web site; it counts for %d minutes.", int(RecentFor.Minutes()))
}
