package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func newRepository(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repository",
		Short: "Publish a package from a repository of GitHub, without any CI",
		Long: "A linked repository's releases are published by the registry itself: GitHub's webhook tells of them, and the\n" +
			"registry fetches the tag. Linking takes somebody who administers the repository, which a token of GitHub's\n" +
			"shows once; where a package must be published by trusted publishing, that is not accepted.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	sub := func(use, short, example string, n int, run func(ctx context.Context, c *client.Client, name clyde.Name, args []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: wants(n, n), Example: example, RunE: func(cmd *cobra.Command, args []string) error {
			name, err := packageArg(args[0])
			if err != nil {
				return err
			}
			c, err := a.api(cmd.Context())
			if err != nil {
				return err
			}
			return run(cmd.Context(), c, name, args[1:])
		}}
	}
	cmd.AddCommand(
		sub("link NAME OWNER/REPO", "Publish a package from a repository", "  GITHUB_TOKEN=$(gh auth token) clyde repository link @acme/zlib acme/zlib", 2, a.repositoryLink),
		sub("show NAME", "Show the linked repository and what became of its releases", "  clyde repository show @acme/zlib", 1,
			func(ctx context.Context, c *client.Client, name clyde.Name, _ []string) error {
				l, err := c.LinkedRepository(ctx, name)
				if err != nil {
					return err
				}
				return a.showRepository(l)
			}),
		sub("publish NAME TAG", "Publish a tag that failed, or that GitHub never told of", "  clyde repository publish @acme/zlib v1.3.1", 2,
			func(ctx context.Context, c *client.Client, name clyde.Name, args []string) error {
				l, err := c.PublishTag(ctx, name, args[0])
				if err != nil {
					return err
				}
				return a.showRepository(l)
			}),
		sub("unlink NAME", "Publish from the repository no longer", "  clyde repository unlink @acme/zlib", 1,
			func(ctx context.Context, c *client.Client, name clyde.Name, _ []string) error {
				if err := c.UnlinkRepository(ctx, name); err != nil {
					return err
				}
				a.say("%s is linked to no repository", name)
				return nil
			}),
	)
	return cmd
}

func (a *app) repositoryLink(ctx context.Context, c *client.Client, name clyde.Name, args []string) error {
	token := githubToken()
	if token == "" {
		b, err := a.secret("token of GitHub that shows you administer " + args[0])
		if err != nil {
			return usagef("a token of GitHub's has to show that you administer %s", args[0]).fix("set %s; gh auth token prints one", githubTokenVar)
		}
		token = strings.TrimSpace(string(b))
	}
	l, err := c.LinkRepository(ctx, name, args[0], token)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit("repository", l)
	}
	a.say("%s is published from %s once GitHub tells of its releases. At %s/%s/settings/hooks/new:", name, clean(l.Repository), githubSite, clean(l.Repository))
	return a.keyValues([][2]string{{"payload URL", l.Webhook}, {"content type", "application/json"}, {"secret", l.Secret}, {"events", "Releases"}})
}

func (a *app) showRepository(l client.LinkedRepository) error {
	if a.json {
		return a.emit("repository", l)
	}
	a.say("%s is published from %s, linked by %s", clean(l.Package), clean(l.Repository), clean(l.By))
	var rows [][]string
	for _, t := range l.Tags {
		why := t.Reason
		if t.Fix != "" {
			why += " (" + t.Fix + ")"
		}
		rows = append(rows, []string{t.Tag, t.State, t.Version, why})
	}
	return a.table([]column{{title: "TAG"}, {title: "STATE"}, {title: "VERSION", gives: true}, {title: "WHY", gives: true}}, rows)
}
