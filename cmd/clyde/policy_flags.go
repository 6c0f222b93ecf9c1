package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// policyVar is the environment variable that names the policy.
const policyVar = "CLYDE_POLICY"

// trustDir is where clyde trust fetch writes and --offline reads.
const trustDir = ".clyde/trust"

// policyFlags say whose signatures must be there.
type policyFlags struct {
	keys        []string
	identity    string
	issuer      string
	policy      string
	trustedRoot string
	offline     bool
	bundleDir   string
	minAge      time.Duration // what is younger is refused; 0 asks for nothing
}

// register adds the flags of what checks signatures, with or without a network.
func (f *policyFlags) register(cmd *cobra.Command) {
	f.registerOnline(cmd)
	cmd.Flags().BoolVar(&f.offline, "offline", false, "use no network: what clyde trust fetch brought is all there is")
	cmd.Flags().StringVar(&f.bundleDir, "bundle-dir", filepath.FromSlash(trustDir), "with --offline: where that is")
}

// registerOnline adds the flags of everything that checks signatures.
func (f *policyFlags) registerOnline(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.keys, "key", nil, "public key, a file, env://NAME or the URI of one that a service keeps, that must have signed; of several, one must")
	fl.StringVar(&f.identity, "certificate-identity", "", "who must have signed without a key: a workflow's address, an e-mail address")
	fl.StringVar(&f.issuer, "certificate-oidc-issuer", "", "who vouches for that identity")
	fl.StringVar(&f.policy, "policy", "", "policy that says who must have signed what (env "+policyVar+")")
	fl.DurationVar(&f.minAge, "min-age", 0, "refuse versions that are younger, as in 72h: what is stolen is often found out in days")
	fl.StringVar(&f.trustedRoot, "trusted-root", "", "trusted root to check certificates against, in place of the public sigstore's (env "+trustedRootVar+")")
}

// policyPath is the policy's file, "" for none.
func policyPath(f policyFlags) string { return cmp.Or(f.policy, os.Getenv(policyVar)) }

// policyOf reads the policy that the flags name, or makes the one that they
// amount to (byHand); it is nil where they say nothing.
func (a *app) policyOf(ctx context.Context, f policyFlags) (p *policy.Policy, byHand bool, err error) {
	byHand = len(f.keys) > 0 || f.identity != ""
	switch {
	case (f.identity == "") != (f.issuer == ""):
		return nil, false, usagef("an identity is worth as much as who vouches for it").fix("give both --certificate-identity and --certificate-oidc-issuer")
	case byHand && f.policy != "":
		return nil, false, usagef("--policy says who must have signed; so do --key and --certificate-identity").fix("give one of them")
	}
	if !byHand {
		path := policyPath(f)
		if path == "" {
			return nil, false, nil
		}
		p, err = readPolicy(path)
		if err == nil {
			p.Roots(a.roots(f, filepath.Dir(path)))
		}
		return p, false, err
	}
	keys, err := publicKeys(ctx, f.keys)
	if err != nil {
		return nil, false, err
	}
	list := keyAuthorities(keys)
	if f.identity != "" {
		trust, err := a.roots(f, ".")(ctx, policy.TrustSource{Name: publicSigstore, Public: true})
		if err != nil {
			return nil, false, err
		}
		list = append(list, signing.Authority{
			Name: f.identity, Trust: trust, TransparencyLog: 1, Timestamps: 1,
			Keyless: &signing.Keyless{Identities: []signing.Identity{{Issuer: f.issuer, Subject: f.identity}}},
		})
	}
	return policy.Of(list...), true, nil
}

func keyAuthorities(keys []signing.Key) []signing.Authority {
	var out []signing.Authority
	for i := range keys {
		out = append(out, signing.Authority{Name: keys[i].Name, Key: &keys[i]})
	}
	return out
}

// readPolicy reads a policy file.
func readPolicy(path string) (*policy.Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	defer f.Close()
	data, err := readAll(f, policy.MaxSize, path)
	if err != nil {
		return nil, err
	}
	return policy.Parse(data)
}

// roots returns what reads the trusted roots of a policy in dir. A root that
// --trusted-root names stands for those that would have to be fetched, and
// without a network so does what clyde trust fetch brought.
func (a *app) roots(f policyFlags, dir string) policy.Roots {
	return func(ctx context.Context, t policy.TrustSource) (*signing.Trust, error) {
		given := cmp.Or(f.trustedRoot, os.Getenv(trustedRootVar))
		switch {
		case t.File != "":
			return signing.TrustFromFile(t.Name, inDir(dir, t.File))
		case given != "":
			return signing.TrustFromFile(t.Name, given)
		case f.offline:
			tr, err := signing.TrustFromFile(t.Name, archivedRoot(f.bundleDir, t.Name))
			if err != nil {
				return nil, clyde.Errorf(clyde.ErrUnavailable, "the trusted root %q was not fetched", t.Name).WithCode("not_archived").
					Fix("run clyde trust fetch with the same policy, where there is a network").Fix("give --trusted-root FILE").Because(err)
			}
			return tr, nil
		}
		from, err := publicTUF()
		if err != nil {
			return nil, err
		}
		if !t.Public {
			from.Mirror = t.Mirror
			if from.Root, err = os.ReadFile(inDir(dir, t.Root)); err != nil {
				return nil, missing(t.Root, err)
			}
		}
		return signing.TrustFromTUF(ctx, t.Name, from)
	}
}

// inDir is a path that a file in dir names.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, filepath.FromSlash(path))
}

// archivedRoot is where a trusted root is in what clyde trust fetch brought.
func archivedRoot(dir, name string) string {
	return filepath.Join(dir, "roots", filepath.Base(name)+".json")
}
