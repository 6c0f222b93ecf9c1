package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// ProblemDetails is every failure (RFC 9457).
type ProblemDetails struct {
	Type       string          `json:"type" format:"uri" doc:"kind of failure, as an address of its description"`
	Title      string          `json:"title" doc:"kind of failure, in words"`
	Status     int             `json:"status" doc:"HTTP status"`
	Detail     string          `json:"detail" doc:"what happened, to what"`
	Code       string          `json:"code" doc:"stable, for programs"`
	Errors     []clyde.Problem `json:"errors,omitempty" doc:"each thing that is wrong with the request or with package.yaml, and where"`
	Fixes      []string        `json:"fixes,omitempty" doc:"what to do, a sentence each"`
	Candidates []string        `json:"candidates,omitempty" doc:"packages that may be meant"`
	Lines      []string        `json:"lines,omitempty" doc:"with the code unsatisfiable: the proof, a sentence a line"`
	Packages   []string        `json:"packages,omitempty" doc:"with the code unsatisfiable: those in the proof"`
	Changes    []resolve.Fix   `json:"changes,omitempty" doc:"with the code unsatisfiable: what was tried and helps, each by itself"`
	RequestID  string          `json:"request_id,omitempty" doc:"quote it when you report the failure; also in X-Request-Id"`

	header http.Header
}

func (p *ProblemDetails) Error() string { return p.Detail }

// GetStatus makes it an error of huma's.
func (p *ProblemDetails) GetStatus() int { return p.Status }

// GetHeaders are the fields that belong to the failure.
func (p *ProblemDetails) GetHeaders() http.Header { return p.header }

// ContentType is RFC 9457's.
func (p *ProblemDetails) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// refusal is a failure that HTTP has a status of its own for.
type refusal struct {
	status int
	header http.Header
	err    *clyde.Error
}

func (r refusal) Error() string { return r.err.Msg }
func (r refusal) Unwrap() error { return r.err }

func refuse(status int, code, format string, args ...any) refusal {
	kind := clyde.ErrInvalid
	if status == http.StatusPreconditionFailed || status == http.StatusConflict {
		kind = clyde.ErrConflict
	}
	return refusal{status: status, err: clyde.Errorf(kind, format, args...).WithCode(code), header: http.Header{}}
}

func (r refusal) fix(format string, args ...any) refusal {
	_ = r.err.Fix(format, args...)
	return r
}

// kind says how a kind of failure is answered.
type kind struct {
	err    error
	status int
	slug   string // fragment of its address on the API page; its code when it has none of its own
	title  string
}

// errInternal is the kind of what is none of the others.
var errInternal = errors.New("internal")

// kinds is in the order in which an error is asked. The first is for what is
// none of the others.
var kinds = [...]kind{
	{errInternal, http.StatusInternalServerError, "internal", "Internal error"},
	{clyde.ErrGone, http.StatusGone, "gone", "Withdrawn"},
	{clyde.ErrNotFound, http.StatusNotFound, "not_found", "Not found"},
	{clyde.ErrConflict, http.StatusConflict, "conflict", "Conflict"},
	{clyde.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", "Too large"},
	{clyde.ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "Authentication needed"},
	{clyde.ErrDenied, http.StatusForbidden, "denied", "Not allowed"},
	{clyde.ErrRateLimited, http.StatusTooManyRequests, "rate_limited", "Too many requests"},
	{clyde.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Unavailable"},
	{clyde.ErrInvalid, http.StatusBadRequest, "invalid", "Invalid request"},
}

func kindOf(err error) kind {
	for _, k := range kinds[1:] {
		if errors.Is(err, k.err) {
			return k
		}
	}
	return kinds[0]
}

// problem turns err into the answer. A *clyde.Error speaks for itself; anything
// else is logged in full and shown as a bare 500.
func (s *server) problem(ctx context.Context, err error) *ProblemDetails {
	if p, ok := errors.AsType[*ProblemDetails](err); ok {
		return p
	}
	c := callOf(ctx)
	e := clyde.AsError(err)
	if e == nil {
		err = transferError(err)
		e = clyde.AsError(err)
	}
	if e == nil {
		if ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "api", "id", c.id, "err", err)
		}
		e = clyde.Errorf(errInternal, "The registry failed to answer this request.").Fix("Try again; if it fails again, tell the operator the request's identifier %s.", c.id)
	}
	k := kindOf(e)
	p := &ProblemDetails{
		Type: s.PublicURL + "/api#problem-" + k.slug, Title: k.title, Status: k.status, Detail: sentence(e.Msg), Code: e.Code,
		Errors: e.Problems, RequestID: c.id, header: http.Header{},
	}
	for _, f := range e.Fixes {
		p.Fixes = append(p.Fixes, sentence(f))
	}
	if len(e.Problems) > 0 {
		p.Status = http.StatusUnprocessableEntity
	}
	if r, ok := errors.AsType[refusal](err); ok {
		p.Status = r.status
		maps.Copy(p.header, r.header)
	}
	if p.Code == "" {
		p.Code = k.slug
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		p.header.Set("WWW-Authenticate", `Bearer realm="Clyde Registry"`)
	case p.Status == http.StatusServiceUnavailable && p.header.Get("Retry-After") == "":
		p.header.Set("Retry-After", "5")
	case p.Status >= 500 && e.Err != nil:
		s.Log.ErrorContext(ctx, "api", "id", c.id, "err", e.Err)
	}
	return p
}

// sentence begins s with a capital letter where it begins with a plain word.
func sentence(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	word, _, _ := strings.Cut(s, " ")
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz,;'") != "" || word == "package" && strings.HasPrefix(s, "package.") {
		return s // a name, an address, a command
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// transferError names what goes wrong while a body is read.
func transferError(err error) error {
	if m, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return clyde.Errorf(clyde.ErrTooLarge, "the request body has more than %d bytes", m.Limit).WithCode("too_large")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refuse(http.StatusRequestTimeout, "upload_too_slow", "the request body came too slowly").
			fix("Send at least %d bytes a second.", MinUploadRate)
	}
	return err
}

// write answers with a failure outside of huma.
func (s *server) write(w http.ResponseWriter, r *http.Request, p *ProblemDetails) {
	h := w.Header()
	maps.Copy(h, p.header)
	b, err := json.Marshal(p)
	if err != nil {
		s.Log.ErrorContext(r.Context(), "api", "err", err)
	}
	b = append(b, '\n')
	h.Set("Content-Type", problemType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b)
	}
}

// translate makes a failure that huma found itself one of ours.
func (s *server) translate(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	status := http.StatusBadRequest
	e := clyde.Errorf(clyde.ErrInvalid, "the request is not valid: %s", m.Detail).WithCode("request_invalid").
		Fix("Compare it with the description of this operation at %s/api.", s.PublicURL)
	for i, d := range m.Errors {
		if d == nil {
			continue
		}
		msg := d.Message
		if i == 0 {
			e.Msg = "the request is not valid: " + d.Location + ": " + msg
		}
		if strings.HasPrefix(d.Location, "body") && m.Status == http.StatusUnprocessableEntity {
			status = m.Status // well-formed, but wrong
		}
		e.Problems = append(e.Problems, clyde.Problem{
			Code: "request_invalid", Pointer: "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(d.Location), Msg: msg,
		})
	}
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		status, e = m.Status, clyde.Errorf(clyde.ErrTooLarge, "the request body has more than %d bytes", max(ctx.Operation().MaxBodyBytes-1, MaxBody)).WithCode("too_large").Fix("Send less.")
	case http.StatusUnsupportedMediaType:
		status, e = m.Status, clyde.Errorf(clyde.ErrInvalid, "the request body is not application/json").WithCode("media_type_unsupported").
			Fix("Send JSON, and say so: Content-Type: application/json.")
	case http.StatusRequestTimeout:
		status, e = m.Status, clyde.Errorf(clyde.ErrInvalid, "the request body took more than %s", BodyTimeout).WithCode("upload_too_slow").Fix("Send it again.")
	}
	p := s.problem(ctx.Context(), refusal{status: status, err: e})
	if c, ok := ctx.(*humaContext); ok {
		c.status = p.Status
	}
	return p, nil
}
