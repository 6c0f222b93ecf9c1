package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

const (
	// visibleWithin is how long publish waits until the registry has indexed a
	// version; it takes well under a second unless the server is starved.
	visibleWithin = time.Minute

	firstPoll = 50 * time.Millisecond // doubled after each try
	maxPoll   = 2 * time.Second
)

// publication is one run of clyde publish.
type publication struct {
	app    *app
	pack   packFlags
	sign   bool
	who    signFlags
	legacy bool
	dryRun bool
	noWait bool
	builds []string // image layouts that clyde build wrote
	from   string   // OWNER/REPO@TAG of GitHub, in place of a folder
	tag    string   // that the version must be of
	format string   // text or github
	done   *published

	claim claimFlags

	stamp stamp // who signs
}

// published is what publish prints with --json.
type published struct {
	packedJSON
	Already    bool            `json:"already_published"`
	DryRun     bool            `json:"dry_run,omitempty"`
	Searchable bool            `json:"searchable"` // the registry has indexed it
	Reference  string          `json:"reference"`
	Page       string          `json:"page,omitempty"`
	Key        string          `json:"key_fingerprint,omitempty"` // where a key signed
	SignedBy   string          `json:"signed_by,omitempty"`
	Signatures []digest.Digest `json:"signatures,omitempty"`
	// WaitsFor is what the version must carry before others see it; nil where
	// everybody does.
	WaitsFor []client.Reason `json:"waits_for,omitempty"`
	Builds   []builtJSON     `json:"builds,omitempty"` // attached
}

func newPublish(a *app) *cobra.Command {
	p := publication{app: a}
	cmd := &cobra.Command{
		Use:   "publish [DIR]",
		Short: "Validate, pack, push and sign a package, and wait until it is found",
		Long: "Publish the package in DIR (default: here). Everything is checked before anything is sent. Publishing\n" +
			"the same content again succeeds and changes nothing; other content under a version that exists is a\n" +
			"conflict (exit status 10). With --sign or --key the signature is there before the version is visible.\n" +
			"Without a key, --sign asks the CI provider, or somebody at a browser, to vouch for who signs.\n" +
			"--dry-run does everything but send, and asks the registry, where it can be reached, whether it would fit.\n" +
			"--build attaches binary builds that clyde build wrote, signed as the version is. --provenance and --sbom attach\n" +
			"attestations of all of it: see clyde attest.",
		Example: "  clyde publish\n  clyde publish --from acme/fastjson@v1.4.0\n  clyde publish --dry-run\n  clyde publish --build zlib-1.3.1_0123456789abcdef.build\n  clyde publish --key cosign.key path/to/package\n  clyde publish --archive v1.4.0.tar.gz",
		Args:    wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return p.start(cmd.Context(), dir, len(args) == 1)
		},
	}
	p.pack.register(cmd)
	f := cmd.Flags()
	p.who.register(cmd)
	f.BoolVar(&p.sign, "sign", false, "sign: with the key from CLYDE_KEY or the configuration, else as whom the CI provider vouches for")
	f.BoolVar(&p.legacy, "legacy", false, "also write the sha256-….sig tag that cosign before v3 looks for")
	p.claim.register(cmd)
	f.BoolVar(&p.dryRun, "dry-run", false, "do everything but send it")
	f.StringArrayVar(&p.builds, "build", nil, "attach the binary build in this directory, which clyde build wrote; may be repeated")
	f.StringVar(&p.from, "from", "", "publish this tag of a repository of GitHub, OWNER/REPO@TAG, in place of a folder")
	f.StringVar(&p.format, "format", "text", "text, or github: annotations, a summary and outputs of a run of GitHub Actions")
	f.BoolVar(&p.noWait, "no-wait", false, "do not wait until the registry has indexed the version")
	return cmd
}

// start runs p, and tells a CI run what came of it.
func (p *publication) start(ctx context.Context, dir string, given bool) error {
	switch {
	case p.format != "text" && p.format != "github":
		return usagef("--format is text or github, and not %q", p.format)
	case p.format == "github" && p.app.json:
		return usagef("--format github and --json both want standard output")
	case p.from != "" && given:
		return usagef("--from names what is published, and so does %q", dir)
	}
	p.app.annotates = p.format == "github"
	run := func() error {
		if p.from != "" {
			return p.runFrom(ctx, p.from)
		}
		return p.run(ctx, dir)
	}
	err := run()
	if p.format == "github" {
		return p.finishAction(dir, err)
	}
	return err
}

func (p *publication) run(ctx context.Context, dir string) error {
	a := p.app
	at, err := a.address()
	if err != nil {
		return err
	}
	if p.pack.namespace == "" && clyde.CheckNamespace(at.namespace()) == nil {
		p.pack.namespace = at.namespace()
	}
	signs := p.sign || p.legacy || p.claim.any() || p.who.key != "" || p.who.identityToken != ""
	if signs && (a.keyRef(p.who) != "" || !a.canIdentify(p.who)) {
		// That there is no key, or that it cannot be read, is said before
		// anything is packed.
		if p.stamp.signer, err = a.signer(ctx, p.who, false); err != nil {
			return err
		}
	}
	if isGHCR(at.host) && p.pack.source == "" {
		p.pack.source = sourceOf(dir)
	}
	p.stamp.legacy = p.legacy
	p.pack.namespace = cmp.Or(p.pack.namespace, p.pack.ownerNamespace)
	packed, err := a.packChecked(ctx, dir, p.pack)
	if err != nil {
		return err
	}
	defer packed.Close()
	if err := p.checkTag(packed.Version); err != nil {
		return err
	}
	if err := ghcrNamespace(at, packed.Name); err != nil {
		return err
	}
	builds, err := loadBuilds(packed, p.builds)
	if err != nil {
		return err
	}
	if p.stamp.claims, err = a.claims(ctx, p.claim, dir, packed.Name, packed.Version.String()); err != nil {
		return err
	}
	out := published{packedJSON: describe(packed), DryRun: p.dryRun}
	for _, b := range builds {
		out.Builds = append(out.Builds, describeBuild(b.Packed, b.facts, b.tag))
	}
	s, err := a.site(ctx)
	if p.dryRun && errors.Is(err, clyde.ErrUnavailable) {
		a.say("%s the registry could not be asked: %s", a.paint(a.stderr, yellow, "warning:"), clean(err.Error()))
		out.Reference = at.host + "/" + at.repo(packed.Name) + ":" + packed.Version.String()
		return p.report(out, packed)
	}
	if err != nil {
		return err
	}
	out.Reference = s.at.host + "/" + s.at.repo(packed.Name) + ":" + packed.Version.String()
	if s.hasAPI {
		out.Page = pageURL(s, packed.Name, packed.Version)
	}
	if !p.dryRun {
		// Before anything is asked about the package, which may be private.
		if err := a.exchange(ctx, s, packed.Name); err != nil {
			return err
		}
	}
	if out.Already, err = a.alreadyThere(ctx, s, packed); err != nil {
		return err
	}
	if p.dryRun {
		return p.report(out, packed)
	}
	if err := a.needLogin(ctx, s); err != nil {
		return err
	}
	if signs && p.stamp.signer == nil {
		hidden, err := a.willBeHidden(ctx, s, packed)
		if err != nil {
			return err
		}
		if p.stamp.signer, err = a.signer(ctx, p.who, hidden); err != nil {
			return err
		}
	}
	if err := p.send(ctx, s, packed, &out); err != nil {
		return err
	}
	if err := a.pushBuilds(ctx, s, builds, p.stamp); err != nil {
		return err
	}
	var tags []string
	for i, b := range builds {
		out.Builds[i].Published, tags = true, append(tags, b.tag)
	}
	if s.hasAPI && !p.noWait {
		r, err := a.waitVisible(ctx, packed)
		if err != nil {
			return err
		}
		if r.State == statePending {
			out.WaitsFor = r.Missing
		}
		if err := a.waitBuilds(ctx, packed.Name, packed.Version.String(), tags); err != nil {
			return err
		}
		out.Searchable = true
	}
	return p.report(out, packed)
}

// send pushes, signs and tags. The tag comes last: what is to be signed is not
// visible without its signature.
func (p *publication) send(ctx context.Context, s site, packed *artifact.Packed, out *published) error {
	a, signer := p.app, p.stamp.signer
	oc, err := a.oci(s.at)
	if err != nil {
		return err
	}
	repo, tag := s.at.repo(packed.Name), packed.Version.String()
	if !out.Already {
		tags := []string{tag}
		if signer != nil {
			tags = nil // by digest
		}
		if err := a.push(ctx, oc, repo, packed, tags); err != nil {
			return pushRefused(s.at, err)
		}
	}
	if signer == nil {
		return nil
	}
	sub := signing.Subject{
		Repo: repo, Name: packed.Name, Version: packed.Version.Canonical(),
		Digest: packed.Descriptor.Digest, MediaType: packed.Descriptor.MediaType, Size: packed.Descriptor.Size,
	}
	if out.Signatures, err = p.stamp.apply(ctx, oc, []signing.Subject{sub}); err != nil {
		return pushRefused(s.at, err)
	}
	out.SignedBy = signedBy(signer)
	if k := signer.Authority().Key; k != nil {
		out.Key = k.Fingerprint
	}
	if out.Already {
		return nil
	}
	_, err = oc.PutManifest(ctx, repo, tag, packed.Descriptor.MediaType, packed.Manifest)
	return pushRefused(s.at, err)
}

// willBeHidden is isHidden of a package that may ask to be private with its first
// version. In a registry that is not ours nobody says who will see a first
// version: package.yaml decides nothing there, and GHCR, for one, begins with
// private. So it is hidden until the repository can be read without credentials.
func (a *app) willBeHidden(ctx context.Context, s site, packed *artifact.Packed) (bool, error) {
	config, err := readBlob(packed.Config)
	if err != nil {
		return false, err
	}
	m, _ := clyde.ParseManifest(config)
	private := wantsPrivate(m)
	if !s.hasAPI {
		if private {
			return true, nil
		}
		anybody, err := stranger(s.at)
		if err != nil {
			return false, err
		}
		_, err = anybody.Tags(ctx, s.at.repo(packed.Name), "", 1)
		return notForAll(err)
	}
	c, err := a.api(ctx)
	if err != nil {
		return false, err
	}
	p, err := c.Package(ctx, packed.Name)
	switch {
	case err == nil:
		private = p.Private
	case !errors.Is(err, clyde.ErrNotFound):
		return false, err
	}
	if !private {
		return false, nil
	}
	return hides(ctx, c, packed.Name)
}

// packChecked packs by the rules of publishing. Problems are printed with
// their places.
func (a *app) packChecked(ctx context.Context, dir string, flags packFlags) (*artifact.Packed, error) {
	// The manifest first: packing may take long, and is in vain if this fails.
	path, data, err := a.readManifest(dir)
	if flags.shown != "" && path != "" {
		path = flags.shown + filepath.Base(path)
	}
	switch {
	case err == nil:
		if err := a.checkPublish(path, data, flags.namespace); err != nil {
			return nil, err
		}
	case flags.archive == "" || !errors.Is(err, clyde.ErrNotFound):
		return nil, err
	}
	if _, serr := os.Stat(dir); serr != nil || errors.Is(err, clyde.ErrNotFound) {
		dir = "" // the archive has its own
	}
	packed, err := a.pack(ctx, dir, flags)
	if err != nil || path != "" {
		return packed, err
	}
	config, err := readBlob(packed.Config)
	if err == nil {
		err = a.checkPublish("package.yaml", config, flags.namespace)
	}
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	return packed, nil
}

func (a *app) checkPublish(path string, data []byte, namespace string) error {
	m, ps := clyde.Check(data, clyde.ValidateOptions{})
	repo := m.Name
	if repo.Namespace == "" {
		repo.Namespace = strings.TrimPrefix(namespace, "@")
	}
	if err := ps.Err(path); err != nil {
		return manifestError{path, err}
	}
	if repo.Base != "" && repo.Namespace == "" {
		return clyde.Errorf(clyde.ErrInvalid, "%s: name %q has no namespace", path, repo.Base).WithCode("name_unqualified").
			Fix("write name: \"@NAMESPACE/%s\" in package.yaml, or give --namespace", repo.Base)
	}
	_, ps = clyde.Check(data, clyde.ValidateOptions{Publish: true, Repo: repo, Tag: m.Version.String()})
	if err := ps.Err(path); err != nil {
		return manifestError{path, err}
	}
	a.problems(path, ps) // warnings
	return nil
}

// alreadyThere reports whether the registry has this version with the same
// content. Other content is an ErrConflict.
func (a *app) alreadyThere(ctx context.Context, s site, p *artifact.Packed) (bool, error) {
	var there digest.Digest
	if s.hasAPI {
		c, err := a.api(ctx)
		if err != nil {
			return false, err
		}
		r, err := c.Release(ctx, p.Name, p.Version.String())
		if errors.Is(err, clyde.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		there = digest.Digest(r.Digest)
	} else {
		oc, err := a.oci(s.at)
		if err != nil {
			return false, err
		}
		d, err := oc.Resolve(ctx, s.at.repo(p.Name), p.Version.String())
		// GHCR and others answer 401 or 403 for a repository not yet there.
		if errors.Is(err, clyde.ErrNotFound) || errors.Is(err, clyde.ErrUnauthenticated) || errors.Is(err, clyde.ErrDenied) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		there = d.Digest
	}
	if there == p.Descriptor.Digest {
		return true, nil
	}
	return false, clyde.Errorf(clyde.ErrConflict, "version %s of %s is published with other content: it is %s, this is %s", p.Version, p.Name, there, p.Descriptor.Digest).
		WithCode("version_exists").Fix("raise version in package.yaml; a version never changes").Fix("clyde yank %s@%s if it is broken", p.Name, p.Version)
}

// versionConflict gives a refusal because the version exists the exit status
// of a conflict: the OCI protocol has only 403 for it.
func versionConflict(err error) error {
	if e := clyde.AsError(err); e != nil && (e.Code == "version_exists" || strings.Contains(e.Msg, "version_exists")) {
		return clyde.Errorf(clyde.ErrConflict, "%s", e.Msg).WithCode("version_exists").
			Fix("raise version in package.yaml; a version never changes").Because(err)
	}
	return err
}

// needLogin refuses early what a registry of ours, or GitHub's, refuses without
// a token.
func (a *app) needLogin(ctx context.Context, s site) error {
	if !s.hasAPI && !isGHCR(s.at.host) {
		return nil
	}
	at, err := a.address()
	if err != nil {
		return err
	}
	c, err := a.credentialFor(ctx, at.host, true)
	if err != nil || c.secret != "" {
		return err
	}
	if isGHCR(at.host) {
		return clyde.Errorf(clyde.ErrUnauthenticated, "publishing needs a token for %s", at.host).WithCode("not_logged_in").
			Fix("clyde login --registry %s --username YOU --with-token, or docker login %s", ghcrHost, ghcrHost).Fix("set %s, in CI", githubTokenVar)
	}
	return loginFixes(clyde.Errorf(clyde.ErrUnauthenticated, "publishing needs a token for %s", at.host).WithCode("not_logged_in").
		Fix("clyde login").Fix("set %s, in CI", tokenVar))
}

// statePending is the state of a version that waits for signatures.
const statePending = "pending"

// waitVisible returns the version when the registry shows it.
func (a *app) waitVisible(ctx context.Context, p *artifact.Packed) (r client.Release, err error) {
	err = a.until(ctx, p.Name.String()+" "+p.Version.String(), func(ctx context.Context, c *client.Client) (bool, error) {
		r, err = c.Release(ctx, p.Name, p.Version.String())
		return r.Digest == p.Descriptor.Digest.String(), err
	})
	return r, err
}

// nextForPending are the commands that bring what a pending version waits for.
func nextForPending(what string, missing []client.Reason) []string {
	sign, attest := false, false
	for _, m := range missing {
		switch m.Code {
		case "attestation_missing":
			attest = true
		case "unchecked":
		default:
			sign = true
		}
	}
	var out []string
	if sign {
		out = append(out, "clyde sign "+what)
	}
	if attest {
		out = append(out, "clyde attest "+what)
	}
	return append(out, "clyde info "+what)
}

// until returns when the registry shows what was pushed, which shown tells.
func (a *app) until(ctx context.Context, what string, shown func(context.Context, *client.Client) (bool, error)) error {
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, visibleWithin)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, maxPoll) {
		ok, err := shown(limited, c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && ok:
			return nil
		case err != nil && !errors.Is(err, clyde.ErrNotFound) && !errors.Is(err, clyde.ErrUnavailable) && !errors.Is(err, clyde.ErrRateLimited) && limited.Err() == nil:
			return err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return clyde.Errorf(clyde.ErrUnavailable, "%s is pushed, and the registry does not show it after %s", what, visibleWithin).
				WithCode("not_visible").Fix("clyde info, in a while").Fix("push it again: it is safe")
		case <-time.After(wait):
		}
	}
}

func (p *publication) report(out published, packed *artifact.Packed) error {
	a := p.app
	p.done = &out
	if a.json {
		return a.emit("publish", out)
	}
	what := packed.Name.String() + " " + packed.Version.String()
	switch {
	case p.dryRun && out.Already:
		a.say("%s is already published with this content: nothing would change", what)
	case p.dryRun:
		a.say("would publish %s: %s, %s", what, plural(out.Files, "entry"), size(out.ArchiveSize))
	case out.Already:
		a.say("%s is already published with this content", what)
	default:
		a.say("published %s", what)
	}
	if n := len(out.Builds); n > 0 {
		verb := map[bool]string{false: "attached", true: "would attach"}[p.dryRun]
		a.say("%s %s", verb, plural(n, "build"))
	}
	if out.SignedBy != "" {
		a.say("signed by %s", clean(out.SignedBy))
	}
	if len(out.WaitsFor) > 0 {
		a.say("it is %s: only those who publish there see it, until what @%s asks for is there", a.paint(a.stderr, yellow, statePending), packed.Name.Namespace)
		for _, m := range out.WaitsFor {
			a.say("  %s", clean(m.Text))
		}
		a.say("next: %s", strings.Join(nextForPending(packed.Name.String()+"@"+packed.Version.String(), out.WaitsFor), ", then "))
	}
	if p.format == "github" {
		return nil // finishAction says the rest
	}
	rows := [][2]string{{"reference", out.Reference}, {"digest", out.Digest}}
	for _, b := range out.Builds {
		rows = append(rows, [2]string{"build", b.Tag})
	}
	if out.Page != "" {
		rows = append(rows, [2]string{"page", out.Page})
	}
	return a.keyValues(rows)
}

// pageURL is where people read about a version.
func pageURL(s site, n clyde.Name, v clyde.Version) string {
	web := s.Web
	if web == "" {
		web = s.at.url()
	}
	return strings.TrimRight(web, "/") + "/packages/" + n.Repo() + "/" + v.String()
}

func readBlob(b artifact.Blob) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(r, b.Descriptor.Size, "package.yaml")
}

// push sends p, showing how far it is.
func (a *app) push(ctx context.Context, oc *artifact.Client, repo string, p *artifact.Packed, tags []string) error {
	var total int64
	for _, l := range p.Layers {
		total += l.Descriptor.Size
	}
	m := a.meters(ctx)
	defer m.wait()
	t := m.start("pushing "+p.Name.String()+" "+p.Version.String(), total)
	err := oc.Push(ctx, repo, p, tags, t.set)
	t.end(err == nil)
	return err
}
