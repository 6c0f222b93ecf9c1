package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func newOwner(a *app) *cobra.Command {
	var role string
	add := a.does("add PATTERN HOLDER", "Grant a role", "  clyde owner add @acme/zlib bob --role publisher\n  clyde owner add '@acme/*' acme/release --role maintainer", 2, 2,
		func(ctx context.Context, c *client.Client, args []string) error {
			if err := roleArg(role); err != nil {
				return err
			}
			p, err := patternArg(args[0])
			if err != nil {
				return err
			}
			g, err := c.Grant(ctx, p, args[1], role)
			if err != nil {
				return err
			}
			switch {
			case a.json:
				return a.emit("owner", g)
			case g.Done:
				a.say("%s is %s of %s", args[1], role, p)
			default:
				a.say("%s is asked to be %s of %s", args[1], role, p)
			}
			return nil
		})
	add.Flags().StringVar(&role, "role", "maintainer", strings.Join(roles, ", "))
	return group("owner", "Say who works on a package", "Roles on one package, or on all of a namespace, besides those that members of its organisation have. PATTERN is\n"+
		"@acme/zlib or '@acme/*'; HOLDER is a login, or ORGANISATION/TEAM.",
		a.does("list PATTERN", "List who works on it", "  clyde owner list @acme/zlib", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			p, err := patternArg(args[0])
			if err != nil {
				return err
			}
			g, err := c.Grants(ctx, p)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("owner", g)
			}
			var rows [][]string
			for _, v := range g.Items {
				rows = append(rows, []string{v.Holder, v.HolderKind, v.Role, v.Pattern})
			}
			for _, v := range g.Invitations {
				rows = append(rows, []string{v.Login, "invited", v.Role, v.Pattern})
			}
			return items(a, "owner", "nobody besides the owner of the namespace", rows, []column{{title: "HOLDER"}, {title: "KIND"}, {title: "ROLE"}, {title: "ON", gives: true}}, func(r []string) []string { return r })
		}),
		add,
		a.does("remove PATTERN HOLDER", "Take a role away", "  clyde owner remove @acme/zlib bob", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
			p, err := patternArg(args[0])
			if err != nil {
				return err
			}
			if err := c.RevokeGrant(ctx, p, args[1]); err != nil {
				return err
			}
			return a.did("owner", map[string]any{"pattern": p, "removed": args[1]}, args[1]+" has no role on "+p+" any more")
		}))
}

// did reports what was done.
func (a *app) did(name string, object map[string]any, words string) error {
	if a.json {
		return a.emit(name, object)
	}
	a.say("%s", words)
	return nil
}

func newAccess(a *app) *cobra.Command {
	return a.does("access NAME public|private", "Say who may see a package", "  clyde access @acme/zlib private", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
		n, err := packageArg(args[0])
		if err != nil {
			return err
		}
		if args[1] != "public" && args[1] != "private" {
			return usagef("%q: want public or private", args[1])
		}
		if err := c.SetAccess(ctx, n, args[1] == "private"); err != nil {
			return err
		}
		return a.did("access", map[string]any{"package": n.String(), "access": args[1]}, n.String()+" is "+args[1])
	})
}

func newTransfer(a *app) *cobra.Command {
	var org bool
	cmd := a.does("transfer PATTERN LOGIN|ORG", "Offer a package or a namespace to a new owner", "  clyde transfer @acme/zlib bob\n  clyde transfer '@acme/*' umbrella --org", 2, 2,
		func(ctx context.Context, c *client.Client, args []string) error {
			p, err := patternArg(args[0])
			if err != nil {
				return err
			}
			o, err := c.Transfer(ctx, p, map[bool]string{true: "org", false: "account"}[org], args[1])
			if err != nil {
				return err
			}
			return a.outcome("transfer", o, p+" is offered to "+args[1]+", who accepts it with: clyde transfer accept")
		})
	cmd.Flags().BoolVar(&org, "org", false, "the new owner is an organisation")
	var forOrg, of string
	list := a.does("list", "List what is offered to you", "  clyde transfer list\n  clyde transfer list --to umbrella\n  clyde transfer list --of acme", 0, 0, func(ctx context.Context, c *client.Client, _ []string) error {
		ask, name := c.Transfers, forOrg
		if of != "" {
			ask, name = c.Offers, strings.TrimPrefix(of, "@")
		}
		ts, err := ask(ctx, name)
		if err != nil {
			return err
		}
		return items(a, "transfer", "nothing waits", ts, []column{{title: "ID"}, {title: "WHAT", gives: true}, {title: "TO"}, {title: "UNTIL"}}, func(t client.Transfer) []string {
			return []string{t.ID, t.Pattern, t.To, t.Expires.Format(time.DateOnly)}
		})
	})
	list.Flags().StringVar(&forOrg, "to", "", "organisation that it is offered to, which you own")
	list.Flags().StringVar(&of, "of", "", "namespace of which something is offered, which you own")
	list.MarkFlagsMutuallyExclusive("to", "of")
	answer := func(word, past, short string, do func(*client.Client) func(context.Context, string) error) *cobra.Command {
		return a.does(word+" ID", short, "  clyde transfer "+word+" q3v5k2abq3v5k2abq3v5", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			if err := do(c)(ctx, args[0]); err != nil {
				return err
			}
			return a.did("transfer", map[string]any{"id": args[0], "state": past}, past+" "+args[0])
		})
	}
	reply := func(accept bool) func(*client.Client) func(context.Context, string) error {
		return func(c *client.Client) func(context.Context, string) error {
			return func(ctx context.Context, id string) error { return c.AnswerTransfer(ctx, id, accept) }
		}
	}
	cmd.AddCommand(list, answer("accept", "accepted", "Take over what is offered", reply(true)), answer("decline", "declined", "Turn it down", reply(false)),
		answer("cancel", "cancelled", "Take an offer of yours back", func(c *client.Client) func(context.Context, string) error { return c.CancelTransfer }))
	return cmd
}

func newInvitation(a *app) *cobra.Command {
	answer := func(word, past, short string, accept bool) *cobra.Command {
		return a.does(word+" ID", short, "  clyde invitation "+word+" q3v5k2abq3v5k2abq3v5", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.AnswerInvitation(ctx, args[0], accept); err != nil {
				return err
			}
			return a.did("invitation", map[string]any{"id": args[0], "accepted": accept}, past+" "+args[0])
		})
	}
	return group("invitation", "Answer invitations", "What you were invited to: organisations, and roles on packages. It takes a proof: clyde login --prove.",
		a.does("list", "List what waits for you", "  clyde invitation list", 0, 0, func(ctx context.Context, c *client.Client, _ []string) error {
			is, err := c.Invitations(ctx)
			if err != nil {
				return err
			}
			return items(a, "invitation", "nothing waits", is, []column{{title: "ID"}, {title: "TO", gives: true}, {title: "ROLE"}, {title: "BY"}}, func(i client.Invitation) []string {
				return []string{i.ID, i.Organisation + i.Pattern, i.Role, i.By}
			})
		}),
		answer("accept", "accepted", "Take what is offered", true), answer("decline", "declined", "Turn it down", false))
}

func newAudit(a *app) *cobra.Command {
	var q client.AuditQuery
	cmd := a.does("audit [RESOURCE]", "Read the audit log", "  clyde audit\n  clyde audit @acme/zlib --action token.\n  clyde audit org:acme --limit 500 --json", 0, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 1 {
				q.Resource = args[0]
			}
			want := q.Limit
			var all []client.AuditEntry
			for len(all) < want {
				q.Limit = min(want-len(all), 100) // of one page
				page, err := c.Audit(ctx, q)
				if err != nil {
					return err
				}
				all = append(all, page.Items...)
				if q.Cursor = page.NextCursor; q.Cursor == "" {
					break
				}
			}
			return items(a, "audit", "nothing", all, []column{{title: "TIME"}, {title: "ACTOR", gives: true}, {title: "ACTION"}, {title: "RESOURCE", gives: true}}, func(e client.AuditEntry) []string {
				return []string{e.Time.UTC().Format(time.RFC3339), e.Actor, e.Action, e.Resource}
			})
		})
	cmd.Long = "Read the audit log, the newest entry first: of @acme or @acme/zlib for who manages it, of org:acme for\n" +
		"its owners and maintainers; without RESOURCE what your account did, or for administrators everything."
	cmd.Flags().StringVar(&q.Action, "action", "", "only this action; with a dot at the end all that begin so")
	cmd.Flags().StringVar(&q.Actor, "actor", "", "only what this one did")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "entries at most")
	return cmd
}

func newAuth(a *app) *cobra.Command {
	var login string
	explain := a.does("explain ACTION RESOURCE", "Say why something is allowed, or is not", "  clyde auth explain publish @acme/zlib\n  clyde auth explain own '@acme/*' --account bob", 2, 2,
		func(ctx context.Context, c *client.Client, args []string) error {
			actions := []string{"pull", "publish-new", "publish", "yank", "manage", "own"}
			if !slices.Contains(actions, args[0]) {
				return usagef("%q is no action", args[0]).fix("use one of %s", strings.Join(actions, ", "))
			}
			p, err := patternArg(args[1])
			if err != nil {
				return err
			}
			x, err := c.Explain(ctx, args[0], p, login)
			if err != nil {
				return err
			}
			if a.json {
				if err := a.emit("auth", x); err != nil {
					return err
				}
			} else {
				verb := map[bool]string{true: "may", false: "may not"}[x.Allowed]
				if err := a.printf("%s %s %s %s\n%s\n", clean(x.Who), verb, x.Action, x.Resource, clean(x.Because)); err != nil {
					return err
				}
				for _, f := range x.Fixes {
					a.say("  try: %s", clean(f))
				}
			}
			if !x.Allowed {
				return shownError{clyde.Errorf(clyde.ErrDenied, "%s", x.Because)}
			}
			return nil
		})
	explain.Flags().StringVar(&login, "account", "", "login of somebody else, for administrators")
	return group("auth", "Ask about rights", "Say which grant allows something, or which one is missing. The exit status is 7 where it is not allowed.", explain)
}

func newKeyCommand(a *app) *cobra.Command {
	var name string
	add := a.does("add NAMESPACE FILE", "Register a public key", "  clyde key add acme cosign.pub --name release", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
		ns, err := namespaceArg(args[0])
		if err != nil {
			return err
		}
		pem, err := readKeyFile(args[1])
		if err != nil {
			return err
		}
		k, err := c.AddKey(ctx, ns, name, pem)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit("key", k)
		}
		a.say("signatures of %s count for @%s", k.Fingerprint, ns)
		return nil
	})
	add.Flags().StringVar(&name, "name", "release", "whose it is, or what for")
	return group("key", "Say whose signatures count", "Public keys of a namespace: signatures made with them count for its packages. It takes the right to manage.",
		a.does("list NAMESPACE", "List its keys", "  clyde key list acme", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			ns, err := namespaceArg(args[0])
			if err != nil {
				return err
			}
			ks, err := c.Keys(ctx, ns)
			if err != nil {
				return err
			}
			return items(a, "key", "no key", ks, []column{{title: "FINGERPRINT"}, {title: "NAME", gives: true}, {title: "STATE"}}, func(k client.Key) []string {
				state := "in force"
				if k.Revoked != nil {
					state = "revoked " + k.Revoked.UTC().Format(time.DateOnly)
				}
				return []string{k.Fingerprint, k.Name, state}
			})
		}),
		add,
		a.does("revoke NAMESPACE FINGERPRINT", "End a key's validity", "  clyde key revoke acme SHA256:…", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
			ns, err := namespaceArg(args[0])
			if err != nil {
				return err
			}
			if err := c.RevokeKey(ctx, ns, args[1]); err != nil {
				return err
			}
			return a.did("key", map[string]any{"namespace": ns, "revoked": args[1]}, "signatures of "+args[1]+" count no longer")
		}))
}

// maxKeyFile is the longest public key read, in bytes: an RSA key of 16384 bits
// has 3 KB.
const maxKeyFile = 16 << 10

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", usagef("the key cannot be read: %v", err)
	}
	b, err := readAll(f, maxKeyFile, path)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return string(b), err
}
