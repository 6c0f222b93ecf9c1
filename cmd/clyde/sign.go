package main

import (
	"context"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func newSign(a *app) *cobra.Command {
	var key string
	var legacy bool
	cmd := &cobra.Command{
		Use:   "sign NAME@VERSION|REFERENCE",
		Short: "Sign a published version",
		Long: "Sign a version with a private key and attach the signature to it in the registry, as cosign does.\n" +
			"Signing again with the same key changes nothing. The key is --key, CLYDE_KEY or the setting key: a file,\n" +
			"or env://NAME. Its password is CLYDE_KEY_PASSWORD or COSIGN_PASSWORD, else it is asked for.",
		Example: "  clyde sign @acme/fastjson@1.4.0 --key cosign.key\n  clyde sign ghcr.io/acme/fastjson:1.4.0 --key env://SIGNING_KEY",
		Args:    wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			t, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			if t.ref.at.host == "" && t.want == "" {
				return usagef("%q: which version?", args[0]).fix("write %s@VERSION", args[0])
			}
			s, err := a.signer(key)
			if err != nil {
				return err
			}
			l, oc, err := a.locate(ctx, t)
			if err != nil {
				return err
			}
			made, err := a.sign(ctx, oc, s, l.subject, legacy)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("sign", struct {
					Name       string          `json:"name,omitempty"`
					Version    string          `json:"version"`
					Digest     digest.Digest   `json:"digest"`
					Key        string          `json:"key_fingerprint"`
					Signatures []digest.Digest `json:"signatures"`
				}{l.name.String(), l.version, l.subject.Digest, s.Key().Fingerprint, made})
			}
			a.say("signed %s with %s", clean(l.String()), s.Key().Fingerprint)
			return a.printf("%s\n", l.subject.Digest)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "private key: a file or env://NAME")
	cmd.Flags().BoolVar(&legacy, "legacy", false, "also write the sha256-….sig tag that cosign before v3 looks for")
	return cmd
}

// sign attaches signatures and returns the manifests that carry them.
func (a *app) sign(ctx context.Context, oc *artifact.Client, s signing.Signer, sub signing.Subject, legacy bool) ([]digest.Digest, error) {
	descs, err := signing.Sign(ctx, oc, oc, s, sub, signing.SignOptions{Legacy: legacy})
	if err != nil {
		return nil, err
	}
	out := []digest.Digest{}
	for _, d := range descs {
		out = append(out, d.Digest)
	}
	return out, nil
}

func newVerify(a *app) *cobra.Command {
	var refs []string
	cmd := &cobra.Command{
		Use:   "verify NAME[@RANGE]|REFERENCE",
		Short: "Say who signed a version, or fail",
		Long: "Read every signature of a version, check them against public keys and print whose are right. Without\n" +
			"--key the keys are those that the registry lists for the namespace: then you trust the registry to name\n" +
			"the right ones. With --key you trust nobody but the keys' owners. Exit status 8 where none verifies.",
		Example: "  clyde verify @acme/fastjson@1.4.0\n  clyde verify @acme/fastjson --key acme.pub --key release.pub",
		Args:    wants(1, 1), ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			t, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			keys, err := publicKeys(refs)
			if err != nil {
				return err
			}
			l, oc, err := a.locate(ctx, t)
			if err != nil {
				return err
			}
			from := "--key"
			if len(refs) == 0 {
				from = "registry"
				if keys, err = a.listedKeys(ctx, l); err != nil {
					return err
				}
			}
			report, err := signing.Verify(ctx, oc, l.subject, keys, signing.Limits{})
			if err != nil {
				return err
			}
			return a.showReport(l, report, from, len(keys))
		},
	}
	cmd.Flags().StringArrayVar(&refs, "key", nil, "public key: a file or env://NAME; may be given several times")
	return cmd
}

// listedKeys returns the keys that our registry lists for l's namespace.
func (a *app) listedKeys(ctx context.Context, l located) ([]signing.Key, error) {
	own, err := a.address()
	if err != nil {
		return nil, err
	}
	if !l.api && (l.at.host != own.host || l.name.IsZero()) {
		return nil, usagef("%s lists no keys: say which one must have signed", l.at.host).fix("give --key FILE")
	}
	if !l.api {
		if s, err := a.site(ctx); err != nil || !s.hasAPI {
			return nil, usagef("%s lists no keys: say which one must have signed", l.at.host).fix("give --key FILE")
		}
	}
	return a.namespaceKeys(ctx, l.name.Namespace)
}

func (a *app) showReport(l located, r *signing.Report, from string, keys int) error {
	failure := unverified(l.String(), r)
	if e := clyde.AsError(failure); e != nil && from == "registry" {
		switch {
		case keys == 0 && r.State == signing.StateUntrusted:
			e.Msg = l.String() + " is signed, and the registry lists no key for @" + l.name.Namespace + " to check that with"
		case keys == 0:
			e.Msg += "; the registry lists no key for @" + l.name.Namespace
		}
		e.Fix("give --key FILE with a key that you have from its owner")
	}
	if a.json {
		err := a.emit("verify", struct {
			Name     string `json:"name,omitempty"`
			Version  string `json:"version"`
			Verified bool   `json:"verified"`
			Keys     string `json:"keys_from"`
			*signing.Report
		}{l.name.String(), l.version, failure == nil, from, r})
		if err != nil {
			return err
		}
		if failure != nil {
			a.explain(failure)
			return shownError{failure}
		}
		return nil
	}
	for _, s := range r.Signatures {
		if s.State != signing.StateVerified {
			a.say("%s %s: %s", a.paint(a.stderr, yellow, string(s.State)), clean(string(s.Format)), clean(s.Reason))
		}
	}
	for _, p := range r.Problems {
		a.say("%s %s", a.paint(a.stderr, yellow, "warning:"), clean(p))
	}
	if failure != nil {
		return failure
	}
	if from == "registry" {
		a.say("checked against the %s that the registry lists for @%s; --key checks against yours", plural(keys, "key"), l.name.Namespace)
	}
	return a.keyValues([][2]string{{"package", l.String()}, {"digest", r.Digest.String()}, {"signed by", signers(r)}})
}
