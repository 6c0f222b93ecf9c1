package signing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// envRef starts a key reference that names a variable instead of a file, as in
// cosign: "env://COSIGN_PRIVATE_KEY".
const envRef = "env://"

// Environment is where key references and passwords are looked up: os.LookupEnv.
type Environment func(name string) (string, bool)

// Password returns the password of a private key: CLYDE_KEY_PASSWORD, else
// COSIGN_PASSWORD, else what ask says. A variable that is set and empty is an
// empty password. A nil ask stands for nobody to ask.
func Password(env Environment, ask func() ([]byte, error)) ([]byte, error) {
	for _, name := range []string{"CLYDE_KEY_PASSWORD", "COSIGN_PASSWORD"} {
		if v, ok := env(name); ok {
			return []byte(v), nil
		}
	}
	if ask == nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the private key needs its password").
			WithCode("key_password_needed").Fix("Set CLYDE_KEY_PASSWORD or COSIGN_PASSWORD.")
	}
	return ask()
}

// ReadSigner returns a signer with the private key that ref names: a file or
// env://NAME, with the password from Password, or the URI of a key that a
// service or a device keeps (awskms://…). There, a program that is missing is a
// clyde.ErrNotFound error with the code no_kms_plugin, and one that fails a
// clyde.ErrUnavailable error with the code kms_failed. ctx is for reading alone.
func ReadSigner(ctx context.Context, ref string, env Environment, ask func() ([]byte, error)) (*KeySigner, error) {
	if isKMS(ref) {
		sv, pub, err := openKMS(ctx, ref)
		if err != nil {
			return nil, err
		}
		return newKeySigner(sv, pub)
	}
	data, err := readKey(ref, env)
	if err != nil {
		return nil, err
	}
	pass, err := Password(env, ask)
	if err != nil {
		return nil, err
	}
	return LoadSigner(data, pass)
}

// ReadPublicKey loads the public key that ref names, as ReadSigner finds the
// private one, and gives it that name.
func ReadPublicKey(ctx context.Context, ref string, env Environment) (Key, error) {
	if isKMS(ref) {
		_, pub, err := openKMS(ctx, ref)
		if err != nil {
			return Key{}, err
		}
		key, err := newKey(pub)
		key.Name = ref
		return key, err
	}
	data, err := readKey(ref, env)
	if err != nil {
		return Key{}, err
	}
	key, err := ParsePublicKey(data)
	key.Name = ref
	return key, err
}

// readKey returns at most a little more than MaxKeyPEM bytes.
func readKey(ref string, env Environment) ([]byte, error) {
	if name, ok := strings.CutPrefix(ref, envRef); ok {
		v, ok := env(name)
		if !ok {
			return nil, badKey("the key is to be in the variable %s, which is not set", name)
		}
		return []byte(v), nil
	}
	info, err := os.Stat(ref)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no key file %s", ref).
			WithCode("no_key").Fix("Make a key pair with `cosign generate-key-pair`.").Because(err)
	case err != nil:
		return nil, badKey("the key file %s cannot be read", ref).Because(err)
	case info.Size() > MaxKeyPEM:
		return nil, badKey("the key file %s is %d bytes; the limit is %d", ref, info.Size(), MaxKeyPEM)
	}
	data, err := os.ReadFile(ref)
	if err != nil {
		return nil, badKey("the key file %s cannot be read", ref).Because(err)
	}
	return data, nil
}

// WriteKeyPair stores a key pair as prefix.key, which only its owner may read,
// and prefix.pub. It never overwrites: a lost private key cannot be had again.
func WriteKeyPair(prefix string, private, public []byte) error {
	for _, f := range []struct {
		path string
		data []byte
		mode fs.FileMode
	}{{prefix + ".key", private, 0o600}, {prefix + ".pub", public, 0o644}} {
		if err := writeNew(f.path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return clyde.Errorf(clyde.ErrConflict, "the file %s exists", path).
			WithCode("key_exists").Fix("Move it away, or choose another name for the new pair.")
	} else if err != nil {
		return fmt.Errorf("signing.WriteKeyPair: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("signing.WriteKeyPair: %w", err)
	}
	return nil
}
