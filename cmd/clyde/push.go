package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func newPush(a *app) *cobra.Command {
	var flags packFlags
	cmd := &cobra.Command{
		Use:   "push DIR|ARCHIVE REFERENCE",
		Short: "Pack and push to any OCI registry",
		Long: "Make the package in DIR, or of a .tar.gz or .tar.zst with a package.yaml in it, and push it to\n" +
			"REFERENCE, host/namespace/name[:tag]; the tag is the version unless one is given. This is the plain\n" +
			"half of clyde publish: nothing is signed and nothing waited for.",
		Example: "  clyde push . ghcr.io/acme/fastjson\n  clyde push fastjson-1.4.0.tar.gz localhost:5000/acme/fastjson:1.4.0",
		Args:    wants(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			r, err := parseReference(args[1])
			if err != nil {
				return err
			}
			if r.digest != "" {
				return usagef("%q: a push goes to a tag; the digest follows from the content", args[1])
			}
			p, err := a.packFor(ctx, args[0], r, flags)
			if err != nil {
				return err
			}
			defer p.Close()
			if r.tag == "" {
				r.tag = p.Version.String()
			}
			oc, err := a.oci(r.at)
			if err != nil {
				return err
			}
			if err := a.push(ctx, oc, r.repo(), p, []string{r.tag}); err != nil {
				return pushRefused(r.at, err)
			}
			if a.json {
				return a.emit("push", struct {
					packedJSON
					Reference string `json:"reference"`
				}{describe(p), r.String()})
			}
			a.say("pushed %s", r)
			return a.printf("%s/%s@%s\n", r.at.host, r.repo(), p.Descriptor.Digest)
		},
	}
	flags.register(cmd)
	return cmd
}

// packFor packs the directory or archive called from for a repository, whose
// name the package must have.
func (a *app) packFor(ctx context.Context, from string, r reference, flags packFlags) (*artifact.Packed, error) {
	n := r.name()
	if n.IsZero() {
		return nil, usagef("%q is no place for a package: its repository must end in namespace/name", r)
	}
	dir := from
	if info, err := os.Stat(from); from == "-" || err == nil && !info.IsDir() {
		dir, flags.archive = "", from
	} else if err != nil {
		return nil, missing(from, err)
	}
	if flags.namespace == "" {
		flags.namespace = n.Namespace
	}
	if isGHCR(r.at.host) {
		flags.source = sourceOf(dir)
	}
	p, err := a.pack(ctx, dir, flags)
	if err != nil {
		return nil, err
	}
	if p.Name != n {
		_ = p.Close()
		return nil, clyde.Errorf(clyde.ErrInvalid, "package.yaml is of %s, and the repository is %s's", p.Name, n).WithCode("name_mismatch").
			Fix("push to …/%s", p.Name.Repo())
	}
	return p, nil
}
