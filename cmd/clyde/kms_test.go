package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"crypto/rand"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// toyKMS is the program sigstore-kms-toy: it keeps its keys in files, PKCS #8,
// whose paths are the references to them.
func toyKMS() {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		panic(err)
	}
	var sv signature.SignerVerifier
	data, err := os.ReadFile(args.InitOptions.KeyResourceID)
	if err == nil {
		block, _ := pem.Decode(data)
		var key crypto.PrivateKey
		if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			sv, err = signature.LoadSignerVerifier(key, args.InitOptions.HashFunc)
		}
	}
	if err != nil {
		_ = handler.WriteErrorResponse(os.Stdout, err)
		os.Exit(1)
	}
	if _, err := handler.Dispatch(os.Stdout, os.Stdin, args, toyKey{sv}); err != nil {
		os.Exit(1)
	}
}

// toyKey is a key as the protocol asks for it.
type toyKey struct{ signature.SignerVerifier }

func (toyKey) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, os.ErrPermission
}
func (toyKey) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, os.ErrPermission
}
func (toyKey) SupportedAlgorithms() []string { return []string{"ecdsa"} }
func (toyKey) DefaultAlgorithm() string      { return "ecdsa" }

// scriptToyKey is "toykey FILE PUB CURVE": it makes a key for toyKMS.
func scriptToyKey(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: toykey FILE PUB CURVE")
	}
	key, err := ecdsa.GenerateKey(map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}[args[2]], rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}

// TestKMSScript runs testdata/kms with a program that keeps keys.
func TestKMSScript(t *testing.T) {
	t.Parallel()
	p := scriptParams("kms")
	p.Cmds["toykey"] = scriptToyKey
	testscript.Run(t, p)
}
