package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// maxKeyFile is the largest public key file read, in bytes; RSA-16384 has 3 KiB.
const maxKeyFile = 64 << 10

// ask carries one command out and decodes its answer into out.
func (a *app) ask(cmd *cobra.Command, name string, args, out any) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	return server.Administer(cmd.Context(), cfg, name, args, out, server.Options{Log: a.logger(cfg.Log)})
}

// table prints rows with a head, or rows as JSON.
func table[T any](a *app, head string, rows []T, line func(T) []string) error {
	if a.json {
		if rows == nil {
			rows = []T{}
		}
		return a.printJSON(rows)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(line(r), "\t"))
	}
	return w.Flush()
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// result prints v as JSON where asked, else the sentence.
func (a *app) result(v any, format string, args ...any) error {
	if a.json {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}

// day shows a time to a person; "-" is never.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func group(use, short string, cmds ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(cmds...)
	return c
}

func newToken(a *app) *cobra.Command {
	var t server.TokenCreate
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token and print it, once",
		Example: "  clyde-registry token create ci --allow publish,publish-new --package '@acme/*' --expires 2160h",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Name = args[0]
			if !t.Admin && (len(t.Packages) == 0 || len(t.Allow) == 0) {
				return usageError{fmt.Errorf("say what the token is for: --allow and --package, or --admin")}
			}
			if t.Admin && len(t.Packages)+len(t.Allow) > 0 {
				return usageError{fmt.Errorf("--admin allows everything: leave out --allow and --package")}
			}
			var out server.Created
			if err := a.ask(cmd, "token.create", t, &out); err != nil {
				return err
			}
			return a.result(out, "%s", out.Secret)
		},
	}
	f := create.Flags()
	f.StringSliceVar(&t.Allow, "allow", nil, "actions: pull, publish-new, publish, yank, manage")
	f.StringSliceVar(&t.Packages, "package", nil, "packages: @acme/zlib, @acme/* or *")
	f.BoolVar(&t.Admin, "admin", false, "allow everything")
	f.StringVar(&t.Expires, "expires", "", "end after this long, such as 720h (default never)")
	list := &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out []store.Token
			if err := a.ask(cmd, "token.list", struct{}{}, &out); err != nil {
				return err
			}
			for i := range out {
				out[i].Hash = nil
			}
			return table(a, "ID\tNAME\tBEGINS\tALLOWS\tCREATED\tLAST USED\tENDS", out, func(t store.Token) []string {
				allows := string(t.Scopes)
				if t.Admin {
					allows = "everything"
				}
				ends := day(t.Expires)
				if !t.Revoked.IsZero() {
					ends = "revoked " + day(t.Revoked)
				}
				return []string{t.ID, t.Name, t.Prefix, allows, day(t.Created), day(t.LastUsed), ends}
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.ask(cmd, "token.revoke", server.Named{Name: args[0]}, nil); err != nil {
				return err
			}
			return a.result(map[string]string{"revoked": args[0]}, "Token %s is revoked.", args[0])
		},
	}
	return group("token", "Make, list and revoke tokens", create, list, revoke)
}

func newKey(a *app) *cobra.Command {
	var name string
	add := &cobra.Command{
		Use: "add NAMESPACE FILE", Short: "Trust a public key (PEM) for a namespace's signatures", Args: exactly(2),
		Example: "  clyde-registry key add acme cosign.pub --name 'release key 2026'",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[1])
			if err != nil {
				return err
			}
			defer f.Close()
			pem, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
			if err != nil {
				return err
			}
			if len(pem) > maxKeyFile {
				return clyde.Errorf(clyde.ErrTooLarge, "%s has more than %d bytes, which no public key has", args[1], maxKeyFile)
			}
			if name == "" {
				name = args[1]
			}
			var out store.Key
			if err := a.ask(cmd, "key.add", server.KeyAdd{Namespace: namespace(args[0]), Name: name, PEM: string(pem)}, &out); err != nil {
				return err
			}
			return a.result(out, "%s", out.Fingerprint)
		},
	}
	add.Flags().StringVar(&name, "name", "", "whose or what for (default: the file's name)")
	list := &cobra.Command{
		Use: "list NAMESPACE", Short: "List a namespace's keys", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out []store.Key
			if err := a.ask(cmd, "key.list", server.Named{Name: namespace(args[0])}, &out); err != nil {
				return err
			}
			return table(a, "FINGERPRINT\tNAME\tADDED\tBY\tREVOKED", out, func(k store.Key) []string {
				return []string{k.Fingerprint, k.Name, day(k.Created), k.By, day(k.Revoked)}
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke NAMESPACE FINGERPRINT", Short: "Trust a key no more", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			k := server.KeyRevoke{Namespace: namespace(args[0]), Fingerprint: args[1]}
			if err := a.ask(cmd, "key.revoke", k, nil); err != nil {
				return err
			}
			return a.result(map[string]string{"revoked": args[1]}, "Key %s is revoked for @%s.", args[1], k.Namespace)
		},
	}
	return group("key", "Say which keys' signatures count for a namespace", add, list, revoke)
}

func namespace(s string) string { return strings.TrimPrefix(s, "@") }

func newAccess(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "access PACKAGE public|private", Short: "Hide a package from everyone without a grant, or show it", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "public" && args[1] != "private" {
				return usageError{fmt.Errorf("%q is neither public nor private", args[1])}
			}
			s := server.Access{Package: args[0], Private: args[1] == "private"}
			if err := a.ask(cmd, "access.set", s, nil); err != nil {
				return err
			}
			return a.result(s, "%s is %s.", args[0], args[1])
		},
	}
}

// maxRows bounds one listing; --before reaches the rest.
const maxRows = 1000

func newInbox(a *app) *cobra.Command {
	q := server.Inbox{}
	c := &cobra.Command{
		Use: "inbox", Short: "List events: what waits, and what is parked and why", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(q.Limit); err != nil {
				return err
			}
			if q.State == "any" {
				q.State = ""
			}
			var out []store.InboxItem
			if err := a.ask(cmd, "inbox.list", q, &out); err != nil {
				return err
			}
			return table(a, "ID\tSTATE\tTRIES\tRECEIVED\tACTION\tREPOSITORY\tTAG OR DIGEST\tREASON", out, func(i store.InboxItem) []string {
				ref := i.Event.Tag
				if ref == "" {
					ref = i.Event.Digest
				}
				return []string{fmt.Sprint(i.Event.ID), i.State, fmt.Sprint(i.Attempts), day(i.Event.Received), string(i.Event.Action), i.Event.Repo, ref, i.Reason}
			})
		},
	}
	c.Flags().StringVar(&q.State, "state", "parked", "parked, waiting, done or any")
	page(c, &q)
	replay := &cobra.Command{
		Use: "replay ID", Short: "Try a parked event again", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var id int64
			if _, err := fmt.Sscan(args[0], &id); err != nil || id <= 0 {
				return usageError{fmt.Errorf("%q is no event's number; see clyde-registry inbox", args[0])}
			}
			if err := a.ask(cmd, "inbox.replay", server.Inbox{ID: id}, nil); err != nil {
				return err
			}
			return a.result(map[string]int64{"replayed": id}, "Event %d waits again.", id)
		},
	}
	c.AddCommand(replay)
	return c
}

func page(c *cobra.Command, q *server.Inbox) {
	c.Flags().IntVar(&q.Limit, "limit", 100, fmt.Sprintf("rows at most, up to %d", maxRows))
	c.Flags().Int64Var(&q.ID, "before", 0, "rows older than the one of this number")
}

func checkLimit(n int) error {
	if n < 1 || n > maxRows {
		return usageError{fmt.Errorf("--limit %d: want 1 to %d", n, maxRows)}
	}
	return nil
}

func newAudit(a *app) *cobra.Command {
	q := server.Inbox{}
	c := &cobra.Command{
		Use: "audit", Short: "List who did what, newest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(q.Limit); err != nil {
				return err
			}
			var out []store.AuditEntry
			if err := a.ask(cmd, "audit", q, &out); err != nil {
				return err
			}
			return table(a, "SEQ\tTIME\tACTOR\tACTION\tRESOURCE\tDETAIL", out, func(e store.AuditEntry) []string {
				return []string{fmt.Sprint(e.Seq), day(e.Time), e.Actor, e.Action, e.Resource, e.Detail}
			})
		},
	}
	page(c, &q)
	c.AddCommand(newAuditVerify(a), newAuditExport(a))
	return c
}

func newAuditVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check that no entry was changed, removed or added", Args: exactly(0),
		Long: "Checks the chain of hashes from the first entry to the last, through the archives. A log\n" +
			"that was rewritten as a whole is right in itself: compare the last hash with one that you\n" +
			"noted elsewhere.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out server.AuditCheck
			if err := a.ask(cmd, "audit.verify", struct{}{}, &out); err != nil {
				return err
			}
			if out.Broken != "" {
				return clyde.Errorf(clyde.ErrConflict, "the audit log is not whole: %s", out.Broken).
					Fix("Compare it with a backup; what follows entry %d cannot be relied on.", out.Seq)
			}
			for _, m := range out.Missing {
				fmt.Fprintf(a.stderr, "The archive of %s is not here, so its entries were not checked.\n", m)
			}
			return a.result(out, "%d entries here and %d in archives are right. The last one, %d, has the hash %s.", out.Entries, out.Archived, out.Seq, out.Hash)
		},
	}
}

func newAuditExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "export FILE", Short: "Write the log to a file, a JSON object a line, oldest first", Args: exactly(1),
		Long: "Writes what is in the database; months older than audit.retention are in files under the\n" +
			"data directory already, one a month, in the same form.",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			if err := a.ask(cmd, "audit.export", server.AuditExport{File: path}, nil); err != nil {
				return err
			}
			return a.result(server.AuditExport{File: path}, "%s has the log.", path)
		},
	}
}

func newHealth(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Ask the running server whether it is ready; status 1 where it is not", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.read()
			if err != nil {
				return err
			}
			if err := server.Health(cmd.Context(), cfg.Data.Dir); err != nil {
				return err
			}
			return a.result(struct {
				Status string `json:"status"`
			}{"ready"}, "Ready.")
		},
	}
}

func newReconcile(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "reconcile", Short: "Look for what the catalogue missed in the registry", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sweep(cmd, "reconcile") },
	}
}

func newReindex(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "reindex", Short: "Drop everything derived and rebuild it from storage", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sweep(cmd, "reindex") },
	}
}

func (a *app) sweep(cmd *cobra.Command, name string) error {
	var r ingest.Report
	start := time.Now()
	if err := a.ask(cmd, name, struct{}{}, &r); err != nil {
		return err
	}
	return a.result(r, "%d repositories, %d tags: %d applied, %d failed, in %s.", r.Repositories, r.Tags, r.Applied, r.Failed, time.Since(start).Round(time.Millisecond))
}

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy everything into one tar, while serving", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0]) // the server may stand elsewhere
			if err != nil {
				return err
			}
			var out server.BackupInfo
			if err := a.ask(cmd, "backup", server.Named{Name: path}, &out); err != nil {
				return err
			}
			return a.result(out, "%s: %d files, %d bytes.", path, out.Files, out.Bytes)
		},
	}
}

func newRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Unpack a backup into an empty data directory", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.read()
			if err != nil {
				return err
			}
			if cfg.Database.URL != "" || cfg.Database.URLFile != "" {
				return clyde.Errorf(clyde.ErrInvalid, "restore makes a database in a file, and database.url names Postgres").
					Fix("Restore with pg_restore, and put the copy of data.shared back; docs/postgres.md says how.")
			}
			if err := server.Restore(cmd.Context(), args[0], cfg.Data.Dir); err != nil {
				return err
			}
			return a.result(map[string]string{"data": cfg.Data.Dir}, "Restored into %s.", cfg.Data.Dir)
		},
	}
}

func newConfig(a *app) *cobra.Command {
	show := func(c config.Config) error {
		enc := yaml.NewEncoder(a.stdout)
		enc.SetIndent(2)
		return enc.Encode(c)
	}
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration without starting anything", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			if _, err := a.read(); err != nil {
				return err
			}
			return a.result(map[string]bool{"ok": true}, "The configuration is fine.")
		},
	}
	print := &cobra.Command{
		Use: "show", Short: "Print the configuration in force: file, environment and flags over the defaults", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			c, err := a.read()
			if err != nil {
				return err
			}
			if a.json {
				return usageError{fmt.Errorf("config show prints YAML, as the file is written; leave out --json")}
			}
			return show(c.Redacted())
		},
	}
	return group("config", "Check or print the configuration", check, print)
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := "(devel)"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				v = info.Main.Version
			}
			return a.result(map[string]string{"version": v}, "clyde-registry %s", v)
		},
	}
}
