package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// pinChange is what became of one package between two lock files.
type pinChange struct {
	Name   string   `json:"name"`
	Change string   `json:"change"` // added | removed | changed | content: the version is the same, the digest is not
	Old    lockSide `json:"old,omitzero"`
	New    lockSide `json:"new,omitzero"`
	// Signer says what became of who signed: same | changed | lost | gained, or
	// "" where nobody did on either side.
	Signer string `json:"signer,omitempty"`
	// Verdict is what verifying the new side came to; empty where nobody asked.
	Verdict string          `json:"verdict,omitempty"` // ok | warn | refused | unknown
	Reasons []policy.Reason `json:"reasons,omitempty"`

	checked *checked
}

// lockSide is one package in one of the files.
type lockSide struct {
	Version  string   `json:"version,omitempty"`
	Registry string   `json:"registry,omitempty"` // or the folder or repository in place of one
	Digest   string   `json:"digest,omitempty"`
	SignedBy []string `json:"signed_by,omitempty"`
	Level    string   `json:"signed_level,omitempty"`
}

func newLock(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "lock", Short: "Compare lock files", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	v := verification{app: a}
	var verify bool
	diff := &cobra.Command{
		Use: "diff OLD NEW", DisableFlagsInUseLine: true,
		Short: "Say what changed between two lock files, and who signed it",
		Long: "Compare two lock files, for whoever reads a pull request: which packages came, went and changed, and whether\n" +
			"those who signed them are the same. With --verify, or a policy, the signatures of what is new or changed are\n" +
			"checked as clyde verify does, against those who signed before: then who signed is proven, else it is what the\n" +
			"files say. Exit status 8 where something is not signed as required, 9 where that could not be found out. A file\n" +
			"that does not exist is an empty one, if its name is " + os.DevNull + ".",
		Example: "  git show origin/main:clyde.lock > old.lock && clyde lock diff old.lock clyde.lock --format markdown\n" +
			"  clyde lock diff old.lock clyde.lock --policy policy.yaml --format markdown",
		Args: wants(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return v.diff(cmd.Context(), args[0], args[1], verify) },
	}
	v.who.register(diff)
	f := diff.Flags()
	f.BoolVar(&verify, "verify", false, "check signatures, without a policy too")
	f.StringVar(&v.format, "format", "text", "text, markdown or json")
	cmd.AddCommand(diff)
	return cmd
}

func (v *verification) diff(ctx context.Context, was, is string, verify bool) error {
	a := v.app
	if a.json {
		v.format = "json"
	}
	if !slices.Contains([]string{"text", "markdown", "json"}, v.format) {
		return usagef("--format is text, markdown or json, and not %q", v.format)
	}
	a.json = v.format == "json"
	before, err := readLock(was)
	if err != nil {
		return err
	}
	after, err := readLock(is)
	if err != nil {
		return err
	}
	j, err := a.judge(ctx, v.who)
	if err != nil {
		return err
	}
	changes := pinChanges(before, after)
	verify = verify || j.policy != nil
	if verify {
		if err := v.checkChanges(ctx, j, is, before, changes); err != nil {
			return err
		}
	}
	if err := v.showChanges(changes, verify); err != nil {
		return err
	}
	var list []*checked
	for i := range changes {
		if c := changes[i].checked; c != nil {
			list = append(list, c)
		}
	}
	failure := v.finish(list)
	if failure != nil && v.format == "json" {
		a.explain(failure)
		return shownError{failure}
	}
	return failure
}

func readLock(path string) (*resolve.Lock, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	defer f.Close()
	data, err := readAll(f, resolve.MaxLockSize, path)
	if err != nil {
		return nil, err
	}
	if path == os.DevNull {
		return &resolve.Lock{}, nil
	}
	return resolve.ParseLock(data)
}

// pinChanges compares two lock files, by name.
func pinChanges(was, is *resolve.Lock) []pinChange {
	var out []pinChange
	names := slices.Concat(was.Names(), is.Names())
	slices.SortFunc(names, func(a, b clyde.Name) int { return cmp.Compare(a.String(), b.String()) })
	for _, name := range slices.Compact(names) {
		p, q := was.Packages[name], is.Packages[name]
		c := pinChange{Name: name.String(), Old: sideOf(p), New: sideOf(q)}
		switch {
		case p == nil:
			c.Change = "added"
		case q == nil:
			c.Change = "removed"
		case c.Old.Version != c.New.Version || c.Old.Registry != c.New.Registry:
			c.Change = "changed"
		case c.Old.Digest != c.New.Digest:
			c.Change = "content"
		case !slices.Equal(c.Old.SignedBy, c.New.SignedBy) || c.Old.Level != c.New.Level:
			c.Change = "changed"
		default:
			continue
		}
		c.compareSigners()
		out = append(out, c)
	}
	return out
}

func sideOf(p *resolve.LockedPackage) lockSide {
	if p == nil {
		return lockSide{}
	}
	s := lockSide{Version: p.Version.String(), Registry: cmp.Or(p.Registry, p.Local, p.Git), Digest: p.Digest, Level: p.SignedLevel}
	if p.Version.IsZero() {
		s.Version = ""
	}
	if b := remembered(p); b != nil {
		s.SignedBy = b.Signers
	}
	return s
}

// compareSigners says what became of who signed.
func (c *pinChange) compareSigners() {
	old, is := c.Old.SignedBy, c.New.SignedBy
	same := slices.ContainsFunc(old, func(a string) bool {
		return slices.ContainsFunc(is, func(b string) bool { return policy.SameSigner(a, b) })
	})
	switch {
	case c.Change == "removed" || len(old)+len(is) == 0:
		c.Signer = ""
	case same:
		c.Signer = "same"
	case len(old) == 0:
		c.Signer = "gained"
	case len(is) == 0:
		c.Signer = "lost"
	default:
		c.Signer = "changed"
	}
}

// checkChanges verifies what is new or changed, against who signed it before:
// who the new file says signed is not asked, since whoever changed it wrote that.
func (v *verification) checkChanges(ctx context.Context, j *judge, path string, was *resolve.Lock, changes []pinChange) error {
	v.lock = path
	list, err := v.locked()
	if err != nil {
		return err
	}
	byName := map[string]*checked{}
	for _, c := range list {
		byName[c.name.String()] = c
	}
	var g errgroup.Group
	g.SetLimit(checksAtOnce)
	for i := range changes {
		c := byName[changes[i].Name]
		if c == nil {
			continue // it is gone, or comes from no registry
		}
		changes[i].checked = c
		c.before = nil
		if p := was.Packages[c.name]; p != nil {
			c.before = remembered(p)
		}
		g.Go(func() error {
			c.err = j.decide(ctx, c)
			return nil
		})
	}
	_ = g.Wait() // failures are in the list
	for i := range changes {
		c := &changes[i]
		if c.checked == nil {
			continue
		}
		c.Verdict, c.Reasons = c.checked.verdict(), c.checked.reasons()
		if d := c.checked.decision; d != nil {
			c.New.SignedBy, c.New.Level = d.Signers, string(d.Level)
			c.compareSigners()
		}
	}
	return ctx.Err()
}

func (v *verification) showChanges(changes []pinChange, verified bool) error {
	a := v.app
	switch v.format {
	case "json":
		if changes == nil {
			changes = []pinChange{}
		}
		return a.emit("lock", struct {
			Verified bool        `json:"verified"` // signatures were checked
			Changes  []pinChange `json:"changes"`
		}{verified, changes})
	case "markdown":
		return v.markdownChanges(changes, verified)
	}
	if len(changes) == 0 {
		a.say("nothing changed")
		return nil
	}
	rows := make([][]string, len(changes))
	for i, c := range changes {
		rows[i] = []string{c.Change, c.Name, c.versions(), c.signers()}
	}
	return a.table([]column{{title: "CHANGE"}, {title: "PACKAGE"}, {title: "VERSION", gives: true}, {title: "SIGNED BY", gives: true}}, rows)
}

func (c *pinChange) versions() string {
	switch {
	case c.Old.Version == c.New.Version && c.Old.Registry == c.New.Registry && c.Change != "content":
		return c.New.Version
	case c.Change == "content":
		return c.New.Version + ", with other content"
	case c.Change == "added":
		return c.New.Version
	case c.Change == "removed":
		return c.Old.Version
	case c.Old.Registry != c.New.Registry:
		return c.Old.Version + " of " + c.Old.Registry + " → " + c.New.Version + " of " + c.New.Registry
	}
	return c.Old.Version + " → " + c.New.Version
}

// signers says who signed, and what became of them, for a person.
func (c *pinChange) signers() string {
	if c.checked != nil && (c.Verdict == "refused" || c.Verdict == "unknown") {
		return c.checked.who()
	}
	who := strings.Join(c.New.SignedBy, ", ")
	switch c.Signer {
	case "changed":
		return who + "; before: " + strings.Join(c.Old.SignedBy, ", ")
	case "lost":
		return "nobody; before: " + strings.Join(c.Old.SignedBy, ", ")
	case "gained":
		if c.Change == "changed" {
			return who + "; before: nobody"
		}
	case "":
		if c.Change != "removed" {
			return "nobody"
		}
	}
	return who
}

// markdownChanges prints a table for the comment of a pull request, or the
// summary of a job. What strangers wrote in it is escaped.
func (v *verification) markdownChanges(changes []pinChange, verified bool) error {
	a := v.app
	if len(changes) == 0 {
		return a.printf("### Dependencies\n\nNothing changed.\n")
	}
	mark := map[string]string{"ok": "✅", "warn": "⚠️", "refused": "❌", "unknown": "❔"}
	var b strings.Builder
	fmt.Fprintf(&b, "### Dependencies: %s\n\n| | Package | Version | Signed by |\n|---|---|---|---|\n", plural(len(changes), "change"))
	for _, c := range changes {
		sign := map[string]string{"added": "➕", "removed": "➖"}[c.Change]
		switch {
		case c.Verdict != "":
			sign = mark[c.Verdict] + sign
		case c.Change == "content" || c.Signer == "changed" || c.Signer == "lost":
			sign += "⚠️"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", sign, markdownCell(c.Name), markdownCell(c.versions()), markdownCell(c.signers()))
	}
	if !verified {
		b.WriteString("\nWho signed is what the lock files say; no signature was checked.\n")
	}
	return a.printf("%s", b.String())
}
