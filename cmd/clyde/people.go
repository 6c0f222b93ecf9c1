package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// roles is what --role and its like take, the most powerful first.
var roles = []string{"owner", "maintainer", "publisher", "reader"}

// group is a command that has others below it and does nothing itself.
func group(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}

// does is a command that asks the API one thing. Its flags are not part of the
// line that shows how it is used.
func (a *app) does(use, short, example string, least, most int, run func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: wants(least, most), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.api(cmd.Context())
			if err != nil {
				return err
			}
			return a.signedIn(run(cmd.Context(), c, args))
		},
	}
}

// signedIn says where to sign in to whoever was refused for want of that.
func (a *app) signedIn(err error) error {
	e := clyde.AsError(err)
	if e == nil || !slices.Contains([]string{"session_required", "sign_in_required"}, e.Code) {
		return err
	}
	at, aerr := a.address()
	if aerr != nil {
		return err
	}
	return e.Fix("do it in a browser, at %s/account: no token does it", at.url())
}

// patternArg reads @acme/zlib or @acme/*; the @ may be left out.
func patternArg(arg string) (string, error) {
	p := "@" + strings.TrimPrefix(arg, "@")
	if ns, ok := strings.CutSuffix(strings.TrimPrefix(p, "@"), "/*"); ok && clyde.CheckNamespace(ns) == nil {
		return p, nil
	}
	if n, err := clyde.ParseName(p); err == nil {
		return n.String(), nil
	}
	return "", usagef("%q is neither a package nor all of a namespace", arg).fix("write @acme/zlib, or '@acme/*'")
}

func namespaceArg(arg string) (string, error) {
	ns := strings.TrimPrefix(arg, "@")
	if err := clyde.CheckNamespace(ns); err != nil {
		return "", usagef("%q is no name of a namespace", arg).fix("write it like acme")
	}
	return ns, nil
}

func roleArg(role string) error {
	if slices.Contains(roles, role) {
		return nil
	}
	return usagef("%q is no role", role).fix("use one of %s", strings.Join(roles, ", "))
}

// outcome says what became of a change of ownership.
func (a *app) outcome(name string, o client.Outcome, done string) error {
	if a.json {
		return a.emit(name, o)
	}
	if !o.Done {
		done = "it waits for a second owner, who sees it with: clyde org waiting"
	}
	a.say("%s", done)
	return nil
}

// items prints a list: as JSON, as a table, or the words for none.
func items[T any](a *app, name, none string, list []T, cols []column, row func(T) []string) error {
	if a.json {
		if list == nil {
			list = []T{}
		}
		return a.emit(name, map[string]any{"items": list})
	}
	if len(list) == 0 {
		a.say("%s", none)
		return nil
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		rows[i] = row(v)
	}
	return a.table(cols, rows)
}
