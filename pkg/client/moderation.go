package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Moderation is what withdraws a version, or a whole package.
type Moderation struct {
	Package string    `json:"package"`
	Version string    `json:"version,omitempty"` // "": the package
	State   string    `json:"state"`             // visible | quarantined | removed | erased
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// ReportRequest tells the administrators about a package.
type ReportRequest struct {
	Kind    string `json:"kind"`              // malware | secret | squatting | other
	Version string `json:"version,omitempty"` // "": the package
	Text    string `json:"text"`
}

// Report is what somebody told the administrators.
type Report struct {
	ID        string     `json:"id"`
	Package   string     `json:"package"`
	Version   string     `json:"version,omitempty"`
	Kind      string     `json:"kind"`
	Text      string     `json:"text"`
	By        string     `json:"by"`
	State     string     `json:"state"` // open | closed
	Created   time.Time  `json:"created_at"`
	DecidedBy string     `json:"decided_by,omitempty"`
	Decision  string     `json:"decision,omitempty"`
	Decided   *time.Time `json:"decided_at,omitempty"`
}

// Moderate decides about a version, or with version "" about the package, for
// administrators: quarantine, remove, restore or erase.
func (c *Client) Moderate(ctx context.Context, name clyde.Name, version, decision, reason string) (m Moderation, err error) {
	path := packagePath(name)
	if version != "" {
		path += "/versions/" + url.PathEscape(version)
	}
	err = c.call(ctx, http.MethodPost, path+"/moderation", map[string]string{"decision": decision, "reason": reason}, &m, nil)
	return m, err
}

// Report tells the administrators about a package.
func (c *Client) Report(ctx context.Context, name clyde.Name, req ReportRequest) (r Report, err error) {
	err = c.call(ctx, http.MethodPost, packagePath(name)+"/reports", req, &r, nil)
	return r, err
}

// Reports lists reports in a state, newest first, for administrators.
func (c *Client) Reports(ctx context.Context, state string) ([]Report, error) {
	return list[Report](ctx, c, "/admin/reports", url.Values{"state": {state}})
}

// CloseReport closes a report with what was decided.
func (c *Client) CloseReport(ctx context.Context, id, decision string) (r Report, err error) {
	err = c.call(ctx, http.MethodPatch, "/admin/reports/"+url.PathEscape(id), map[string]string{"decision": decision}, &r, nil)
	return r, err
}
