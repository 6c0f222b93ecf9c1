package main

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// newModerate withdraws versions and accounts; docs/moderation.md is its manual.
func newModerate(a *app) *cobra.Command {
	return group("moderate", "Withdraw versions and accounts, and read reports",
		newDecision(a, account.Quarantine, "Withhold a version while you look at it",
			"Nobody installs, pulls or finds the version until it is restored. Its bytes stay.", "%s is quarantined."),
		newDecision(a, account.Remove, "Take a version down and keep its bytes",
			"Nobody installs, pulls or finds the version any more; whoever asks is told why (410).", "%s is removed."),
		newDecision(a, account.Restore, "Bring back what was quarantined or removed",
			"The version is as it was, under the same digest.", "%s is back."),
		newDecision(a, account.Erase, "Destroy the bytes of a version that must not exist",
			"For a version that leaked a secret. Its manifest, everything that refers to it, every\n"+
				"blob that no other version names, and what was derived from them are removed from this\n"+
				"server. The version stays taken, and whoever asks is told why. Nothing brings it back,\n"+
				"but backups made before still hold it, and so may whoever has pulled it.", "%s is erased. Backups made before still hold it."),
		newModerated(a), newSuspend(a), newUnsuspend(a), newReports(a))
}

func newDecision(a *app, decision, short, long, done string) *cobra.Command {
	var why string
	var sure bool
	use := decision + " PACKAGE@VERSION"
	if decision != account.Restore {
		use += " --reason TEXT"
	}
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: exactly(1),
		Example: "  clyde-registry moderate " + decision + " @acme/zlib@1.3.1" + map[bool]string{true: " --reason 'holds a miner'"}[decision != account.Restore],
		RunE: func(cmd *cobra.Command, args []string) error {
			i := strings.LastIndexByte(args[0], '@')
			if i <= 0 {
				return usageError{fmt.Errorf("%q: want a package and a version, such as @acme/zlib@1.3.1; @acme/zlib@* is all of them", args[0])}
			}
			if decision == account.Erase && !sure {
				return usageError{fmt.Errorf("an erasure cannot be undone: say --yes when %s is what you mean", args[0])}
			}
			m := server.Moderate{Package: args[0][:i], Version: args[0][i+1:], Decision: decision, Reason: why}
			var out store.Moderation
			if err := a.ask(cmd, "moderate", m, &out); err != nil {
				return err
			}
			return a.result(out, done, args[0])
		},
	}
	c.Flags().StringVar(&why, "reason", "", "why, for everybody who asks for the version")
	if decision == account.Erase {
		c.Flags().BoolVar(&sure, "yes", false, "yes, destroy it")
	}
	return c
}

func newModerated(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what is withdrawn", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out []store.Moderation
			if err := a.ask(cmd, "moderated", struct{}{}, &out); err != nil {
				return err
			}
			return table(a, "PACKAGE\tVERSION\tSTATE\tSINCE\tBY\tREASON", out, func(m store.Moderation) []string {
				v := m.VersionKey
				if v == "" {
					v = "*"
				}
				return []string{"@" + m.Repo, v, m.State, day(m.At), m.By, oneLine(m.Reason)}
			})
		},
	}
}

func newSuspend(a *app) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "suspend LOGIN --reason TEXT", Short: "Keep an account from everything but reading what is public", Args: exactly(1),
		Long: "The account's sessions end and its tokens are refused from the next request on. What it\n" +
			"published stays. Its owner is told the reason.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return usageError{fmt.Errorf("say why with --reason; the account's owner reads it")}
			}
			if err := a.ask(cmd, "suspend", server.Suspend{Login: args[0], Reason: why}, nil); err != nil {
				return err
			}
			return a.result(map[string]string{"suspended": args[0]}, "The account %s is suspended.", args[0])
		},
	}
	c.Flags().StringVar(&why, "reason", "", "why, for the account's owner")
	return c
}

func newUnsuspend(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "unsuspend LOGIN", Short: "Lift an account's suspension", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.ask(cmd, "suspend", server.Suspend{Login: args[0]}, nil); err != nil {
				return err
			}
			return a.result(map[string]string{"unsuspended": args[0]}, "The account %s is in good standing.", args[0])
		},
	}
}

func newReports(a *app) *cobra.Command {
	q := server.Reports{}
	c := &cobra.Command{
		Use: "reports", Short: "List what users report, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out []store.Report
			if err := a.ask(cmd, "reports", q, &out); err != nil {
				return err
			}
			return table(a, "ID\tFILED\tPACKAGE\tVERSION\tKIND\tBY\tTEXT\tDECIDED", out, func(r store.Report) []string {
				return []string{r.ID, day(r.Created), "@" + r.Repo, r.Version, r.Kind, r.By, oneLine(r.Text), oneLine(r.Decision)}
			})
		},
	}
	c.Flags().StringVar(&q.State, "state", store.ReportOpen, "open or closed")
	c.Flags().IntVar(&q.Limit, "limit", account.MaxReports, fmt.Sprintf("rows at most, up to %d", account.MaxReports))
	closing := &cobra.Command{
		Use: "close ID DECISION", Short: "Close a report, saying what was decided", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out store.Report
			if err := a.ask(cmd, "report.close", server.CloseReport{ID: args[0], Decision: args[1]}, &out); err != nil {
				return err
			}
			return a.result(out, "Report %s is closed.", args[0])
		},
	}
	c.AddCommand(closing)
	return c
}

// oneLine shows what a stranger wrote on one line of a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}
