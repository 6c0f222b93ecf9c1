package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Command is one administrative command: to a running server over its socket,
// or to a data directory that no server has.
type Command struct {
	Name string          `json:"name"` // "token.create"
	Args json.RawMessage `json:"args"`
}

// Arguments of the commands.
type (
	// TokenCreate makes a token.
	TokenCreate struct {
		Name     string   `json:"name"`
		Allow    []string `json:"allow"`    // actions
		Packages []string `json:"packages"` // patterns
		Admin    bool     `json:"admin"`
		Expires  string   `json:"expires"` // Go duration from now; "" never
	}
	// KeyAdd registers a public key for a namespace.
	KeyAdd struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		PEM       string `json:"pem"`
	}
	// KeyRevoke ends a key's validity.
	KeyRevoke struct {
		Namespace   string `json:"namespace"`
		Fingerprint string `json:"fingerprint"`
	}
	// Named names one thing.
	Named struct {
		Name string `json:"name"`
	}
	// AdminPassword sets the password of an administrator, whose account is made
	// when it is not there.
	AdminPassword struct {
		Login    string `json:"login"`
		Password string `json:"password"`
	}
	// Collect removes what no manifest names, or says what it would remove.
	Collect struct {
		DryRun bool `json:"dry_run"`
	}
	// ScrubAll hashes every blob again.
	ScrubAll struct {
		Rate   int64 `json:"rate"` // bytes a second; 0 means registry.scrub_rate
		DryRun bool  `json:"dry_run"`
	}
	// Inbox lists or replays events.
	Inbox struct {
		State string `json:"state"`
		ID    int64  `json:"id"`
		Limit int    `json:"limit"`
	}
)

// maxCommand bounds one command in bytes: a PEM key and its names.
const maxCommand = 1 << 20

// do carries a command out.
func (p *Parts) do(ctx context.Context, c Command) (any, error) {
	f, ok := commands[c.Name]
	if !ok {
		return nil, clyde.Errorf(clyde.ErrInvalid, "command %q is unknown", c.Name)
	}
	return f(ctx, p, c.Args)
}

// commands is read from top to bottom to learn what an administrator can do.
var commands = map[string]func(context.Context, *Parts, json.RawMessage) (any, error){
	"token.create": with((*Parts).tokenCreate),
	"token.list":   with(func(p *Parts, ctx context.Context, _ struct{}) (any, error) { return p.Accounts.List(ctx, System) }),
	"token.revoke": with(func(p *Parts, ctx context.Context, a Named) (any, error) {
		return nil, p.Accounts.Revoke(ctx, System, a.Name)
	}),
	"key.add":    with(func(p *Parts, ctx context.Context, a KeyAdd) (any, error) { return p.AddKey(ctx, System, a) }),
	"key.list":   with(func(p *Parts, ctx context.Context, a Named) (any, error) { return p.DB.Keys(ctx, a.Name) }),
	"key.revoke": with(func(p *Parts, ctx context.Context, a KeyRevoke) (any, error) { return nil, p.RevokeKey(ctx, System, a) }),
	"policy.set": with(func(p *Parts, ctx context.Context, a PolicySet) (any, error) {
		return p.SetSigningPolicy(ctx, System, a)
	}),
	"inbox.list": with(func(p *Parts, ctx context.Context, a Inbox) (any, error) {
		return p.DB.Inbox(ctx, a.State, a.ID, a.Limit)
	}),
	"inbox.replay": with(func(p *Parts, ctx context.Context, a Inbox) (any, error) { return nil, p.DB.EventReplay(ctx, a.ID) }),
	"reconcile":    with(func(p *Parts, ctx context.Context, _ struct{}) (any, error) { return p.Ingest.Reconcile(ctx) }),
	"reindex":      with(func(p *Parts, ctx context.Context, _ struct{}) (any, error) { return p.Ingest.Reindex(ctx, p.Registry) }),
	"gc":           with(func(p *Parts, ctx context.Context, a Collect) (any, error) { return p.Registry.Collect(ctx, a.DryRun) }),
	"scrub":        with((*Parts).scrub),
	"backup":       with(func(p *Parts, ctx context.Context, a Named) (any, error) { return p.Backup(ctx, a.Name) }),
	"audit":        with(func(p *Parts, ctx context.Context, a Inbox) (any, error) { return p.DB.Audit(ctx, a.ID, a.Limit) }),
	"audit.verify": with(func(p *Parts, ctx context.Context, _ struct{}) (any, error) { return p.VerifyAudit(ctx) }),
	"audit.export": with((*Parts).exportAudit),
	"access.set":   with((*Parts).setAccess),
	"moderate":     with((*Parts).moderate),
	"moderated": with(func(p *Parts, ctx context.Context, _ struct{}) (any, error) {
		return p.Moderator.List(ctx, System, "", "", maxModerated)
	}),
	"suspend": with((*Parts).suspend),
	"reports": with(func(p *Parts, ctx context.Context, a Reports) (any, error) {
		return p.Moderator.Reports(ctx, System, a.State, a.Limit)
	}),
	"report.close": with(func(p *Parts, ctx context.Context, a CloseReport) (any, error) {
		return p.Moderator.CloseReport(ctx, System, a.ID, a.Decision)
	}),
	"admin.password": with(func(p *Parts, ctx context.Context, a AdminPassword) (any, error) {
		made, err := p.Accounts.SetUp(ctx, System, a.Login, a.Password)
		return AdminMade{Login: a.Login, Made: made}, err
	}),
}

// with decodes the arguments strictly.
func with[A any](f func(*Parts, context.Context, A) (any, error)) func(context.Context, *Parts, json.RawMessage) (any, error) {
	return func(ctx context.Context, p *Parts, raw json.RawMessage) (any, error) {
		var a A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, clyde.Errorf(clyde.ErrInvalid, "arguments: %v", err)
			}
		}
		return f(p, ctx, a)
	}
}

// Created is a new token, with its secret, which is shown once.
type Created struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// AdminMade says whether an administrator's account is new.
type AdminMade struct {
	Login string `json:"login"`
	Made  bool   `json:"made"`
}

func (p *Parts) tokenCreate(ctx context.Context, a TokenCreate) (any, error) {
	spec := account.TokenSpec{Name: a.Name, Admin: a.Admin}
	var acts []account.Action
	for _, s := range a.Allow {
		act, err := account.ParseAction(s)
		if err != nil {
			return nil, err
		}
		acts = append(acts, act)
	}
	for _, pat := range a.Packages {
		spec.Scopes = append(spec.Scopes, account.Scope{Actions: acts, Pattern: pat})
	}
	if len(acts) == 0 && len(spec.Scopes) > 0 {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a token needs at least one action").Fix("Add --allow publish,publish-new.")
	}
	if a.Expires != "" {
		d, err := time.ParseDuration(a.Expires)
		if err != nil || d <= 0 {
			return nil, clyde.Errorf(clyde.ErrInvalid, "expires %q: want a duration such as 720h", a.Expires)
		}
		spec.Expires = p.Now().Add(d).UTC()
	}
	secret, t, err := p.Accounts.Create(ctx, System, spec)
	return Created{ID: t.ID, Secret: secret}, err
}

// AddKey registers a public key on behalf of by, and looks again at every
// signature of the namespace.
func (p *Parts) AddKey(ctx context.Context, by account.Principal, a KeyAdd) (store.Key, error) {
	if err := clyde.CheckNamespace(a.Namespace); err != nil {
		return store.Key{}, err
	}
	if err := account.Authorize(by, account.Manage, account.Resource{Repo: a.Namespace + "/*"}); err != nil {
		return store.Key{}, err
	}
	key, err := signing.ParsePublicKey([]byte(a.PEM))
	if err != nil {
		return store.Key{}, err
	}
	if a.Name == "" || len(a.Name) > 100 {
		return store.Key{}, clyde.Errorf(clyde.ErrInvalid, "key name: give one of 1 to 100 bytes that says whose or what for")
	}
	k := store.Key{Namespace: a.Namespace, Name: a.Name, PEM: a.PEM, Fingerprint: key.Fingerprint, By: by.String(), Created: p.Now().UTC()}
	err = p.DB.AddKey(ctx, k, store.AuditEntry{Time: k.Created, Actor: k.By, Action: "key.add", Resource: "@" + a.Namespace, Detail: auditDetail(key.Fingerprint)})
	if err != nil {
		return store.Key{}, err
	}
	return k, p.Ingest.ReverifyNamespace(ctx, a.Namespace)
}

// RevokeKey ends a key's validity on behalf of by, and looks again at every
// signature of the namespace.
func (p *Parts) RevokeKey(ctx context.Context, by account.Principal, a KeyRevoke) error {
	if err := account.Authorize(by, account.Manage, account.Resource{Repo: a.Namespace + "/*"}); err != nil {
		return err
	}
	err := p.DB.RevokeKey(ctx, a.Namespace, a.Fingerprint, store.AuditEntry{
		Time: p.Now().UTC(), Actor: by.String(), Action: "key.revoke", Resource: "@" + a.Namespace, Detail: auditDetail(a.Fingerprint),
	})
	if err != nil {
		return err
	}
	return p.Ingest.ReverifyNamespace(ctx, a.Namespace)
}

func auditDetail(fingerprint string) string { return fmt.Sprintf("{\"fingerprint\":%q}", fingerprint) }

// Access sets whether a package is private.
type Access struct {
	Package string `json:"package"`
	Private bool   `json:"private"`
}

func (p *Parts) setAccess(ctx context.Context, a Access) (any, error) {
	name, err := clyde.ParseName(a.Package)
	if err != nil {
		return nil, err
	}
	s, err := p.DB.Setting(ctx, name.Repo())
	if err != nil {
		return nil, err
	}
	s.Repo, s.Private = name.Repo(), a.Private
	now := p.Now().UTC()
	err = p.DB.SaveSetting(ctx, s, store.Change{}, store.AuditEntry{Time: now, Actor: System.String(), Action: "package.access", Resource: name.String(), Detail: fmt.Sprintf("{\"private\":%t}", a.Private)})
	if err != nil {
		return nil, err
	}
	return nil, p.Ingest.Relatest(ctx, name.Repo())
}

// adminHandler serves commands on the socket, whose file only the owner of the
// data directory can open: that is the authorization.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var c Command
		if err := json.NewDecoder(io.LimitReader(r.Body, maxCommand)).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		v, err := s.do(r.Context(), c)
		if err != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(failureOf(err))
			return
		}
		_ = json.NewEncoder(w).Encode(v)
	})
	mux.Handle("GET /readyz", s.handler)
	return mux
}

// failure is an error on its way through the socket.
type failure struct {
	Kind  string   `json:"kind"`
	Error string   `json:"error"`
	Fixes []string `json:"fixes,omitempty"`
}

func failureOf(err error) failure {
	f := failure{Kind: clyde.KindName(err), Error: err.Error()}
	if e := clyde.AsError(err); e != nil {
		f.Error, f.Fixes = e.Msg, e.Fixes
	}
	return f
}

func (f failure) err() error {
	if k := clyde.KindNamed(f.Kind); k != nil {
		e := clyde.Errorf(k, "%s", f.Error)
		e.Fixes = f.Fixes
		return e
	}
	return errors.New(f.Error)
}

const socketName = "admin.sock"

func listenAdmin(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	// We hold the directory's lock, so a socket that is left is nobody's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Administer carries one command out: through the running server's socket, or
// on the data directory itself when no server has it. Result is decoded into
// out unless that is nil.
func Administer(ctx context.Context, cfg config.Config, name string, args, out any, o Options) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	c := Command{Name: name, Args: raw}
	if _, err := os.Stat(cfg.Data.Dir); err != nil {
		return clyde.Errorf(clyde.ErrNotFound, "the data directory %s does not exist", cfg.Data.Dir).Fix("Name it with --data, or start the server once.")
	}
	p, err := Open(ctx, cfg, cfg.HTTP.PublicURL, o)
	if errors.Is(err, ErrLocked) {
		return askServer(ctx, cfg.Data.Dir, c, out)
	}
	if err != nil {
		return err
	}
	v, err := p.do(ctx, c)
	if err == nil && out != nil {
		b, merr := json.Marshal(v)
		err = errors.Join(merr, json.Unmarshal(b, out))
	}
	return errors.Join(err, p.Close())
}

// socketClient asks the server whose data directory is dir through its socket.
func socketClient(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, socketName))
	}}}
}

// maxHealth bounds the bytes read of an answer about health: a short document.
const maxHealth = 64 << 10

// Health asks the server that runs on a data directory whether it is ready, as
// its /readyz says it. One that is not, or does not answer, is
// clyde.ErrUnavailable.
func Health(ctx context.Context, dir string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/readyz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := socketClient(dir).Do(req)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnavailable, "no server answers on the socket in %s", dir).Because(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil || resp.StatusCode == http.StatusOK {
		return err
	}
	var p api.ProblemDetails
	if err := json.Unmarshal(b, &p); err != nil {
		return clyde.Errorf(clyde.ErrUnavailable, "the server answers %s", resp.Status)
	}
	return clyde.Errorf(clyde.ErrUnavailable, "%s", p.Detail)
}

func askServer(ctx context.Context, dir string, c Command, out any) error {
	hc := socketClient(dir)
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(json.NewEncoder(pw).Encode(c)) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/", pr)
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnavailable, "the running server does not answer on its socket").Because(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var f failure
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
			return err
		}
		return f.err()
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
