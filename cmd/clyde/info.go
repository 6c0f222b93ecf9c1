package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// about makes a command that asks the registry about one package: NAME or
// NAME@RANGE.
func (a *app) about(cmd *cobra.Command, run func(ctx context.Context, c *client.Client, t target) error) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = wants(1, 1), a.completeNames
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		t, err := a.packageArg(ctx, args[0])
		if err != nil {
			return err
		}
		c, err := a.api(ctx)
		if err != nil {
			return err
		}
		return run(ctx, c, t)
	}
	return cmd
}

func newInfo(a *app) *cobra.Command {
	var problems bool
	cmd := a.about(&cobra.Command{
		Use:   "info NAME[@RANGE]",
		Short: "Show what is known about a package",
		Long: "Show a package and its latest version, or the newest version in RANGE. NAME is @namespace/name; the @\n" +
			"in front may be left out. For a name without its namespace, the packages it may mean are listed.\n" +
			"With --problems, what was pushed to it and could not be taken, and why.",
		Example: "  clyde info @acme/fastjson\n  clyde info acme/fastjson@^1.2 --json\n  clyde info @acme/fastjson --problems",
	}, func(ctx context.Context, c *client.Client, t target) error {
		if problems {
			return a.showProblems(ctx, c, t.name)
		}
		p, err := c.Package(ctx, t.name)
		if err != nil {
			return err
		}
		var r client.Release
		if t.want != "" || p.Latest != "" {
			if r, err = a.release(ctx, c, t); err != nil {
				return err
			}
		}
		if a.json {
			p.LatestInfo = nil
			out := struct {
				Package client.Package  `json:"package"`
				Release *client.Release `json:"release,omitempty"`
			}{Package: p}
			if r.Version != "" {
				out.Release = &r
			}
			return a.emit("info", out)
		}
		return a.showInfo(p, r)
	})
	cmd.Flags().BoolVar(&problems, "problems", false, "show what was pushed and could not be taken, and why")
	return cmd
}

// showProblems prints what could not be taken of a package: nothing when all was.
func (a *app) showProblems(ctx context.Context, c *client.Client, name clyde.Name) error {
	found, err := c.Problems(ctx, name)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit("info", struct {
			Name     string           `json:"name"`
			Problems []client.Problem `json:"problems"`
		}{name.String(), append([]client.Problem{}, found...)})
	}
	if len(found) == 0 {
		a.say("nothing that was pushed to %s waits to be mended", name)
		return nil
	}
	var rows [][]string
	for _, p := range found {
		rows = append(rows, []string{p.Tag, day(p.Received), p.Source, p.Reason})
	}
	return a.table([]column{{title: "TAG"}, {title: "HEARD OF"}, {title: "FROM"}, {title: "WHY NOT", gives: true}}, rows)
}

// showInfo prints a package for a person. Every line is "key<tab>value" in a
// pipe.
func (a *app) showInfo(p client.Package, r client.Release) error {
	var rows [][2]string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, [2]string{key, value})
		}
	}
	add("name", p.Name)
	add("description", p.Description)
	if p.Deprecated != "" {
		s := p.Deprecated
		if p.ReplacedBy != "" {
			s += " (use " + p.ReplacedBy + ")"
		}
		add("deprecated", s)
	}
	version := r.Version
	if p.Latest != "" && p.Latest != r.Version {
		version += " (latest is " + p.Latest + ")"
	}
	add("version", version)
	add("upstream", r.UpstreamVersion)
	if r.Yanked != nil {
		add("yanked", yankedText(r.Yanked))
	}
	if r.State != "visible" {
		add("state", r.State)
	}
	add("license", p.License)
	add("type", p.Kind)
	add("language", strings.TrimSpace(p.Language+" "+p.Standard))
	add("platforms", strings.Join(p.Platforms, ", "))
	add("keywords", strings.Join(p.Keywords, ", "))
	add("homepage", p.Homepage)
	add("repository", p.Repository)
	add("docs", p.Docs)
	if r.Version != "" {
		add("published", day(r.Published)+" by "+r.Publisher)
		signed := r.Signed
		if r.Signer != "" {
			signed += " by " + r.Signer
		}
		add("signed", signed+" (as the registry saw it; clyde verify looks itself)")
		for _, by := range r.Authors {
			add("signer", strings.TrimSpace(by.Words+" "+by.Run))
		}
		for _, m := range r.Missing {
			add("waits for", m.Text)
		}
		for _, p := range r.Provenance {
			add("provenance", strings.TrimSpace(p.Source+" "+p.Commit)+" by "+p.Builder)
		}
		for _, b := range r.SBOM {
			add("sbom", b.Format+", "+plural(b.Components, "component"))
		}
		add("size", size(r.Size))
		add("digest", r.Digest)
		add("reference", r.Reference)
		for _, d := range r.Requires {
			if d.Kind == "requires" || d.Kind == "" {
				add("requires", strings.TrimSpace(d.Name+" "+d.Range))
			}
		}
	}
	add("versions", strconv.Itoa(p.Versions))
	pulls := strconv.FormatInt(p.Downloads, 10)
	if t := p.Pulls; t != nil {
		pulls += fmt.Sprintf(" by people, %d by CI, %d by robots; %d with repetitions", t.CI, t.Robots, t.Raw)
	}
	add("downloads", pulls)
	add("dependents", strconv.Itoa(p.Dependents))
	return a.keyValues(rows)
}

// keyValues prints pairs, aligned on a terminal.
func (a *app) keyValues(rows [][2]string) error {
	tty := isTerminal(a.stdout)
	for _, r := range rows {
		var err error
		if tty {
			err = a.printf("%s%s %s\n", a.paint(a.stdout, dim, r[0]), strings.Repeat(" ", max(0, 12-len(r[0]))), clean(r[1]))
		} else {
			err = a.printf("%s\t%s\n", r[0], clean(r[1]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func yankedText(y *client.Yanked) string {
	s := y.Reason
	if y.Text != "" {
		s += ": " + y.Text
	}
	return s
}

// day shows a time to a person.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func newVersions(a *app) *cobra.Command {
	return a.about(&cobra.Command{
		Use:   "versions NAME[@RANGE]",
		Short: "List the versions of a package, newest first",
		Long: "List the versions of a package, newest first, or those in RANGE. In a pipe the columns are separated by\n" +
			"tabs: version, day of publication, bytes, signature state, digest, reason of the yank, the project's own\n" +
			"version, and who signed where that is verified.",
		Example: "  clyde versions @acme/fastjson\n  clyde versions '@acme/fastjson@^1'",
	}, func(ctx context.Context, c *client.Client, t target) error {
		all, err := c.Versions(ctx, t.name)
		if err != nil {
			return err
		}
		in := []client.Release{}
		for _, r := range all {
			if t.want == "" || inRange(t.rng, r.Version) {
				in = append(in, r)
			}
		}
		if len(in) == 0 && t.want != "" {
			return a.noVersion(ctx, c, t, nil)
		}
		if a.json {
			return a.emit("versions", struct {
				Name     string           `json:"name"`
				Versions []client.Release `json:"versions"`
			}{t.name.String(), in})
		}
		var rows [][]string
		for _, r := range in {
			note, bytes := "", strconv.FormatInt(r.Size, 10)
			if r.Yanked != nil {
				note = "yanked: " + yankedText(r.Yanked)
			}
			if isTerminal(a.stdout) {
				bytes = size(r.Size)
			}
			rows = append(rows, []string{r.Version, day(r.Published), bytes, r.Signed, r.Digest, note, r.UpstreamVersion, r.Signer})
		}
		return a.table([]column{
			{title: "VERSION"}, {title: "PUBLISHED"}, {title: "SIZE", right: true}, {title: "SIGNED"},
			{title: "DIGEST", gives: true}, {title: "NOTE", gives: true}, {title: "UPSTREAM", gives: true}, {title: "BY", gives: true},
		}, rows)
	})
}
