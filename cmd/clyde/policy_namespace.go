package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
)

// policyOfNamespace are the commands about what a namespace asks of its
// packages.
func (a *app) policyOfNamespace() []*cobra.Command {
	get := &cobra.Command{
		Use: "get @NAMESPACE", Short: "Print the policy that a namespace asks its packages to meet", Args: wants(1, 1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.namespacePolicy(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, ns string) error {
				p, err := c.SigningPolicy(ctx, ns)
				switch {
				case err != nil:
					return err
				case a.json:
					return a.emit("policy", p)
				case p.Policy == "":
					return clyde.Errorf(clyde.ErrNotFound, "@%s asks for no signatures", ns).WithCode("no_policy").Fix("clyde policy set @%s FILE", ns)
				}
				return a.printf("%s", p.Policy)
			})
		},
	}
	var names bool
	set := &cobra.Command{
		Use:   "set @NAMESPACE FILE",
		Short: "Ask that the packages of a namespace meet a policy",
		Long: "Ask that every version of a namespace meet the policy in FILE before anybody but those who publish there\n" +
			"sees it. The registry looks at what is published again: what waits and need not any longer is shown, and\n" +
			"what everybody has seen stays. For owners who signed in recently.",
		Example: "  clyde policy set @acme policy.yaml", Args: wants(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[1])
			if err != nil {
				return missing(args[1], err)
			}
			data, err := readAll(f, policy.MaxSize, args[1])
			if cerr := f.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
			if _, err := policy.Parse(data); err != nil {
				return err
			}
			said := &names
			if !cmd.Flags().Changed("log-names") {
				said = nil
			}
			return a.setPolicy(cmd.Context(), args[0], string(data), said)
		},
	}
	set.Flags().BoolVar(&names, "log-names", false, "who signs private packages may be put on public record")
	unset := &cobra.Command{
		Use: "unset @NAMESPACE", Short: "Ask for no signatures any longer", Args: wants(1, 1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error { return a.setPolicy(cmd.Context(), args[0], "", nil) },
	}
	record := &cobra.Command{
		Use: "log-names @NAMESPACE on|off", Short: "Say whether who signs private packages may go on public record", Args: wants(2, 2), DisableFlagsInUseLine: true,
		Long: "Say whether whoever signs private packages of a namespace without a key may be in the public sigstore's logs,\n" +
			"which everybody reads, forever. Where nobody said so, clyde does not sign there. For owners who signed in\n" +
			"recently.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "on" && args[1] != "off" {
				return usagef("log-names is on or off, and not %q", args[1])
			}
			return a.namespacePolicy(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, ns string) error {
				p, err := c.SigningPolicy(ctx, ns)
				if err != nil {
					return err
				}
				if p, err = c.SetSigningPolicy(ctx, ns, p.Policy, args[1] == "on"); err != nil {
					return err
				}
				if a.json {
					return a.emit("policy", p)
				}
				a.say("who signs private packages of @%s %s go on public record", ns, map[bool]string{true: "may", false: "does not"}[p.LogNames])
				return nil
			})
		},
	}
	return []*cobra.Command{get, set, unset, record}
}

func (a *app) namespacePolicy(ctx context.Context, arg string, run func(ctx context.Context, c *client.Client, ns string) error) error {
	ns := strings.TrimPrefix(arg, "@")
	if err := clyde.CheckNamespace(ns); err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	return run(ctx, c, ns)
}

// setPolicy sets the policy of a namespace; a nil names leaves it as it is
// whether who signs private packages may go on public record.
func (a *app) setPolicy(ctx context.Context, arg, text string, names *bool) error {
	return a.namespacePolicy(ctx, arg, func(ctx context.Context, c *client.Client, ns string) error {
		if names == nil {
			was, err := c.SigningPolicy(ctx, ns)
			if err != nil {
				return err
			}
			names = &was.LogNames
		}
		p, err := c.SetSigningPolicy(ctx, ns, text, *names)
		switch {
		case err != nil:
			return err
		case a.json:
			return a.emit("policy", p)
		case text == "":
			a.say("@%s asks for no signatures any longer", ns)
			return nil
		}
		a.say("versions of @%s are seen once they meet the policy", ns)
		return a.printf("%s\n", p.Digest)
	})
}
