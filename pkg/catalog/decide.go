package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// MaxReasonText is the longest text beside a yank or a deprecation, in bytes:
// ours, a paragraph.
const MaxReasonText = 500

// YankReasons is every reason a version can be withdrawn for.
var YankReasons = []string{"security", "broken", "deprecated", "renamed", "other"}

// Yank withdraws a version or brings it back, and returns it. The bytes stay:
// whoever names the exact version still gets it.
func (c *Catalog) Yank(ctx context.Context, p account.Principal, ref Ref, req YankRequest) (Release, error) {
	row, err := c.see(ctx, p, ref.Name)
	if err != nil {
		return Release{}, err
	}
	if err := account.Authorize(p, account.Yank, account.Resource{Repo: row.Repo, Private: row.Private}); err != nil {
		return Release{}, err
	}
	if req.Yanked && !slices.Contains(YankReasons, req.Reason) {
		return Release{}, clyde.Errorf(clyde.ErrInvalid, "yank reason %q: want one of %v", req.Reason, YankReasons).WithCode("reason_invalid")
	}
	if len(req.Text) > MaxReasonText {
		return Release{}, clyde.Errorf(clyde.ErrInvalid, "the text has %d bytes; the limit is %d", len(req.Text), MaxReasonText).WithCode("text_too_long")
	}
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return Release{}, err
	}
	if req.Yanked == (r.Yank != nil) && (r.Yank == nil || r.Yank.Reason == req.Reason && r.Yank.Text == req.Text) {
		return c.Release(ctx, p, Ref{Name: ref.Name, Version: r.Version})
	}
	now := c.Now().UTC()
	ch := store.Change{Time: now, Type: "version.unyanked", Package: ref.Name.String(), Version: r.Version, Digest: r.Digest, Actor: p.String()}
	var y *store.Yank
	if req.Yanked {
		ch.Type = "version.yanked"
		y = &store.Yank{Reason: req.Reason, Text: req.Text, By: p.String(), At: now}
	}
	detail, err := json.Marshal(map[string]any{"before": r.Yank, "after": y})
	if err != nil {
		return Release{}, err
	}
	audit := p.Audit(now, ch.Type, PURL(ref.Name, r.Version))
	audit.Detail = string(detail)
	if err := c.DB.SetYank(ctx, row.Repo, r.VersionKey, y, ch, audit); err != nil {
		return Release{}, err
	}
	if err := c.changed(ctx, row.Repo); err != nil {
		return Release{}, err
	}
	return c.Release(ctx, p, Ref{Name: ref.Name, Version: r.Version})
}

// Deprecate marks a package, or takes the mark away.
func (c *Catalog) Deprecate(ctx context.Context, p account.Principal, name clyde.Name, d Deprecation) (Package, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return Package{}, err
	}
	if err := account.Authorize(p, account.Yank, account.Resource{Repo: row.Repo, Private: row.Private}); err != nil {
		return Package{}, err
	}
	if len(d.Message) > MaxReasonText {
		return Package{}, clyde.Errorf(clyde.ErrInvalid, "the message has %d bytes; the limit is %d", len(d.Message), MaxReasonText).WithCode("text_too_long")
	}
	if d.ReplacedBy != "" {
		if d.Message == "" {
			return Package{}, clyde.Errorf(clyde.ErrInvalid, "a replacement needs a message that says why").WithCode("message_missing")
		}
		other, err := clyde.ParseName(d.ReplacedBy)
		if err != nil {
			return Package{}, err
		}
		if other == name {
			return Package{}, clyde.Errorf(clyde.ErrInvalid, "%s cannot replace itself", name).WithCode("replacement_invalid")
		}
		if _, err := c.see(ctx, p, other); err != nil {
			return Package{}, err
		}
	}
	set, err := c.DB.Setting(ctx, row.Repo)
	if err != nil {
		return Package{}, err
	}
	before := set
	set.Repo, set.Deprecated, set.ReplacedBy = row.Repo, d.Message, d.ReplacedBy
	if before == set {
		return c.Package(ctx, p, name)
	}
	now := c.Now().UTC()
	detail, err := json.Marshal(map[string]any{"before": before.Deprecated, "after": d})
	if err != nil {
		return Package{}, err
	}
	ch := store.Change{Time: now, Type: "package.deprecated", Package: name.String(), Actor: p.String()}
	if d.Message == "" {
		ch.Type = "package.undeprecated"
	}
	audit := p.Audit(now, ch.Type, name.String())
	audit.Detail = string(detail)
	if err := c.DB.SaveSetting(ctx, set, ch, audit); err != nil {
		return Package{}, err
	}
	if err := c.changed(ctx, row.Repo); err != nil {
		return Package{}, err
	}
	return c.Package(ctx, p, name)
}

// SetAccess hides a package from everybody without a grant, or shows it to
// all, on behalf of who manages it.
func (c *Catalog) SetAccess(ctx context.Context, p account.Principal, name clyde.Name, private bool) (Package, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return Package{}, err
	}
	if err := account.Authorize(p, account.Manage, account.Resource{Repo: row.Repo, Private: row.Private}); err != nil {
		return Package{}, err
	}
	set, err := c.DB.Setting(ctx, row.Repo)
	if err != nil {
		return Package{}, err
	}
	if set.Private == private {
		return c.Package(ctx, p, name)
	}
	now := c.Now().UTC()
	words := map[bool]string{true: `{"access":"private"}`, false: `{"access":"public"}`}
	audit := p.Audit(now, "package.access", name.String())
	audit.Before, audit.After = words[set.Private], words[private]
	set.Repo, set.Private = row.Repo, private
	ch := store.Change{Time: now, Type: "package.access", Package: name.String(), Actor: p.String()}
	if err := c.DB.SaveSetting(ctx, set, ch, audit); err != nil {
		return Package{}, err
	}
	if err := c.changed(ctx, row.Repo); err != nil {
		return Package{}, err
	}
	return c.Package(ctx, p, name)
}

// changed tells the search engine. What was decided is already durable: a
// failing engine catches up by itself and must not turn success into failure.
func (c *Catalog) changed(ctx context.Context, repo string) error {
	if c.Changed == nil {
		return nil
	}
	if err := c.Changed(ctx, repo); err != nil && !errors.Is(err, context.Canceled) {
		c.Log.WarnContext(ctx, "catalog: search engine", "repo", repo, "err", err)
	}
	return nil
}
