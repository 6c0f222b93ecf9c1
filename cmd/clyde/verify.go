package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// checksAtOnce is how many packages are verified side by side.
const checksAtOnce = 8

// verification is one run of clyde verify.
type verification struct {
	app    *app
	who    policyFlags
	lock   string // file; empty for none
	builds bool
	format string

	reported bool // what became of every package
}

func newVerify(a *app) *cobra.Command {
	v := verification{app: a}
	cmd := &cobra.Command{
		Use:   "verify [NAME[@RANGE]|REFERENCE]...",
		Short: "Say who signed versions, or fail",
		Long: "Read every signature of each version, hold them against who must have signed, and say who did. That is\n" +
			"--policy; or one of --key and --certificate-identity; or else the keys that the registry lists for the\n" +
			"namespace: then you trust the registry to name the right ones. --lock checks every package of a lock file,\n" +
			"by the digest in it. Exit status 8 where one is not signed as required, 9 where that could not be found out.",
		Example: "  clyde verify @acme/fastjson@1.4.0\n  clyde verify @acme/fastjson --key acme.pub --key release.pub\n" +
			"  clyde verify ghcr.io/acme/fastjson:1.4.0 --policy policy.yaml\n" +
			"  clyde verify --lock --policy policy.yaml --format github\n" +
			"  clyde verify --lock --policy policy.yaml --offline",
		Args: wants(0, -1), ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := v.run(cmd.Context(), args)
			if err == nil || v.format != "github" || v.reported {
				return err
			}
			n := annotation{kind: "error", file: v.lock, title: "clyde verify", text: err.Error()}
			if e := clyde.AsError(err); e != nil {
				n.text, n.title, n.more = e.Msg, cmp.Or(e.Code, n.title), e.Fixes
			}
			return errors.Join(err, a.annotate(n))
		},
	}
	v.who.register(cmd)
	f := cmd.Flags()
	f.StringVar(&v.lock, "lock", "", "check every package of this lock file")
	f.Lookup("lock").NoOptDefVal = lockFile
	f.BoolVar(&v.builds, "builds", false, "with --lock: check the builds in it, too")
	f.StringVar(&v.format, "format", "text", "text, json, sarif, or github: annotations and a summary")
	return cmd
}

// lockFile is where a project's lock file is.
const lockFile = "clyde.lock"

// checked is what became of one package.
type checked struct {
	located
	line     int            // of the lock file; 0 where there is none
	before   *policy.Before // what the lock file remembers of its signatures
	what     string         // "build linux-x86_64", or empty for the package
	from     string         // where the keys are from, where no policy says
	keys     int            // how many those are
	decision *policy.Decision
	err      error // it could not be checked
}

func (c *checked) String() string {
	if c.what != "" {
		return c.located.String() + " " + c.what
	}
	return c.located.String()
}

func (v *verification) run(ctx context.Context, args []string) error {
	a := v.app
	if a.json {
		v.format = "json"
	}
	switch {
	case !slices.Contains([]string{"text", "json", "sarif", "github"}, v.format):
		return usagef("--format is text, json, sarif or github, and not %q", v.format)
	case len(args) == 0 && v.lock == "":
		return usagef("clyde verify: what is to be verified?").fix("name a package, or give --lock")
	case len(args) > 0 && v.lock != "":
		return usagef("--lock checks what is in the lock file, and nothing else").fix("verify %s on its own", args[0])
	}
	a.json = v.format == "json"
	judge, err := a.judge(ctx, v.who)
	if err != nil {
		return err
	}
	var list []*checked
	if v.lock != "" {
		if list, err = v.locked(); err != nil {
			return err
		}
	}
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err != nil {
			return err
		}
		l, err := judge.locate(ctx, t)
		if err != nil {
			return err
		}
		list = append(list, &checked{located: l})
	}
	var g errgroup.Group
	g.SetLimit(checksAtOnce)
	for _, c := range list {
		g.Go(func() error {
			c.err = judge.decide(ctx, c)
			return nil
		})
	}
	_ = g.Wait() // failures are in the list
	if err := ctx.Err(); err != nil {
		return err
	}
	v.reported = true
	return v.report(list)
}

// locked reads the packages of the lock file that come from a registry.
func (v *verification) locked() ([]*checked, error) {
	f, err := os.Open(v.lock)
	if err != nil {
		return nil, missing(v.lock, err)
	}
	defer f.Close()
	data, err := readAll(f, resolve.MaxLockSize, v.lock)
	if err != nil {
		return nil, err
	}
	l, err := resolve.ParseLock(data)
	if err != nil {
		return nil, err
	}
	lines := lockLines(data)
	var out []*checked
	for _, name := range l.Names() {
		p := l.Packages[name]
		if p.Registry == "" || p.Digest == "" {
			continue // from a folder or a repository: nobody signs that
		}
		at, err := parseAddress(p.Registry)
		if err != nil {
			return nil, err
		}
		d, err := digest.Parse(p.Digest)
		if err != nil {
			return nil, clyde.Errorf(clyde.ErrInvalid, "%s: the digest of %s is none", v.lock, name).WithCode("lock_invalid")
		}
		c := &checked{line: lines[name.String()], located: located{at: at, repo: at.repo(name), name: name, version: p.Version.String()}}
		c.subject = signing.Subject{Repo: c.repo, Name: name, Version: p.Version.Canonical(), Digest: d}
		c.before = remembered(p)
		out = append(out, c)
		if !v.builds {
			continue
		}
		for _, platform := range slices.Sorted(maps.Keys(p.Builds)) {
			b := *c
			b.what = "build " + platform
			if b.subject.Digest, err = digest.Parse(p.Builds[platform].Digest); err != nil {
				return nil, clyde.Errorf(clyde.ErrInvalid, "%s: the digest of a build of %s is none", v.lock, name).WithCode("lock_invalid")
			}
			out = append(out, &b)
		}
	}
	return out, nil
}

// signersSep stands between those who signed in a lock file's signed_by.
const signersSep = ", "

// remembered is what a lock file says of a package's signatures, nil for nothing.
func remembered(p *resolve.LockedPackage) *policy.Before {
	if p.SignedBy == "" {
		return nil
	}
	return &policy.Before{Signers: strings.Split(p.SignedBy, signersSep), Level: policy.Level(p.SignedLevel)}
}

// lockLines finds the line of each package in a lock file, from 1.
func lockLines(data []byte) map[string]int {
	lines, packages, n := map[string]int{}, false, 0
	for line := range strings.Lines(string(data)) {
		n++
		text := strings.TrimRight(line, "\r\n")
		if !strings.HasPrefix(text, " ") {
			packages = text == "packages:"
			continue
		}
		key, ok := strings.CutSuffix(strings.TrimPrefix(text, "  "), ":")
		if !packages || !ok || strings.HasPrefix(key, " ") {
			continue
		}
		if name, err := strconv.Unquote(key); err == nil {
			key = name
		}
		lines[key] = n
	}
	return lines
}

// judge decides whose signatures must be there.
type judge struct {
	app     *app
	policy  *policy.Policy   // nil: the keys that the registry lists
	archive *signing.Archive // nil: registries are asked
	byHand  bool             // the policy is of the command line
	lists   []*policy.List   // that the policy follows
	who     policyFlags
}

// judge reads what the flags name.
func (a *app) judge(ctx context.Context, f policyFlags) (*judge, error) {
	j := &judge{app: a, who: f}
	var err error
	if f.offline {
		if j.archive, err = signing.OpenArchive(f.bundleDir); err != nil {
			if e := clyde.AsError(err); e != nil {
				e.Fix("clyde trust fetch --lock makes it, where there is a network")
			}
			return nil, err
		}
	}
	j.policy, j.byHand, err = a.policyOf(ctx, f)
	if err == nil && j.policy == nil && f.offline {
		return nil, usagef("--offline: nobody is there to say who must have signed").fix("give --policy, --key or --certificate-identity")
	}
	if err != nil || j.policy == nil {
		return j, err
	}
	j.lists, err = a.lists(ctx, f, j.policy)
	return j, err
}

// locate finds what a target names; without a network, by digest alone.
func (j *judge) locate(ctx context.Context, t target) (located, error) {
	if j.archive == nil {
		l, _, err := j.app.locate(ctx, t)
		return l, err
	}
	if t.ref.digest == "" {
		return located{}, usagef("--offline: tags and ranges need a registry to ask").fix("write host/namespace/name@sha256:…, or give --lock")
	}
	l := located{at: t.ref.at, repo: t.ref.repo(), name: t.ref.name()}
	l.subject = signing.Subject{Repo: l.repo, Name: l.name, Digest: t.ref.digest}
	return l, nil
}

// decide holds one package against who must have signed it.
func (j *judge) decide(ctx context.Context, c *checked) (err error) {
	var src signing.Source
	if j.archive != nil {
		src = j.archive.At(c.at.host)
	} else if src, err = j.app.oci(c.at); err != nil {
		return err
	}
	p := j.policy
	switch {
	case p == nil && c.before != nil:
		if p, err = j.app.rememberedPolicy(ctx, j.who, c); err != nil {
			return err
		}
	case p == nil:
		c.from = "registry"
		keys, err := j.app.listedKeys(ctx, c.located)
		if err != nil {
			return err
		}
		c.keys = len(keys)
		p = policy.Of(keyAuthorities(keys)...)
	case j.byHand:
		c.from = "--key"
	}
	if c.decision, err = p.Check(ctx, src, c.subject, c.before, time.Now()); err != nil {
		return err
	}
	for _, l := range j.lists {
		if r, refused := l.Refuses(c.subject.Name, c.subject.Version, c.subject.Digest); refused {
			c.decision.Refuse(r.Code, r.Text)
		}
	}
	why, err := j.young(ctx, c.located, c.decision)
	if err == nil && why != "" {
		c.decision.Refuse(policy.TooYoung, why)
	}
	return err
}

// admit is what everything asks that is about to unpack a package. Before is
// what a lock file remembers of its signatures, which must hold even where
// nobody was named who must have signed; with neither it accepts all and returns
// nil. It says what a policy merely warns of.
func (j *judge) admit(ctx context.Context, l located, before *policy.Before) (*policy.Decision, error) {
	if j.policy == nil && before == nil {
		why, err := j.young(ctx, l, nil)
		if err == nil && why != "" {
			err = clyde.Errorf(clyde.ErrUnverified, "%s is refused: %s", l, why).WithCode(string(policy.TooYoung))
		}
		return nil, err
	}
	c := checked{located: l, before: before}
	if err := j.decide(ctx, &c); err != nil {
		return nil, err
	}
	if err := c.refusal(); err != nil {
		return nil, err
	}
	if c.decision.Verdict == policy.Warned {
		j.app.say("%s %s: %s", j.app.paint(j.app.stderr, yellow, "warning:"), clean(l.String()), clean(c.who()))
	}
	return c.decision, nil
}

// rememberedPolicy is who must sign c where only its lock file says so.
func (a *app) rememberedPolicy(ctx context.Context, who policyFlags, c *checked) (*policy.Policy, error) {
	var keys []signing.Key
	if c.before.NeedsKeys() {
		var err error
		if keys, err = a.listedKeys(ctx, c.located); err != nil {
			return nil, err
		}
	}
	if !c.before.NeedsTrust() {
		return policy.Remembered(*c.before, keys, nil), nil
	}
	trust, err := a.roots(who, ".")(ctx, policy.TrustSource{Name: publicSigstore, Public: true})
	if err != nil {
		return nil, err
	}
	return policy.Remembered(*c.before, keys, trust), nil
}

// refusal is why the package must not be used, or nil.
func (c *checked) refusal() error {
	err := c.decision.Err()
	if err != nil && c.from != "" && c.decision.Report != nil && c.decision.Report.State != signing.StateVerified {
		return unverified(c.located.String(), c.decision.Report)
	}
	return err
}

// finish turns what became of all packages into an exit status: what is not
// signed as required weighs more than what could not be checked.
func (v *verification) finish(list []*checked) error {
	var refused, unknown []error
	for _, c := range list {
		switch {
		case c.err != nil:
			unknown = append(unknown, c.err)
		case c.decision.Verdict == policy.Denied:
			refused = append(refused, c.refusal())
		}
	}
	switch {
	case len(refused) == 1 && len(list) == 1:
		return refused[0]
	case len(refused) > 0:
		return clyde.Errorf(clyde.ErrUnverified, "%d of %s are not signed as required", len(refused), plural(len(list), "package")).WithCode("not_verified")
	case len(unknown) > 0 && len(list) == 1:
		return unknown[0]
	case len(unknown) > 0:
		if !slices.ContainsFunc(unknown, func(err error) bool { return !errors.Is(err, clyde.ErrUnavailable) }) {
			return clyde.Errorf(clyde.ErrUnavailable, "%d of %s could not be checked: %v", len(unknown), plural(len(list), "package"), unknown[0]).WithCode("not_checked")
		}
		return unknown[0]
	}
	return nil
}
