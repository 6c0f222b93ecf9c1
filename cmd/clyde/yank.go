package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// yankReasons is what yank --reason takes.
var yankReasons = []string{"security", "broken", "deprecated", "renamed", "other"}

func newYank(a *app) *cobra.Command {
	var reason, message string
	cmd := &cobra.Command{
		Use:   "yank NAME@VERSION",
		Short: "Withdraw a version",
		Long: "Withdraw a version: nothing new resolves to it, and what is locked to it still pulls. It can be brought\n" +
			"back with clyde unyank; the version itself is never free again.",
		Example: "  clyde yank @acme/fastjson@1.4.0 --reason security --message 'CVE-2030-0001'",
		Args:    wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(yankReasons, reason) {
				return usagef("--reason: %q is none", reason).fix("use one of %s", strings.Join(yankReasons, ", "))
			}
			return a.yank(cmd, args[0], client.YankRequest{Yanked: true, Reason: reason, Text: message})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "other", strings.Join(yankReasons, ", "))
	cmd.Flags().StringVarP(&message, "message", "m", "", "what people should know, in a sentence")
	fixedCompletion(cmd, "reason", yankReasons)
	return cmd
}

func newUnyank(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "unyank NAME@VERSION",
		Short:   "Bring a withdrawn version back",
		Example: "  clyde unyank @acme/fastjson@1.4.0",
		Args:    wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.yank(cmd, args[0], client.YankRequest{})
		},
	}
}

func (a *app) yank(cmd *cobra.Command, arg string, req client.YankRequest) error {
	ctx := cmd.Context()
	name, v, err := a.exactVersion(ctx, arg)
	if err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	r, err := c.Yank(ctx, name, v.String(), req)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit(cmd.Name(), r)
	}
	verb := "yanked"
	if !req.Yanked {
		verb = "brought back"
	}
	a.say("%s %s %s", verb, name, v)
	return nil
}

func newDeprecate(a *app) *cobra.Command {
	var d client.Deprecation
	var undo bool
	cmd := &cobra.Command{
		Use:   "deprecate NAME --message TEXT",
		Short: "Mark a package as one not to begin with",
		Long: "Mark a package as deprecated: its page, search and everybody who pulls it say so and name what to use\n" +
			"instead. Nothing is withdrawn. --undo takes the mark away.",
		Example: "  clyde deprecate @acme/oldjson --message 'no longer maintained' --replaced-by @acme/fastjson\n" +
			"  clyde deprecate @acme/oldjson --undo",
		Args:              wants(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			switch {
			case undo && (d.Message != "" || d.ReplacedBy != ""):
				return usagef("--undo goes with neither --message nor --replaced-by")
			case !undo && d.Message == "":
				return usagef("--message is needed: say why").fix("clyde deprecate %s --message 'no longer maintained'", args[0])
			}
			t, err := a.packageArg(ctx, args[0])
			if err != nil {
				return err
			}
			if t.want != "" {
				return usagef("a whole package is deprecated, not a version").fix("clyde yank %s", args[0])
			}
			if d.ReplacedBy != "" {
				n, err := clyde.ParseName("@" + strings.TrimPrefix(d.ReplacedBy, "@"))
				if err != nil {
					return err
				}
				d.ReplacedBy = n.String()
			}
			c, err := a.api(ctx)
			if err != nil {
				return err
			}
			p, err := c.Deprecate(ctx, t.name, d)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("deprecate", p)
			}
			if undo {
				a.say("%s is no longer deprecated", t.name)
			} else {
				a.say("%s is deprecated", t.name)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&d.Message, "message", "m", "", "why, in a sentence")
	cmd.Flags().StringVar(&d.ReplacedBy, "replaced-by", "", "package to use instead")
	cmd.Flags().BoolVar(&undo, "undo", false, "take the mark away")
	return cmd
}
