// Command sigstore runs a sigstore on this machine until it is interrupted, for
// trying by hand what signs without a key. It writes the two files that clyde
// and cosign want and prints how to use them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/clydepm/clyde-registry/pkg/signing/sigstoretest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sigstore:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	tools := flag.String("tools", "", "folder of fulcio, timestamp-server and rekor-server, as .ci/tool builds them")
	out := flag.String("out", ".cache/sigstore", "folder for files and data, emptied first")
	flag.Parse()
	dir, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s, err := sigstoretest.Start(ctx, *tools, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	token, err := s.People.Token(sigstoretest.Person("alice@example.com"))
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"trusted_root.json": s.TrustedRoot, "signing_config.json": s.SigningConfig, "alice.tok": []byte(token)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, `A sigstore runs on this machine until you press Ctrl-C.

  export CLYDE_SIGNING_CONFIG=%[1]s/signing_config.json
  export CLYDE_TRUSTED_ROOT=%[1]s/trusted_root.json
  clyde sign @acme/zlib@1.3.1 --identity-token %[1]s/alice.tok
  clyde verify @acme/zlib@1.3.1 --certificate-identity alice@example.com --certificate-oidc-issuer %[2]s

The token ends in ten minutes. Another one, of anybody:

  curl -s %[2]s/mint -d '{"sub":"bob","email":"bob@example.com","email_verified":true}'

Workflow runs, as at GitHub, are vouched for by %[3]s.
`, dir, s.People.URL, s.Actions.URL)
	<-ctx.Done()
	return nil
}
