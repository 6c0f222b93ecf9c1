package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Namespace is whose a namespace is.
type Namespace struct {
	Name        string    `json:"name"`
	OwnerKind   string    `json:"owner_kind,omitempty"` // account | org; empty: the registry's own
	Owner       string    `json:"owner,omitempty"`
	TrustedOnly bool      `json:"trusted_only"`
	SignedOnly  bool      `json:"signed_only"`
	Created     time.Time `json:"created_at"`
}

// NamespaceRequest is a namespace that somebody asks the administrators for.
type NamespaceRequest struct {
	ID        string    `json:"id"`
	Namespace string    `json:"namespace"`
	Login     string    `json:"login"`
	Why       string    `json:"why"`
	State     string    `json:"state"` // waiting | granted | refused
	Created   time.Time `json:"created_at"`
}

// BuildPolicy is who may attach builds besides the publisher of a version, and
// until when.
type BuildPolicy struct {
	Days       int      `json:"days"`       // after the version; -1: for ever
	Rebuilders []string `json:"rebuilders"` // logins, publisher:ID, token:ID
}

// Switches are what an organisation asks of its packages.
type Switches struct {
	TrustedOnly bool   `json:"trusted_only"`
	SignedOnly  bool   `json:"signed_only"`
	TwoPerson   bool   `json:"two_person"`
	Creators    string `json:"creators"` // owner | maintainer | publisher
}

// Organisation is a group of accounts that owns namespaces.
type Organisation struct {
	Name       string    `json:"name"`
	Display    string    `json:"display_name"`
	Created    time.Time `json:"created_at"`
	Namespaces []string  `json:"namespaces"`
	Switches   *Switches `json:"switches,omitempty"` // nil for who is no member
}

// Membership is what an account is to an organisation.
type Membership struct {
	Organisation string `json:"organisation"`
	Login        string `json:"login"`
	Name         string `json:"name"`
	Role         string `json:"role"` // owner | maintainer | publisher | reader
}

// Team is a group of an organisation's members.
type Team struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created_at"`
}

// Invitation is a role that somebody is asked to take.
type Invitation struct {
	ID           string    `json:"id"`
	Organisation string    `json:"organisation,omitempty"`
	Pattern      string    `json:"pattern,omitempty"`
	Role         string    `json:"role"`
	Login        string    `json:"login"`
	By           string    `json:"by"`
	Expires      time.Time `json:"expires_at"`
}

// Confirmation is a change of ownership that waits for a second owner.
type Confirmation struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"` // member.role, member.remove, org.switches or transfer.ask
	Change  json.RawMessage `json:"change"`
	Created time.Time       `json:"created_at"`
	Expires time.Time       `json:"expires_at"`
}

// Transfer is an offer of a package or of a namespace.
type Transfer struct {
	ID      string    `json:"id"`
	Pattern string    `json:"pattern"` // "@acme/zlib" or "@acme/*"
	ToKind  string    `json:"to_kind"` // account or org
	To      string    `json:"to"`
	Expires time.Time `json:"expires_at"`
}

// Outcome says whether a change of ownership was made, or waits for a second
// owner.
type Outcome struct {
	Done  bool          `json:"done"`
	Waits *Confirmation `json:"waits,omitempty"`
}

// Grant is a role on a package or a namespace.
type Grant struct {
	Pattern    string `json:"pattern"`
	HolderKind string `json:"holder_kind"` // account | team
	Holder     string `json:"holder"`
	Role       string `json:"role"`
	By         string `json:"by"`
}

// Grants are the grants that count for something, and the invitations to one.
type Grants struct {
	Items       []Grant      `json:"items"`
	Invitations []Invitation `json:"invitations"`
}

// Granted says what became of a grant.
type Granted struct {
	Done       bool        `json:"done"` // false: once the invitation is accepted
	Invitation *Invitation `json:"invitation,omitempty"`
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Seq      int64           `json:"seq"`
	Time     time.Time       `json:"time"`
	Actor    string          `json:"actor"`
	Address  string          `json:"address,omitempty"`
	Action   string          `json:"action"`
	Resource string          `json:"resource"`
	Detail   json.RawMessage `json:"detail,omitempty"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Prev     string          `json:"prev"`
	Hash     string          `json:"hash"`
}

// AuditQuery says which entries of the audit log are wanted.
type AuditQuery struct {
	Resource string // "@acme", "@acme/zlib" or "org:acme"; empty: the own account's, or everything
	Actor    string
	Action   string // with a dot at the end, all that begin so
	Limit    int    // 0: the server's default
	Cursor   string // AuditPage.NextCursor of the page before
}

// AuditPage is a page of the audit log, the newest entry first.
type AuditPage struct {
	Items      []AuditEntry `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// Explanation says why somebody may do something, or may not.
type Explanation struct {
	Allowed  bool     `json:"allowed"`
	Action   string   `json:"action"`
	Resource string   `json:"resource"`
	Who      string   `json:"who"`
	Because  string   `json:"because"`
	Scope    string   `json:"scope,omitempty"`
	Role     string   `json:"role,omitempty"`
	Missing  string   `json:"missing,omitempty"`
	Fixes    []string `json:"fixes,omitempty"`
}

// path joins parts of an address, escaped.
func path(parts ...string) string {
	var out strings.Builder
	for _, p := range parts {
		out.WriteString("/" + url.PathEscape(p))
	}
	return out.String()
}

// patternPath is where the API has what belongs to "@acme/zlib" or "@acme/*".
func patternPath(pattern string) string {
	if n, err := clyde.ParseName(pattern); err == nil {
		return packagePath(n)
	}
	ns := pattern
	if len(ns) > 3 && ns[0] == '@' && ns[len(ns)-2:] == "/*" {
		ns = ns[1 : len(ns)-2]
	}
	return path("namespaces", ns)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, in, out, nil)
}

func (c *Client) remove(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodDelete, path, nil, out, nil)
}

// Namespaces returns what the account and its organisations own.
func (c *Client) Namespaces(ctx context.Context) ([]Namespace, error) {
	return list[Namespace](ctx, c, "/namespaces", nil)
}

// BuildPolicy returns what a namespace says about builds.
func (c *Client) BuildPolicy(ctx context.Context, namespace string) (out BuildPolicy, err error) {
	return out, c.get(ctx, path("namespaces", namespace, "builds"), nil, &out)
}

// SetBuildPolicy replaces what a namespace says about builds.
func (c *Client) SetBuildPolicy(ctx context.Context, namespace string, p BuildPolicy) (out BuildPolicy, err error) {
	return out, c.call(ctx, http.MethodPut, path("namespaces", namespace, "builds"), p, &out, nil)
}

// ClaimNamespace claims a namespace for the account, for an organisation, or
// for an administrator's choice of owner; org and owner may be empty.
func (c *Client) ClaimNamespace(ctx context.Context, name, org, owner string) (out Namespace, err error) {
	in := map[string]string{"name": name}
	if org != "" {
		in["organisation"] = org
	}
	if owner != "" {
		in["owner"] = owner
	}
	return out, c.post(ctx, "/namespaces", in, &out)
}

// RequestNamespace asks the administrators for a namespace; org may be empty.
func (c *Client) RequestNamespace(ctx context.Context, name, org, why string) (out NamespaceRequest, err error) {
	in := map[string]string{"name": name, "why": why}
	if org != "" {
		in["organisation"] = org
	}
	return out, c.post(ctx, "/namespace-requests", in, &out)
}

// Organisations returns what the account belongs to.
func (c *Client) Organisations(ctx context.Context) ([]Membership, error) {
	return list[Membership](ctx, c, "/orgs", nil)
}

// CreateOrganisation makes an organisation; owner is for administrators.
func (c *Client) CreateOrganisation(ctx context.Context, name, display, owner string) (out Organisation, err error) {
	in := map[string]string{"name": name, "display_name": display, "owner": owner}
	return out, c.post(ctx, "/orgs", in, &out)
}

// Organisation returns an organisation.
func (c *Client) Organisation(ctx context.Context, name string) (out Organisation, err error) {
	return out, c.get(ctx, path("orgs", name), nil, &out)
}

// SetSwitches says what an organisation asks of its packages.
func (c *Client) SetSwitches(ctx context.Context, org string, s Switches) (out Outcome, err error) {
	return out, c.call(ctx, http.MethodPut, path("orgs", org, "switches"), s, &out, nil)
}

// Confirmations returns the changes of ownership that wait for a second owner.
func (c *Client) Confirmations(ctx context.Context, org string) ([]Confirmation, error) {
	return list[Confirmation](ctx, c, path("orgs", org, "confirmations"), nil)
}

// Confirm carries out a change that another owner asked for, or with accept
// false drops it.
func (c *Client) Confirm(ctx context.Context, id string, accept bool) error {
	return c.post(ctx, path("confirmations", id), map[string]bool{"accept": accept}, nil)
}

// Members returns who belongs to an organisation.
func (c *Client) Members(ctx context.Context, org string) ([]Membership, error) {
	return list[Membership](ctx, c, path("orgs", org, "members"), nil)
}

// Invite asks an account to join an organisation.
func (c *Client) Invite(ctx context.Context, org, login, role string) (out Invitation, err error) {
	return out, c.post(ctx, path("orgs", org, "invitations"), map[string]string{"login": login, "role": role}, &out)
}

// SetRole changes what a member is.
func (c *Client) SetRole(ctx context.Context, org, login, role string) (out Outcome, err error) {
	return out, c.call(ctx, http.MethodPut, path("orgs", org, "members", login), map[string]string{"role": role}, &out, nil)
}

// RemoveMember ends a membership.
func (c *Client) RemoveMember(ctx context.Context, org, login string) (out Outcome, err error) {
	return out, c.remove(ctx, path("orgs", org, "members", login), &out)
}

// Teams returns an organisation's teams.
func (c *Client) Teams(ctx context.Context, org string) ([]Team, error) {
	return list[Team](ctx, c, path("orgs", org, "teams"), nil)
}

// CreateTeam makes a team.
func (c *Client) CreateTeam(ctx context.Context, org, team string) error {
	return c.post(ctx, path("orgs", org, "teams"), map[string]string{"name": team}, nil)
}

// RemoveTeam removes a team with what was granted to it.
func (c *Client) RemoveTeam(ctx context.Context, org, team string) error {
	return c.remove(ctx, path("orgs", org, "teams", team), nil)
}

// AddToTeam puts a member into a team.
func (c *Client) AddToTeam(ctx context.Context, org, team, login string) error {
	return c.call(ctx, http.MethodPut, path("orgs", org, "teams", team, "members", login), nil, nil, nil)
}

// RemoveFromTeam takes a member out of a team.
func (c *Client) RemoveFromTeam(ctx context.Context, org, team, login string) error {
	return c.remove(ctx, path("orgs", org, "teams", team, "members", login), nil)
}

// Invitations returns what waits for the account's answer.
func (c *Client) Invitations(ctx context.Context) ([]Invitation, error) {
	return list[Invitation](ctx, c, "/invitations", nil)
}

// AnswerInvitation accepts or declines.
func (c *Client) AnswerInvitation(ctx context.Context, id string, accept bool) error {
	return c.post(ctx, path("invitations", id), map[string]bool{"accept": accept}, nil)
}

// Grants returns who works on "@acme/zlib" or "@acme/*".
func (c *Client) Grants(ctx context.Context, pattern string) (out Grants, err error) {
	return out, c.get(ctx, patternPath(pattern)+"/grants", nil, &out)
}

// Grant gives a role on a pattern to "alice" or "acme/team".
func (c *Client) Grant(ctx context.Context, pattern, holder, role string) (out Granted, err error) {
	return out, c.post(ctx, patternPath(pattern)+"/grants", map[string]string{"holder": holder, "role": role}, &out)
}

// RevokeGrant takes it away.
func (c *Client) RevokeGrant(ctx context.Context, pattern, holder string) error {
	return c.remove(ctx, patternPath(pattern)+"/grants?"+url.Values{"holder": {holder}}.Encode(), nil)
}

// SetAccess hides a package, or shows it.
func (c *Client) SetAccess(ctx context.Context, name clyde.Name, private bool) error {
	access := "public"
	if private {
		access = "private"
	}
	return c.call(ctx, http.MethodPut, packagePath(name)+"/access", map[string]string{"access": access}, nil, nil)
}

// Transfer offers "@acme/zlib" or "@acme/*" to an account or organisation
// (kind is "account" or "org").
func (c *Client) Transfer(ctx context.Context, pattern, kind, to string) (out Outcome, err error) {
	return out, c.post(ctx, patternPath(pattern)+"/transfers", map[string]string{"to_kind": kind, "to": to}, &out)
}

// Transfers returns what waits for the account's answer, or for that of an
// organisation that it owns.
func (c *Client) Transfers(ctx context.Context, org string) ([]Transfer, error) {
	q := url.Values{}
	set(q, "org", org)
	return list[Transfer](ctx, c, "/transfers", q)
}

// Offers returns what owners of a namespace offered of it.
func (c *Client) Offers(ctx context.Context, namespace string) ([]Transfer, error) {
	return list[Transfer](ctx, c, "/transfers", url.Values{"namespace": {namespace}})
}

// AnswerTransfer takes over what was offered, or declines.
func (c *Client) AnswerTransfer(ctx context.Context, id string, accept bool) error {
	return c.post(ctx, path("transfers", id), map[string]bool{"accept": accept}, nil)
}

// CancelTransfer takes an offer back.
func (c *Client) CancelTransfer(ctx context.Context, id string) error {
	return c.remove(ctx, path("transfers", id), nil)
}

// Audit returns one page of the audit log.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (out AuditPage, err error) {
	v := url.Values{}
	set(v, "resource", q.Resource)
	set(v, "actor", q.Actor)
	set(v, "action", q.Action)
	set(v, "cursor", q.Cursor)
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return out, c.get(ctx, "/audit", v, &out)
}

// Explain says whether an action on a pattern is allowed, and why; login is for
// administrators who ask about somebody else.
func (c *Client) Explain(ctx context.Context, action, pattern, login string) (out Explanation, err error) {
	in := map[string]string{"action": action, "resource": pattern}
	if login != "" {
		in["account"] = login
	}
	return out, c.post(ctx, "/auth/explain", in, &out)
}
