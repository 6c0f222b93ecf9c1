package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
)

// notChecked is the code of a package that nothing could be found out about.
const notChecked policy.Code = "could_not_check"

// checkedJSON is one package in the report of verify.
type checkedJSON struct {
	*policy.Decision

	Build string     `json:"build,omitempty"`
	Line  int        `json:"line,omitempty"` // of the lock file
	Error *errorJSON `json:"error,omitempty"`
}

// report prints what became of every package and returns the failure that the
// exit status says.
func (v *verification) report(list []*checked) error {
	failure := v.finish(list)
	if len(list) == 1 && v.lock == "" && list[0].from != "" && (v.format == "text" || v.format == "json") && list[0].decision != nil {
		return v.app.showReport(list[0], failure)
	}
	var err error
	switch v.format {
	case "json":
		err = v.reportJSON(list, failure)
	case "sarif":
		err = v.reportSARIF(list)
	case "github":
		err = v.reportGitHub(list)
	default:
		err = v.reportText(list)
	}
	if err != nil || failure == nil {
		return err
	}
	if v.format == "json" || v.format == "sarif" {
		v.app.explain(failure)
		return shownError{failure}
	}
	return failure
}

// reasons lists what is not in order about c, its code first.
func (c *checked) reasons() []policy.Reason {
	if c.err != nil {
		return []policy.Reason{{Code: notChecked, Text: c.err.Error()}}
	}
	return c.decision.Reasons
}

// verdict is what a person reads first.
func (c *checked) verdict() string {
	switch {
	case c.err != nil:
		return "unknown"
	case c.decision.Verdict == policy.Allowed:
		return "ok"
	case c.decision.Verdict == policy.Warned:
		return "warn"
	}
	return "refused"
}

// who says who signed, or why that will not do.
func (c *checked) who() string {
	var out []string
	for _, r := range c.reasons() {
		out = append(out, r.Text)
	}
	if len(out) == 0 && c.decision != nil {
		out = c.decision.Signers
		if len(out) == 0 {
			out = []string{"no signature asked for"}
		}
	}
	return strings.Join(out, "; ")
}

func (v *verification) reportText(list []*checked) error {
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = []string{c.verdict(), c.String(), c.subject.Digest.String(), c.who()}
	}
	return v.app.table([]column{{title: "VERDICT"}, {title: "PACKAGE"}, {title: "DIGEST", gives: true}, {title: "SIGNED BY", gives: true}}, rows)
}

func (v *verification) reportJSON(list []*checked, failure error) error {
	out := struct {
		Verified bool          `json:"verified"`
		Lock     string        `json:"lock,omitempty"`
		Packages []checkedJSON `json:"packages"`
	}{failure == nil, v.lock, []checkedJSON{}}
	for _, c := range list {
		x := checkedJSON{Decision: c.decision, Build: c.what, Line: c.line}
		if c.err != nil {
			x.Decision = &policy.Decision{Package: c.name.String(), Version: c.subject.Version, Digest: c.subject.Digest.String(), Matched: []string{}, Signers: []string{}, Reasons: []policy.Reason{}}
			x.Error = &errorJSON{Message: c.err.Error(), Code: string(notChecked), Status: exitUnavailable}
			if e := clyde.AsError(c.err); e != nil {
				x.Error.Message, x.Error.Code, x.Error.Fixes = e.Msg, e.Code, e.Fixes
			}
		}
		out.Packages = append(out.Packages, x)
	}
	return v.app.emit("verify", out)
}

// reportSARIF writes SARIF 2.1.0, which code scanning of GitHub and others
// read: one rule for each reason, each result at its line of the lock file.
func (v *verification) reportSARIF(list []*checked) error {
	type object = map[string]any
	rules := []object{}
	for _, r := range policy.Codes() {
		rules = append(rules, object{"id": r.Code, "shortDescription": object{"text": r.Text}})
	}
	rules = append(rules, object{"id": notChecked, "shortDescription": object{"text": "Whether the package is signed could not be found out."}})
	results := []object{}
	for _, c := range list {
		level := "error"
		if c.verdict() == "warn" {
			level = "warning"
		}
		for _, r := range c.reasons() {
			res := object{
				"ruleId": r.Code, "level": level, "message": object{"text": c.String() + ": " + r.Text},
				"partialFingerprints": object{"package/v1": c.String() + "@" + c.subject.Digest.String() + "#" + string(r.Code)},
			}
			if c.line > 0 {
				res["locations"] = []object{{"physicalLocation": object{
					"artifactLocation": object{"uri": filepath.ToSlash(v.lock)}, "region": object{"startLine": c.line},
				}}}
			}
			results = append(results, res)
		}
	}
	b, err := json.MarshalIndent(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":    object{"driver": object{"name": "clyde", "informationUri": "https://github.com/clydepm/clyde-registry", "rules": rules}},
			"results": results,
		}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return v.app.printf("%s\n", b)
}

// reportGitHub prints workflow commands, which become annotations, and appends
// a table to the summary of the job.
func (v *verification) reportGitHub(list []*checked) error {
	var summary strings.Builder
	summary.WriteString("### Signatures\n\n| | Package | Signed by |\n|---|---|---|\n")
	for _, c := range list {
		mark := map[string]string{"ok": "✅", "warn": "⚠️", "refused": "❌", "unknown": "❔"}[c.verdict()]
		fmt.Fprintf(&summary, "| %s | %s | %s |\n", mark, markdownCell(c.String()), markdownCell(c.who()))
		kind := "error"
		if c.verdict() == "warn" {
			kind = "warning"
		}
		for _, r := range c.reasons() {
			n := annotation{kind: kind, title: string(r.Code), text: c.String() + ": " + r.Text}
			if c.line > 0 {
				n.file, n.line = v.lock, c.line
			}
			if err := v.app.annotate(n); err != nil {
				return err
			}
		}
	}
	return appendTo("GITHUB_STEP_SUMMARY", summary.String())
}
