package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func newKeygen(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair to sign with",
		Long: "Make a key pair as cosign does: PREFIX.key, encrypted with a password and readable by you only, and\n" +
			"PREFIX.pub, for everybody. Files that exist are never overwritten. The password comes from\n" +
			"CLYDE_KEY_PASSWORD or COSIGN_PASSWORD, else it is asked for.",
		Example: "  clyde keygen\n  clyde keygen --output-key-prefix release",
		Args:    wants(0, 0),
		RunE: func(*cobra.Command, []string) error {
			for _, f := range []string{output + ".key", output + ".pub"} {
				if _, err := os.Lstat(f); !errors.Is(err, fs.ErrNotExist) {
					return clyde.Errorf(clyde.ErrConflict, "%s exists and is never overwritten", f).
						WithCode("key_exists").Fix("choose another name with --output-key-prefix")
				}
			}
			pass, err := signing.Password(os.LookupEnv, a.newPassword)
			if err != nil {
				return err
			}
			private, public, err := signing.GenerateKeyPair(pass)
			if err != nil {
				return err
			}
			if err := signing.WriteKeyPair(output, private, public); err != nil {
				return err
			}
			key, err := signing.ParsePublicKey(public)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("keygen", struct {
					Private     string `json:"private_key"`
					Public      string `json:"public_key"`
					Fingerprint string `json:"fingerprint"`
				}{output + ".key", output + ".pub", key.Fingerprint})
			}
			a.say("wrote %s.key (keep it secret) and %s.pub", output, output)
			return a.printf("%s\n", key.Fingerprint)
		},
	}
	cmd.Flags().StringVar(&output, "output-key-prefix", "cosign", "where to write, without .key and .pub")
	return cmd
}

// newPassword asks for a password twice.
func (a *app) newPassword() ([]byte, error) {
	p, err := a.secret("password for the private key")
	if err != nil {
		return nil, err
	}
	q, err := a.secret("the same password again")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p, q) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the two passwords differ")
	}
	return p, nil
}
