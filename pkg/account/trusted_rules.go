package account

import (
	"context"
	"crypto/rand"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// rule is one claim and what it must be.
type rule struct {
	claim string
	want  string
	glob  bool                             // want is a pattern
	fold  bool                             // case does not count
	get   func(oidc.Claims) (string, bool) // nil: the claim as text
}

// mismatch is the first claim that is not what a publisher expects.
type mismatch struct {
	claim, got, want string
	missing          bool
	passed           int // rules that held before
}

func (r rule) value(c oidc.Claims) (string, bool) {
	if r.get != nil {
		return r.get(c)
	}
	return c.Text(r.claim)
}

func (r rule) holds(got string) bool {
	switch {
	case r.glob:
		return globMatch(r.want, got)
	case r.fold:
		return strings.EqualFold(r.want, got)
	}
	return r.want == got
}

// match returns nil when the claims are what the publisher expects.
func (p Publisher) match(c oidc.Claims) *mismatch {
	for i, r := range p.rules() {
		got, ok := r.value(c)
		if !ok || !r.holds(got) {
			return &mismatch{claim: r.claim, got: got, want: r.want, missing: !ok, passed: i}
		}
	}
	return nil
}

// rules lists what a token must say, what identifies the repository first:
// what follows it may be told to whoever runs there.
func (p Publisher) rules() []rule {
	s := p.Spec
	var out []rule
	add := func(r rule) {
		if r.want != "" {
			out = append(out, r)
		}
	}
	switch p.Kind {
	case KindGitHub, KindForgejo:
		if p.Kind == KindGitHub {
			out = append(out, rule{claim: "repository_owner_id", want: s.OwnerID}, rule{claim: "repository_id", want: s.RepositoryID})
		} else {
			add(told("repository_owner_id", s.OwnerID))
			add(told("repository_id", s.RepositoryID))
			out = append(out, rule{claim: "repository", want: s.Repository, fold: true, get: func(c oidc.Claims) (string, bool) {
				if _, there := c["repository_id"]; there && s.RepositoryID != "" {
					return s.Repository, true // the number counts, and held
				}
				return c.Text("repository")
			}})
		}
		out = append(out, rule{claim: "workflow_ref", want: s.Workflow, get: workflowFile("workflow_ref", true)})
		if s.JobWorkflow != "" {
			out = append(out, rule{claim: "job_workflow_ref", want: s.JobWorkflow, glob: true})
		} else {
			out = append(out, rule{claim: "job_workflow_ref", want: s.Workflow, get: func(c oidc.Claims) (string, bool) {
				if _, there := c["job_workflow_ref"]; !there {
					return s.Workflow, true // the job is the workflow's own
				}
				return workflowFile("job_workflow_ref", true)(c)
			}})
		}
		add(rule{claim: "ref", want: s.Ref, glob: true})
		add(rule{claim: "environment", want: s.Environment, fold: true}) // GitHub: names are not case sensitive
	case KindGitLab:
		out = append(out, rule{claim: "namespace_id", want: s.OwnerID}, rule{claim: "project_id", want: s.RepositoryID})
		out = append(out, rule{claim: "ci_config_ref_uri", want: s.Workflow, get: gitlabConfig})
		add(rule{claim: "ref", want: s.Ref, glob: true, get: gitlabRef})
		add(rule{claim: "environment", want: s.Environment})
	default:
		names := make([]string, 0, len(s.Claims))
		for n := range s.Claims {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			out = append(out, rule{claim: n, want: s.Claims[n], glob: true})
		}
		if len(out) == 0 { // nothing is what everybody has
			out = append(out, rule{claim: "sub", want: "nobody", get: func(oidc.Claims) (string, bool) { return "", false }})
		}
	}
	return out
}

// told is a rule about a number that Forgejo tells since some release: a token
// without it is judged by the repository's name.
func told(claim, want string) rule {
	return rule{claim: claim, want: want, get: func(c oidc.Claims) (string, bool) {
		if _, there := c[claim]; !there {
			return want, true
		}
		return c.Text(claim)
	}}
}

// workflowDirs is where workflows lie, by provider.
var workflowDirs = []string{".github/workflows/", ".forgejo/workflows/", ".gitea/workflows/"}

// workflowFile reads "acme/zlib/.github/workflows/release.yml@refs/tags/v1" of
// the token's own repository as "release.yml". A workflow of another
// repository is told as a whole, which is no file name.
func workflowFile(claim string, own bool) func(oidc.Claims) (string, bool) {
	return func(c oidc.Claims) (string, bool) {
		full, ok := c.Text(claim)
		if !ok {
			return "", false
		}
		p, _, _ := strings.Cut(full, "@")
		repo, ok := c.Text("repository")
		if !ok || own && !strings.HasPrefix(p, repo+"/") {
			return full, true
		}
		for _, dir := range workflowDirs {
			if file, found := strings.CutPrefix(p, repo+"/"+dir); found {
				return file, true
			}
		}
		return full, true
	}
}

// gitlabConfig reads "gitlab.com/acme/zlib//.gitlab-ci.yml@refs/heads/main" of
// the token's own project as ".gitlab-ci.yml".
func gitlabConfig(c oidc.Claims) (string, bool) {
	full, ok := c.Text("ci_config_ref_uri")
	if !ok {
		return "", false
	}
	p, _, _ := strings.Cut(full, "@")
	project, file, found := strings.Cut(p, "//")
	own, ok := c.Text("project_path")
	if !found || !ok || !strings.HasSuffix(project, "/"+own) {
		return full, true
	}
	return file, true
}

// gitlabRef is the full name of what was built: GitLab tells "v1.2.0" and its
// kind apart.
func gitlabRef(c oidc.Claims) (string, bool) {
	if full, ok := c.Text("ref_path"); ok {
		return full, true
	}
	ref, ok := c.Text("ref")
	kind, _ := c.Text("ref_type")
	switch {
	case !ok:
		return "", false
	case kind == "tag":
		return "refs/tags/" + ref, true
	case kind == "branch":
		return "refs/heads/" + ref, true
	}
	return ref, true
}

// checkEvent refuses runs that strangers can start with code of theirs: their
// token is the repository's all the same.
func checkEvent(kind string, c oidc.Claims) error {
	claim := map[string]string{KindGitHub: "event_name", KindForgejo: "event_name", KindGitLab: "pipeline_source"}[kind]
	if claim == "" {
		return nil
	}
	ev, ok := c.Text(claim)
	if !ok || ev == "" {
		return clyde.Errorf(clyde.ErrDenied, "the identity token does not say what started the run: its claim %s is missing", claim).WithCode("event_refused")
	}
	if strings.HasPrefix(ev, "pull_request") || ev == "workflow_run" || ev == "merge_request_event" || ev == "external_pull_request_event" {
		return clyde.Errorf(clyde.ErrDenied, "runs started by %s may not publish: they can be made to run the code of strangers (claim %s)", ev, claim).WithCode("event_refused").
			Fix("Publish from a run started by a push of a tag, a release, or by hand.")
	}
	return nil
}

// globMatch reports whether all of s is what the pattern says: "*" is any text
// without a slash, "**" any text.
func globMatch(pattern, s string) bool {
	re, err := globRE(pattern)
	return err == nil && re.MatchString(s)
}

func globRE(pattern string) (*regexp.Regexp, error) {
	q := regexp.QuoteMeta(pattern)
	q = strings.ReplaceAll(q, `\*\*`, `(?s:.*)`)
	q = strings.ReplaceAll(q, `\*`, `[^/]*`)
	return regexp.Compile(`\A` + q + `\z`)
}

var (
	slugRE     = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9._-]{1,100}\z`)            // GitHub's and Forgejo's
	projectRE  = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*){1,20}\z`) // GitLab's, of groups in groups
	numberRE   = regexp.MustCompile(`\A[1-9][0-9]{0,18}\z`)
	workflowRE = regexp.MustCompile(`\A[A-Za-z0-9_.-][A-Za-z0-9_. -]{0,198}\.ya?ml\z`)
	claimRE    = regexp.MustCompile(`\A[A-Za-z0-9_.:/-]{1,100}\z`)
)

func badSpec(field, format string, args ...any) error {
	return clyde.Errorf(clyde.ErrInvalid, field+": "+format, args...).WithCode("publisher_invalid")
}

// complete checks a spec, puts it into its one form and looks up what is missing.
func (t *Trusted) complete(ctx context.Context, iss TrustedIssuer, s PublisherSpec) (PublisherSpec, error) {
	for _, f := range [][2]string{
		{"repository", s.Repository}, {"owner_id", s.OwnerID}, {"repository_id", s.RepositoryID}, {"workflow", s.Workflow},
		{"job_workflow", s.JobWorkflow}, {"ref", s.Ref}, {"environment", s.Environment},
	} {
		if err := checkText(f[0], f[1]); err != nil {
			return s, err
		}
		if iss.Kind == KindGeneric && f[1] != "" {
			return s, badSpec(f[0], "means nothing at %s; say what its claims must be", iss.Name)
		}
	}
	if iss.Kind == KindGeneric {
		return s, checkClaims(s.Claims)
	}
	if len(s.Claims) > 0 {
		return s, badSpec("claims", "are for issuers of another kind; %s has fields of its own", iss.Name)
	}
	if err := checkFields(iss, s); err != nil {
		return s, err
	}
	if s.OwnerID != "" && s.RepositoryID != "" || iss.Kind == KindForgejo && t.o.Lookup == nil {
		return s, nil
	}
	if t.o.Lookup == nil {
		return s, badSpec("repository_id", "give owner_id and repository_id, the numeric identifiers: this registry asks nobody for them")
	}
	owner, repo, err := t.o.Lookup(ctx, iss, s.Repository)
	if err != nil {
		return s, err
	}
	for _, f := range []struct {
		name  string
		given *string
		found string
	}{{"owner_id", &s.OwnerID, owner}, {"repository_id", &s.RepositoryID, repo}} {
		if !numberRE.MatchString(f.found) {
			return s, clyde.Errorf(clyde.ErrUnavailable, "%s does not tell the %s of %s", iss.Name, f.name, s.Repository).WithCode("lookup_failed")
		}
		if *f.given != "" && *f.given != f.found {
			return s, badSpec(f.name, "is %s; at %s the repository %s has %s", *f.given, iss.Name, s.Repository, f.found)
		}
		*f.given = f.found
	}
	return s, nil
}

func checkText(field, s string) error {
	if len(s) > MaxPattern || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return badSpec(field, "want at most %d bytes, printable", MaxPattern)
	}
	return nil
}

func checkFields(iss TrustedIssuer, s PublisherSpec) error {
	valid := slugRE
	if iss.Kind == KindGitLab {
		valid = projectRE
	}
	switch {
	case !valid.MatchString(s.Repository) || strings.Contains(s.Repository, ".."):
		return badSpec("repository", "%q: want OWNER/NAME", s.Repository)
	case s.OwnerID != "" && !numberRE.MatchString(s.OwnerID):
		return badSpec("owner_id", "%q: want the number by which %s knows the owner", s.OwnerID, iss.Name)
	case s.RepositoryID != "" && !numberRE.MatchString(s.RepositoryID):
		return badSpec("repository_id", "%q: want the number by which %s knows the repository", s.RepositoryID, iss.Name)
	case iss.Kind == KindGitLab && (s.Workflow == "" || path.Clean("/"+s.Workflow) != "/"+s.Workflow || strings.ContainsAny(s.Workflow, "@*")):
		return badSpec("workflow", "%q: want the path of the configuration, such as .gitlab-ci.yml", s.Workflow)
	case iss.Kind != KindGitLab && !workflowRE.MatchString(s.Workflow):
		return badSpec("workflow", "%q: want the name of a file in the directory of workflows, such as release.yml", s.Workflow)
	case s.JobWorkflow != "" && iss.Kind == KindGitLab:
		return badSpec("job_workflow", "GitLab has no reusable workflows")
	case s.JobWorkflow != "" && !namesRepository(s.JobWorkflow):
		return badSpec("job_workflow", "%q: want OWNER/NAME/.github/workflows/FILE.yml@REF, with * in file and ref at most", s.JobWorkflow)
	case s.Ref != "" && !strings.HasPrefix(s.Ref, "refs/"):
		return badSpec("ref", "%q: want a full name such as refs/tags/v* or refs/heads/main", s.Ref)
	}
	return nil
}

// namesRepository reports whether a pattern of a reusable workflow says whose.
func namesRepository(s string) bool {
	p, ref, ok := strings.Cut(s, "@")
	parts := strings.SplitN(p, "/", 3)
	return ok && ref != "" && len(parts) == 3 && slugRE.MatchString(parts[0]+"/"+parts[1]) && !strings.Contains(s, "**@") &&
		slices.ContainsFunc(workflowDirs, func(d string) bool { return strings.HasPrefix(parts[2], d) && len(parts[2]) > len(d) })
}

// standard are the claims that are checked anyway, or differ in every token.
var standard = []string{"iss", "aud", "exp", "iat", "nbf", "jti"}

func checkClaims(claims map[string]string) error {
	if len(claims) == 0 || len(claims) > MaxClaims {
		return badSpec("claims", "want 1 to %d claims and what they must be", MaxClaims)
	}
	exact := false
	for name, want := range claims {
		switch {
		case !claimRE.MatchString(name):
			return badSpec("claims", "%q is no name of a claim", shorten(name))
		case slices.Contains(standard, name):
			return badSpec("claims", "%s is checked in any case, or other in each token", name)
		case want == "":
			return badSpec("claims", "%s: say what it must be", name)
		}
		if err := checkText("claims", want); err != nil {
			return err
		}
		exact = exact || !strings.Contains(want, "*")
	}
	if !exact {
		return badSpec("claims", "at least one must be without *: else strangers fit, too")
	}
	return nil
}

// newPublisherID returns an identifier of a publisher: 80 bits, so that nobody meets
// another's by chance.
func newPublisherID() string { return "tp_" + strings.ToLower(rand.Text()[:16]) }

// runOf says what a verified token tells about its run.
func runOf(iss TrustedIssuer, p Publisher, tok oidc.Token) *Run {
	text := func(claim string) string {
		s, _ := tok.Claims.Text(claim)
		return printable(s)
	}
	r := &Run{
		Provider: providerOf(iss.Kind), Issuer: iss.URL, Publisher: p.ID, Subject: printable(tok.Subject),
		Commit: text("sha"), Ref: text("ref"), Env: text("environment"), Actor: text("actor"),
	}
	site := iss.site()
	switch iss.Kind {
	case KindGitHub, KindForgejo:
		repo, run := text("repository"), text("run_id")
		r.Workflow = text("workflow_ref")
		if !slugRE.MatchString(repo) {
			break
		}
		r.Repository = site + "/" + repo
		if iss.Kind == KindForgejo && numberRE.MatchString(text("run_number")) {
			run = text("run_number") // its pages count by repository
		}
		if numberRE.MatchString(run) {
			r.URL = r.Repository + "/actions/runs/" + run
			if n := text("run_attempt"); iss.Kind == KindGitHub && numberRE.MatchString(n) {
				r.URL += "/attempts/" + n
			}
		}
	case KindGitLab:
		r.Workflow, r.Actor = text("ci_config_ref_uri"), text("user_login")
		r.Ref, _ = gitlabRef(tok.Claims)
		r.Ref = printable(r.Ref)
		if project := text("project_path"); projectRE.MatchString(project) {
			r.Repository = site + "/" + project
			if id := text("pipeline_id"); numberRE.MatchString(id) {
				r.URL = r.Repository + "/-/pipelines/" + id
			}
		}
	default:
		r.Repository = printable(tok.Issuer)
	}
	return r
}

// printable makes a claim fit for logs, pages and terminals.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, shorten(s))
}

// called is how a run is named in events, claims and the audit log.
func (r *Run) called() string {
	name := "ci:" + strings.TrimPrefix(strings.TrimPrefix(r.Repository, "https://"), "http://")
	if len(name) > MaxTokenName {
		name = strings.ToValidUTF8(name[:MaxTokenName], "")
	}
	return name
}

// Link returns the address of the run where it is one of the web.
func (r *Run) Link() string {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return r.URL
}
