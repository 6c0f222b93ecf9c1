package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Seq      int64           `json:"seq" doc:"without gaps in the whole log"`
	Time     time.Time       `json:"time" doc:"the registry's, at commit"`
	Actor    string          `json:"actor" doc:"who did it"`
	Token    string          `json:"token,omitempty" doc:"ID of the token or session; of your own entries"`
	Address  string          `json:"address,omitempty" doc:"where the request came from; of your own entries"`
	Action   string          `json:"action" example:"token.create" doc:"what was done"`
	Resource string          `json:"resource" doc:"to what"`
	Detail   json.RawMessage `json:"detail,omitempty" doc:"what belongs to the action"`
	Before   json.RawMessage `json:"before,omitempty" doc:"what was"`
	After    json.RawMessage `json:"after,omitempty" doc:"what is since"`
	Prev     string          `json:"prev" doc:"hash of the entry before"`
	Hash     string          `json:"hash" doc:"SHA-256 over prev and this entry"`
}

// AuditPage is a page of the audit log, the newest entry first.
type AuditPage struct {
	Items      []AuditEntry `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty" doc:"absent on the last page"`
}

// AuditQuery says which entries are wanted.
type AuditQuery struct {
	Resource string    `query:"resource" maxLength:"160" doc:"@namespace, @namespace/name or org:name, for who manages it; absent: what your account did, or everything for administrators." example:"@acme"`
	Actor    string    `query:"actor" maxLength:"100" doc:"Who did it."`
	Action   string    `query:"action" maxLength:"64" doc:"What was done; with a dot at the end, all that begin so." example:"token."`
	From     time.Time `query:"from" doc:"Not before this moment." example:"2026-01-01T00:00:00Z"`
	To       time.Time `query:"to" doc:"Before this moment." example:"2026-02-01T00:00:00Z"`
	Cursor   string    `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before."`
}

type auditInput struct {
	AuditQuery
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Entries of a page."`
}

type auditOutput struct {
	Link string `header:"Link" doc:"the next page, rel=next"`
	Body AuditPage
}

type exportInput struct {
	AuditQuery
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"Lines at most; Link has the address of the next ones."`
}

type exportOutput struct {
	Body func(huma.Context)
}

func auditView(e store.AuditEntry) AuditEntry {
	return AuditEntry{
		Seq: e.Seq, Time: e.Time, Actor: e.Actor, Token: e.Token, Address: e.Address, Action: e.Action, Resource: e.Resource,
		Detail: rawJSON(e.Detail), Before: rawJSON(e.Before), After: rawJSON(e.After), Prev: e.Prev, Hash: e.Hash,
	}
}

// rawJSON passes JSON on, and quotes what is not: entries of older releases.
func rawJSON(s string) json.RawMessage {
	switch {
	case s == "":
		return nil
	case json.Valid([]byte(s)):
		return json.RawMessage(s)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return b
}

func (s *server) audit() {
	add(s, operation{
		id: "list-audit", method: "GET", path: base + "/audit", tag: "rights", summary: "Read the audit log", token: true, errors: []int{404},
		about: "Every change of rights, tokens, packages and settings, the newest first. Each entry has the hash of the one before. Organisations see theirs, who manages a package or a namespace sees its own, administrators see all.",
	}, func(ctx context.Context, in *auditInput) (*auditOutput, error) {
		es, next, err := s.entries(ctx, in.AuditQuery, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &auditOutput{Body: AuditPage{Items: each(es, auditView), NextCursor: next}}
		if next != "" {
			out.Link = s.next(ctx, "cursor", next)
		}
		return out, nil
	})
	add(s, operation{
		id: "export-audit", method: "GET", path: base + "/audit/export", tag: "rights", summary: "Export the audit log", token: true, errors: []int{404},
		about:   "The same as lines of JSON, up to a thousand at once, the newest first; follow Link until there is none.",
		content: map[string]any{ndjson: `{"seq":42,"time":"2026-01-31T12:00:00Z","actor":"alice","action":"token.create","resource":"k3v5q2ab","prev":"…","hash":"…"}` + "\n"},
	}, func(ctx context.Context, in *exportInput) (*exportOutput, error) {
		es, next, err := s.entries(ctx, in.AuditQuery, in.Limit)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		for _, e := range es {
			if err := encode(&b, auditView(e)); err != nil {
				return nil, err
			}
		}
		return &exportOutput{func(hc huma.Context) {
			hc.SetHeader("Content-Type", ndjson)
			hc.SetHeader("Content-Disposition", `attachment; filename="audit.ndjson"`)
			if next != "" {
				hc.SetHeader("Link", s.next(ctx, "cursor", next))
			}
			hc.SetStatus(http.StatusOK)
			_, _ = hc.BodyWriter().Write(b.Bytes())
		}}, nil
	})
}

// entries reads a page of the log, and the cursor of the next.
func (s *server) entries(ctx context.Context, q AuditQuery, limit int) ([]store.AuditEntry, string, error) {
	who := callOf(ctx).who
	if err := needToken(who, "reading the audit log"); err != nil {
		return nil, "", err
	}
	f := store.AuditFilter{Actor: q.Actor, Action: q.Action, From: q.From, To: q.To}
	if q.Cursor != "" {
		before, err := decodeKey("audit", q.Cursor)
		if err == nil {
			f.Before, err = strconv.ParseInt(before, 10, 64)
		}
		if err != nil || f.Before < 1 {
			return nil, "", badCursor()
		}
	}
	es, err := s.Accounts.AuditFor(ctx, who, q.Resource, f, limit+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(es) > limit {
		es = es[:limit]
		next = encodeKey("audit", strconv.FormatInt(es[limit-1].Seq, 10))
	}
	return es, next, nil
}

// ExplainRequest asks why something is allowed, or is not.
type ExplainRequest struct {
	Action   string `json:"action" enum:"pull,publish-new,publish,yank,manage,own" doc:"what is to be done"`
	Resource string `json:"resource" maxLength:"160" doc:"to what: @namespace/name, or @namespace/* for the namespace" example:"@acme/zlib"`
	Account  string `json:"account,omitempty" maxLength:"64" doc:"login of somebody else, for administrators; absent: you"`
}

// Limit is how much of one limit is left.
type Limit struct {
	Name      string  `json:"name" doc:"kind of request" example:"reads"`
	Limit     int     `json:"limit" doc:"requests at once; 0 is no limit"`
	PerSecond float64 `json:"per_second" doc:"how many come back in a second"`
	Remaining int     `json:"remaining" doc:"requests left now"`
	Reset     int     `json:"reset" doc:"seconds until it is whole again"`
}

// LimitList are the limits of the caller.
type LimitList struct {
	Items []Limit `json:"items"`
}

type (
	explainInput  struct{ Body ExplainRequest }
	explainOutput struct{ Body account.Explanation }
	limitsOutput  struct{ Body LimitList }
)

func (s *server) rights() {
	add(s, operation{
		id: "explain", method: "POST", path: base + "/auth/explain", tag: "rights", summary: "Explain a right", errors: append([]int{403}, writing...),
		about: "Whether you may do something, and which grant allows it or which one is missing. What you may not see is explained like what does not exist. Administrators may ask about another account, as if it had signed in.",
	}, s.explain)
	add(s, operation{
		id: "get-rate-limit", method: "GET", path: base + "/rate-limit", tag: "registry", summary: "What is left of your limits",
		about: "Every limit of requests that counts for you, as it is now.",
	}, func(ctx context.Context, _ *struct{}) (*limitsOutput, error) {
		c := callOf(ctx)
		c.cache = cachePrivate
		ls := s.Buckets.left(c)
		if s.Accounts != nil {
			ls = append(ls, each(s.Accounts.SignInLimits(c.who, account.FromRequest(c.r).Addr), limitView)...)
		}
		return &limitsOutput{LimitList{ls}}, nil
	})
}

func (s *server) explain(ctx context.Context, in *explainInput) (*explainOutput, error) {
	pattern, err := account.ParsePattern(in.Body.Resource)
	if err != nil {
		return nil, err
	}
	if pattern == "*" {
		return nil, refuse(http.StatusBadRequest, "resource_invalid", "a right is to a package or a namespace").fix("Name one: @acme/zlib, or @acme/*.")
	}
	p := callOf(ctx).who
	if in.Body.Account != "" {
		if p, err = s.Accounts.As(ctx, p, in.Body.Account); err != nil {
			return nil, err
		}
	}
	x, err := s.Accounts.ExplainTo(ctx, p, account.Action(in.Body.Action), pattern[1:])
	return &explainOutput{x}, err
}
