package signing_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// cosign runs a real cosign of one major version in a directory of its own.
type cosign struct {
	bin, dir string
	major    string // "v2" or "v3"
}

// needCosign returns cosign-v2 or cosign-v3.
func needCosign(t *testing.T, major string) cosign {
	t.Helper()
	name := "cosign-" + major
	c := cosign{bin: filepath.Join(toolchaintest.Tools(t, name), name), dir: t.TempDir(), major: major}
	// Version 2 asks for a trusted root to read bundles, even with a key.
	c.write(t, "root.json", []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	return c
}

func (c cosign) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c cosign) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// try runs cosign with the user's environment left out.
func (c cosign) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.bin, args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"HOME=" + c.dir, "COSIGN_PASSWORD=secret", "COSIGN_YES=true", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c cosign) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatalf("cosign %s %s: %v\n%s", c.major, strings.Join(args, " "), err, out)
	}
	return out
}

// verify runs cosign verify with the key in file pub.
func (c cosign) verify(t *testing.T, ref, pub string, extra ...string) (string, error) {
	t.Helper()
	args := append([]string{"verify", "--key", pub, "--insecure-ignore-tlog", "--allow-http-registry"}, extra...)
	if c.major == "v2" {
		args = append(args, "--trusted-root", "root.json")
	}
	return c.try(t, append(args, ref)...)
}

// noServices writes the signing configuration that makes version 3 sign
// without a log and a timestamp.
func (c cosign) noServices(t *testing.T) {
	t.Helper()
	c.run(t, "signing-config", "create", "--out", "signing.json")
}

func ref(r *remote, sub signing.Subject) string {
	return r.host() + "/" + sub.Repo + "@" + sub.Digest.String()
}

func TestClientsCosignVerifiesOurs(t *testing.T) {
	t.Parallel()
	ours, other := newPair(t, ""), newPair(t, "")
	for _, major := range []string{"v2", "v3"} {
		for kind, referrers := range registries {
			for name, opts := range map[string]signing.SignOptions{
				"bundle": {}, "legacy": {NoBundle: true, Legacy: true}, "both": {Legacy: true},
			} {
				t.Run(major+"/"+kind+"/"+name, func(t *testing.T) {
					t.Parallel()
					c := needCosign(t, major)
					c.write(t, "ours.pub", ours.public)
					c.write(t, "other.pub", other.public)
					r := newRegistry(t, referrers)
					sub := r.publish(t, "acme", "zlib", "1.3.1")
					mustSign(t, r, ours, sub, opts)
					if out, err := c.verify(t, ref(r, sub), "ours.pub"); err != nil {
						t.Errorf("cosign verify with our key: %v\n%s", err, out)
					}
					if out, err := c.verify(t, ref(r, sub), "other.pub"); err == nil {
						t.Errorf("cosign verify with another key succeeded:\n%s", out)
					}
				})
			}
		}
	}
}

func TestClientsOurKeysAndTheirs(t *testing.T) {
	t.Parallel()
	for _, major := range []string{"v2", "v3"} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			c := needCosign(t, major)
			c.run(t, "generate-key-pair")
			signer, err := signing.LoadSigner(c.read(t, "cosign.key"), []byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			key, err := signing.ParsePublicKey(c.read(t, "cosign.pub"))
			if err != nil {
				t.Fatal(err)
			}
			if got := signer.Key().Fingerprint; got != key.Fingerprint {
				t.Errorf("fingerprint of the private key = %s; want the public key's, %s", got, key.Fingerprint)
			}
			ours := newPair(t, "")
			c.write(t, "ours.key", ours.private)
			if got := c.run(t, "public-key", "--key", "ours.key"); !strings.Contains(got, strings.TrimSpace(string(ours.public))) {
				t.Errorf("cosign public-key of our key = %s; want %s", got, ours.public)
			}
		})
	}
}

func TestClientsOursVerifiesCosign(t *testing.T) {
	t.Parallel()
	pair := newPair(t, "team")
	other := newPair(t, "other")
	tests := map[string]struct {
		major  string
		args   []string
		format signing.Format
	}{
		"v2 legacy":                             {"v2", []string{"--tlog-upload=false"}, signing.FormatLegacySig},
		"v2 bundle":                             {"v2", []string{"--tlog-upload=false", "--new-bundle-format"}, signing.FormatBundle},
		"v2 bundle, by a signing configuration": {"v2", []string{"--signing-config", "signing.json", "--new-bundle-format"}, signing.FormatBundle},
		"v3 bundle":                             {"v3", []string{"--signing-config", "signing.json"}, signing.FormatBundle},
		"v3 legacy":                             {"v3", []string{"--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"}, signing.FormatLegacySig},
	}
	for kind, referrers := range registries {
		for name, tt := range tests {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := needCosign(t, tt.major)
				c.write(t, "team.key", pair.private)
				c.write(t, "team.pub", pair.public)
				if slices.Contains(tt.args, "signing.json") {
					c.noServices(t)
				}
				r := newRegistry(t, referrers)
				sub := r.publish(t, "acme", "zlib", "1.3.1")
				c.run(t, append(append([]string{"sign", "--key", "team.key", "--allow-http-registry"}, tt.args...), ref(r, sub))...)

				rep := mustVerify(t, r, sub, other.key, pair.key)
				wantState(t, rep, signing.StateVerified)
				if len(rep.Signatures) != 1 || rep.Signatures[0].Format != tt.format || rep.Signatures[0].KeyName != "team" {
					t.Errorf("signatures = %+v; want one %s by team", rep.Signatures, tt.format)
				}
				wantState(t, mustVerify(t, r, sub, other.key), signing.StateUntrusted)

				// Ours next to theirs: both count, and cosign still verifies.
				mustSign(t, r, pair, sub, signing.SignOptions{NoBundle: tt.format == signing.FormatLegacySig, Legacy: tt.format == signing.FormatLegacySig})
				rep = mustVerify(t, r, sub, pair.key)
				wantState(t, rep, signing.StateVerified)
				if len(rep.Signatures) != 2 {
					t.Errorf("%d signatures next to cosign's; want 2: %+v", len(rep.Signatures), rep.Signatures)
				}
				if out, err := c.verify(t, ref(r, sub), "team.pub"); err != nil {
					t.Errorf("cosign verify after ours was added: %v\n%s", err, out)
				}
			})
		}
	}
}

// A signed statement of another kind is an attestation. cosign takes it for a
// signature; we do not.
func TestClientsCosignAttestationIsNoSignature(t *testing.T) {
	t.Parallel()
	pair := newPair(t, "team")
	for major, args := range map[string][]string{
		"v2": {"--tlog-upload=false"},
		"v3": {"--signing-config", "signing.json"},
	} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			c := needCosign(t, major)
			c.write(t, "team.key", pair.private)
			c.write(t, "scan.json", []byte(`{"result":"FAIL"}`))
			if major == "v3" {
				c.noServices(t)
			}
			r := newRegistry(t, true)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			c.run(t, append(append([]string{
				"attest", "--key", "team.key", "--allow-http-registry",
				"--predicate", "scan.json", "--type", "https://example.com/scan-result/v1",
			}, args...), ref(r, sub))...)
			rep := mustVerify(t, r, sub, pair.key)
			wantState(t, rep, signing.StateUnsigned)
			if len(rep.Attestations) != 1 || rep.Attestations[0].State != signing.StateVerified ||
				rep.Attestations[0].PredicateType != "https://example.com/scan-result/v1" {
				t.Errorf("attestations = %+v; want one, verified, a scan result", rep.Attestations)
			}
		})
	}
}

// With any kind of key, ours verifies cosign's, and cosign thinks of ours what it
// thinks of its own: cosign verify --key hashes with SHA-256 whatever the key,
// so it refuses P-384 and Ed25519 signatures that it made itself.
func TestClientsKeyTypes(t *testing.T) {
	t.Parallel()
	for name, k := range keyTypes(t) {
		p := imported(t, k)
		for _, major := range []string{"v2", "v3"} {
			t.Run(major+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := needCosign(t, major)
				c.write(t, "team.key", p.private)
				c.write(t, "team.pub", p.public)
				args := []string{"sign", "--key", "team.key", "--allow-http-registry"}
				if major == "v3" {
					c.noServices(t)
					args = append(args, "--signing-config", "signing.json")
				} else {
					args = append(args, "--tlog-upload=false")
				}
				r := newRegistry(t, true)
				sub := r.publish(t, "acme", "theirs", "1.3.1")
				c.run(t, append(args, ref(r, sub))...)
				wantState(t, mustVerify(t, r, sub, p.key), signing.StateVerified)
				_, theirs := c.verify(t, ref(r, sub), "team.pub")
				for format, opts := range map[string]signing.SignOptions{"bundle": {}, "legacy": {NoBundle: true, Legacy: true}} {
					sub := r.publish(t, "acme", format, "1.3.1")
					mustSign(t, r, p, sub, opts)
					if out, err := c.verify(t, ref(r, sub), "team.pub"); (err == nil) != (theirs == nil) {
						t.Errorf("cosign verify of our %s: %v; of its own: %v\n%s", format, err, theirs, out)
					}
				}
			})
		}
	}
}
