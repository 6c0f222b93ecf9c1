package account

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of moderation, in bytes. Ours: a paragraph for everybody to read, and
// a page for the administrators.
const (
	MaxModerationReason = 500
	MaxReportText       = 4000
	MaxReports          = 100 // of one page
)

// ReportKinds is everything that a package can be reported for.
var ReportKinds = []string{"malware", "secret", "squatting", "other"}

// ModerationStore is what a Moderator needs of the store; *store.DB implements
// it.
type ModerationStore interface {
	Packages
	Claim(ctx context.Context, repo, key string) (store.Claim, error)
	Moderation(ctx context.Context, repo, key string) (store.Moderation, error)
	Moderations(ctx context.Context, repo string) ([]store.Moderation, error)
	ModerationList(ctx context.Context, afterRepo, afterKey string, n int) ([]store.Moderation, error)
	SetModeration(ctx context.Context, m store.Moderation, change store.Change, audit store.AuditEntry) error
	ClearModeration(ctx context.Context, repo, key string, change store.Change, audit store.AuditEntry) error
	AddReport(ctx context.Context, r store.Report, audit store.AuditEntry) error
	Report(ctx context.Context, id string) (store.Report, error)
	Reports(ctx context.Context, state string, n int) ([]store.Report, error)
	DecideReport(ctx context.Context, id, by, decision string, audit store.AuditEntry) error
}

// Moderator withdraws versions on behalf of administrators, and takes reports
// from everybody.
type Moderator struct {
	DB  ModerationStore
	Now func() time.Time
	// Erase removes the bytes of a version and leaves m as its tombstone, with
	// feed entry and audit line; digest is its manifest's.
	Erase func(ctx context.Context, m store.Moderation, digest string, change store.Change, audit store.AuditEntry) error
	// Changed makes the catalogue and the search engine true again.
	Changed func(ctx context.Context, repo string) error
}

// What a Moderator can do to a version.
const (
	Quarantine = "quarantine" // withdrawn while somebody looks at it
	Remove     = "remove"     // withdrawn for good; the bytes are kept
	Restore    = "restore"    // back again
	Erase      = "erase"      // the bytes go and a tombstone stays
)

// Decisions lists them.
var Decisions = []string{Quarantine, Remove, Restore, Erase}

// states and feed entries of the decisions.
var (
	stateOf  = map[string]string{Quarantine: store.ModerationQuarantined, Remove: store.ModerationRemoved, Erase: store.ModerationErased}
	changeOf = map[string]string{Quarantine: "version.quarantined", Remove: "version.removed", Restore: "version.restored", Erase: "version.erased"}
)

// Decide carries out what an administrator decided about a version; "" or "*"
// is the package with all its versions, which cannot be erased at once. reason
// is shown to everybody who asks for the version; a restoration needs none. The
// zero Moderation is a version that was restored.
//
// An erasure cannot be undone and needs a recent sign in. It can be repeated,
// to finish one that was interrupted.
func (d *Moderator) Decide(ctx context.Context, by Principal, name clyde.Name, version, decision, reason string) (m store.Moderation, err error) {
	defer clyde.Wrap(&err, "account.Decide(%s, %s)", name, decision)
	if err := RequireAdmin(by, "moderating a package"); err != nil {
		return m, err
	}
	if !slices.Contains(Decisions, decision) {
		return m, clyde.Errorf(clyde.ErrInvalid, "%q is no decision; want one of %s", cut(decision, 20), strings.Join(Decisions, ", ")).WithCode("decision_invalid")
	}
	if decision == Erase {
		if err := RequireRecent(by, d.Now(), "erasing a version"); err != nil {
			return m, err
		}
	}
	if reason, err = plainText("reason", reason, MaxModerationReason, decision != Restore); err != nil {
		return m, err
	}
	claim, err := d.claim(ctx, name, version)
	if err != nil {
		return m, err
	}
	if claim.VersionKey == "" && decision == Erase {
		return m, clyde.Errorf(clyde.ErrInvalid, "versions are erased one by one").WithCode("version_missing").Fix("Name the version.")
	}
	now := d.Now().UTC()
	resource := name.String()
	if claim.Version != "" {
		resource += "@" + claim.Version
	}
	before, err := d.now(ctx, name.Repo(), claim.VersionKey)
	if err != nil {
		return m, err
	}
	change := store.Change{Time: now, Type: changeOf[decision], Package: name.String(), Version: claim.Version, Digest: claim.Digest, Actor: by.String()}
	if claim.VersionKey == "" {
		change.Type = strings.Replace(change.Type, "version.", "package.", 1)
	}
	audit := d.audit(by, "moderation."+decision, resource)
	audit.Before = asJSON(map[string]string{"state": before.State, "reason": before.Reason})
	audit.After = asJSON(map[string]string{"state": stateOf[decision], "reason": reason})
	m = store.Moderation{Repo: name.Repo(), VersionKey: claim.VersionKey, State: stateOf[decision], Reason: reason, By: by.String(), At: now}
	switch decision {
	case Restore:
		m = store.Moderation{}
		err = d.DB.ClearModeration(ctx, name.Repo(), claim.VersionKey, change, audit)
	case Erase:
		return m, d.Erase(ctx, m, claim.Digest, change, audit)
	default:
		err = d.DB.SetModeration(ctx, m, change, audit)
	}
	if err != nil {
		return store.Moderation{}, err
	}
	// What was decided holds already, in the registry too: the database is
	// asked about each read. A failing catalogue catches up by itself.
	return m, d.Changed(ctx, name.Repo())
}

// claim finds what a decision is about.
func (d *Moderator) claim(ctx context.Context, name clyde.Name, version string) (store.Claim, error) {
	if version == "" || version == "*" {
		ok, err := d.DB.HasVersions(ctx, name.Repo())
		if err == nil && !ok {
			err = clyde.Errorf(clyde.ErrNotFound, "package %s was not found", name).WithCode("package_unknown")
		}
		return store.Claim{Repo: name.Repo()}, err
	}
	v, err := clyde.ParseVersion(version)
	if err != nil {
		return store.Claim{}, err
	}
	c, err := d.DB.Claim(ctx, name.Repo(), v.Canonical())
	if errors.Is(err, clyde.ErrNotFound) || err == nil && c.Committed.IsZero() {
		return store.Claim{}, clyde.Errorf(clyde.ErrNotFound, "%s has no version %s", name, version).WithCode("version_unknown").
			Fix("List the versions: clyde versions %s.", name)
	}
	return c, err
}

// now is what withdraws exactly this; zero when nothing does.
func (d *Moderator) now(ctx context.Context, repo, key string) (store.Moderation, error) {
	m, err := d.DB.Moderation(ctx, repo, key)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && m.VersionKey != key {
		return store.Moderation{}, nil
	}
	return m, err
}

// List lists what is withdrawn, by package and version, for administrators.
func (d *Moderator) List(ctx context.Context, by Principal, afterRepo, afterKey string, n int) ([]store.Moderation, error) {
	if err := RequireAdmin(by, "listing what is withdrawn"); err != nil {
		return nil, err
	}
	return d.DB.ModerationList(ctx, afterRepo, afterKey, n)
}

// On lists what is withdrawn of one package, by version, for administrators;
// the version "" is the whole package.
func (d *Moderator) On(ctx context.Context, by Principal, name clyde.Name) ([]store.Moderation, error) {
	if err := RequireAdmin(by, "listing what is withdrawn"); err != nil {
		return nil, err
	}
	return d.DB.Moderations(ctx, name.Repo())
}

// Report files a report about a package, or one version of it. Who may not see
// the package gets the answer for one that does not exist. by may be anonymous.
func (d *Moderator) Report(ctx context.Context, by Principal, name clyde.Name, version, kind, text string) (r store.Report, err error) {
	defer clyde.Wrap(&err, "account.Report(%s)", name)
	if err := by.usable(); err != nil {
		return r, err
	}
	if !slices.Contains(ReportKinds, kind) {
		return r, clyde.Errorf(clyde.ErrInvalid, "%q is no kind of report; want one of %s", cut(kind, 20), strings.Join(ReportKinds, ", ")).WithCode("report_invalid")
	}
	if text, err = plainText("text", text, MaxReportText, true); err != nil {
		return r, err
	}
	res, err := ResourceOf(ctx, d.DB, name.Repo())
	if err != nil {
		return r, err
	}
	if res.New || !Allowed(by, Pull, res) {
		return r, clyde.Errorf(clyde.ErrNotFound, "package %s was not found", name).WithCode("package_unknown")
	}
	resource := name.String()
	if version != "" {
		c, err := d.claim(ctx, name, version)
		if err != nil {
			return r, err
		}
		version, resource = c.Version, resource+"@"+c.Version
	}
	r = store.Report{
		ID: strings.ToLower(rand.Text()[:16]), Repo: name.Repo(), Version: version, Kind: kind, Text: text,
		Account: by.Account, By: by.String(), State: store.ReportOpen, Created: d.Now().UTC(),
	}
	e := d.audit(by, "report.file", resource)
	e.After = asJSON(map[string]string{"id": r.ID, "kind": kind})
	return r, d.DB.AddReport(ctx, r, e)
}

// Reports lists reports in a state, newest first, at most n, for
// administrators: store.ReportOpen or store.ReportClosed.
func (d *Moderator) Reports(ctx context.Context, by Principal, state string, n int) ([]store.Report, error) {
	if err := RequireAdmin(by, "reading reports"); err != nil {
		return nil, err
	}
	if state != store.ReportOpen && state != store.ReportClosed {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%q is no state of a report; want %s or %s", cut(state, 20), store.ReportOpen, store.ReportClosed).WithCode("state_invalid")
	}
	return d.DB.Reports(ctx, state, max(1, min(n, MaxReports)))
}

// CloseReport closes an open report with what was decided about it, for
// administrators. It does nothing else: what is withdrawn, Decide withdraws.
func (d *Moderator) CloseReport(ctx context.Context, by Principal, id, decision string) (r store.Report, err error) {
	defer clyde.Wrap(&err, "account.CloseReport(%s)", cut(id, 40))
	if err := RequireAdmin(by, "deciding a report"); err != nil {
		return r, err
	}
	if decision, err = plainText("decision", decision, MaxModerationReason, true); err != nil {
		return r, err
	}
	if r, err = d.DB.Report(ctx, id); err != nil {
		return r, err
	}
	e := d.audit(by, "report.close", "@"+r.Repo)
	e.After = asJSON(map[string]string{"id": r.ID, "decision": decision})
	if err := d.DB.DecideReport(ctx, id, by.String(), decision, e); err != nil {
		return r, err
	}
	return d.DB.Report(ctx, id)
}

func (d *Moderator) audit(by Principal, action, resource string) store.AuditEntry {
	return by.Audit(d.Now(), action, resource)
}

// plainText refuses what is no text, missing or too long.
func plainText(what, s string, most int, needed bool) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }):
		return "", clyde.Errorf(clyde.ErrInvalid, "the %s is not plain text", what).WithCode("text_invalid")
	case s == "" && needed:
		return "", clyde.Errorf(clyde.ErrInvalid, "the %s is missing", what).WithCode("text_missing").Fix("Say it in 1 to %d bytes; it is shown.", most)
	case len(s) > most:
		return "", clyde.Errorf(clyde.ErrInvalid, "the %s has %d bytes; the limit is %d", what, len(s), most).WithCode("text_too_long")
	}
	return s, nil
}

// Withdrawn is the answer to whoever asks for what m withdraws: clyde.ErrGone
// with code version_quarantined, version_removed or version_erased.
func Withdrawn(m store.Moderation) *clyde.Error {
	what := "the version"
	if m.VersionKey == "" {
		what = "the package"
	}
	how := map[string]string{
		store.ModerationQuarantined: "is quarantined while the administrators of this registry look at it",
		store.ModerationRemoved:     "was removed by the administrators of this registry",
		store.ModerationErased:      "was erased by the administrators of this registry",
	}[m.State]
	e := clyde.Errorf(clyde.ErrGone, "%s %s: %s", what, how, m.Reason).WithCode("version_" + m.State)
	if m.State == store.ModerationQuarantined {
		return e.Fix("Use another version, or try again later.")
	}
	return e.Fix("Use another version.")
}
