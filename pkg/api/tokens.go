package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Scope grants actions on packages.
type Scope struct {
	Actions []string `json:"actions" minItems:"1" maxItems:"32" doc:"pull, publish-new, publish, yank, manage, …"`
	Pattern string   `json:"pattern" maxLength:"128" doc:"@namespace/name, @namespace/* or *" example:"@acme/*"`
}

// Identity is who the registry takes the caller for.
type Identity struct {
	Anonymous bool    `json:"anonymous"`
	ID        string  `json:"id,omitempty"`
	Login     string  `json:"login,omitempty" doc:"of the account; absent for the registry's own tokens"`
	Name      string  `json:"name"`
	Admin     bool    `json:"admin" doc:"may do everything"`
	Scopes    []Scope `json:"scopes"`
}

// TokenRequest says what a new token is for.
type TokenRequest struct {
	Name    string     `json:"name" minLength:"1" maxLength:"100" doc:"what for" example:"ci of acme"`
	Admin   bool       `json:"admin,omitempty"`
	Scopes  []Scope    `json:"scopes,omitempty" maxItems:"100"`
	Expires *time.Time `json:"expires_at,omitempty" doc:"absent: never"`

	Networks []string `json:"networks,omitempty" maxItems:"20" doc:"where it may be used from; absent: anywhere" example:"[\"192.0.2.0/24\"]"`
	Instance bool     `json:"instance,omitempty" doc:"a token of the registry itself, which belongs to no account; for administrators"`
}

// Token is an API token as it is listed.
type Token struct {
	ID       string     `json:"id"`
	Prefix   string     `json:"prefix" doc:"its first characters, to recognise it by"`
	Name     string     `json:"name"`
	Admin    bool       `json:"admin"`
	Scopes   []Scope    `json:"scopes"`
	Created  time.Time  `json:"created_at"`
	Expires  *time.Time `json:"expires_at,omitempty"`
	LastUsed *time.Time `json:"last_used_at,omitempty" doc:"to some minutes"`
	Revoked  *time.Time `json:"revoked_at,omitempty"`
	Secret   string     `json:"secret,omitempty" doc:"shown this once"`

	Instance bool            `json:"instance" doc:"it belongs to the registry, not to an account"`
	Networks []string        `json:"networks,omitempty" doc:"where it may be used from; absent: anywhere"`
	Run      json.RawMessage `json:"run,omitempty" doc:"the CI run that it was made for"`
}

// TokenList are tokens, newest first.
type TokenList struct {
	Items []Token `json:"items"`
}

type createTokenInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"128" doc:"Any text of your choice. A request that comes again with it is refused with token_created, for a secret is shown once."`
	Body TokenRequest
}

type listTokensInput struct {
	All bool `query:"all" doc:"Everybody's, for administrators; else your own."`
}

type revokeTokenInput struct {
	ID string `path:"id" maxLength:"64" doc:"ID of the token."`
}

type (
	whoamiOutput struct{ Body Identity }
	tokensOutput struct{ Body TokenList }
	tokenOutput  struct{ Body Token }
)

func scopes(in []account.Scope) []Scope {
	out := make([]Scope, len(in))
	for i, sc := range in {
		out[i] = Scope{Pattern: sc.Pattern, Actions: []string{}}
		for _, a := range sc.Actions {
			out[i].Actions = append(out[i].Actions, string(a))
		}
	}
	return out
}

func tokenView(t store.Token) (Token, error) {
	var sc []account.Scope
	if len(t.Scopes) > 0 {
		if err := json.Unmarshal(t.Scopes, &sc); err != nil {
			return Token{}, err
		}
	}
	var networks []string
	if len(t.Networks) > 0 {
		if err := json.Unmarshal(t.Networks, &networks); err != nil {
			return Token{}, err
		}
	}
	return Token{
		Instance: t.Account == 0, Networks: networks, Run: json.RawMessage(t.Run),
		ID: t.ID, Prefix: t.Prefix, Name: t.Name, Admin: t.Admin, Scopes: scopes(sc), Created: t.Created,
		Expires: moment(t.Expires), LastUsed: moment(t.LastUsed), Revoked: moment(t.Revoked),
	}, nil
}

func (s *server) tokens() {
	add(s, operation{
		id: "whoami", method: "GET", path: base + "/whoami", tag: "access", summary: "Who am I",
		about: "Who the registry takes you for, and what your token grants.",
	}, func(ctx context.Context, _ *struct{}) (*whoamiOutput, error) {
		c := callOf(ctx)
		c.cache = cachePrivate
		p := c.who
		return &whoamiOutput{Identity{Anonymous: p.Anonymous(), ID: p.ID, Login: p.Login, Name: p.String(), Admin: p.Admin, Scopes: scopes(p.Scopes)}}, nil
	})
	add(s, operation{
		id: "list-tokens", method: "GET", path: base + "/tokens", tag: "access", summary: "List tokens", token: true,
		about: "Your account's tokens, newest first, without their secrets. With all, and for the registry's own token, every token there is: for administrators.",
	}, s.listTokens)
	add(s, operation{
		id: "create-token", method: "POST", path: base + "/tokens", tag: "access", summary: "Make a token", token: true, status: http.StatusCreated,
		about: "Makes a token of your account, whose secret is in this answer alone. It never grants more than your account has when it is used. For somebody who signed in, or for a token with the scope manage on all that the new one is for. An administrator also makes tokens of the registry itself.", errors: []int{408, 409, 413, 415, 422},
	}, s.createToken)
	add(s, operation{
		id: "revoke-token", method: "DELETE", path: base + "/tokens/{id}", tag: "access", summary: "Revoke a token", token: true, status: http.StatusNoContent,
		about: "Ends a token of your account at once, everywhere. A token may end itself. Administrators end any.", errors: []int{404},
	}, s.revokeToken)
}

func (s *server) listTokens(ctx context.Context, in *listTokensInput) (_ *tokensOutput, err error) {
	who := callOf(ctx).who
	var ts []store.Token
	if in.All || who.Account == 0 {
		ts, err = s.Accounts.List(ctx, who)
	} else {
		ts, err = s.Accounts.ListOwn(ctx, who)
	}
	if err != nil {
		return nil, err
	}
	out := &tokensOutput{TokenList{Items: make([]Token, len(ts))}}
	for i, t := range ts {
		if out.Body.Items[i], err = tokenView(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *server) revokeToken(ctx context.Context, in *revokeTokenInput) (*struct{}, error) {
	who := callOf(ctx).who
	if who.Account == 0 && who.ID != in.ID {
		return nil, s.Accounts.Revoke(ctx, who, in.ID)
	}
	err := s.Accounts.RevokeOwn(ctx, who, in.ID)
	if errors.Is(err, clyde.ErrNotFound) && account.RequireAdmin(who, "") == nil {
		err = s.Accounts.Revoke(ctx, who, in.ID)
	}
	return nil, err
}

func (s *server) createToken(ctx context.Context, in *createTokenInput) (*tokenOutput, error) {
	who := callOf(ctx).who
	if err := needToken(who, "making a token"); err != nil {
		return nil, err
	}
	release, err := s.running.start(who, in.Key)
	if err != nil {
		return nil, err
	}
	defer release()
	b, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(b)
	request := hex.EncodeToString(h[:])
	if o, found, err := s.earlier(ctx, who, in.Key); err != nil {
		return nil, err
	} else if found {
		if err := o.same(request); err != nil {
			return nil, err
		}
		return nil, clyde.Errorf(clyde.ErrConflict, "this request made the token %s already, and its secret is shown once", o.Token).WithCode("token_created").
			Fix("Revoke the token %s, and make another with a new Idempotency-Key.", o.Token)
	}
	spec, err := in.Body.spec()
	if err != nil {
		return nil, err
	}
	secret, t, err := s.makeToken(ctx, who, spec, in.Body.Instance)
	if err != nil {
		return nil, err
	}
	if err := s.remember(ctx, who, in.Key, outcome{Request: request, Token: t.ID}); err != nil {
		return nil, err
	}
	out, err := tokenView(t)
	out.Secret = secret
	return &tokenOutput{out}, err
}

// makeToken makes a token of the caller's account, or of the registry itself.
func (s *server) makeToken(ctx context.Context, who account.Principal, spec account.TokenSpec, instance bool) (string, store.Token, error) {
	if who.Account == 0 {
		return s.Accounts.Create(ctx, who, spec)
	}
	if !instance {
		return s.Accounts.CreateFor(ctx, who, spec)
	}
	if err := account.RequireRecent(who, s.Now(), "making a token of the registry itself"); err != nil {
		return "", store.Token{}, err
	}
	return s.Accounts.Create(ctx, who, spec)
}

// spec reads a request.
func (t TokenRequest) spec() (account.TokenSpec, error) {
	spec := account.TokenSpec{Name: t.Name, Admin: t.Admin}
	if t.Expires != nil {
		spec.Expires = t.Expires.UTC()
	}
	for _, sc := range t.Scopes {
		out := account.Scope{Pattern: sc.Pattern}
		for _, a := range sc.Actions {
			act, err := account.ParseAction(a)
			if err != nil {
				return spec, err
			}
			out.Actions = append(out.Actions, act)
		}
		spec.Scopes = append(spec.Scopes, out)
	}
	for _, n := range t.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return spec, clyde.Errorf(clyde.ErrInvalid, "network %q: want one such as 192.0.2.0/24 or 2001:db8::/32", clip(n)).WithCode("network_invalid")
		}
		spec.Networks = append(spec.Networks, p)
	}
	return spec, nil
}
