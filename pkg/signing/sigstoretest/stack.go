// Package sigstoretest runs a whole sigstore on this machine: an issuer of
// identity tokens and a certificate transparency log of its own, and the real
// Fulcio, timestamp authority and Rekor v2, which `.ci/tool` builds. Signatures
// made with it are what the public sigstore makes, but for the names in it.
package sigstoretest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/filelock"
)

// Tools are the programs that a stack needs, as .ci/tool names them.
var Tools = []string{"fulcio", "timestamp-server", "rekor-server"}

// startWithin bounds how long the programs take until they answer. On an idle
// machine they are there in three seconds.
const startWithin = 60 * time.Second

// ErrNoTools says that a program is not there.
var ErrNoTools = errors.New("the programs of sigstore are not built")

// Stack is a running sigstore.
type Stack struct {
	People  *Issuer // vouches for e-mail addresses
	Actions *Issuer // vouches for workflow runs, as GitHub does

	Fulcio, TSA, Rekor, CT string // addresses; TSA's has its path

	FulcioChain   []byte // PEM, for clients that read no trusted root
	TrustedRoot   []byte // trusted_root.json
	SigningConfig []byte // signing_config.v0.2.json

	Took time.Duration // to start, once it was this one's turn

	dir     string
	closers []func()
}

// Start runs a stack from the programs in tools, with its files in dir, until
// Close. Without the programs it returns ErrNoTools.
func Start(ctx context.Context, tools, dir string) (_ *Stack, err error) {
	for _, t := range Tools {
		if _, err := os.Stat(filepath.Join(tools, t)); err != nil {
			return nil, fmt.Errorf("%w: %s is not in %s", ErrNoTools, t, tools)
		}
	}
	s := &Stack{dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// The timestamp server listens on port 2112 for figures of its own, whatever
	// it is told: one stack at a time on a machine.
	turn, err := filelock.Lock(ctx, filepath.Join(os.TempDir(), "clyde-sigstore.lock"), false, nil)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if turn != nil {
		s.closers = append(s.closers, func() { _ = turn.Close() })
	}
	began := time.Now()
	defer func() { s.Took = time.Since(began) }()
	if s.People, err = newIssuer(); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.People.server.Close)
	if s.Actions, err = newIssuer(); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.Actions.server.Close)
	ct, err := newCTLog()
	if err != nil {
		return nil, err
	}
	logServer := httptest.NewServer(ct)
	s.closers = append(s.closers, logServer.Close)
	s.CT = logServer.URL
	rekorKey, rekorSeed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := s.run(ctx, tools, ct, rekorSeed); err != nil {
		return nil, err
	}
	return s, s.describe(ctx, ct, rekorKey)
}

// run starts the three programs and waits until they answer.
func (s *Stack) run(ctx context.Context, tools string, ct *ctLog, rekorKey ed25519.PrivateKey) error {
	ports, err := freePorts(ctx, 7)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"ct.pub": publicPEM(ct.der), "fulcio.yaml": s.fulcioConfig()} {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rekorKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "rekor.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "rekor"), 0o700); err != nil {
		return err
	}
	at := func(i int) string { return strconv.Itoa(ports[i]) }
	base := func(i int) string { return "http://127.0.0.1:" + at(i) }
	s.Fulcio, s.TSA, s.Rekor = base(0), base(3)+"/api/v1/timestamp", base(4)
	programs := []struct {
		name, ready string
		args        []string
	}{
		{"timestamp-server", s.TSA + "/certchain", []string{
			"serve", "--host", "127.0.0.1", "--port", at(3), "--timestamp-signer", "memory", "--disable-ntp-monitoring",
		}},
		{"rekor-server", s.Rekor + "/healthz", []string{
			"serve", "--hostname", "127.0.0.1", "--storage-dir", "rekor", "--signer-filepath", "rekor.pem",
			"--http-address", "127.0.0.1", "--http-port", at(4), "--grpc-address", "127.0.0.1", "--grpc-port", at(5),
			"--http-metrics-port", at(6), "--checkpoint-interval", "1s", "--batch-max-age", "100ms", "--persistent-antispam=true",
		}},
		{"fulcio", s.Fulcio + "/api/v2/trustBundle", []string{
			"serve", "--host", "127.0.0.1", "--port", at(0), "--grpc-host", "127.0.0.1", "--grpc-port", at(1),
			"--metrics-port", at(2), "--ca", "ephemeralca", "--ct-log-url", s.CT, "--ct-log-public-key-path", "ct.pub",
			"--config-path", "fulcio.yaml", "--legacy-unix-domain-socket", filepath.Join(s.dir, "fulcio.sock"),
		}},
	}
	for _, p := range programs {
		if err := s.program(ctx, filepath.Join(tools, p.name), p.args); err != nil {
			return err
		}
	}
	for _, p := range programs {
		if err := s.wait(ctx, p.name, p.ready); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) program(ctx context.Context, path string, args []string) error {
	out, err := os.Create(filepath.Join(s.dir, filepath.Base(path)+".log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		cancel()
		return errors.Join(err, out.Close())
	}
	s.closers = append(s.closers, func() {
		cancel()
		_ = cmd.Wait()
		_ = out.Close()
	})
	return nil
}

// wait returns when a program answers at address.
func (s *Stack) wait(ctx context.Context, name, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if _, err := get(ctx, address); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, name+".log"))
			return fmt.Errorf("%s does not answer after %s: %s", name, startWithin, text[max(0, len(text)-2000):])
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Close ends all of it.
func (s *Stack) Close() {
	for _, f := range slices.Backward(s.closers) {
		f()
	}
	s.closers = nil
}

// fulcioConfig says whose tokens count, and what becomes of a workflow's claims,
// as at the public Fulcio.
func (s *Stack) fulcioConfig() []byte {
	return fmt.Appendf(nil, `oidc-issuers:
  %[1]s: {issuer-url: %[1]q, client-id: sigstore, type: email}
  %[2]s: {issuer-url: %[2]q, client-id: sigstore, type: ci-provider, ci-provider: github-workflow}
ci-issuer-metadata:
  github-workflow:
    default-template-values: {url: "https://github.com"}
    extension-templates:
      github-workflow-trigger: "event_name"
      github-workflow-sha: "sha"
      github-workflow-name: "workflow"
      github-workflow-repository: "repository"
      github-workflow-ref: "ref"
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
      build-signer-digest: "job_workflow_sha"
      runner-environment: "runner_environment"
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      source-repository-digest: "sha"
      source-repository-ref: "ref"
      source-repository-identifier: "repository_id"
      source-repository-owner-uri: "{{ .url }}/{{ .repository_owner }}"
      source-repository-owner-identifier: "repository_owner_id"
      build-config-uri: "{{ .url }}/{{ .workflow_ref }}"
      build-config-digest: "workflow_sha"
      build-trigger: "event_name"
      run-invocation-uri: "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}"
      source-repository-visibility-at-signing: "repository_visibility"
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
`, s.People.URL, s.Actions.URL)
}

// fulcioChain asks Fulcio for its certificates, as PEM.
func (s *Stack) fulcioChain(ctx context.Context) ([]byte, error) {
	reply, err := get(ctx, s.Fulcio+"/api/v2/trustBundle")
	if err != nil {
		return nil, err
	}
	var bundle struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err := json.Unmarshal(reply, &bundle); err != nil || len(bundle.Chains) != 1 {
		return nil, fmt.Errorf("fulcio's trust bundle: %w: %s", err, reply)
	}
	return []byte(strings.Join(bundle.Chains[0].Certificates, "\n")), nil
}

// describe writes the trusted root and the signing configuration.
func (s *Stack) describe(ctx context.Context, ct *ctLog, rekorKey ed25519.PublicKey) (err error) {
	if s.FulcioChain, err = s.fulcioChain(ctx); err != nil {
		return err
	}
	tsaChain, err := get(ctx, s.TSA+"/certchain")
	if err != nil {
		return err
	}
	rekorDER, err := x509.MarshalPKIXPublicKey(rekorKey)
	if err != nil {
		return err
	}
	type object = map[string]any
	always := object{"start": "2024-01-01T00:00:00Z"}
	authority := func(uri string, chain []byte) object {
		var list []object
		for {
			var block *pem.Block
			if block, chain = pem.Decode(chain); block == nil {
				break
			}
			list = append(list, object{"rawBytes": block.Bytes})
		}
		return object{
			"uri": uri, "validFor": always, "certChain": object{"certificates": list},
			"subject": object{"organization": "clyde-test", "commonName": "clyde-test"},
		}
	}
	log := func(address, details string, der, id []byte) object {
		return object{
			"baseUrl": address, "hashAlgorithm": "SHA2_256", "logId": object{"keyId": id},
			"publicKey": object{"rawBytes": der, "keyDetails": details, "validFor": always},
		}
	}
	// A log signs its checkpoints under its host's name, without the port
	// (https://c2sp.org/signed-note: the key's ID is a hash of both).
	const origin = "127.0.0.1"
	noteID := sha256.Sum256(append([]byte(origin+"\n\x01"), rekorKey...))
	ctID := sha256.Sum256(ct.der)
	s.TrustedRoot, err = json.MarshalIndent(object{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":                  []object{log(s.Rekor, "PKIX_ED25519", rekorDER, noteID[:])},
		"ctlogs":                 []object{log(s.CT, "PKIX_ECDSA_P256_SHA_256", ct.der, ctID[:])},
		"certificateAuthorities": []object{authority(s.Fulcio, s.FulcioChain)},
		"timestampAuthorities":   []object{authority(s.TSA, tsaChain)},
	}, "", "  ")
	if err != nil {
		return err
	}
	service := func(address string, version int) []object {
		return []object{{"url": address, "majorApiVersion": version, "validFor": always, "operator": "clyde-test"}}
	}
	s.SigningConfig, err = json.MarshalIndent(object{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":    service(s.Fulcio, 1), "oidcUrls": service(s.People.URL, 1),
		"rekorTlogUrls": service(s.Rekor, 2), "tsaUrls": service(s.TSA, 1),
		"rekorTlogConfig": object{"selector": "ANY"}, "tsaConfig": object{"selector": "ANY"},
	}, "", "  ")
	return err
}

func publicPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// maxReply bounds what is read of a program's answer, in bytes.
const maxReply = 1 << 20

func get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", address, res.Status, bytes.TrimSpace(b))
	}
	return b, nil
}

// freePorts returns ports of this machine that nobody uses now.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var out []int
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that no port comes twice
		a, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("%v is no TCP address", l.Addr())
		}
		out = append(out, a.Port)
	}
	return out, nil
}
