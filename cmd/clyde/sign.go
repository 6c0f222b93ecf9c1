package main

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func newSign(a *app) *cobra.Command {
	var who signFlags
	var legacy, builds bool
	cmd := &cobra.Command{
		Use:   "sign NAME@VERSION|REFERENCE",
		Short: "Sign a published version",
		Long: "Sign a version and attach the signature to it in the registry, as cosign does. With --key, CLYDE_KEY or the\n" +
			"setting key, that key signs: a file, or env://NAME, whose password is CLYDE_KEY_PASSWORD or COSIGN_PASSWORD,\n" +
			"else it is asked for; signing again changes nothing. Without a key the CI provider vouches for the run, or\n" +
			"somebody signs in with a browser, and the signature says who. --builds signs the version's builds with it.",
		Example: "  clyde sign @acme/fastjson@1.4.0 --key cosign.key\n  clyde sign @acme/fastjson@1.4.0 --builds\n" +
			"  clyde sign ghcr.io/acme/fastjson:1.4.0 --key env://SIGNING_KEY",
		Args: wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			l, oc, s, subs, err := a.toSign(ctx, args[0], who, builds)
			if err != nil {
				return err
			}
			made, err := stamp{signer: s, legacy: legacy}.apply(ctx, oc, subs)
			if err != nil {
				return err
			}
			return a.showSigned("sign", l, s, subs, made)
		},
	}
	who.register(cmd)
	cmd.Flags().BoolVar(&legacy, "legacy", false, "also write the sha256-….sig tag that cosign before v3 looks for")
	cmd.Flags().BoolVar(&builds, "builds", false, "sign the version's builds, too, with one signature")
	return cmd
}

// toSign finds what arg names, with its builds where they are wanted, and who
// is to sign it.
func (a *app) toSign(ctx context.Context, arg string, who signFlags, builds bool) (located, *artifact.Client, signing.Signer, []signing.Subject, error) {
	fail := func(err error) (located, *artifact.Client, signing.Signer, []signing.Subject, error) {
		return located{}, nil, nil, nil, err
	}
	t, err := parseTarget(arg)
	if err != nil {
		return fail(err)
	}
	if t.ref.at.host == "" && t.want == "" {
		return fail(usagef("%q: which version?", arg).fix("write %s@VERSION", arg))
	}
	l, oc, err := a.locate(ctx, t)
	if err != nil {
		return fail(err)
	}
	hidden, err := a.isHidden(ctx, oc, l)
	if err != nil {
		return fail(err)
	}
	s, err := a.signer(ctx, who, hidden)
	if err != nil {
		return fail(err)
	}
	subs := []signing.Subject{l.subject}
	if builds {
		list, err := oc.Referrers(ctx, l.repo, l.subject.Digest)
		if err != nil {
			return fail(err)
		}
		for _, d := range list {
			if artifact.IsBuild(d.ArtifactType) {
				sub := l.subject
				sub.Digest, sub.MediaType, sub.Size = d.Digest, d.MediaType, d.Size
				subs = append(subs, sub)
			}
		}
	}
	return l, oc, s, subs, nil
}

// showSigned prints what was attached to what.
func (a *app) showSigned(command string, l located, s signing.Signer, subs []signing.Subject, made []digest.Digest) error {
	key := ""
	if k := s.Authority().Key; k != nil {
		key = k.Fingerprint
	}
	if a.json {
		return a.emit(command, struct {
			Name       string          `json:"name,omitempty"`
			Version    string          `json:"version"`
			Digest     digest.Digest   `json:"digest"`
			Key        string          `json:"key_fingerprint,omitempty"`
			SignedBy   string          `json:"signed_by"`
			Builds     int             `json:"builds"`
			Signatures []digest.Digest `json:"signatures"`
		}{l.name.String(), l.version, l.subject.Digest, key, signedBy(s), len(subs) - 1, made})
	}
	what := clean(l.String())
	if n := len(subs) - 1; n > 0 {
		what += " and " + plural(n, "build")
	}
	verb := map[string]string{"sign": "signed", "attest": "attested"}[command]
	a.say("%s %s as %s", verb, what, clean(signedBy(s)))
	return a.printf("%s\n", l.subject.Digest)
}

func digests(descs []ocispec.Descriptor) []digest.Digest {
	out := []digest.Digest{}
	for _, d := range descs {
		out = append(out, d.Digest)
	}
	return out
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

// showReport prints what one package came to under keys and identities, without
// a policy.
func (a *app) showReport(c *checked, failure error) error {
	l, r := c.located, c.decision.Report
	if failure != nil {
		failure = unverified(l.String(), r)
	}
	if e := clyde.AsError(failure); e != nil && c.from == "registry" {
		switch {
		case c.keys == 0 && r.State == signing.StateUntrusted:
			e.Msg = l.String() + " is signed, and the registry lists no key for @" + l.name.Namespace + " to check that with"
		case c.keys == 0:
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
		}{l.name.String(), l.version, failure == nil, c.from, r})
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
	if c.from == "registry" {
		a.say("checked against the %s that the registry lists for @%s; --key checks against yours", plural(c.keys, "key"), l.name.Namespace)
	}
	return a.keyValues([][2]string{{"package", l.String()}, {"digest", r.Digest.String()}, {"signed by", signers(r)}})
}
