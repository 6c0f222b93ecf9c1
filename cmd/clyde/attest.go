package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/provenance"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// predicateTypes are short names of predicate types, as cosign has them.
var predicateTypes = map[string]string{
	"slsaprovenance": provenance.PredicateType,
	"spdx":           "https://spdx.dev/Document",
	"cyclonedx":      "https://cyclonedx.org/bom",
	"vuln":           "https://cosign.sigstore.dev/attestation/vuln/v1",
	"openvex":        "https://openvex.dev/ns",
}

// predicateType returns the type that a flag names: a short name or a URI.
func predicateType(s string) string {
	if t, ok := predicateTypes[s]; ok {
		return t
	}
	return s
}

// claim is what an attestation is to state.
type claim struct {
	typ       string // predicate type, a URI
	predicate []byte // JSON
}

// claimFlags choose claims that clyde makes by itself.
type claimFlags struct {
	provenance, sbom bool
}

func (f *claimFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.provenance, "provenance", false, "state how it was built, from what the CI provider says of this job (SLSA)")
	fl.BoolVar(&f.sbom, "sbom", false, "state what is in it, from package.yaml and clyde.lock (SPDX and CycloneDX)")
}

func (f claimFlags) any() bool { return f.provenance || f.sbom }

// claims makes what f asks for about one version, whose project is in dir.
func (a *app) claims(ctx context.Context, f claimFlags, dir string, name clyde.Name, version string) ([]claim, error) {
	var out []claim
	if f.provenance {
		b, err := provenance.FromCI(os.LookupEnv, thisBuild().Version)
		if err != nil {
			return nil, err
		}
		out = append(out, claim{provenance.PredicateType, b})
	}
	if !f.sbom {
		return out, nil
	}
	p, lock, err := a.locked(ctx, dependencyFlags{dir: dir})
	if err != nil {
		return nil, err
	}
	m := p.manifest
	if m.Name.Base != name.Base || m.Name.Namespace != "" && m.Name.Identity() != name.Identity() || m.Version.String() != version {
		return nil, clyde.Errorf(clyde.ErrConflict, "%s is about %s %s, and the bill of materials is to be of %s %s", p.path, m.Name, m.Version, name, version).
			WithCode("other_package").Fix("check out what was published, or name its folder with --dir")
	}
	m.Name = name
	for _, format := range []string{formatSPDX, formatCycloneDX} {
		b, err := p.bom(lock, resolve.Want{Dev: true}, format)
		if err != nil {
			return nil, err
		}
		out = append(out, claim{predicateTypes[format], b})
	}
	return out, nil
}

// stamp is who signs what is published, and what they state of it.
type stamp struct {
	signer signing.Signer // nil where nobody signs
	legacy bool
	claims []claim
}

// apply signs and attests several manifests together: one statement of each
// kind, whatever their number. It returns the manifests of the signatures.
func (s stamp) apply(ctx context.Context, oc *artifact.Client, subs []signing.Subject) ([]digest.Digest, error) {
	descs, err := signing.SignAll(ctx, oc, oc, s.signer, subs, signing.SignOptions{Legacy: s.legacy})
	if err != nil {
		return nil, err
	}
	_, err = s.attest(ctx, oc, subs)
	return digests(descs), err
}

// attest attaches the claims and returns the manifests that carry them.
func (s stamp) attest(ctx context.Context, oc *artifact.Client, subs []signing.Subject) ([]digest.Digest, error) {
	made := []digest.Digest{}
	for _, c := range s.claims {
		descs, err := signing.Attest(ctx, oc, oc, s.signer, subs, c.typ, c.predicate)
		if err != nil {
			return nil, err
		}
		made = append(made, digests(descs)...)
	}
	return made, nil
}

func newAttest(a *app) *cobra.Command {
	var who signFlags
	var f claimFlags
	var predicate, typ, dir string
	var builds bool
	cmd := &cobra.Command{
		Use:   "attest NAME@VERSION|REFERENCE",
		Short: "Attach signed statements about a published version",
		Long: "Sign statements about a version and attach them in the registry: --provenance, how it was built, from what\n" +
			"GitHub, GitLab or Forgejo tell their jobs; --sbom, what is in it, from package.yaml and clyde.lock; or any JSON\n" +
			"document with --predicate and --type. Such a statement says what it says, and is no signature: clyde sign makes\n" +
			"that. Who signs is found as in clyde sign, once for all of them. --type is\n" +
			strings.Join(slices.Sorted(maps.Keys(predicateTypes)), ", ") + " or a URI.",
		Example: "  clyde attest @acme/fastjson@1.4.0 --provenance --sbom --builds\n" +
			"  clyde attest @acme/fastjson@1.4.0 --predicate weaknesses.json --type openvex --key cosign.key",
		Args: wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if (predicate == "") != (typ == "") || predicate == "" && !f.any() {
				return usagef("%s: what is to be stated?", cmd.CommandPath()).fix("give --provenance, --sbom, or --predicate FILE with --type TYPE")
			}
			var given []claim
			if predicate != "" {
				data, err := a.readPredicate(predicate)
				if err != nil {
					return err
				}
				given = []claim{{predicateType(typ), data}}
			}
			l, oc, s, subs, err := a.toSign(ctx, args[0], who, builds)
			if err != nil {
				return err
			}
			st := stamp{signer: s}
			if st.claims, err = a.claims(ctx, f, dir, l.name, l.version); err != nil {
				return err
			}
			st.claims = append(st.claims, given...)
			made, err := st.attest(ctx, oc, subs)
			if err != nil {
				return err
			}
			return a.showSigned("attest", l, s, subs, made)
		},
	}
	who.register(cmd)
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&predicate, "predicate", "", "JSON file with what is stated; - is standard input")
	fl.StringVar(&typ, "type", "", "what kind of statement that is: a short name or a URI")
	fl.StringVar(&dir, "dir", ".", "folder of the project, for --sbom")
	fl.BoolVar(&builds, "builds", false, "state it of the version's builds, too, with one signature each")
	return cmd
}

func (a *app) readPredicate(path string) ([]byte, error) {
	if path == "-" {
		return readAll(a.stdin, signing.MaxBlob, "the predicate")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	defer f.Close()
	return readAll(f, signing.MaxBlob, path)
}
