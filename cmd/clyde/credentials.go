package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// tokenVar is the environment variable whose token wins over stored ones. It
// belongs to the registry that clyde is set to talk to and goes nowhere else.
const tokenVar = "CLYDE_TOKEN"

// credential is what a registry is shown.
type credential struct {
	user, secret string // no user: secret is a token
	source       string // where it is from, for people; empty for no credential
}

// dockerConfig is where docker login, oras login and clyde login keep
// credentials.
func dockerConfig() (string, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", clyde.Errorf(clyde.ErrInvalid, "credentials have no place: %v", err).Fix("set HOME or DOCKER_CONFIG")
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json"), nil
}

// credentialStore opens Docker's configuration with the helpers that it names.
func credentialStore() (*credentials.DynamicStore, error) {
	path, err := dockerConfig()
	if err != nil {
		return nil, err
	}
	s, err := credentials.NewStore(path, credentials.StoreOptions{AllowPlaintextPut: true})
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s cannot be read: %v", path, err).WithCode("credentials_invalid").
			Fix("mend the file; docker login and oras login use it too").Because(err)
	}
	return s, nil
}

// credentialFor returns what host is shown. Ours says whether it is the
// registry that clyde is set to talk to.
func credentialFor(ctx context.Context, host string, ours bool) (credential, error) {
	if t := strings.TrimSpace(os.Getenv(tokenVar)); t != "" && ours {
		switch {
		case !isGHCR(host):
			return credential{secret: t, source: tokenVar}, nil
		case !strings.HasPrefix(t, ownTokenPrefix): // one of ours means nothing there
			return credential{user: ghcrUser, secret: t, source: tokenVar}, nil
		}
	}
	s, err := credentialStore()
	if err != nil {
		return credential{}, err
	}
	c, err := s.Get(ctx, credentials.ServerAddressFromHostname(host))
	if err != nil {
		return credential{}, clyde.Errorf(clyde.ErrInvalid, "the credentials for %s cannot be read: %v", host, err).
			WithCode("credentials_invalid").Fix("check credsStore and credHelpers in %s", s.ConfigPath()).Because(err)
	}
	out := credential{user: c.Username, secret: c.Password, source: s.ConfigPath()}
	switch {
	case c.Password != "":
	case c.RefreshToken != "":
		out.user, out.secret = "<token>", c.RefreshToken
	case c.AccessToken != "":
		out.user, out.secret = "", c.AccessToken
	case isGHCR(host):
		return ghcrCredential(), nil
	default:
		return credential{}, nil
	}
	return out, nil
}

// storeCredential keeps a credential for host and returns where.
func storeCredential(ctx context.Context, host, user, secret string) (string, error) {
	s, err := credentialStore()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(s.ConfigPath()), 0o700); err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "the credentials cannot be stored: %v", err).Because(err)
	}
	err = s.Put(ctx, credentials.ServerAddressFromHostname(host), auth.Credential{Username: user, Password: secret})
	if err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "the credentials for %s cannot be stored: %v", host, err).WithCode("credentials_invalid").
			Fix("check %s and the credential helper that it names", s.ConfigPath()).Because(err)
	}
	return s.ConfigPath(), nil
}
