package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
)

func newNamespace(a *app) *cobra.Command {
	var org, owner, askOrg, why string
	claim := a.does("claim NAMESPACE", "Claim a name that your provider vouches for", "  clyde namespace claim acme --org acme", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			ns, err := namespaceArg(args[0])
			if err != nil {
				return err
			}
			n, err := c.ClaimNamespace(ctx, ns, org, owner)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("namespace", n)
			}
			a.say("@%s belongs to %s", n.Name, n.Owner)
			return nil
		})
	claim.Flags().StringVar(&org, "org", "", "organisation that shall own it")
	claim.Flags().StringVar(&owner, "owner", "", "login that shall own it, for administrators")
	ask := a.does("request NAMESPACE", "Ask the administrators for a name", "  clyde namespace request acme-labs --why 'https://acme.example/labs is ours'", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			ns, err := namespaceArg(args[0])
			if err != nil {
				return err
			}
			r, err := c.RequestNamespace(ctx, ns, askOrg, why)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("namespace", r)
			}
			a.say("asked for @%s; an administrator decides", r.Namespace)
			return nil
		})
	ask.Flags().StringVar(&askOrg, "org", "", "organisation that shall own it")
	ask.Flags().StringVar(&why, "why", "", "who you are to that name")
	list := a.does("list", "List your namespaces", "  clyde namespace list", 0, 0, func(ctx context.Context, c *client.Client, _ []string) error {
		ns, err := c.Namespaces(ctx)
		if err != nil {
			return err
		}
		return items(a, "namespace", "no namespace; claim or request one", ns, []column{{title: "NAMESPACE"}, {title: "OWNER"}, {title: "KIND"}}, func(n client.Namespace) []string {
			return []string{"@" + n.Name, n.Owner, n.OwnerKind}
		})
	})
	return group("namespace", "Claim and list namespaces", "Namespaces belong to an account or an organisation. Your login at the provider you signed in with, and the\n"+
		"organisations that you administer there, can be claimed at once; other names are requested.", list, claim, ask, newNamespaceBuilds(a))
}

func newOrg(a *app) *cobra.Command {
	var display, owner, role string
	create := a.does("create ORG", "Make an organisation", "  clyde org create acme --display 'Acme, Inc.'", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
		o, err := c.CreateOrganisation(ctx, args[0], display, owner)
		if err != nil {
			return err
		}
		return a.showOrg(o)
	})
	create.Flags().StringVar(&display, "display", "", "name for people")
	create.Flags().StringVar(&owner, "owner", "", "login of its first owner, for administrators")
	invite := a.does("invite ORG LOGIN", "Ask somebody to join", "  clyde org invite acme bob --role publisher", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
		if err := roleArg(role); err != nil {
			return err
		}
		i, err := c.Invite(ctx, args[0], args[1], role)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit("org", i)
		}
		a.say("%s is asked to join %s as %s", i.Login, args[0], i.Role)
		return nil
	})
	invite.Flags().StringVar(&role, "role", "reader", strings.Join(roles, ", "))
	return group("org", "Look after an organisation", "Organisations own namespaces; their members are owners, maintainers, publishers or readers of them. What changes\n"+
		"who owns something takes somebody who signed in on the web site: no token does it, but the registry's own.",
		create,
		a.does("info ORG", "Show an organisation", "  clyde org info acme", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Organisation(ctx, args[0])
			if err != nil {
				return err
			}
			return a.showOrg(o)
		}),
		a.does("list", "List your organisations", "  clyde org list", 0, 0, func(ctx context.Context, c *client.Client, _ []string) error {
			ms, err := c.Organisations(ctx)
			if err != nil {
				return err
			}
			return items(a, "org", "no organisation", ms, []column{{title: "ORGANISATION"}, {title: "ROLE"}}, func(m client.Membership) []string { return []string{m.Organisation, m.Role} })
		}),
		a.does("members ORG", "List who belongs to it", "  clyde org members acme", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
			ms, err := c.Members(ctx, args[0])
			if err != nil {
				return err
			}
			return items(a, "org", "no member", ms, []column{{title: "LOGIN"}, {title: "NAME", gives: true}, {title: "ROLE"}}, func(m client.Membership) []string { return []string{m.Login, m.Name, m.Role} })
		}),
		invite,
		a.does("role ORG LOGIN ROLE", "Change a member's role", "  clyde org role acme bob maintainer", 3, 3, func(ctx context.Context, c *client.Client, args []string) error {
			if err := roleArg(args[2]); err != nil {
				return err
			}
			o, err := c.SetRole(ctx, args[0], args[1], args[2])
			if err != nil {
				return err
			}
			return a.outcome("org", o, args[1]+" is "+args[2]+" of "+args[0])
		}),
		a.does("remove ORG LOGIN", "End a membership", "  clyde org remove acme bob", 2, 2, func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.RemoveMember(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.outcome("org", o, args[1]+" is no member of "+args[0]+" any more")
		}),
		newOrgTeams(a), newOrgSwitches(a), newOrgWaiting(a), newOrgConfirm(a))
}

func (a *app) showOrg(o client.Organisation) error {
	if a.json {
		return a.emit("org", o)
	}
	rows := [][]string{{"name", o.Name}, {"display name", o.Display}, {"namespaces", strings.Join(o.Namespaces, " ")}}
	if w := o.Switches; w != nil {
		yes := map[bool]string{true: "yes", false: "no"}
		rows = append(rows, [][]string{{"trusted publishing required", yes[w.TrustedOnly]}, {"signature required", yes[w.SignedOnly]},
			{"two people for changes of ownership", yes[w.TwoPerson]}, {"may create packages", w.Creators}}...)
	}
	return a.table([]column{{title: ""}, {title: ""}}, rows)
}

// newOrgWaiting and newOrgConfirm are what a second owner does where an
// organisation asks for two.
func newOrgWaiting(a *app) *cobra.Command {
	return a.does("waiting ORG", "List changes that wait for a second owner", "  clyde org waiting acme", 1, 1, func(ctx context.Context, c *client.Client, args []string) error {
		cs, err := c.Confirmations(ctx, args[0])
		if err != nil {
			return err
		}
		return items(a, "org", "nothing waits", cs, []column{{title: "ID"}, {title: "CHANGE"}, {title: "UNTIL"}, {title: "WHAT"}}, func(v client.Confirmation) []string {
			return []string{v.ID, v.Kind, v.Expires.Format(time.DateOnly), string(v.Change)}
		})
	})
}

func newOrgConfirm(a *app) *cobra.Command {
	var decline bool
	cmd := a.does("confirm ID", "Carry out what another owner asked for", "  clyde org confirm 5j3k2q7x5j3k2q7x5j3k\n  clyde org confirm 5j3k2q7x5j3k2q7x5j3k --decline", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.Confirm(ctx, args[0], !decline); err != nil {
				return err
			}
			done := "confirmed"
			if decline {
				done = "declined"
			}
			if a.json {
				return a.emit("org", map[string]any{"id": args[0], "confirmed": !decline})
			}
			a.say("%s", done)
			return nil
		})
	cmd.Flags().BoolVar(&decline, "decline", false, "drop it")
	return cmd
}

func newOrgTeams(a *app) *cobra.Command {
	var create, remove, add, drop string
	cmd := a.does("teams ORG", "List and change teams", "  clyde org teams acme\n  clyde org teams acme --create release\n  clyde org teams acme --add release/bob", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			org := args[0]
			pair := func(s string, do func(team, login string) error) error {
				team, login, ok := strings.Cut(s, "/")
				if !ok {
					return usagef("%q is not TEAM/LOGIN", s)
				}
				return do(team, login)
			}
			var err error
			switch {
			case create != "":
				err = c.CreateTeam(ctx, org, create)
			case remove != "":
				err = c.RemoveTeam(ctx, org, remove)
			case add != "":
				err = pair(add, func(t, l string) error { return c.AddToTeam(ctx, org, t, l) })
			case drop != "":
				err = pair(drop, func(t, l string) error { return c.RemoveFromTeam(ctx, org, t, l) })
			}
			if err != nil {
				return err
			}
			ts, err := c.Teams(ctx, org)
			if err != nil {
				return err
			}
			return items(a, "org", "no team", ts, []column{{title: "TEAM"}}, func(t client.Team) []string { return []string{t.Name} })
		})
	f := cmd.Flags()
	f.StringVar(&create, "create", "", "make a team")
	f.StringVar(&remove, "remove", "", "remove a team with what was granted to it")
	f.StringVar(&add, "add", "", "TEAM/LOGIN: put a member into a team")
	f.StringVar(&drop, "drop", "", "TEAM/LOGIN: take a member out of a team")
	cmd.MarkFlagsMutuallyExclusive("create", "remove", "add", "drop")
	return cmd
}

func newOrgSwitches(a *app) *cobra.Command {
	var s client.Switches
	var cmd *cobra.Command
	cmd = a.does("switches ORG", "Show and set what it asks of its packages", "  clyde org switches acme --signed-only --creators owner\n  clyde org switches acme --two-person=false", 1, 1,
		func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Organisation(ctx, args[0])
			if err != nil {
				return err
			}
			if o.Switches == nil {
				return a.showOrg(o)
			}
			f, now, changed := cmd.Flags(), *o.Switches, false
			for name, set := range map[string]func(){
				"trusted-only": func() { now.TrustedOnly = s.TrustedOnly }, "signed-only": func() { now.SignedOnly = s.SignedOnly },
				"two-person": func() { now.TwoPerson = s.TwoPerson }, "creators": func() { now.Creators = s.Creators },
			} {
				if f.Changed(name) {
					set()
					changed = true
				}
			}
			if !changed {
				return a.showOrg(o)
			}
			out, err := c.SetSwitches(ctx, args[0], now)
			if err != nil {
				return err
			}
			return a.outcome("org", out, "set")
		})
	f := cmd.Flags()
	f.BoolVar(&s.TrustedOnly, "trusted-only", false, "publish from CI by trusted publishing alone")
	f.BoolVar(&s.SignedOnly, "signed-only", false, "a version is visible once it is signed by a key of the namespace")
	f.BoolVar(&s.TwoPerson, "two-person", false, "a change of ownership takes two owners")
	f.StringVar(&s.Creators, "creators", "maintainer", "least role that may create packages: owner, maintainer, publisher")
	return cmd
}
