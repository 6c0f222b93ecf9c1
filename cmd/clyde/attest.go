package main

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/signing"
)

// predicateTypes are short names of predicate types, as cosign has them.
var predicateTypes = map[string]string{
	"slsaprovenance": "https://slsa.dev/provenance/v1",
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

func newAttest(a *app) *cobra.Command {
	var who signFlags
	var predicate, typ string
	var builds bool
	cmd := &cobra.Command{
		Use:   "attest NAME@VERSION|REFERENCE",
		Short: "Attach a signed statement about a published version",
		Long: "Sign a JSON document about a version (how it was built, what is in it, which weaknesses do not matter) and\n" +
			"attach it in the registry. It says what it says, and is no signature: clyde sign makes that. Who signs is\n" +
			"found as in clyde sign. --type is " + strings.Join(slices.Sorted(maps.Keys(predicateTypes)), ", ") + " or a URI.",
		Example: "  clyde attest @acme/fastjson@1.4.0 --predicate sbom.spdx.json --type spdx --key cosign.key\n" +
			"  clyde attest @acme/fastjson@1.4.0 --builds --predicate provenance.json --type slsaprovenance",
		Args: wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if predicate == "" || typ == "" {
				return usagef("%s: --predicate and --type are missing", cmd.CommandPath()).fix("write %s --predicate FILE --type TYPE", args[0])
			}
			data, err := a.readPredicate(predicate)
			if err != nil {
				return err
			}
			l, oc, s, subs, err := a.toSign(ctx, args[0], who, builds)
			if err != nil {
				return err
			}
			made, err := signing.Attest(ctx, oc, oc, s, subs, predicateType(typ), data)
			if err != nil {
				return err
			}
			return a.showSigned("attest", l, s, subs, digests(made))
		},
	}
	who.register(cmd)
	f := cmd.Flags()
	f.StringVar(&predicate, "predicate", "", "JSON file with what is stated; - is standard input")
	f.StringVar(&typ, "type", "", "what kind of statement: a short name or a URI")
	f.BoolVar(&builds, "builds", false, "state it of the version's builds, too, with one signature")
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
