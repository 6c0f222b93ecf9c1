package signing

import (
	"context"
	"io"

	"github.com/sigstore/sigstore/pkg/oauthflow"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// oauthClient is the name by which sigstore's issuers know command lines.
const oauthClient = "sigstore"

// TokenFromBrowser has somebody sign in with an issuer in a browser, which
// brings them back to a page on this machine, and returns their identity token.
// Where no browser opens, it prints the address and reads the code from in.
func TokenFromBrowser(ctx context.Context, issuer string, in io.Reader, out io.Writer) (string, error) {
	type answer struct {
		token *oauthflow.OIDCIDToken
		err   error
	}
	done := make(chan answer, 1)
	go func() { // it knows no context; the program ends soon after ctx does
		t, err := oauthflow.OIDConnect(issuer, oauthClient, "", "", &oauthflow.InteractiveIDTokenGetter{
			HTMLPage: "<!doctype html><title>Clyde</title><p>You are signed in. This page can be closed.</p>", Input: in, Output: out,
		})
		done <- answer{t, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-done:
		if a.err != nil {
			return "", clyde.Errorf(clyde.ErrUnauthenticated, "nobody signed in with %s", issuer).WithCode("not_signed_in").
				Fix("Try again, or give --identity-token.").Because(a.err)
		}
		return a.token.RawString, nil
	}
}
