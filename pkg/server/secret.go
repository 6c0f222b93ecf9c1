package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/clydepm/clyde-registry/pkg/account"
)

const secretBytes = 32 // of randomness; signs upload sessions

// loadSecret reads the secret, or makes it at the first start.
func loadSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if len(b) != secretBytes {
			return nil, fmt.Errorf("%s: %d bytes; want %d (remove it to make a new one)", path, len(b), secretBytes)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b = make([]byte, secretBytes)
	_, _ = rand.Read(b)
	return b, writePrivate(path, b)
}

// writePrivate writes a file that only its owner may read, whole or not at all.
func writePrivate(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// System is who acts when nobody signed in: first start and commands on the
// machine itself.
var System = account.Principal{ID: "system", Name: "system", Admin: true}

// FirstToken makes the administrator's token at the first start, when there is
// none yet, and writes it to admin-token in the data directory. It returns the
// file's path and the token, or "" when there were tokens already.
func (p *Parts) FirstToken(ctx context.Context) (path, token string, err error) {
	ts, err := p.Accounts.List(ctx, System)
	if err != nil || len(ts) > 0 {
		return "", "", err
	}
	token, _, err = p.Accounts.Create(ctx, System, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(p.Dir, "admin-token")
	return path, token, writePrivate(path, []byte(token+"\n"))
}
