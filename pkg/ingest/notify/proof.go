package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Proof decides whether a notification comes from whom its endpoint is for.
// Secrets are compared in constant time.
type Proof interface {
	// Knows looks at the request before its body is read. part is what follows
	// the endpoint's name in the path. The error is a *clyde.Error.
	Knows(r *http.Request, part string) error
	// Signed looks at the whole.
	Signed(h http.Header, body []byte) error
}

// same compares without telling by its time how much agrees, or how long
// either is.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// hashOf names a body that names itself by nothing.
func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func unproven(why string) error {
	return clyde.Errorf(clyde.ErrUnauthenticated, "the notification does not prove where it comes from: %s", why).WithCode("notification_unproven")
}

// errNoEndpoint is the one answer to a name that is none, and to a secret path
// that is wrong.
func errNoEndpoint() error {
	return clyde.Errorf(clyde.ErrNotFound, "there is no such endpoint").WithCode("endpoint_unknown")
}

// noPart refuses a path that goes on where none is asked for.
func noPart(part string) error {
	if part != "" {
		return errNoEndpoint()
	}
	return nil
}

// HMAC proves by a signature of the body with a shared secret, as GitHub and
// Gitea make it.
type HMAC struct{ Secret string }

// signatures are the fields that hold one, and what stands before the hex
// digits. Gitea sends both.
var signatures = []struct{ field, prefix string }{{"X-Hub-Signature-256", "sha256="}, {"X-Gitea-Signature", ""}, {"X-Forgejo-Signature", ""}}

// Knows implements Proof: without a signature the body is not read.
func (p HMAC) Knows(r *http.Request, part string) error {
	if err := noPart(part); err != nil {
		return err
	}
	for _, s := range signatures {
		if r.Header.Get(s.field) != "" {
			return nil
		}
	}
	return unproven("it is not signed")
}

// Signed implements Proof. Every signature there is has to be right.
func (p HMAC) Signed(h http.Header, body []byte) error {
	m := hmac.New(sha256.New, []byte(p.Secret))
	m.Write(body)
	want := m.Sum(nil)
	found := false
	for _, s := range signatures {
		for _, v := range h.Values(s.field) {
			digits, ok := strings.CutPrefix(v, s.prefix)
			got, err := hex.DecodeString(digits)
			if !ok || err != nil || !hmac.Equal(got, want) {
				return unproven("its signature is of another body, or by another secret")
			}
			found = true
		}
	}
	if !found {
		return unproven("it is not signed")
	}
	return nil
}

// Header proves by a shared secret in a field of the header: as it is, as a
// bearer token, or as the password of Basic.
type Header struct{ Name, Secret string }

// Knows implements Proof.
func (p Header) Knows(r *http.Request, part string) error {
	if err := noPart(part); err != nil {
		return err
	}
	vs := r.Header.Values(p.Name)
	if len(vs) != 1 {
		return unproven("it needs the field " + p.Name + ", once")
	}
	ok := same(vs[0], p.Secret)
	if strings.EqualFold(p.Name, "Authorization") {
		if scheme, token, found := strings.Cut(vs[0], " "); found && strings.EqualFold(scheme, "bearer") {
			ok = same(token, p.Secret) || ok
		}
		if _, password, found := r.BasicAuth(); found {
			ok = same(password, p.Secret) || ok
		}
	}
	if !ok {
		return unproven("the field " + p.Name + " is wrong")
	}
	return nil
}

// Signed implements Proof.
func (Header) Signed(http.Header, []byte) error { return nil }

// Path proves by a secret part of the address, for those who can sign nothing.
type Path struct{ Secret string }

// Knows implements Proof.
func (p Path) Knows(_ *http.Request, part string) error {
	if !same(part, p.Secret) {
		return errNoEndpoint()
	}
	return nil
}

// Signed implements Proof.
func (Path) Signed(http.Header, []byte) error { return nil }

// Token proves by an OpenID Connect token of a service account, as Pub/Sub sends it.
type Token struct {
	Issuer, Audience, Email string
	Verify                  func(ctx context.Context, raw, issuer, audience string) (oidc.Token, error)
}

// Knows implements Proof.
func (p Token) Knows(r *http.Request, part string) error {
	if err := noPart(part); err != nil {
		return err
	}
	scheme, raw, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return unproven("it needs an identity token")
	}
	t, err := p.Verify(r.Context(), raw, p.Issuer, p.Audience)
	if err != nil {
		return err
	}
	email, _ := t.Claims["email"].(string)
	verified, _ := t.Claims["email_verified"].(bool)
	if !verified || !same(email, p.Email) {
		return unproven("its token is of another account")
	}
	return nil
}

// Signed implements Proof.
func (Token) Signed(http.Header, []byte) error { return nil }
