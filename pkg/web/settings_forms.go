package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func (s *Web) setAccess(r request, p subject) (string, error) {
	access := r.PostFormValue("access")
	if access != "public" && access != "private" {
		return "", clyde.Errorf(clyde.ErrInvalid, "a package is public or private")
	}
	_, err := s.o.Catalog.SetAccess(r.Context(), r.who, p.name, access == "private")
	return access, err
}

// pattern is what a form about roles is for: the package, or with on=namespace
// all of its namespace.
func (p subject) pattern(r request) string {
	if r.PostFormValue("on") == "namespace" {
		return "@" + p.name.Namespace + "/*"
	}
	return p.whole()
}

// whole is all that the settings are about: "@acme/zlib", or "@acme/*".
func (p subject) whole() string {
	if p.name.Base == "" {
		return "@" + p.name.Namespace + "/*"
	}
	return p.name.String()
}

// url is where the settings are.
func (p subject) url() string {
	if p.name.Base == "" {
		return "/namespaces/" + url.PathEscape(p.name.Namespace) + "/settings"
	}
	return packageURL(p.name.String(), "", "settings")
}

// grant gives a role to a team, "acme/release", or invites an account to one.
func (s *Web) grant(r request, p subject) (string, error) {
	holder, role := strings.TrimSpace(r.PostFormValue("holder")), account.RoleName(r.PostFormValue("role"))
	if org, team, ok := strings.Cut(holder, "/"); ok {
		return "saved", s.o.Accounts.GrantTeam(r.Context(), r.who, p.pattern(r), org, team, role)
	}
	_, err := s.o.Accounts.GrantAccount(r.Context(), r.who, p.pattern(r), holder, role)
	return "invited", err
}

func (s *Web) revokeGrant(r request, p subject) (string, error) {
	return "taken", s.o.Accounts.RevokeGrant(r.Context(), r.who, p.pattern(r), r.PostFormValue("kind"), r.PostFormValue("holder"))
}

func (s *Web) cancelInvitation(r request, _ subject) (string, error) {
	return "uninvited", s.o.Accounts.TakeBack(r.Context(), r.who, r.PostFormValue("id"))
}

func (s *Web) offer(r request, p subject) (string, error) {
	waits, err := s.o.Accounts.AskTransfer(r.Context(), r.who, p.whole(), r.PostFormValue("kind"), strings.TrimSpace(r.PostFormValue("to")))
	if waits != nil {
		return "waits", err
	}
	return "offered", err
}

func (s *Web) cancelOffer(r request, _ subject) (string, error) {
	return "unoffered", s.o.Accounts.CancelTransfer(r.Context(), r.who, r.PostFormValue("id"))
}

func (s *Web) deprecate(r request, p subject) (string, error) {
	d := catalog.Deprecation{Message: strings.TrimSpace(r.PostFormValue("message")), ReplacedBy: strings.TrimSpace(r.PostFormValue("replaced_by"))}
	if r.PostForm.Has("undo") {
		d = catalog.Deprecation{}
	} else if d.Message == "" {
		return "", clyde.Errorf(clyde.ErrInvalid, "the message is missing").Fix("Say why, and what to use instead.")
	}
	_, err := s.o.Catalog.Deprecate(r.Context(), r.who, p.name, d)
	return "saved", err
}

func (s *Web) yank(r request, p subject) (string, error) {
	f := r.PostForm
	if f.Get("version") == "" {
		return "", clyde.Errorf(clyde.ErrInvalid, "choose a version")
	}
	req := catalog.YankRequest{Yanked: !f.Has("undo")}
	done := "unyanked"
	if req.Yanked {
		done, req.Reason, req.Text = "yanked", f.Get("reason"), strings.TrimSpace(f.Get("text"))
	}
	_, err := s.o.Catalog.Yank(r.Context(), r.who, catalog.Ref{Name: p.name, Version: f.Get("version")}, req)
	return done, err
}

// publisherRow is a trusted publisher with what it trusts, in words.
type publisherRow struct {
	account.Publisher
	Issuer  string // as it is called
	Expired bool
}

func (s *Web) publisherRows(ps []account.Publisher) []publisherRow {
	names := map[string]string{}
	for _, i := range s.o.Trusted.Issuers() {
		names[i.URL] = i.Name
	}
	out := make([]publisherRow, len(ps))
	for i, p := range ps {
		out[i] = publisherRow{p, names[p.Spec.Issuer], !p.Expires.IsZero() && !s.o.Now().Before(p.Expires)}
		if out[i].Issuer == "" {
			out[i].Issuer = p.Spec.Issuer
		}
	}
	return out
}

func (s *Web) trust(r request, p subject) (string, error) {
	f := func(key string) string { return strings.TrimSpace(r.PostFormValue(key)) }
	if f("issuer") == "" {
		return "", clyde.Errorf(clyde.ErrInvalid, "choose where the job runs")
	}
	spec := account.PublisherSpec{
		Issuer: f("issuer"), Repository: f("repository"), OwnerID: f("owner_id"), RepositoryID: f("repository_id"),
		Workflow: f("workflow"), JobWorkflow: f("job_workflow"), Ref: f("ref"), Environment: f("environment"),
	}
	claims, err := parseClaims(r.PostFormValue("claims"))
	if err != nil {
		return "", err
	}
	spec.Claims = claims
	_, err = s.o.Trusted.Add(r.Context(), r.who, p.name, spec)
	return "trusted", err
}

// parseClaims reads one claim and what it must be from each line: "sub = x".
func parseClaims(s string) (map[string]string, error) {
	var out map[string]string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if !ok || k == "" || out[k] != "" {
			return nil, clyde.Errorf(clyde.ErrInvalid, "claims: %q: want each claim once, as NAME = VALUE", clip(line))
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	return out, nil
}

func (s *Web) distrust(r request, p subject) (string, error) {
	return "distrusted", s.o.Trusted.Remove(r.Context(), r.who, p.name, r.PostFormValue("id"))
}

// moderate withdraws a version or brings it back, for administrators.
func (s *Web) moderate(r request, p subject) (string, error) {
	f := r.PostForm
	if f.Get("version") == "" {
		return "", clyde.Errorf(clyde.ErrInvalid, "choose a version, or all of them")
	}
	if f.Get("decision") == account.Erase && f.Get("sure") != f.Get("version") {
		return "", clyde.Errorf(clyde.ErrInvalid, "an erasure cannot be undone").Fix("Type the version, %s, to confirm it.", clip(f.Get("version")))
	}
	_, err := s.o.Moderator.Decide(r.Context(), r.who, p.name, f.Get("version"), f.Get("decision"), f.Get("reason"))
	return "moderated", err
}

// report files what somebody says about a version. Who does not see the package
// is answered as for one that does not exist.
func (s *Web) report(w http.ResponseWriter, r request) error {
	n, err := clyde.ParseName("@" + r.PathValue("ns") + "/" + r.PathValue("name"))
	if err != nil {
		return err
	}
	if s.o.Report != nil {
		if err := s.o.Report(r.who, r.RemoteAddr, w.Header()); err != nil {
			return err
		}
	}
	f := r.PostForm
	if _, err := s.o.Moderator.Report(r.Context(), r.who, n, f.Get("version"), f.Get("kind"), f.Get("text")); err != nil {
		return err
	}
	return seeOther(w, r, packageURL(n.String(), "")+"?done=reported")
}
