package client

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// problemDocument is RFC 9457's, with the members that the registry adds.
type problemDocument struct {
	Title     string        `json:"title"`
	Detail    string        `json:"detail"`
	Code      string        `json:"code"`
	Errors    []problemItem `json:"errors"`
	Fixes     []string      `json:"fixes"`
	RequestID string        `json:"request_id"`
	Lines     []string      `json:"lines"`
	Packages  []clyde.Name  `json:"packages"`
	Changes   []resolve.Fix `json:"changes"`
}

type problemItem = clyde.Problem

// problem reads a reply that is no success as the error that it describes.
func (c *Client) problem(resp *http.Response) error {
	kind := clyde.KindOfStatus(resp.StatusCode)
	if kind == nil { // a success or a redirect that nobody asked for
		kind = clyde.ErrUnavailable
	}
	var d problemDocument
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	ct, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && ct == "application/problem+json" {
		err = json.Unmarshal(b, &d)
	}
	if err != nil || d.Detail == "" && d.Title == "" {
		return clyde.Errorf(kind, "%s answered %s", c.base.Host, clean(resp.Status)).WithCode("registry_failed").
			Fix("Check that %s is a Clyde registry: clyde doctor.", c.base.Host).Because(err)
	}
	e := &clyde.Error{Kind: kind, Code: clean(d.Code), Msg: clean(d.Detail)}
	if e.Msg == "" {
		e.Msg = clean(d.Title)
	}
	if resp.StatusCode >= 500 && d.RequestID != "" {
		e.Msg += " (request " + clean(d.RequestID) + ")"
	}
	for _, f := range d.Fixes {
		e.Fixes = append(e.Fixes, clean(f))
	}
	for _, p := range d.Errors {
		p.Code, p.Pointer, p.Msg, p.Near = clean(p.Code), clean(p.Pointer), clean(p.Msg), clean(p.Near)
		e.Problems = append(e.Problems, p)
	}
	if e.Code == "unsatisfiable" && len(d.Lines) > 0 {
		f := &resolve.Failure{Packages: d.Packages, Fixes: d.Changes}
		for _, l := range d.Lines {
			f.Lines = append(f.Lines, clean(l))
		}
		for i := range f.Fixes {
			f.Fixes[i].Text = clean(f.Fixes[i].Text)
		}
		e.Kind, e.Err = clyde.ErrConflict, f // as the solver fails here
	}
	return e
}

// notOurs is the error about a success that this client cannot read.
func (c *Client) notOurs(resp *http.Response, err error) error {
	return clyde.Errorf(clyde.ErrUnavailable, "%s answered %s with something that is not the registry's JSON", c.base.Host, clean(resp.Status)).
		WithCode("registry_failed").Fix("Check that %s is a Clyde registry: clyde doctor.", c.base.Host).Because(err)
}

// clean drops control characters: these texts are printed to terminals, and
// what a server says must not steer them.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
