package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// humaContext lets the translation of a failure change its status.
type humaContext struct {
	wrapped
	status int
}

// wrapped is huma's context under a name that leaves Context to its method.
type wrapped = huma.Context

func newContext(op *huma.Operation, r *http.Request, w http.ResponseWriter) *humaContext {
	return &humaContext{wrapped: humago.NewContext(op, r, w)}
}

// Unwrap serves humago.Unwrap.
func (c *humaContext) Unwrap() huma.Context { return c.wrapped }

// SetStatus sends the translated status in place of huma's.
func (c *humaContext) SetStatus(status int) {
	if c.status != 0 {
		status = c.status
	}
	c.wrapped.SetStatus(status)
}

// format reads JSON strictly: a key that comes twice, in whatever case, is
// refused, for readers disagree about which one counts.
var format = huma.Format{
	Marshal: encode,
	Unmarshal: func(b []byte, v any) error {
		if err := unique(json.NewDecoder(bytes.NewReader(b)), 0); err != nil {
			return err
		}
		return json.Unmarshal(b, v)
	},
}

// maxDepth bounds the nesting of a JSON body. Ours: the deepest has three.
const maxDepth = 16

// unique reads one value and fails where an object has a key twice.
func unique(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return errors.New("the body is nested too deeply")
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			k, err := d.Token()
			if err != nil {
				return err
			}
			key := strings.ToLower(fmt.Sprint(k))
			if seen[key] {
				return fmt.Errorf("key %q comes twice", k)
			}
			seen[key] = true
		}
		if err := unique(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// parameters refuses query parameters that the operation does not know, and
// such as come twice and may come once.
func (s *server) parameters(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		s.fail(ctx, refuse(http.StatusBadRequest, "query_invalid", "the query of the address is not well formed").fix("Percent-encode the values."))
		return
	}
	var known []string
	many := map[string]bool{}
	for _, p := range ctx.Operation().Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
			many[p.Name] = p.Schema != nil && p.Schema.Type == "array"
		}
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			r := refuse(http.StatusBadRequest, "parameter_unknown", "the query parameter %q is unknown here", clip(name))
			if len(known) == 0 {
				s.fail(ctx, r.fix("Leave it out: this operation takes none."))
			} else {
				s.fail(ctx, r.fix("Use one of: %s.", strings.Join(known, ", ")))
			}
			return
		}
		if len(values) > 1 && !many[name] {
			s.fail(ctx, refuse(http.StatusBadRequest, "parameter_twice", "the query parameter %q comes %d times", name, len(values)).fix("Give it once."))
			return
		}
	}
	next(ctx)
}

// fail answers with a failure from a middleware.
func (s *server) fail(ctx huma.Context, err error) {
	r, w := unwrap(ctx)
	s.write(w, r, s.problem(r.Context(), err))
}

// unwrap returns what huma wraps.
func unwrap(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }

// clip shortens what somebody sent for use in a message.
func clip(s string) string {
	const most = 60 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// packageName reads the name of a package from a path; a leading @ is fine.
func packageName(ns, name string) (clyde.Name, error) {
	return clyde.ParseName("@" + strings.TrimPrefix(ns, "@") + "/" + name)
}

// discard reads the rest of a body, within limits, so that its sender, who
// may still be writing, reads the answer.
func discard(r io.Reader) { _, _ = io.CopyN(io.Discard, r, drainBytes) }
