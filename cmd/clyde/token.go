package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
)

func newToken(a *app) *cobra.Command {
	var allow, packages, networks []string
	var expires time.Duration
	var admin, all bool
	create := a.does("create NAME", "Make a token", "  clyde token create 'ci of zlib' --allow publish --package @acme/zlib --expires 2160h\n  clyde token create mirror --allow pull --package '@acme/*' --network 192.0.2.0/24", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			req := client.TokenRequest{Name: args[0], Admin: admin, Networks: networks}
			if !admin {
				if len(allow) == 0 || len(packages) == 0 {
					return usagef("a token needs --allow and --package: what it may do, and to what").fix("clyde token create %q --allow publish --package @acme/zlib", args[0])
				}
				for _, p := range packages {
					req.Scopes = append(req.Scopes, client.Scope{Actions: allow, Pattern: p})
				}
			}
			if expires > 0 {
				t := time.Now().Add(expires).UTC().Truncate(time.Second)
				req.Expires = &t
			}
			t, err := c.CreateToken(ctx, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("token", t)
			}
			a.say("token %s, which is shown this once:", t.ID)
			return a.printf("%s\n", t.Secret)
		})
	f := create.Flags()
	f.StringSliceVar(&allow, "allow", nil, "what it may do: pull, publish, publish-new, yank, manage")
	f.StringSliceVar(&packages, "package", nil, "packages it is for: @acme/zlib, '@acme/*' or '*'")
	f.StringSliceVar(&networks, "network", nil, "networks it may be used from: 192.0.2.0/24")
	f.DurationVar(&expires, "expires", 0, "how long it lasts, such as 720h (default: for ever)")
	f.BoolVar(&admin, "admin", false, "an administrator's token, which may do everything")
	list := a.does("list", "List your tokens", "  clyde token list", 0, 0, func(ctx context.Context, c *client.Client, _ []string) error {
		ts, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		shown := ts[:0]
		for _, t := range ts {
			if all || t.Revoked == nil {
				shown = append(shown, t)
			}
		}
		return items(a, "token", "no token", shown, []column{{title: "ID"}, {title: "NAME", gives: true}, {title: "GRANTS", gives: true}, {title: "STATE"}}, func(t client.Token) []string {
			return []string{t.ID, t.Name, tokenGrants(t), tokenState(t)}
		})
	})
	list.Flags().BoolVar(&all, "all", false, "revoked ones too")
	revoke := a.does("revoke ID", "End a token at once", "  clyde token revoke k3v5q2ab", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
		if err := c.RevokeToken(ctx, args[0]); err != nil {
			return err
		}
		if a.json {
			return a.emit("token", map[string]any{"id": args[0], "revoked": true})
		}
		a.say("token %s is refused from now on", args[0])
		return nil
	})
	return group("token", "Make, list and revoke tokens",
		"Tokens of your account. One never grants more than your account has at the moment it is used. Another token\n"+
			"makes one only with the right to manage all that the new one is for; otherwise make it on the web site.",
		create, list, revoke)
}

func tokenGrants(t client.Token) string {
	if t.Admin {
		return "everything"
	}
	out := make([]string, len(t.Scopes))
	for i, s := range t.Scopes {
		out[i] = strings.Join(s.Actions, ",") + " on " + s.Pattern
	}
	return strings.Join(out, "; ")
}

func tokenState(t client.Token) string {
	day := func(t *time.Time) string { return t.UTC().Format(time.DateOnly) }
	switch {
	case t.Revoked != nil:
		return "revoked " + day(t.Revoked)
	case t.Expires != nil && t.Expires.Before(time.Now()):
		return "expired " + day(t.Expires)
	case t.Expires != nil:
		return "until " + day(t.Expires)
	}
	return "in force"
}
