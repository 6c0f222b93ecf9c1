package account

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Kinds of issuer: what the claims of its tokens mean.
const (
	KindGitHub  = "github"
	KindGitLab  = "gitlab"
	KindForgejo = "forgejo" // Gitea too
	KindGeneric = "generic" // any other: claims are compared, and mean nothing to us
)

// Kinds lists the kinds of issuer.
func Kinds() []string { return []string{KindGitHub, KindGitLab, KindForgejo, KindGeneric} }

// Limits of trusted publishing.
const (
	RunTokenLife     = 15 * time.Minute    // of a token of a CI run: PyPI's; a push of 5 GB at 6 MB/s
	PendingLife      = 30 * 24 * time.Hour // of a publisher whose package does not exist. Ours: a month to get the workflow right
	MaxPublishers    = 20                  // of one package. Ours: what a person can review
	MaxClaims        = 20                  // rules of one generic publisher. Ours
	MaxPattern       = 256                 // bytes of what a claim must be. Ours
	keepRunTokens    = 24 * time.Hour      // expired, for their owners to see; the audit log knows them longer
	maxExchangeNames = 8                   // packages named when a token fits several
)

// TrustedIssuer is an OIDC issuer whose tokens are accepted.
type TrustedIssuer struct {
	Name     string // short, for people and the command line: "github"
	URL      string // as iss says it
	Kind     string
	Audience string // of its tokens; "": TrustedOptions.Audience
}

// TrustedStore is what trusted publishing needs of the store.
type TrustedStore interface {
	AddPublisher(ctx context.Context, p store.Publisher, audit store.AuditEntry) error
	PublishersOf(ctx context.Context, namespace, base string) ([]store.Publisher, error)
	PublishersIn(ctx context.Context, namespace string) ([]store.Publisher, error)
	PublishersByIssuer(ctx context.Context, issuer string) ([]store.Publisher, error)
	RemovePublisher(ctx context.Context, id string, audit store.AuditEntry) error
	UseJTI(ctx context.Context, issuer string, hash []byte, expires time.Time) error
	AddToken(ctx context.Context, t store.Token, audit store.AuditEntry) error
	PurgeRunTokens(ctx context.Context, by time.Time) error
	Setting(ctx context.Context, repo string) (store.Setting, error)
	HasVersions(ctx context.Context, repo string) (bool, error)
	Namespace(ctx context.Context, name string) (store.Namespace, error)
	Account(ctx context.Context, id int64) (store.Account, error)
}

// Verifier checks ID tokens; *oidc.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, raw, issuer, audience string) (oidc.Token, error)
}

// Lookup asks a provider for the numeric identifiers of a repository. Its
// errors are *clyde.Error.
type Lookup func(ctx context.Context, i TrustedIssuer, repository string) (owner, repo string, err error)

// TrustedOptions are what NewTrusted needs. Lookup and Now may be nil.
type TrustedOptions struct {
	DB       TrustedStore
	Verifier Verifier
	Issuers  []TrustedIssuer
	Audience string // this registry's public host; "", as in administration offline: no token is for us
	Lookup   Lookup // nil: whoever adds a publisher gives the identifiers
	Now      func() time.Time
}

// Trusted lets CI runs publish without a stored secret.
type Trusted struct{ o TrustedOptions }

// NewTrusted returns a Trusted. It contacts nobody.
func NewTrusted(o TrustedOptions) (*Trusted, error) {
	if o.DB == nil || o.Verifier == nil {
		return nil, errors.New("account.NewTrusted: an option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for i := range o.Issuers {
		if o.Issuers[i].Audience == "" {
			o.Issuers[i].Audience = o.Audience
		}
	}
	return &Trusted{o}, nil
}

// Issuers lists the issuers whose tokens are accepted.
func (t *Trusted) Issuers() []TrustedIssuer { return slices.Clone(t.o.Issuers) }

// Audience is what tokens of most issuers must be made for.
func (t *Trusted) Audience() string { return t.o.Audience }

// issuer finds one by its name or its address.
func (t *Trusted) issuer(s string) (TrustedIssuer, error) {
	var names []string
	for _, i := range t.o.Issuers {
		if i.Name == s || i.URL == s {
			return i, nil
		}
		names = append(names, i.Name+" ("+i.URL+")")
	}
	if len(names) == 0 {
		return TrustedIssuer{}, clyde.Errorf(clyde.ErrDenied, "this registry accepts identity tokens of no issuer").WithCode("issuer_unknown").
			Fix("Ask its operator to set trusted_publishing.issuers.")
	}
	return TrustedIssuer{}, clyde.Errorf(clyde.ErrDenied, "this registry accepts no identity tokens of %q; it accepts those of %s", shorten(s), strings.Join(names, ", ")).
		WithCode("issuer_unknown").Fix("Use one of these, or ask the operator to add it to trusted_publishing.issuers.")
}

// PublisherSpec says which CI runs may publish a package. For GitHub, GitLab
// and Forgejo the first fields count, for other issuers Claims alone. Patterns
// match as a whole: "*" stands for any text without a slash, "**" for any.
type PublisherSpec struct {
	Issuer       string `json:"issuer"`                  // name or address of a configured issuer
	Repository   string `json:"repository,omitempty"`    // "acme/zlib", as it was called when the publisher was added
	OwnerID      string `json:"owner_id,omitempty"`      // numeric: of the owner, at GitLab of the namespace
	RepositoryID string `json:"repository_id,omitempty"` // numeric: of the repository, at GitLab of the project
	Workflow     string `json:"workflow,omitempty"`      // "release.yml"; at GitLab the path of the configuration
	JobWorkflow  string `json:"job_workflow,omitempty"`  // pattern of a reusable workflow: "acme/ci/.github/workflows/publish.yml@refs/heads/main"
	Ref          string `json:"ref,omitempty"`           // pattern: "refs/tags/v*"; "" is any
	Environment  string `json:"environment,omitempty"`   // "" is any and none

	Claims map[string]string `json:"claims,omitempty"` // claim → pattern, of generic issuers
}

// Publisher is a trusted publisher of a package.
type Publisher struct {
	ID      string
	Package clyde.Name
	Kind    string
	Spec    PublisherSpec
	By      string
	Created time.Time
	Expires time.Time // of one whose package does not exist yet; zero otherwise
	Used    time.Time // zero: never
}

// publisher reads a row.
func publisher(r store.Publisher) (Publisher, error) {
	p := Publisher{
		ID: r.ID, Package: clyde.Name{Namespace: r.Namespace, Base: r.Base}, Kind: kindOf(r.Provider),
		By: r.By, Created: r.Created, Expires: r.Expires, Used: r.Used,
	}
	err := json.Unmarshal(r.Claims, &p.Spec)
	p.Spec.Issuer = r.Issuer
	return p, err
}

// The store calls the provider of a generic issuer "oidc".
func providerOf(kind string) string {
	if kind == KindGeneric {
		return "oidc"
	}
	return kind
}

func kindOf(provider string) string {
	if provider == "oidc" {
		return KindGeneric
	}
	return provider
}

// Publishers lists the trusted publishers of a package on behalf of by, who
// needs the right to manage it.
func (t *Trusted) Publishers(ctx context.Context, by Principal, name clyde.Name) ([]Publisher, error) {
	if _, err := t.mayTrust(ctx, by, name); err != nil {
		return nil, err
	}
	return t.publishers(ctx, name)
}

func (t *Trusted) publishers(ctx context.Context, name clyde.Name) ([]Publisher, error) {
	rows, err := t.o.DB.PublishersOf(ctx, name.Namespace, name.Base)
	if err != nil {
		return nil, err
	}
	return publishersOf(rows)
}

func publishersOf(rows []store.Publisher) (_ []Publisher, err error) {
	out := make([]Publisher, len(rows))
	for i, r := range rows {
		if out[i], err = publisher(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Add makes CI runs trusted publishers of a package on behalf of by, who needs
// the right to manage it, or to publish it anew when it does not exist: then
// the publisher is pending. Identifiers that are missing are looked up.
func (t *Trusted) Add(ctx context.Context, by Principal, name clyde.Name, spec PublisherSpec) (Publisher, error) {
	exists, err := t.mayTrust(ctx, by, name)
	if err != nil {
		return Publisher{}, err
	}
	if spec.Issuer == "" {
		spec.Issuer = KindGitHub
	}
	iss, err := t.issuer(spec.Issuer)
	if err != nil {
		e := *clyde.AsError(err)
		e.Kind = clyde.ErrInvalid // of the request, not of a credential
		return Publisher{}, &e
	}
	spec.Issuer = iss.URL
	if spec, err = t.complete(ctx, iss, spec); err != nil {
		return Publisher{}, err
	}
	now := t.o.Now().UTC()
	have, err := t.publishers(ctx, name)
	if err != nil {
		return Publisher{}, err
	}
	live := 0
	for _, p := range have {
		if p.expired(now) {
			continue
		}
		live++
		if p.Spec.same(spec) {
			return Publisher{}, clyde.Errorf(clyde.ErrConflict, "%s has this trusted publisher already: it is %s", name, p.ID).WithCode("publisher_exists")
		}
	}
	if live >= MaxPublishers {
		return Publisher{}, clyde.Errorf(clyde.ErrInvalid, "%s has %d trusted publishers, which is the limit", name, MaxPublishers).WithCode("too_many_publishers").
			Fix("Remove one that is not used.")
	}
	p := Publisher{ID: newPublisherID(), Package: name, Kind: iss.Kind, Spec: spec, By: by.String(), Created: now}
	if !exists {
		p.Expires = now.Add(PendingLife)
	}
	claims, err := json.Marshal(spec)
	if err != nil {
		return Publisher{}, err
	}
	row := store.Publisher{
		ID: p.ID, Namespace: name.Namespace, Base: name.Base, Provider: providerOf(iss.Kind), Issuer: iss.URL, Claims: claims,
		By: p.By, Account: by.Account, Created: now, Expires: p.Expires,
	}
	audit := t.audit(by, "publisher.add", name)
	audit.After = string(claims)
	return p, t.o.DB.AddPublisher(ctx, row, audit)
}

// Remove ends the trust in a publisher on behalf of by, who needs the right to
// manage the package. Tokens that a run has already live out their minutes.
func (t *Trusted) Remove(ctx context.Context, by Principal, name clyde.Name, id string) error {
	if _, err := t.mayTrust(ctx, by, name); err != nil {
		return err
	}
	rows, err := t.o.DB.PublishersOf(ctx, name.Namespace, name.Base)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r store.Publisher) bool { return r.ID == id })
	if i < 0 {
		return clyde.Errorf(clyde.ErrNotFound, "%s has no trusted publisher %q", name, shorten(id)).WithCode("publisher_unknown").
			Fix("List them: clyde trust list %s.", name)
	}
	audit := t.audit(by, "publisher.remove", name)
	audit.Before = string(rows[i].Claims)
	return t.o.DB.RemovePublisher(ctx, id, audit)
}

// MayTrust returns nil when by may decide who publishes the package. Where by
// may not, a package that is private and one that does not exist are refused
// alike.
func (t *Trusted) MayTrust(ctx context.Context, by Principal, name clyde.Name) error {
	_, err := t.mayTrust(ctx, by, name)
	return err
}

// mayTrust returns nil when by may decide who publishes the package, and
// whether it exists. Where by may not, a package that is private and one that
// does not exist are refused alike.
func (t *Trusted) mayTrust(ctx context.Context, by Principal, name clyde.Name) (exists bool, err error) {
	repo := name.Repo()
	set, err := t.o.DB.Setting(ctx, repo)
	if err != nil {
		return false, err
	}
	exists, err = t.o.DB.HasVersions(ctx, repo)
	if err != nil {
		return false, err
	}
	if (set.Private || !exists) && !Allowed(by, Pull, Resource{Repo: repo, Private: true}) && !Allowed(by, PublishNew, Resource{Repo: repo, New: true}) {
		// What by may not see and what is not there are refused alike.
		return exists, Authorize(by, Manage, Resource{Repo: repo, Private: true})
	}
	if exists {
		return true, Authorize(by, Manage, Resource{Repo: repo, Private: set.Private})
	}
	err = Authorize(by, PublishNew, Resource{Repo: repo, New: true})
	if err == nil || Allowed(by, Manage, Resource{Repo: repo}) {
		return false, nil
	}
	return false, err
}

func (t *Trusted) audit(by Principal, action string, name clyde.Name) store.AuditEntry {
	e := store.AuditEntry{Time: t.o.Now().UTC(), Actor: by.String(), Account: by.Account, Token: by.ID, Action: action, Resource: name.String()}
	if by.Addr != (netip.Addr{}) {
		e.Address = by.Addr.Unmap().String()
	}
	return e
}

// expired reports whether the publisher waited too long for its package.
func (p Publisher) expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// same reports whether two publishers trust the same runs.
func (s PublisherSpec) same(o PublisherSpec) bool {
	s.Repository, o.Repository = "", ""
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(o)
	return errA == nil && errB == nil && string(a) == string(b)
}

// site is where people see what an issuer vouches for: "https://github.com".
func (i TrustedIssuer) site() string {
	if i.Kind == KindGitHub && i.URL == GitHubIssuer {
		return "https://github.com"
	}
	u, err := url.Parse(i.URL)
	if err != nil {
		return i.URL
	}
	return u.Scheme + "://" + u.Host
}

// Issuers that are known without configuration. Nobody asks them anything
// before somebody presents one of their tokens.
const (
	GitHubIssuer = "https://token.actions.githubusercontent.com"
	GitLabIssuer = "https://gitlab.com"
)

// shorten cuts what a stranger sent for use in a message.
func shorten(s string) string {
	const most = 120 // bytes
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
