package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func newTrust(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Say which CI workflows may publish; bring trusted roots along",
		Long: "Trusted publishers: CI workflows that publish a package without a stored secret. The CI provider vouches\n" +
			"for the run, and clyde publish there gets a token of 15 minutes for that package alone. And, for the other\n" +
			"direction of trust, fetch brings what clyde verify needs where there is no network.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list NAME", Short: "List who is trusted to publish a package", Args: wants(1, 1),
			Example: "  clyde trust list @acme/zlib",
			RunE:    func(cmd *cobra.Command, args []string) error { return a.trustList(cmd.Context(), args[0]) },
		},
		newTrustAdd(a),
		newTrustFetch(a),
		&cobra.Command{
			Use: "remove NAME ID", Short: "End the trust in a workflow", Args: wants(2, 2),
			Example: "  clyde trust remove @acme/zlib tp_k3v5q2abk3v5q2ab",
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.trustRemove(cmd.Context(), args[0], args[1])
			},
		},
	)
	return cmd
}

// trustFlags are the flags of trust add.
type trustFlags struct {
	req         client.TrustedPublisherRequest
	tag, branch string
	claims      []string
}

func newTrustAdd(a *app) *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "add NAME", DisableFlagsInUseLine: true,
		Short: "Trust a CI workflow to publish a package",
		Long: "Trust a CI workflow to publish the package, which may not exist yet: then the publisher is pending, reserves\n" +
			"nothing, and expires after 30 days. Repositories are known by their numbers, which the registry looks up: one\n" +
			"that is renamed stays trusted, and one that takes its name is not.",
		Example: "  clyde trust add @acme/zlib --repository acme/zlib --workflow release.yml --tag 'v*' --environment release\n" +
			"  clyde trust add @acme/zlib --issuer gitlab --repository acme/zlib --workflow .gitlab-ci.yml --tag 'v*'\n" +
			"  clyde trust add @acme/zlib --issuer buildkite --claim pipeline_slug=zlib --claim organization_slug=acme",
		Args: wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.trustAdd(cmd.Context(), args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.req.Issuer, "issuer", "github", "who vouches for the run: name or address of one of the registry's issuers")
	fl.StringVar(&f.req.Repository, "repository", "", "OWNER/NAME at the provider")
	fl.StringVar(&f.req.OwnerID, "owner-id", "", "number of the owner, or GitLab namespace, where the registry cannot look it up")
	fl.StringVar(&f.req.RepositoryID, "repository-id", "", "number of the repository, or GitLab project, likewise")
	fl.StringVar(&f.req.Workflow, "workflow", "", "file name of the workflow; at GitLab the path of the configuration")
	fl.StringVar(&f.req.JobWorkflow, "job-workflow", "", "reusable workflow that the job is in: OWNER/NAME/.github/workflows/FILE.yml@REF")
	fl.StringVar(&f.tag, "tag", "", "only runs of a tag that matches: v*")
	fl.StringVar(&f.branch, "branch", "", "only runs of a branch that matches: main")
	fl.StringVar(&f.req.Ref, "ref", "", "only runs of a ref that matches: refs/tags/v*")
	fl.StringVar(&f.req.Environment, "environment", "", "only jobs in this environment")
	fl.StringArrayVar(&f.claims, "claim", nil, "NAME=PATTERN of a claim, at issuers of other kinds; may be given several times")
	return cmd
}

// request turns the flags into what the API takes.
func (f trustFlags) request() (client.TrustedPublisherRequest, error) {
	r := f.req
	given := 0
	for _, s := range []string{f.tag, f.branch, f.req.Ref} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return r, usagef("--tag, --branch and --ref are three ways to say one thing").fix("give one of them, or add a publisher for each")
	case f.tag != "":
		r.Ref = "refs/tags/" + f.tag
	case f.branch != "":
		r.Ref = "refs/heads/" + f.branch
	}
	for _, c := range f.claims {
		name, want, ok := strings.Cut(c, "=")
		if !ok || name == "" {
			return r, usagef("--claim: %q is not NAME=PATTERN", c)
		}
		if r.Claims == nil {
			r.Claims = map[string]string{}
		}
		if _, twice := r.Claims[name]; twice {
			return r, usagef("--claim: %s is there twice", name)
		}
		r.Claims[name] = want
	}
	return r, nil
}

func packageArg(arg string) (clyde.Name, error) {
	n, err := clyde.ParseName("@" + strings.TrimPrefix(arg, "@"))
	if err != nil {
		return n, usagef("%q is no name of a package", arg).fix("write it like @acme/zlib")
	}
	return n, nil
}

func (a *app) trustList(ctx context.Context, arg string) error {
	name, err := packageArg(arg)
	if err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	ps, err := c.TrustedPublishers(ctx, name)
	if err != nil {
		return noTrust(err)
	}
	if a.json {
		if ps == nil {
			ps = []client.TrustedPublisher{}
		}
		return a.emit("trust", map[string]any{"items": ps})
	}
	if len(ps) == 0 {
		a.say("%s has no trusted publisher; add one with clyde trust add %s", name, name)
		return nil
	}
	rows := make([][]string, len(ps))
	for i, p := range ps {
		rows[i] = []string{p.ID, p.Issuer, trustWhat(p), trustState(p)}
	}
	return a.table([]column{{title: "ID"}, {title: "ISSUER", gives: true}, {title: "RUNS", gives: true}, {title: "STATE"}}, rows)
}

// trustWhat says which runs a publisher is, in one line.
func trustWhat(p client.TrustedPublisher) string {
	var out []string
	for _, f := range [][2]string{
		{"", p.Repository}, {"", p.Workflow}, {"", p.JobWorkflow}, {"", p.Ref}, {"environment ", p.Environment},
	} {
		if f[1] != "" {
			out = append(out, f[0]+f[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(p.Claims)) {
		out = append(out, k+"="+p.Claims[k])
	}
	return strings.Join(out, " ")
}

func trustState(p client.TrustedPublisher) string {
	switch {
	case p.Pending && p.Expires != nil:
		return "pending until " + p.Expires.UTC().Format(time.DateOnly)
	case p.Used != nil:
		return "used " + p.Used.UTC().Format(time.DateOnly)
	}
	return "never used"
}

func (a *app) trustAdd(ctx context.Context, arg string, f trustFlags) error {
	name, err := packageArg(arg)
	if err != nil {
		return err
	}
	req, err := f.request()
	if err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	p, err := c.AddTrustedPublisher(ctx, name, req)
	if err != nil {
		return noTrust(err)
	}
	if a.json {
		return a.emit("trust", p)
	}
	a.say("%s may be published by %s", name, clean(trustWhat(p)))
	if p.Pending && p.Expires != nil {
		a.say("the package does not exist yet: publish it before %s", p.Expires.UTC().Format(time.DateOnly))
	}
	return a.printf("%s\n", clean(p.ID))
}

func (a *app) trustRemove(ctx context.Context, arg, id string) error {
	name, err := packageArg(arg)
	if err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	if err := c.RemoveTrustedPublisher(ctx, name, id); err != nil {
		return noTrust(err)
	}
	a.say("%s is no longer published by %s", name, clean(id))
	if a.json {
		return a.emit("trust", map[string]string{"removed": id})
	}
	return nil
}
