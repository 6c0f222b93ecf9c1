package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestReports(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/zlib", "1.0.0")
	name := clyde.Name{Namespace: "acme", Base: "zlib"}
	anybody, admin := e.client(""), e.client(e.admin)
	filed, err := anybody.Report(t.Context(), name, client.ReportRequest{Kind: "malware", Version: "1.0", Text: "It phones home."})
	if err != nil || filed.Version != "1.0.0" || filed.By != "anonymous" || filed.State != "open" {
		t.Fatalf("report: %+v, %v", filed, err)
	}
	for _, bad := range []struct {
		name clyde.Name
		req  client.ReportRequest
		code string
	}{
		{clyde.Name{Namespace: "acme", Base: "nothing"}, client.ReportRequest{Kind: "other", Text: "x"}, "package_unknown"},
		{name, client.ReportRequest{Kind: "other", Version: "9.9.9", Text: "x"}, "version_unknown"},
	} {
		if _, err := anybody.Report(t.Context(), bad.name, bad.req); err == nil || clyde.AsError(err).Code != bad.code {
			t.Errorf("report %+v: %v; want %s", bad, err, bad.code)
		}
	}
	publisher := e.client(e.token(account.TokenSpec{Name: "p", Scopes: []account.Scope{{Actions: []account.Action{account.Publish}, Pattern: "*"}}}))
	if _, err := publisher.Reports(t.Context(), "open"); err == nil {
		t.Error("a publisher reads reports")
	}
	if _, err := publisher.Moderate(t.Context(), name, "1.0.0", account.Quarantine, "x"); err == nil {
		t.Error("a publisher quarantines")
	}
	if rs, err := admin.Reports(t.Context(), "open"); err != nil || len(rs) != 1 || rs[0].Text != "It phones home." {
		t.Errorf("reports: %+v, %v", rs, err)
	}
	if r, err := admin.CloseReport(t.Context(), filed.ID, "Looked at it."); err != nil || r.State != "closed" || r.Decision != "Looked at it." {
		t.Errorf("close: %+v, %v", r, err)
	}
	if _, err := admin.CloseReport(t.Context(), filed.ID, "Again."); err == nil {
		t.Error("a report was closed twice")
	}
	// Five at once from one address, and no more for a while.
	var last error
	for range 5 {
		_, last = anybody.Report(t.Context(), name, client.ReportRequest{Kind: "other", Text: "x"})
	}
	if last == nil || clyde.AsError(last).Code != "rate_limited" {
		t.Errorf("after eight reports: %v; want rate_limited", last)
	}
}

func TestModerate(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/zlib", "1.0.0")
	name := clyde.Name{Namespace: "acme", Base: "zlib"}
	admin := e.client(e.admin)
	m, err := admin.Moderate(t.Context(), name, "1.0", account.Quarantine, "  It phones home.  ")
	if err != nil || m.State != "quarantined" || m.Reason != "It phones home." {
		t.Fatalf("quarantine: %+v, %v", m, err)
	}
	a := e.get("/api/v1/packages/acme/zlib/versions/1.0.0")
	if p := a.problem(t); a.StatusCode != http.StatusGone || p.Code != "version_quarantined" || !strings.Contains(p.Detail, "It phones home.") {
		t.Errorf("GET version = %d %s", a.StatusCode, a.body)
	}
	if _, err := admin.Moderate(t.Context(), name, "1.0.0", account.Remove, ""); err == nil || clyde.AsError(err).Code != "text_missing" {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := admin.Moderate(t.Context(), name, "", account.Erase, "x"); err == nil {
		t.Error("a whole package was erased at once")
	}
	if m, err := admin.Moderate(t.Context(), name, "1.0.0", account.Restore, ""); err != nil || m.State != "visible" {
		t.Errorf("restore: %+v, %v", m, err)
	}
	if _, err := admin.Moderate(t.Context(), name, "1.0.0", account.Restore, ""); err == nil || clyde.AsError(err).Code != "not_withdrawn" {
		t.Errorf("restore again: %v", err)
	}
	if a := e.get("/api/v1/packages/acme/zlib/versions/1.0.0"); a.StatusCode != http.StatusOK {
		t.Errorf("GET version = %d %s", a.StatusCode, a.body)
	}
}
