// Command clyde-registry serves a package registry from one process and looks
// after its data. docs/operating.md is its manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// Exit statuses: the same numbers as clyde's.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, for those who will not wait.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for os.Exit, so that tests can call it.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	e, msg := clyde.AsError(err), err.Error()
	if e != nil {
		msg = e.Msg
	}
	fmt.Fprintf(stderr, "clyde-registry: %s\n", strings.TrimSuffix(msg, "."))
	if e != nil {
		for _, f := range e.Fixes {
			fmt.Fprintf(stderr, "  fix: %s\n", f)
		}
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitError
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// app is what the commands share.
type app struct {
	environ        []string
	stdout, stderr io.Writer

	config, addr, data string // flags
	json               bool
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "clyde-registry",
		Short: "Serve a registry of C and C++ packages, and look after its data",
		Long: "clyde-registry serves a registry of C and C++ packages from one process, and looks\n" +
			"after its data.\n\n" +
			"Settings come from clyde.yaml in the working directory (or --config), then from the\n" +
			"environment (CLYDE_HTTP_ADDR is http.addr), then from flags. All other commands than\n" +
			"serve work beside a running server, through its socket, as well as without one.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          exactly(0),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVarP(&a.config, "config", "c", "", "configuration file (default clyde.yaml where there is one)")
	f.StringVar(&a.addr, "addr", "", "listen on this host:port (http.addr)")
	f.StringVar(&a.data, "data", "", "keep data in this directory (data.dir)")
	f.BoolVar(&a.json, "json", false, "print JSON on standard output")
	root.AddCommand(newServe(a), newHealth(a), newToken(a), newAdmin(a), newKey(a), newAccess(a), newModerate(a), newInbox(a), newAudit(a),
		newReconcile(a), newReindex(a), newGC(a), newScrub(a), newBackup(a), newRestore(a), newMigrate(a), newConfig(a), newVersion(a))
	return root
}

// exactly checks the number of arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n && n == 0 && cmd.HasSubCommands() {
			return usageError{fmt.Errorf("%s has no command %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())}
		}
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %d arguments and got %d; write %s", cmd.CommandPath(), n, len(args), cmd.UseLine())}
		}
		return nil
	}
}

// read returns the configuration: defaults, file, environment, flags.
func (a *app) read() (config.Config, error) {
	environ := a.environ
	if a.addr != "" {
		environ = append(slices.Clip(environ), "CLYDE_HTTP_ADDR="+a.addr)
	}
	if a.data != "" {
		environ = append(slices.Clip(environ), "CLYDE_DATA_DIR="+a.data)
	}
	return config.ReadFile(a.config, environ)
}

// logger writes to standard error as the configuration says.
func (a *app) logger(c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated with the rest
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, o))
	}
	return slog.New(slog.NewTextHandler(a.stderr, o))
}

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve registry, API, search and pages until interrupted",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.read()
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), cfg)
		},
	}
}

func (a *app) serve(ctx context.Context, cfg config.Config) (err error) {
	s, err := server.New(ctx, cfg, server.Options{Log: a.logger(cfg.Log)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.FirstAdmin(ctx); err != nil {
		return err
	}
	path, token, err := s.FirstToken(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Clyde Registry serves %s\n", s.PublicURL())
	if path != "" {
		fmt.Fprintf(a.stdout, "  The administrator's token is in %s (user name admin).\n", path)
		// A log that is kept must not hold it: only a terminal shows it.
		if f, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprintf(a.stdout, "  %s\n", token)
		}
	}
	return s.Run(ctx)
}
