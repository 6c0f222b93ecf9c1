package main

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
)

func newPolicy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Say whose signatures packages must carry",
		Long: "A policy is one YAML file that says who must have signed which packages; clyde verify and clyde pull hold\n" +
			"packages against it. docs/policy.md is its reference.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	var output string
	begin := &cobra.Command{
		Use: "init", Short: "Write a policy to begin with", Args: wants(0, 0), DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error { return a.policyInit(output) },
	}
	begin.Flags().StringVarP(&output, "output", "o", "policy.yaml", "where to; a file that exists is never overwritten")
	cmd.AddCommand(begin,
		&cobra.Command{
			Use: "check FILE", Short: "Say what is wrong with a policy", Args: wants(1, 1), DisableFlagsInUseLine: true,
			RunE: func(_ *cobra.Command, args []string) error { return a.policyCheck(args[0]) },
		},
		&cobra.Command{
			Use: "explain FILE NAME", Short: "Say which rule is about a package, and what it asks", Args: wants(2, 2), DisableFlagsInUseLine: true,
			RunE: func(_ *cobra.Command, args []string) error { return a.policyExplain(args[0], args[1]) },
		},
		a.newPolicyTest(),
		&cobra.Command{
			Use: "convert FILE", Short: "Turn a ClusterImagePolicy into a policy", Args: wants(1, 1), DisableFlagsInUseLine: true,
			RunE: func(_ *cobra.Command, args []string) error { return a.policyConvert(args[0]) },
		},
	)
	cmd.AddCommand(a.policyOfNamespace()...)
	cmd.AddCommand(a.listOfNamespace()...)
	return cmd
}

func (a *app) newPolicyTest() *cobra.Command {
	v := verification{app: a, format: "text"}
	cmd := &cobra.Command{
		Use: "test FILE NAME[@RANGE]|REFERENCE...", Short: "Say what a policy makes of packages", Args: wants(2, -1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.who.policy = args[0]
			return v.run(cmd.Context(), args[1:])
		},
	}
	cmd.Flags().StringVar(&v.who.trustedRoot, "trusted-root", "", "as for clyde verify")
	return cmd
}

// policyStart is what clyde policy init writes: it is true as it stands, and
// refuses everything until somebody is named.
const policyStart = `# Who must have signed which packages. Reference: docs/policy.md
apiVersion: clyde.dev/v1
kind: VerificationPolicy
default: deny # what no rule is about is refused; allow and warn are the other words
trust:
  - {name: public, tuf: sigstore-public-good}
policies: []
#  - name: acme
#    packages: ["acme/*"] # the most specific pattern wins, alone
#    require: 1           # how many of the authorities must have signed
#    authorities:
#      - name: release-workflow
#        keyless:
#          trust: public
#          identities:
#            - issuer: https://token.actions.githubusercontent.com
#              subjectRegExp: https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/v.*
#              extensions: {sourceRepositoryOwnerIdentifier: "123456"} # the owner's number outlives its name
#      - name: release-key
#        key:
#          data: |
#            -----BEGIN PUBLIC KEY-----
#            ...
#            -----END PUBLIC KEY-----
#revoked:
#  - {keyFingerprint: "SHA256:..."}
`

func (a *app) policyInit(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return clyde.Errorf(clyde.ErrConflict, "%s exists and is never overwritten", path).WithCode("file_exists").Fix("choose another name with --output")
	} else if err != nil {
		return err
	}
	_, err = f.WriteString(policyStart)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	a.say("wrote %s: say in it who must have signed", path)
	return a.printf("%s\n", path)
}

func (a *app) policyCheck(path string) error {
	p, err := readPolicy(path)
	if err != nil {
		return err
	}
	if a.json {
		return a.emit("policy", struct {
			Hash    string `json:"hash"`
			Default string `json:"default"`
			Rules   int    `json:"rules"`
			Revoked int    `json:"revoked"`
		}{p.Hash.String(), string(p.Default), len(p.Rules), len(p.Revoked)})
	}
	a.say("%s holds together: %s, %s by default", path, plural(len(p.Rules), "rule"), p.Default)
	rows := [][]string{}
	for _, r := range p.Rules {
		rows = append(rows, []string{r.Name, strings.Join(r.Patterns, " "), string(r.Mode), strconv.Itoa(r.Require) + " of " + strconv.Itoa(len(r.Authorities))})
	}
	return a.table([]column{{title: "RULE"}, {title: "PACKAGES", gives: true}, {title: "MODE"}, {title: "REQUIRES"}}, rows)
}

func (a *app) policyExplain(path, arg string) error {
	p, err := readPolicy(path)
	if err != nil {
		return err
	}
	name, err := packageArg(arg)
	if err != nil {
		return err
	}
	e := p.Explain(name)
	if a.json {
		return a.emit("policy", e)
	}
	rows := [][2]string{{"package", e.Package}, {"rule", e.Rule}, {"asks", e.Asks}}
	for _, x := range e.Authorities {
		rows = append(rows, [2]string{"authority", x})
	}
	for _, x := range e.Attestations {
		rows = append(rows, [2]string{"attestation", x})
	}
	for _, x := range e.Lists {
		rows = append(rows, [2]string{"list", "of " + x})
	}
	return a.keyValues(rows)
}

func (a *app) policyConvert(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return missing(path, err)
	}
	defer f.Close()
	data, err := readAll(f, policy.MaxSize, path)
	if err != nil {
		return err
	}
	out, notes, err := policy.Convert(data, predicateType)
	if err != nil {
		return err
	}
	for _, n := range notes {
		a.say("%s %s", a.paint(a.stderr, yellow, "note:"), clean(n))
	}
	if a.json {
		return a.emit("policy", struct {
			Policy string   `json:"policy"`
			Notes  []string `json:"notes"`
		}{string(out), notes})
	}
	return a.printf("%s", out)
}
