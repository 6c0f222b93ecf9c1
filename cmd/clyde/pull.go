package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// pullsAtOnce is how many packages are fetched side by side.
const pullsAtOnce = 4

// pulled is one fetched package.
type pulled struct {
	Name      string `json:"name,omitempty"`
	Version   string `json:"version"`
	Digest    string `json:"digest"`
	Reference string `json:"reference"`
	Directory string `json:"directory,omitempty"`
	Files     int    `json:"files"`
	Size      int64  `json:"size"`                // bytes of the archive
	SignedBy  string `json:"signed_by,omitempty"` // when somebody must have
	Yanked    string `json:"yanked,omitempty"`    // why
}

func newPull(a *app) *cobra.Command {
	var output string
	var who policyFlags
	cmd := &cobra.Command{
		Use:   "pull NAME[@RANGE]|REFERENCE...",
		Short: "Fetch packages, check them and unpack them",
		Long: "Fetch the newest version of NAME in RANGE (default: the latest), check it against its digest and unpack\n" +
			"it into NAME-VERSION, or into --output; with several packages, --output is the directory to make those\n" +
			"in. A directory that is not empty is left alone. With --key, --certificate-identity or --policy\n" +
			"nothing is unpacked that is not signed as they say (exit status 8).\n" +
			"REFERENCE is host/namespace/name[:tag] or …@sha256:… on any OCI registry.\n" +
			"What was broken off goes on where it stopped. --output - writes the archive to standard output.",
		Example: "  clyde pull @acme/fastjson\n  clyde pull '@acme/fastjson@^1.2' @acme/zlib@1.3.1 -o third_party\n" +
			"  clyde pull --key acme.pub @acme/fastjson\n  clyde pull ghcr.io/acme/fastjson:1.4.0",
		Args:              wants(1, -1),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pull(cmd.Context(), args, output, who)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "directory to unpack into; - writes the archive to standard output")
	who.registerOnline(cmd)
	return cmd
}

func (a *app) pull(ctx context.Context, args []string, output string, who policyFlags) error {
	judge, err := a.judge(ctx, who)
	if err != nil {
		return err
	}
	var targets []target
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	if output == "-" && (len(args) > 1 || a.json || isTerminal(a.stdout)) {
		return usagef("--output - takes one package, a pipe or file, and no --json")
	}
	m := a.meters(ctx)
	got := make([]pulled, len(targets))
	errs := make([]error, len(targets))
	var g errgroup.Group
	g.SetLimit(pullsAtOnce)
	for i, t := range targets {
		g.Go(func() error {
			got[i], errs[i] = a.pullOne(ctx, m, t, judge, output, len(targets) > 1)
			return nil
		})
	}
	_ = g.Wait()
	m.wait()
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if got[i].Yanked != "" {
			a.say("%s %s %s is yanked: %s", a.paint(a.stderr, yellow, "warning:"), got[i].Name, got[i].Version, clean(got[i].Yanked))
		}
		if !a.json && output != "-" {
			if err := a.printf("%s\n", got[i].Directory); err != nil {
				return err
			}
		}
	}
	if len(failed) > 0 {
		for _, err := range failed[1:] {
			a.explain(err)
		}
		return failed[0]
	}
	if a.json {
		return a.emit("pull", struct {
			Packages []pulled `json:"packages"`
		}{got})
	}
	return nil
}

// pullOne fetches what t names. With into, output is a directory to make the
// package's in.
func (a *app) pullOne(ctx context.Context, m *meters, t target, judge *judge, output string, into bool) (pulled, error) {
	l, oc, err := a.locate(ctx, t)
	if err != nil {
		return pulled{}, err
	}
	out := pulled{
		Name: l.name.String(), Version: l.version, Digest: l.subject.Digest.String(), Yanked: l.yanked,
		Reference: l.at.host + "/" + l.repo + "@" + l.subject.Digest.String(),
	}
	payload, _, err := oc.Manifest(ctx, l.repo, l.subject.Digest)
	if err != nil {
		return out, err
	}
	p, err := artifact.ParsePackage(payload)
	if err != nil {
		return out, err
	}
	base, version, err := checkConfig(ctx, oc, l, p.Config)
	if err != nil {
		return out, err
	}
	out.Version, out.Size = version, p.Source.Size
	d, err := judge.admit(ctx, l, nil)
	if err != nil {
		return out, err
	}
	if d != nil && d.Report != nil {
		out.SignedBy = signers(d.Report)
	}
	dir := base + "-" + version
	switch {
	case output == "-":
		dir = ""
	case into:
		dir = filepath.Join(output, dir)
	case output != "":
		dir = output
	}
	if err := vacant(dir); err != nil {
		return out, err
	}
	archive, err := a.fetch(ctx, m, oc, l, p.Source, dir)
	if err != nil {
		return out, err
	}
	f, err := os.Open(archive)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(archive) }()
	if dir == "" {
		_, err = io.Copy(a.stdout, f)
		return out, err
	}
	files, err := artifact.Unpack(f, p.Source.MediaType, dir, artifact.Limits{})
	if err != nil {
		return out, err
	}
	out.Directory, out.Files = filepath.ToSlash(dir), len(files)
	return out, nil
}

// checkConfig reads the package.yaml that was published and compares it with
// what was asked for: a registry must not answer for one package with another.
func checkConfig(ctx context.Context, oc *artifact.Client, l located, d ocispec.Descriptor) (base, version string, err error) {
	m, err := publishedManifest(ctx, oc, l, d)
	if err != nil {
		return "", "", err
	}
	return m.Name.Base, m.Version.String(), nil
}

// publishedManifest is the package.yaml that was published, which has a name
// and a version: those that were asked for.
func publishedManifest(ctx context.Context, oc *artifact.Client, l located, d ocispec.Descriptor) (*clyde.Manifest, error) {
	r, err := oc.Blob(ctx, l.repo, d)
	if err != nil {
		return nil, err
	}
	data, err := readAll(r, artifact.MaxConfig, "package.yaml")
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	m, ps := clyde.ParseManifest(data)
	if err := ps.Err("the package.yaml of " + l.String()); err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) (*clyde.Manifest, error) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the registry answers for %s with %s", l, fmt.Sprintf(format, args...)).WithCode("package_mismatch").
			Fix("tell whoever runs %s", l.at.host)
	}
	asked := l.name
	if asked.Base != "" && (m.Name.Base != asked.Base || m.Name.Namespace != "" && m.Name.Namespace != asked.Namespace) {
		return wrong("the package %s", nameOf(m))
	}
	if v, err := clyde.ParseVersion(l.version); err == nil && !v.Equal(m.Version) {
		return wrong("version %s", m.Version)
	}
	if m.Name.Base == "" || m.Version.IsZero() {
		return wrong("a package.yaml without name or version")
	}
	return m, nil
}

// vacant refuses a directory with something in it before anything is fetched.
func vacant(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil // Unpack makes it, or says why it cannot
	}
	if info.IsDir() {
		if old, err := os.ReadDir(dir); err == nil && len(old) == 0 {
			return nil
		}
	}
	return clyde.Errorf(clyde.ErrConflict, "%s exists and is not an empty directory", dir).WithCode("directory_exists").
		Fix("remove it, or name another with --output")
}

// fetch brings the source archive to a hidden file beside dir, where a fetch
// that was broken off finds what it has already.
func (a *app) fetch(ctx context.Context, m *meters, oc *artifact.Client, l located, d ocispec.Descriptor, dir string) (string, error) {
	parent := os.TempDir()
	if dir != "" {
		parent = filepath.Dir(dir)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	name := ".clyde-" + d.Digest.Encoded()[:16]
	if dir != "" {
		name += "-" + filepath.Base(dir) // two directories with one archive
	} else {
		name += fmt.Sprintf("-%d", os.Getpid())
	}
	path := filepath.Join(parent, name)
	t := m.start(cmp.Or(l.String(), l.repo), d.Size)
	err := oc.FetchBlob(ctx, l.repo, d, path, t.add)
	t.end(err == nil)
	return path, err
}
