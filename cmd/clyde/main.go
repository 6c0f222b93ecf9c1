// Command clyde publishes, finds, verifies and fetches packages of C and C++
// code. docs/cli.md is its reference.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for os.Exit, so that tests can call it. It
// returns one of the exit statuses in exit.go.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	for _, f := range a.cleanups {
		f()
	}
	return a.finish(ctx, err)
}

// newRoot returns the command with all others below it.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "clyde",
		Short: "Publish, find, verify and fetch C and C++ packages",
		Long: "clyde publishes, finds, verifies and fetches packages of C and C++ code.\n\n" +
			"What it finds out goes to standard output, what it is doing to standard error.\n" +
			"With --json, standard output is one JSON object. The exit status says what went wrong.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2 // unset, cobra suggests nothing here
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v", err).fix("run %s --help", cmd.CommandPath())
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON object on standard output")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print nothing on standard error but errors")
	f.StringVarP(&a.registryFlag, "registry", "r", "", "registry to talk to (env CLYDE_REGISTRY, then the configuration file, then "+defaultRegistry+")")
	f.BoolVar(&a.plainHTTP, "plain-http", false, "send credentials over plain HTTP to other machines, too")
	f.StringVar(&a.progressFlag, "progress", "", "how to show progress: auto, plain or none")
	root.AddGroup(
		&cobra.Group{ID: groupMake, Title: "Make a package:"},
		&cobra.Group{ID: groupFind, Title: "Find and fetch packages:"},
		&cobra.Group{ID: groupNeed, Title: "Use packages in a project:"},
		&cobra.Group{ID: groupTrust, Title: "Sign and verify:"},
		&cobra.Group{ID: groupManage, Title: "Look after what you published:"},
		&cobra.Group{ID: groupSelf, Title: "You and this program:"},
	)
	root.SetHelpCommand(&cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Say more about a command",
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), args[0])
			}
			return found.Help()
		},
	})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupMake, newInit(a), newValidate(a), newPack(a), newPush(a), newBuild(a), newPublish(a))
	add(groupFind, newSearch(a), newInfo(a), newVersions(a), newBuilds(a), newDependents(a), newPull(a))
	add(groupNeed, newAdd(a), newRemove(a), newInstall(a), newUpdate(a), newOutdated(a), newTree(a), newWhy(a), newLicenses(a), newSBOM(a), newResolve(a))
	add(groupTrust, newKeygen(a), newSign(a), newAttest(a), newVerify(a), newLock(a), newPolicy(a), newKeyCommand(a))
	add(groupManage, newYank(a), newUnyank(a), newDeprecate(a), newAccess(a), newOwner(a), newTransfer(a), newNamespace(a), newOrg(a), newTrust(a), newRepository(a), newAudit(a))
	add(groupSelf, newLogin(a), newLogout(a), newWhoami(a), newToken(a), newInvitation(a), newAuth(a), newConfig(a), newCache(a), newDoctor(a), newAPI(a), newCompletion(a), newVersion(a))
	return root
}

// Groups of commands in the help.
const (
	groupMake   = "make"
	groupFind   = "find"
	groupNeed   = "need"
	groupTrust  = "trust"
	groupManage = "manage"
	groupSelf   = "self"
)

// unknownCommand is the usage error for a command that cmd does not have.
func unknownCommand(cmd *cobra.Command, name string) error {
	e := usagef("there is no command %q", cmd.CommandPath()+" "+name)
	for _, s := range cmd.SuggestionsFor(name) {
		e.fix("run %s %s", cmd.CommandPath(), s)
	}
	return e.fix("run %s --help for the list", cmd.CommandPath())
}

// wants returns a check that a command got between least and most arguments;
// most < 0 is any number.
func wants(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s: an argument is missing", cmd.CommandPath()).fix("write %s", cmd.UseLine())
		case most >= 0 && len(args) > most:
			return usagef("%s: %q is one argument too many", cmd.CommandPath(), args[most]).fix("write %s", cmd.UseLine())
		}
		return nil
	}
}
