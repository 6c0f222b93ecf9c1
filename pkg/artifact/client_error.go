package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// lasting are codes of 429 that waiting a minute does not mend.
var lasting = map[string]bool{"quota_exceeded": true}

var codeRE = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ociReply is an error as the distribution specification writes it, with what
// our registry adds to the detail.
type ociReply struct {
	Errors []struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"errors"`
}

type ociDetail struct {
	Code     string         `json:"code"`
	Kind     string         `json:"kind"`
	Fixes    []string       `json:"fixes"`
	Problems clyde.Problems `json:"problems"`
}

// statusError remembers the status, as the cause of a refusal.
type statusError int

func (s statusError) Error() string {
	return fmt.Sprintf("status %d %s", int(s), http.StatusText(int(s)))
}

// isStatus reports whether err is about a reply of one of these statuses.
func isStatus(err error, statuses ...int) bool {
	s, ok := errors.AsType[statusError](err)
	if !ok {
		return false
	}
	return slices.Contains(statuses, int(s))
}

// refusal reads a reply that is not what was asked for as the error it means,
// and closes it.
func (c *Client) refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // half an error is one, too
	_ = resp.Body.Close()
	e := c.parseRefusal(resp, b)
	return c.transient(resp, e)
}

func (c *Client) transient(resp *http.Response, e *clyde.Error) error {
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests:
		// Programs that ask only whether to come back later find that, too.
		e.Err = errors.Join(e.Err, clyde.ErrUnavailable)
		if lasting[e.Code] {
			return e
		}
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly:
	case s < 500, s == http.StatusNotImplemented, s == http.StatusHTTPVersionNotSupported, s == http.StatusInsufficientStorage:
		return e
	}
	after, stated := RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	return &passing{err: e, after: after, stated: stated}
}

// parseRefusal makes the error of a reply with this body.
func (c *Client) parseRefusal(resp *http.Response, body []byte) *clyde.Error {
	kind := clyde.KindOfStatus(resp.StatusCode)
	if kind == nil { // a success or a redirect that nobody asked for
		kind = clyde.ErrUnavailable
	}
	cause := statusError(resp.StatusCode)
	host := resp.Request.URL.Host
	var r ociReply
	if json.Unmarshal(body, &r) != nil || len(r.Errors) == 0 {
		e := clyde.Errorf(kind, "%s answered %s", host, c.auth.clean(resp.Status)).WithCode("registry_refused").Because(cause)
		return c.advise(e)
	}
	first := r.Errors[0]
	e := &clyde.Error{Kind: kind, Code: strings.ToLower(first.Code), Err: cause}
	var d ociDetail
	if json.Unmarshal(first.Detail, &d) != nil {
		d = ociDetail{}
	}
	msg := first.Message
	if d.Code != "" {
		e.Code = d.Code
		// Our registry repeats the fixes for clients that show the message alone.
		msg = strings.TrimSuffix(msg, ". "+strings.Join(d.Fixes, " "))
	} else {
		var said []string
		for _, x := range r.Errors {
			if x.Message != "" {
				said = append(said, x.Message)
			}
		}
		if msg = strings.Join(said, "; "); msg == "" {
			msg = strings.ToLower(strings.ReplaceAll(first.Code, "_", " "))
		}
		msg = host + ": " + msg
	}
	// OCI clients understand 403 and show its message, so that our registry
	// sends a conflict as one, and says so.
	if k := clyde.KindNamed(d.Kind); k != nil {
		e.Kind = k
	}
	if !codeRE.MatchString(e.Code) {
		e.Code = "registry_refused"
	}
	e.Msg = c.auth.clean(msg)
	for _, f := range d.Fixes {
		e.Fixes = append(e.Fixes, c.auth.clean(f))
	}
	for _, p := range d.Problems {
		p.Code, p.Pointer, p.Msg, p.Near = c.auth.clean(p.Code), c.auth.clean(p.Pointer), c.auth.clean(p.Msg), c.auth.clean(p.Near)
		e.Problems = append(e.Problems, p)
	}
	return c.advise(e)
}

// advise adds what to do where the registry did not.
func (c *Client) advise(e *clyde.Error) *clyde.Error {
	if len(e.Fixes) == 0 && e.Kind == clyde.ErrUnauthenticated {
		e.Fix("sign in: clyde login %s", c.base.Host)
	}
	return e
}

// wrongBytes is the error about content that is not what its digest says.
func (c *Client) wrongBytes(what string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrUnverified, "%s sent %s", c.base.Host, fmt.Sprintf(what, args...)).WithCode("digest_mismatch").
		Fix("try again; if it happens again, tell whoever runs %s: what it stores is damaged", c.base.Host)
}
