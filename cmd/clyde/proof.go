package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// proof is a token that does, for half an hour, what takes an owner who signed
// in just now. It is kept apart from the credentials that docker reads, and
// used for nothing else than what was refused without it.
type proof struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// maxProofs bounds the file of proofs, in bytes: each has some 150.
const maxProofs = 64 << 10

func (a *app) proofsPath() string { return filepath.Join(filepath.Dir(a.settingsPath), "proofs.json") }

// proofs returns what is kept and not over, by host. A file that cannot be read
// holds nothing: what was in it is over soon.
func (a *app) proofs() map[string]proof {
	out := map[string]proof{}
	f, err := os.Open(a.proofsPath())
	if err != nil {
		return out
	}
	defer func() { _ = f.Close() }()
	b, err := readAll(f, maxProofs, "the proofs")
	if err != nil || json.Unmarshal(b, &out) != nil {
		return map[string]proof{}
	}
	for host, p := range out {
		if !time.Now().Before(p.Expires) {
			delete(out, host)
		}
	}
	return out
}

// keepProofs writes them with mode 0600, and removes the file with the last.
func (a *app) keepProofs(m map[string]proof) error {
	path := a.proofsPath()
	if len(m) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeWhole(path, b, 0o600)
}

func (a *app) forgetProof(host string) error {
	m := a.proofs()
	delete(m, host)
	return a.keepProofs(m)
}

// prove returns a proof for what was refused without one: the one that is kept
// for the registry, or one that somebody at this terminal approves now. It
// stands for the account that the credential is of, and for no other.
func (a *app) prove(ctx context.Context, at address, cred credential, refusal error) (string, error) {
	if p, ok := a.proofs()[at.host]; ok && a.sameAccount(ctx, at, cred.secret, p.Token) == nil {
		return p.Token, nil
	}
	if !(browserLogin{}).wanted(a) {
		return "", refusal
	}
	a.say("%v", refusal)
	return a.newProof(ctx, at, cred, browserLogin{})
}

// newProof has somebody approve a proof in a browser, and keeps it.
func (a *app) newProof(ctx context.Context, at address, cred credential, b browserLogin) (string, error) {
	c, err := client.New(client.Options{BaseURL: at.url(), UserAgent: userAgent()})
	if err != nil {
		return "", err
	}
	t, err := a.throughBrowser(ctx, c, at, client.DeviceRequest{Name: cmp.Or(b.name, "proof for "+b.named()), Prove: true}, b.noBrowser)
	if errors.Is(err, errNoBrowserLogin) {
		return "", clyde.Errorf(clyde.ErrNotFound, "%s knows no proofs", at.host).WithCode("proof_unknown").Fix("do it on the registry's web site")
	}
	if err != nil {
		return "", err
	}
	if t.Expires == nil {
		return "", clyde.Errorf(clyde.ErrUnavailable, "%s gave a proof that never ends", at.host).WithCode("reply_invalid")
	}
	if cred.secret != "" {
		if err := a.sameAccount(ctx, at, cred.secret, t.Secret); err != nil {
			return "", err
		}
	}
	m := a.proofs()
	m[at.host] = proof{Token: t.Secret, Expires: *t.Expires}
	return t.Secret, a.keepProofs(m)
}

// sameAccount returns nil where two tokens are in force and of one account.
func (a *app) sameAccount(ctx context.Context, at address, token, proof string) error {
	var logins [2]string
	for i, s := range []string{token, proof} {
		c, err := client.New(client.Options{BaseURL: at.url(), Token: s, UserAgent: userAgent()})
		if err != nil {
			return err
		}
		who, err := c.WhoAmI(ctx)
		if err != nil {
			return err
		}
		logins[i] = who.Login
	}
	if logins[0] != logins[1] {
		return clyde.Errorf(clyde.ErrDenied, "you are logged in as %s, and %s approved in the browser", clean(logins[0]), clean(logins[1])).
			WithCode("other_account").Fix("sign in to the browser with the account that you are logged in with, or clyde login again")
	}
	return nil
}

// loginProof is clyde login --prove.
func (a *app) loginProof(ctx context.Context, b browserLogin) error {
	at, err := a.address()
	if err != nil {
		return err
	}
	if err := a.guard(at, "to come", "proof"); err != nil {
		return err
	}
	cred, err := credentialFor(ctx, at.host, true)
	if err != nil {
		return err
	}
	if _, err := a.newProof(ctx, at, cred, b); err != nil {
		return err
	}
	until := a.proofs()[at.host].Expires
	if a.json {
		return a.emit("proof", map[string]any{"registry": at.host, "expires_at": until})
	}
	a.say("proved to %s until %s", at.host, until.Local().Format("15:04"))
	return nil
}
