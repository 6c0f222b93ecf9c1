package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/account"
)

// call is one request and who makes it.
type call struct {
	r      *http.Request
	w      *reply
	who    account.Principal
	id     string // of the request
	caller string // whose limits count: a token, or an address
	addr   string // whose failed authentications count
	cache  string // Cache-Control of a public answer; empty: cachePublic
}

type callKey struct{}

func (c *call) in(ctx context.Context) context.Context { return context.WithValue(ctx, callKey{}, c) }

// callOf returns the call that a handler answers: serve puts it into every
// context that a handler sees.
func callOf(ctx context.Context) *call {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return &call{r: &http.Request{URL: &url.URL{}, Header: http.Header{}}}
	}
	return c
}

// next is the value of a Link header to the page after this one.
func (s *server) next(ctx context.Context, param, value string) string {
	u := *callOf(ctx).r.URL
	q := u.Query()
	q.Set(param, value)
	return "<" + s.PublicURL + u.EscapedPath() + "?" + q.Encode() + `>; rel="next"`
}
