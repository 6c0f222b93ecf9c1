package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// newTrusts reads the trusted roots that the configuration names; those fetched
// are kept in dir.
func newTrusts(cfg config.Signing, dir string, log *slog.Logger, now func() time.Time) (*policy.Trusts, error) {
	var sources []policy.TrustSource
	for _, t := range cfg.Trust {
		sources = append(sources, policy.TrustSource{Name: t.Name, File: t.TrustedRoot, Public: t.TUF == config.PublicSigstore, Mirror: t.Mirror, Root: t.Root})
	}
	return policy.NewTrusts(sources, filepath.Join(dir, "tuf"), log, now)
}

// PolicySet says whose signatures the packages of a namespace must carry.
type PolicySet struct {
	Namespace string `json:"namespace"`
	Policy    string `json:"policy"` // YAML; "" asks for nothing
	LogNames  bool   `json:"log_names"`
}

// SetSigningPolicy sets whose signatures the packages of a namespace must carry
// on behalf of an owner who signed in recently, and looks again at every
// signature there. What waits and need not any longer is shown; what everybody
// has seen stays.
func (p *Parts) SetSigningPolicy(ctx context.Context, by account.Principal, a PolicySet) (store.SigningPolicy, error) {
	fail := func(err error) (store.SigningPolicy, error) { return store.SigningPolicy{}, err }
	if err := clyde.CheckNamespace(a.Namespace); err != nil {
		return fail(err)
	}
	if err := p.Accounts.OwnsRecently(by, a.Namespace+"/*", "changing a signing policy"); err != nil {
		return fail(err)
	}
	if a.Policy != "" {
		parsed, err := policy.Parse([]byte(a.Policy))
		if err == nil {
			err = parsed.CheckNamespace(a.Namespace, p.Trusts.Sources())
		}
		if err != nil {
			return fail(err)
		}
	}
	if ok, err := p.DB.HasNamespace(ctx, a.Namespace); err != nil {
		return fail(err)
	} else if !ok {
		return fail(clyde.Errorf(clyde.ErrNotFound, "namespace @%s does not exist", a.Namespace).WithCode("namespace_unknown"))
	}
	was, err := p.DB.SigningPolicy(ctx, a.Namespace)
	if err != nil {
		return fail(err)
	}
	row := store.SigningPolicy{Namespace: a.Namespace, Policy: a.Policy, LogNames: a.LogNames, By: by.String(), At: p.Now().UTC()}
	audit := by.Audit(row.At, "namespace.signing", "@"+a.Namespace)
	if audit.Before, err = policyLine(was); err == nil {
		audit.After, err = policyLine(row)
	}
	if err != nil {
		return fail(err)
	}
	if err := p.DB.SetSigningPolicy(ctx, row, audit); err != nil {
		return fail(err)
	}
	return row, p.Ingest.ReverifyNamespace(ctx, a.Namespace)
}

// policyLine is what the audit log keeps of a policy: all of it, for whoever
// finds that it was weakened.
func policyLine(s store.SigningPolicy) (string, error) {
	line := struct {
		Digest   string `json:"digest,omitempty"`
		Policy   string `json:"policy,omitempty"`
		LogNames bool   `json:"log_names"`
	}{Policy: s.Policy, LogNames: s.LogNames}
	if s.Policy != "" {
		line.Digest = digest.FromString(s.Policy).String()
	}
	b, err := json.Marshal(line)
	return string(b), err
}

// policies is the signing policies of namespaces, as API and pages want them.
type policies struct{ p *Parts }

func (s policies) SigningPolicy(ctx context.Context, namespace string) (store.SigningPolicy, error) {
	return s.p.DB.SigningPolicy(ctx, namespace)
}

func (s policies) SetSigningPolicy(ctx context.Context, by account.Principal, namespace, text string, logNames bool) (store.SigningPolicy, error) {
	return s.p.SetSigningPolicy(ctx, by, PolicySet{Namespace: namespace, Policy: text, LogNames: logNames})
}

func (s policies) Trusts() *policy.Trusts { return s.p.Trusts }

// blob reads a blob of the registry whole.
func (p *Parts) blob(ctx context.Context, repo string, d digest.Digest, limit int64) (_ []byte, err error) {
	f, size, err := p.Registry.OpenBlob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size > limit {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s has %d bytes; the limit is %d", d, size, limit).WithCode("too_large")
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
