package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/egress"
	"github.com/clydepm/clyde-registry/pkg/ingest/notify"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

const (
	// upstreamTimeout bounds connecting to a registry; its transfers are bounded
	// by artifact.Client, which ends them where nothing moves. Ours.
	upstreamTimeout = 10 * time.Second

	// googleIssuer makes the tokens of Pub/Sub.
	googleIssuer = "https://accounts.google.com"
)

// newUpstreams returns the registries of others that the configuration names. A
// registry is asked wherever it is; where its answers lead, is public or among
// egress.networks.
func newUpstreams(cfg config.Config) (*upstream.Set, error) {
	networks, err := cfg.Egress.Prefixes()
	if err != nil {
		return nil, err
	}
	var list []*upstream.Registry
	for i, u := range cfg.Registries {
		at, err := url.Parse(u.URL)
		if err != nil {
			return nil, fmt.Errorf("registries[%d].url: %w", i, err)
		}
		o := egress.Options{Networks: networks, Hosts: []string{strings.ToLower(at.Hostname())}, Timeout: upstreamTimeout, MaxBody: artifact.MaxArchive}
		if at.Scheme == "http" {
			o.PlainTo = o.Hosts
		}
		if cfg.Egress.Proxy != "" {
			if o.Proxy, err = url.Parse(cfg.Egress.Proxy); err != nil {
				return nil, err
			}
		}
		secret, err := config.Secret(u.Password, u.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("registries[%d].password_file: %w", i, err)
		}
		uo := upstream.Options{
			Name: u.Name, Host: u.Host(), Plain: at.Scheme == "http", Namespaces: u.Namespaces, Repositories: u.Repositories, Catalog: u.Catalog != "never",
			User: u.Username, Secret: secret, Transport: egress.New(o).Transport, PerSecond: u.RequestsPerSecond, Every: u.SweepEvery, UserAgent: "clyde-registry",
		}
		if uo.Every == 0 {
			uo.Every = config.DefaultSweep
		}
		if uo.PerSecond == 0 {
			uo.PerSecond = config.DefaultUpstreamRate
		}
		if len(u.VisibleTo) == 1 && u.VisibleTo[0] == "everyone" {
			uo.Everyone = true
		} else {
			uo.VisibleTo = u.VisibleTo
		}
		r, err := upstream.New(uo)
		if err != nil {
			return nil, fmt.Errorf("registries[%d]: %w", i, err)
		}
		list = append(list, r)
	}
	return upstream.NewSet(list...), nil
}

// events takes notifications of the registries that send some.
func (s *Server) events() (http.Handler, error) {
	var es []*notify.Endpoint
	for i, u := range s.cfg.Registries {
		if u.Events == "" {
			continue
		}
		p, err := s.proof(u)
		if err != nil {
			return nil, fmt.Errorf("registries[%d]: %w", i, err)
		}
		es = append(es, &notify.Endpoint{Name: u.Name, Kind: u.Events, Proof: p, Repo: s.Upstreams.ByName(u.Name).Repo})
	}
	return notify.New(es, s.DB, s.Log, s.Now)
}

// proof is how the notifications of a registry prove where they come from.
func (s *Server) proof(u config.Upstream) (notify.Proof, error) {
	how := u.How()
	if how == "oidc" {
		t := notify.Token{Issuer: u.Issuer, Audience: u.Audience, Email: u.Email, Verify: oidc.New(oidc.Options{Now: s.Now, Client: s.egress, Insecure: s.cfg.TrustedPublishing.Insecure}).Verify}
		if t.Issuer == "" {
			t.Issuer = googleIssuer
		}
		if t.Audience == "" {
			t.Audience = s.publicURL + notify.BasePath + u.Name
		}
		return t, nil
	}
	secret, err := config.Secret(u.Secret, u.SecretFile)
	if err == nil {
		err = config.CheckEventSecret(how, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	switch how {
	case "hmac":
		return notify.HMAC{Secret: secret}, nil
	case "path":
		return notify.Path{Secret: secret}, nil
	}
	name := u.Header
	if name == "" {
		name = "Authorization"
	}
	return notify.Header{Name: name, Secret: secret}, nil
}

// loggedPath is a path without the secret that an endpoint may have in it.
func loggedPath(path string) string {
	rest, ok := strings.CutPrefix(path, notify.BasePath)
	if !ok {
		return path
	}
	name, _, hidden := strings.Cut(rest, "/")
	if hidden {
		name += "/…"
	}
	return notify.BasePath + name
}

// homesAge is how old what is known of namespaces may be: they are bound once,
// for good, perhaps by another replica. Ours.
const homesAge = 5 * time.Second

// homes knows where namespaces come from that are not ours, without asking the
// database for each answer.
type homes struct {
	db  *store.DB
	set *upstream.Set
	now func() time.Time

	mu   sync.Mutex
	at   time.Time
	rows map[string]store.UpstreamNamespace
}

func (h *homes) load(ctx context.Context) (map[string]store.UpstreamNamespace, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows != nil && h.now().Sub(h.at) < homesAge {
		return h.rows, nil
	}
	list, err := h.db.UpstreamNamespaces(ctx)
	if err != nil {
		return h.rows, err
	}
	rows := make(map[string]store.UpstreamNamespace, len(list))
	for _, n := range list {
		rows[n.Namespace] = n
	}
	h.rows, h.at = rows, h.now()
	return rows, nil
}

// of is catalog.Catalog.Home. With the database gone it says what it said last.
func (h *homes) of(ctx context.Context, ns string) (host, prefix string) {
	rows, err := h.load(ctx)
	if err != nil && rows == nil {
		return "", ""
	}
	return rows[ns].Host, rows[ns].Prefix
}

// name is catalog.Catalog.HomeName.
func (h *homes) name(host string) string {
	if r := h.set.ByHost(host); r != nil {
		return r.Name()
	}
	return ""
}

// visible lists the addresses that p may know of, by namespace: of those with
// something that everybody sees, and those that p has a role in.
func (h *homes) visible(ctx context.Context, p account.Principal) (map[string]string, error) {
	rows, err := h.load(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for ns, n := range rows {
		r := h.set.ByHost(n.Host)
		if r == nil {
			continue // not in the configuration any more
		}
		ok := account.Allowed(p, account.Pull, account.Resource{Repo: ns + "/*", Private: true})
		if !ok {
			if ok, err = h.db.NamespaceIsPublic(ctx, ns); err != nil {
				return nil, err
			}
		}
		if ok {
			out[ns] = r.Address(n.Prefix)
		}
	}
	return out, nil
}
