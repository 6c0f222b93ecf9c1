package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// ModerationRequest is what an administrator decides about a version.
type ModerationRequest struct {
	Decision string `json:"decision" enum:"quarantine,remove,restore,erase" doc:"quarantine and remove withhold it and keep the bytes; restore ends that; erase destroys the bytes and leaves a tombstone"`
	Reason   string `json:"reason,omitempty" maxLength:"500" doc:"for everybody who asks for the version; a restoration needs none"`
}

// Moderation is what withdraws a version.
type Moderation struct {
	Package string    `json:"package" example:"@acme/zlib" doc:"name of the package"`
	Version string    `json:"version,omitempty" doc:"canonical form of the version; absent: the whole package"`
	State   string    `json:"state" enum:"visible,quarantined,removed,erased" doc:"visible: nothing withdraws it any more"`
	Reason  string    `json:"reason" doc:"for everybody who asks for it"`
	By      string    `json:"by" doc:"who decided"`
	At      time.Time `json:"at" doc:"when"`
}

// ModerationList is a page of what is withdrawn.
type ModerationList struct {
	Items      []Moderation `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty" doc:"absent on the last page"`
}

// ReportRequest tells the administrators about a package.
type ReportRequest struct {
	Kind    string `json:"kind" enum:"malware,secret,squatting,other" doc:"what is wrong with it"`
	Version string `json:"version,omitempty" maxLength:"111" doc:"absent: the package as a whole"`
	Text    string `json:"text" minLength:"1" maxLength:"4000" doc:"what you saw, and where; administrators alone read it"`
}

// ReportDecision closes a report.
type ReportDecision struct {
	Decision string `json:"decision" minLength:"1" maxLength:"500" doc:"what was decided, for the record"`
}

// Report is what somebody told the administrators.
type Report struct {
	ID        string     `json:"id" doc:"quote it when you write to the administrators"`
	Package   string     `json:"package" example:"@acme/zlib" doc:"name of the package"`
	Version   string     `json:"version,omitempty" doc:"absent: the package as a whole"`
	Kind      string     `json:"kind" enum:"malware,secret,squatting,other" doc:"what is wrong with it"`
	Text      string     `json:"text" doc:"as it was sent"`
	By        string     `json:"by" doc:"who reports"`
	State     string     `json:"state" enum:"open,closed" doc:"open until an administrator has decided"`
	Created   time.Time  `json:"created_at"`
	DecidedBy string     `json:"decided_by,omitempty" doc:"who closed it"`
	Decision  string     `json:"decision,omitempty" doc:"what was decided"`
	Decided   *time.Time `json:"decided_at,omitempty" doc:"when"`
}

// ReportList are reports, newest first.
type ReportList struct {
	Items []Report `json:"items"`
}

type (
	moderateInput struct {
		VersionPath
		Body ModerationRequest
	}
	moderatePackageInput struct {
		PackagePath
		Body ModerationRequest
	}
	reportInput struct {
		PackagePath
		Body ReportRequest
	}
	reportsInput struct {
		State string `query:"state" enum:"open,closed" default:"open" doc:"Which."`
		Limit int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"Reports at most, the newest first."`
	}
	closeReportInput struct {
		ID   string `path:"id" maxLength:"64" doc:"ID of the report."`
		Body ReportDecision
	}
	moderatedInput struct {
		Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before."`
		Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"Entries of a page."`
	}
	moderationOutput struct{ Body Moderation }
	moderatedOutput  struct{ Body ModerationList }
	reportOutput     struct{ Body Report }
	reportsOutput    struct{ Body ReportList }
)

func moderationView(m store.Moderation) Moderation {
	return Moderation{Package: "@" + m.Repo, Version: m.VersionKey, State: m.State, Reason: m.Reason, By: m.By, At: m.At}
}

func reportView(r store.Report) Report {
	return Report{
		ID: r.ID, Package: "@" + r.Repo, Version: r.Version, Kind: r.Kind, Text: r.Text, By: r.By, State: r.State,
		Created: r.Created, DecidedBy: r.DecidedBy, Decision: r.Decision, Decided: moment(r.Decided),
	}
}

// reportsSuffix ends the path that reports are sent to, by whoever reads.
const reportsSuffix = "/reports"

func isReport(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, base+"/packages/") && strings.HasSuffix(r.URL.Path, reportsSuffix)
}

func (s *server) moderation() {
	if s.Moderator == nil {
		return
	}
	const at = base + "/packages/{namespace}/{name}"
	about := "For administrators. It holds for the next request everywhere: whoever asks for it, here or at the OCI API, is answered 410 with the reason. " +
		"What other versions need stays. An erasure cannot be undone and needs the instance's own token, or a recent sign in; repeating it finishes one that was interrupted."
	add(s, operation{
		id: "moderate-version", method: "POST", path: at + "/versions/{version}/moderation", tag: "moderation", summary: "Withdraw a version, or bring it back", token: true,
		about: about, errors: []int{404, 408, 409, 413, 415, 422},
	}, func(ctx context.Context, in *moderateInput) (*moderationOutput, error) {
		return s.moderate(ctx, in.PackagePath, in.Version, in.Body)
	})
	add(s, operation{
		id: "moderate-package", method: "POST", path: at + "/moderation", tag: "moderation", summary: "Withdraw a package, or bring it back", token: true,
		about: about + " Versions are erased one by one.", errors: []int{404, 408, 409, 413, 415, 422},
	}, func(ctx context.Context, in *moderatePackageInput) (*moderationOutput, error) {
		return s.moderate(ctx, in.PackagePath, "", in.Body)
	})
	add(s, operation{
		id: "list-moderation", method: "GET", path: base + "/admin/moderation", tag: "moderation", summary: "List what is withdrawn", token: true,
		about: "Everything that is withdrawn, by package. For administrators.",
	}, func(ctx context.Context, in *moderatedInput) (*moderatedOutput, error) {
		after := ""
		if in.Cursor != "" {
			var err error
			if after, err = decodeKey("moderation", in.Cursor); err != nil {
				return nil, err
			}
		}
		repo, key, _ := strings.Cut(after, "@")
		ms, err := s.Moderator.List(ctx, callOf(ctx).who, repo, key, in.Limit+1)
		if err != nil {
			return nil, err
		}
		out := &moderatedOutput{ModerationList{Items: []Moderation{}}}
		for i, m := range ms {
			if i == in.Limit {
				last := ms[i-1]
				out.Body.NextCursor = encodeKey("moderation", last.Repo+"@"+last.VersionKey)
				break
			}
			out.Body.Items = append(out.Body.Items, moderationView(m))
		}
		return out, nil
	})
	add(s, operation{
		id: "report-package", method: "POST", path: at + reportsSuffix, tag: "moderation", summary: "Report a package", status: http.StatusCreated,
		about:  "Tells the administrators that something is wrong with a package. Everybody who sees the package may, also without signing in, but not often.",
		errors: []int{403, 404, 408, 413, 415, 422},
	}, func(ctx context.Context, in *reportInput) (*reportOutput, error) {
		name, err := in.name()
		if err != nil {
			return nil, err
		}
		r, err := s.Moderator.Report(ctx, callOf(ctx).who, name, in.Body.Version, in.Body.Kind, in.Body.Text)
		return &reportOutput{reportView(r)}, err
	})
	add(s, operation{
		id: "list-reports", method: "GET", path: base + "/admin/reports", tag: "moderation", summary: "List reports", token: true,
		about: "What users report. For administrators.",
	}, func(ctx context.Context, in *reportsInput) (*reportsOutput, error) {
		rs, err := s.Moderator.Reports(ctx, callOf(ctx).who, in.State, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &reportsOutput{ReportList{Items: make([]Report, len(rs))}}
		for i, r := range rs {
			out.Body.Items[i] = reportView(r)
		}
		return out, nil
	})
	add(s, operation{
		id: "close-report", method: "PATCH", path: base + "/admin/reports/{id}", tag: "moderation", summary: "Close a report", token: true,
		about: "Records what was decided about a report. For administrators. It withdraws nothing by itself.", errors: []int{404, 408, 413, 415, 422},
	}, func(ctx context.Context, in *closeReportInput) (*reportOutput, error) {
		r, err := s.Moderator.CloseReport(ctx, callOf(ctx).who, in.ID, in.Body.Decision)
		return &reportOutput{reportView(r)}, err
	})
}

func (s *server) moderate(ctx context.Context, at PackagePath, version string, in ModerationRequest) (*moderationOutput, error) {
	name, err := at.name()
	if err != nil {
		return nil, err
	}
	who := callOf(ctx).who
	m, err := s.Moderator.Decide(ctx, who, name, version, in.Decision, in.Reason)
	if err != nil {
		return nil, err
	}
	if in.Decision == account.Restore {
		m = store.Moderation{Repo: name.Repo(), VersionKey: version, State: "visible", By: who.String(), At: s.Now().UTC()}
	}
	return &moderationOutput{moderationView(m)}, nil
}
