package client

import (
	"context"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// DeviceRequest says what a token that somebody approves in a browser is for.
type DeviceRequest struct {
	Name    string  `json:"name"`
	Scopes  []Scope `json:"scopes,omitempty"`
	Expires string  `json:"expires,omitempty"` // how long the token lasts, "720h"; empty: as the registry likes
	Prove   bool    `json:"prove,omitempty"`   // a proof that somebody signed in just now, without scopes and expires
}

// DeviceCode is the sign in of a command line that waits for somebody.
type DeviceCode struct {
	DeviceCode  string `json:"device_code"` // secret
	UserCode    string `json:"user_code"`
	URI         string `json:"verification_uri"`
	URIComplete string `json:"verification_uri_complete"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Interval    int    `json:"interval"`   // seconds between two polls
}

// AskDevice begins the sign in of a command line.
func (c *Client) AskDevice(ctx context.Context, req DeviceRequest) (DeviceCode, error) {
	var out DeviceCode
	err := c.call(ctx, http.MethodPost, "/device", req, &out, nil)
	return out, err
}

// Bounds of what a registry may ask for between two polls.
const (
	minPoll  = time.Second
	maxPoll  = time.Minute
	slowDown = 5 * time.Second // more, each time that it says slow_down (RFC 8628, 3.5)
)

// WaitDevice polls until somebody answered in the browser, and returns the
// token. Errors with code "access_denied" and "expired_token" are final;
// clyde.ErrUnavailable is tried again until the code expires.
func (c *Client) WaitDevice(ctx context.Context, d DeviceCode) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(d.ExpiresIn, 1))*time.Second)
	defer cancel()
	every := min(max(time.Duration(d.Interval)*time.Second, minPoll), maxPoll)
	for {
		select {
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return Token{}, clyde.Errorf(clyde.ErrUnauthenticated, "nobody answered in the browser in time").WithCode("expired_token")
			}
			return Token{}, ctx.Err()
		case <-time.After(every):
		}
		var t Token
		err := c.call(ctx, http.MethodPost, "/device/token", map[string]string{"device_code": d.DeviceCode}, &t, nil)
		e := clyde.AsError(err)
		switch {
		case err == nil:
			return t, nil
		case e == nil:
			return t, err
		case e.Code == "authorization_pending", e.Kind == clyde.ErrUnavailable:
		case e.Code == "slow_down":
			every = min(every+slowDown, maxPoll)
		default:
			return t, err
		}
	}
}
