package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
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
	requires := map[string]string{}
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
		requires[p.name.String()] = "*"
	}
	policy := "apiVersion: clyde.dev/v1\nkind: VerificationPolicy\npolicies:\n  - name: lock\n    packages: [\"lock/*\"]\n" +
		"    authorities:\n      - name: bench\n        key:\n          data: |\n            " + strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n            ") + "\n"
	p, err := b.project(ctx, "verify", c.Addr, requires)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{{"update"}, {"trust", "fetch", "--lock", "--policy", "policy.yaml"}} {
		if _, _, err := p.run(ctx, "home", args...); err != nil {
			return err
		}
	}
	times := make([]time.Duration, 0, b.runs)
	for range b.runs {
		out, took, err := p.run(ctx, "home", "verify", "--lock", "--policy", "policy.yaml", "--offline")
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
