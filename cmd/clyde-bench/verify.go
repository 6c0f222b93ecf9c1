package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// lockedFigure is clyde verify --lock --policy --offline of 100 packages, as a
// whole process, after clyde trust fetch brought what it reads.
const lockedFigure = "verify_offline_100_ms"

// locked measures what a CI run without a network waits for.
func locked(ctx context.Context, b *bench) (err error) {
	c, err := b.start(ctx, "serve-ours", "locked")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	dir := filepath.Join(b.dir, "verify")
	project := filepath.Join(dir, "project")
	if err := os.MkdirAll(project, 0o700); err != nil {
		return err
	}
	program, err := b.client(ctx)
	if err != nil {
		return err
	}
	private, public, err := signing.GenerateKeyPair(nil)
	if err != nil {
		return err
	}
	signer, err := signing.LoadSigner(private, nil)
	if err != nil {
		return err
	}
	oc, err := artifact.NewClient(artifact.ClientOptions{Host: c.Addr, Plain: true, Credential: func(context.Context) (string, string, error) {
		return "bench", c.Secret, nil
	}})
	if err != nil {
		return err
	}
	cl := newClient(c)
	manifest := bytes.NewBufferString("schema: 1\nname: \"@bench/app\"\nversion: \"1.0.0\"\ntype: application\nlanguage: c\nrequires:\n")
	for i := range b.locked {
		p, err := pack("lock", i)
		if err == nil {
			err = cl.push(ctx, p)
		}
		if err == nil {
			err = cl.known(ctx, p)
		}
		if err != nil {
			return err
		}
		sub := signing.Subject{
			Repo: p.name.Repo(), Name: p.name, Version: p.version, Digest: digest.FromBytes(p.manifest),
			MediaType: ocispec.MediaTypeImageManifest, Size: int64(len(p.manifest)),
		}
		if _, err := signing.Sign(ctx, oc, oc, signer, sub, signing.SignOptions{}); err != nil {
			return err
		}
		fmt.Fprintf(manifest, "  %q: \"*\"\n", p.name)
	}
	policy := "apiVersion: clyde.dev/v1\nkind: VerificationPolicy\npolicies:\n  - name: lock\n    packages: [\"lock/*\"]\n" +
		"    authorities:\n      - name: bench\n        key:\n          data: |\n            " + strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n            ") + "\n"
	for name, data := range map[string][]byte{"package.yaml": manifest.Bytes(), "policy.yaml": []byte(policy)} {
		if err := os.WriteFile(filepath.Join(project, name), data, 0o600); err != nil {
			return err
		}
	}
	run := func(args ...string) ([]byte, time.Duration, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "CLYDE_REGISTRY=http://"+c.Addr, "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		start := time.Now()
		out, err := cmd.Output()
		took := time.Since(start)
		if err != nil {
			return nil, 0, fmt.Errorf("clyde %s: %w: %s", strings.Join(args, " "), err, &stderr)
		}
		return out, took, nil
	}
	for _, args := range [][]string{{"update"}, {"trust", "fetch", "--lock", "--policy", "policy.yaml"}} {
		if _, _, err := run(args...); err != nil {
			return err
		}
	}
	times := make([]time.Duration, 0, b.runs)
	for range b.runs {
		out, took, err := run("verify", "--lock", "--policy", "policy.yaml", "--offline")
		if err != nil {
			return err
		}
		if n := bytes.Count(out, []byte("ok\t")); n != b.locked {
			return fmt.Errorf("clyde verify found %d of %d packages in order", n, b.locked)
		}
		times = append(times, took)
	}
	b.alone(lockedFigure, quantile(times, 0.5))
	return nil
}
