package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// DeviceRequest says what a command line wants a token for.
type DeviceRequest struct {
	Name    string  `json:"name" minLength:"1" maxLength:"100" doc:"what for; shown to whoever approves" example:"clyde on build-7"`
	Scopes  []Scope `json:"scopes,omitempty" maxItems:"50" doc:"what the token is to allow; one at least, and none with prove"`
	Expires string  `json:"expires,omitempty" maxLength:"20" doc:"how long the token lasts, such as 720h; absent: 90 days" example:"720h"`
	Prove   bool    `json:"prove,omitempty" doc:"a proof: a token of 30 minutes that does what takes an owner who signed in, from this address alone; without scopes and expires"`
}

// DeviceCode is what a command line needs to wait for its token.
type DeviceCode struct {
	DeviceCode  string `json:"device_code" doc:"to poll with; a secret"`
	UserCode    string `json:"user_code" doc:"to show"`
	URI         string `json:"verification_uri" doc:"where the code is typed"`
	URIComplete string `json:"verification_uri_complete" doc:"the same with the code in it"`
	ExpiresIn   int    `json:"expires_in" doc:"seconds that the codes are good for"`
	Interval    int    `json:"interval" doc:"seconds between two polls, at least"`
}

// DevicePoll asks for the token.
type DevicePoll struct {
	DeviceCode string `json:"device_code" minLength:"1" maxLength:"200" doc:"as it was given"`
}

type (
	deviceInput      struct{ Body DeviceRequest }
	deviceOutput     struct{ Body DeviceCode }
	deviceTokenInput struct{ Body DevicePoll }
)

var exampleDevice = DeviceCode{
	DeviceCode: "clyded_…", UserCode: "BCDF-GHJK", URI: "http://localhost:8080/device", URIComplete: "http://localhost:8080/device?code=BCDF-GHJK",
	ExpiresIn: int(account.DeviceFor.Seconds()), Interval: int(account.DeviceInterval.Seconds()),
}

// devices lets command lines sign in over a browser: RFC 8628, with our
// problem documents, whose code is its error.
func (s *server) devices() {
	add(s, operation{
		id: "ask-device", method: "POST", path: base + "/device", tag: "access", summary: "Sign a command line in", status: http.StatusCreated,
		about:  "Begins the sign in of a command line: a person approves in a browser what its token may do, while the command line polls.",
		errors: []int{403, 408, 413, 415, 422},
	}, s.askDevice)
	add(s, operation{
		id: "poll-device", method: "POST", path: base + "/device/token", tag: "access", summary: "Fetch the token of a command line", status: http.StatusCreated,
		about: "Answers with the token once somebody approved, and never again. Until then the code is authorization_pending (403), or slow_down (429) for polling " +
			"too often; access_denied and expired_token (403) are final.",
		errors: []int{403, 408, 409, 413, 415, 422},
	}, s.pollDevice)
}

func (s *server) askDevice(ctx context.Context, in *deviceInput) (*deviceOutput, error) {
	sc, err := parseScopes(in.Body.Scopes)
	if err != nil {
		return nil, err
	}
	var lasts time.Duration
	if in.Body.Expires != "" {
		if lasts, err = time.ParseDuration(in.Body.Expires); err != nil || lasts <= 0 {
			return nil, clyde.Errorf(clyde.ErrInvalid, "expires %q: want a duration such as 720h", clip(in.Body.Expires)).WithCode("expiry_invalid")
		}
	}
	c := callOf(ctx)
	c.cache = cachePrivate
	from := account.FromRequest(c.r)
	from.Tell = c.w.Header()
	d, err := s.beginDevice(ctx, in.Body, sc, lasts, from)
	if err != nil {
		return nil, err
	}
	uri := s.PublicURL + "/device"
	return &deviceOutput{DeviceCode{
		DeviceCode: d.Secret, UserCode: d.UserCode, URI: uri, URIComplete: uri + "?" + url.Values{"code": {d.UserCode}}.Encode(),
		ExpiresIn: int(account.DeviceFor.Seconds()), Interval: int(account.DeviceInterval.Seconds()),
	}}, nil
}

func (s *server) beginDevice(ctx context.Context, in DeviceRequest, sc []account.Scope, lasts time.Duration, from account.From) (account.DeviceCode, error) {
	if !in.Prove {
		return s.Accounts.AskDevice(ctx, in.Name, sc, lasts, from)
	}
	if len(sc) > 0 || lasts != 0 {
		return account.DeviceCode{}, clyde.Errorf(clyde.ErrInvalid, "a proof has scopes and an end of its own").WithCode("scopes_invalid").Fix("Leave scopes and expires out.")
	}
	return s.Accounts.AskProof(ctx, in.Name, from)
}

func (s *server) pollDevice(ctx context.Context, in *deviceTokenInput) (*tokenOutput, error) {
	c := callOf(ctx)
	c.cache = cachePrivate
	secret, t, err := s.Accounts.PollDevice(ctx, in.Body.DeviceCode, account.FromRequest(c.r))
	if err != nil {
		return nil, err
	}
	out, err := tokenView(t)
	out.Secret = secret
	return &tokenOutput{out}, err
}

// parseScopes reads what a token is to allow.
func parseScopes(in []Scope) ([]account.Scope, error) {
	var out []account.Scope
	for _, sc := range in {
		v := account.Scope{Pattern: sc.Pattern}
		for _, a := range sc.Actions {
			act, err := account.ParseAction(a)
			if err != nil {
				return nil, err
			}
			v.Actions = append(v.Actions, act)
		}
		out = append(out, v)
	}
	return out, nil
}
