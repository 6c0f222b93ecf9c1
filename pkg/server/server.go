// Package server puts the parts together: it opens what the configuration asks
// for, mounts the routes, runs the loops and stops them in order.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/downloads"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/meili"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/linked"
	"github.com/clydepm/clyde-registry/pkg/notice"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/registry/s3driver"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// Options are what a Server is given besides its configuration.
type Options struct {
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil means time.Now

	work func(ctx context.Context, what string) // told of each statement and hash; for tests
}

// Parts is everything a server is made of but its listeners: what
// administrative commands work on, too.
type Parts struct {
	Dir       string // of this process
	Shared    string // of every process on the database; Dir where there is one
	DB        *store.DB
	Accounts  *account.Accounts
	Trusted   *account.Trusted
	Trusts    *policy.Trusts
	Registry  *registry.Registry
	Content   *content.Store
	Engine    index.Engine
	Ingest    *ingest.Ingest
	Upstreams *upstream.Set // registries that others run
	Catalog   *catalog.Catalog
	Moderator *account.Moderator
	Limits    *api.Buckets
	Linked    *linked.Linked
	Log       *slog.Logger
	Now       func() time.Time

	meili     *meili.Engine // Engine, where it is one
	stale     stale         // what it has to hear of
	pulls     *downloads.Counter
	homes     *homes
	egress    *http.Client // for whom we ask ourselves
	scrubRate int64        // bytes a second
	bucket    bool         // blobs are in a bucket
	replica   string       // this process among those on the database; "" where there is one
	secret    []byte
	close     []func() error // run in reverse order
}

// Server is an assembled, not yet running, server.
type Server struct {
	*Parts
	cfg       config.Config
	ln        net.Listener
	admin     net.Listener
	metrics   net.Listener
	handler   http.Handler
	publicURL string
	pages     []string    // patterns of the pages, for tests
	indexed   atomic.Bool // the search index holds everything
	tls       *tls.Config
	stats     *metrics
	notifier  *notice.Notifier // nil: no mail
}

// Open opens the data directory, which it locks, and everything kept in it. On
// error everything opened so far is closed again.
func Open(ctx context.Context, cfg config.Config, publicURL string, o Options) (_ *Parts, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Parts{Dir: cfg.Data.Dir, Shared: cmp.Or(cfg.Data.Shared, cfg.Data.Dir), Log: o.Log, Now: o.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	// The blobs are shut too, where the directory was made beforehand and is
	// open: private packages are among them.
	for _, dir := range []string{p.Dir, filepath.Join(p.Shared, "registry")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(p.Shared, "registry"), 0o700); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	unlock, err := lockDir(p.Dir)
	if err != nil {
		return nil, err
	}
	p.onClose(unlock)
	url, err := cfg.Database.Address()
	if err != nil {
		return nil, err
	}
	if p.DB, err = store.Open(ctx, store.Options{URL: url, Path: filepath.Join(p.Dir, "clyde.db"), Now: o.Now, Ran: o.work}); err != nil {
		return nil, err
	}
	p.onClose(p.DB.Close)
	if p.replica, p.secret, err = p.identify(ctx); err != nil {
		return nil, err
	}
	p.Accounts = account.New(p.DB, o.Now)
	p.Accounts.OnHash(o.work)
	if p.Engine, err = p.newEngine(cfg.Search); err != nil {
		return nil, err
	}
	p.onClose(p.Engine.Close)
	if p.Content, err = content.Open(filepath.Join(p.Shared, "content")); err != nil {
		return nil, err
	}
	if p.pulls, err = downloads.Open(ctx, filepath.Join(p.Dir, "pulls"), p.replica, p.DB, o.Log, o.Now); err != nil {
		return nil, err
	}
	p.onClose(p.pulls.Close)
	p.pulls.Counted = func(ctx context.Context, repo string) error { return p.Ingest.Refresh(ctx, repo) }
	p.Limits = newLimits(cfg, o.Now)
	mirror, err := newMirror(cfg.Registry.Mirror)
	if err != nil {
		return nil, err
	}
	p.scrubRate = cfg.Registry.ScrubRate
	root, bucket := filepath.Join(p.Shared, "registry"), (*s3driver.Options)(nil)
	if cfg.Storage.S3.Bucket != "" {
		root = ""
		if bucket, err = newBucket(cfg.Storage.S3); err != nil {
			return nil, err
		}
	}
	p.bucket = bucket != nil
	p.Registry, err = registry.New(ctx, registry.Options{
		Root: root, Bucket: bucket, Redirect: cfg.Storage.Redirect, Replica: p.replica, Secret: p.secret, DB: p.DB, Accounts: p.Accounts, Log: o.Log, Now: o.Now,
		Admit:  &ingest.Admitter{DB: p.DB, Accept: cfg.Registry.Accept, Now: o.Now, Log: o.Log},
		Accept: cfg.Registry.Accept, PublicURL: publicURL, Pulled: p.pulled, PullLimit: p.Limits.Pull, PublishLimit: p.Limits.Publish,
		Private: func(ctx context.Context, repo string) (bool, error) {
			s, err := p.DB.Setting(ctx, repo)
			return s.Private, err
		},
		Public: p.DB.Public,
		Grace:  cfg.Registry.GCGrace, Mirror: mirror,
		Limits: registry.Limits{
			MaxBlob: cfg.Registry.MaxBlob, MaxSessions: cfg.Registry.MaxUploads,
			BytesPerDay: cfg.Registry.MaxBytesPerDay, UploadAge: cfg.Registry.UploadRetention,
		},
	})
	if err != nil {
		return nil, err
	}
	p.onClose(p.Registry.Close)
	if p.Trusts, err = newTrusts(cfg.Signing, p.Dir, o.Log, o.Now); err != nil {
		return nil, err
	}
	p.Ingest = &ingest.Ingest{DB: p.DB, Source: p.Registry, Content: p.Content, Engine: p.Engine, Trusts: p.Trusts, Log: o.Log, Now: o.Now}
	if p.meili != nil {
		p.Ingest.Stale = p.stale.note
	}
	p.Accounts.OnSignedOnly(func(ctx context.Context, namespace string) error { return p.Ingest.ReverifyNamespace(ctx, namespace) })
	if p.Upstreams, err = newUpstreams(cfg); err != nil {
		return nil, err
	}
	p.Ingest.Upstreams = p.Upstreams
	p.Ingest.Source = &ingest.Sources{Own: p.Registry, Upstreams: p.Upstreams, DB: p.DB}
	_, host, _ := strings.Cut(publicURL, "://")
	if p.egress, err = newEgress(cfg); err != nil {
		return nil, err
	}
	if p.Trusted, err = newTrusted(cfg.TrustedPublishing, p.DB, host, p.egress, o); err != nil {
		return nil, err
	}
	p.homes = &homes{db: p.DB, set: p.Upstreams, now: o.Now}
	archives, err := newArchives(cfg)
	if err != nil {
		return nil, err
	}
	p.Linked = linked.New(linked.Options{
		DB: p.DB, Accounts: p.Accounts, Trusted: p.Trusted, API: githubAPI(cfg), Client: archives, Secret: p.secret, Log: o.Log, Now: o.Now,
		Publish: func(ctx context.Context, who account.Principal, manifest []byte, archive io.Reader, mediaType string) (clyde.Name, string, error) {
			return p.Ingest.Publish(ctx, p.Registry, who, manifest, archive, mediaType)
		},
	})
	p.Catalog = &catalog.Catalog{
		Home: p.homes.of, HomeName: p.homes.name, DB: p.DB, Engine: p.Engine, Content: p.Content, Host: host, Log: o.Log, Now: o.Now, Blob: p.blob, Changed: p.Ingest.Relatest,
	}
	p.Moderator = p.newModerator()
	return p, nil
}

func (p *Parts) onClose(f func() error) { p.close = append(p.close, f) }

// Close closes everything in reverse order.
func (p *Parts) Close() error {
	var errs []error
	for _, v := range slices.Backward(p.close) {
		errs = append(errs, v())
	}
	p.close = nil
	return errors.Join(errs...)
}

// New opens what cfg asks for, listens, and mounts the routes. On error
// everything opened so far is closed again.
func New(ctx context.Context, cfg config.Config, o Options) (_ *Server, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.HTTP.Addr)
	if err != nil {
		return nil, fmt.Errorf("http.addr: %w", err)
	}
	s := &Server{cfg: cfg, ln: ln, publicURL: cfg.HTTP.PublicURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, ln.Close())
		}
	}()
	if err := s.setTLS(); err != nil {
		return nil, err
	}
	if s.publicURL == "" {
		s.publicURL = defaultURL(ln.Addr(), s.tls != nil)
	}
	if s.Parts, err = Open(ctx, cfg, s.publicURL, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Parts.Close())
		}
	}()
	if s.admin, err = listenAdmin(ctx, s.Dir); err != nil {
		return nil, err
	}
	s.onClose(closeListener(s.admin))
	if cfg.Metrics.Addr != "" {
		if s.metrics, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Metrics.Addr); err != nil {
			return nil, fmt.Errorf("metrics.addr: %w", err)
		}
		s.onClose(closeListener(s.metrics))
	}
	s.onClose(closeListener(ln))
	s.stats = newMetrics(s.Parts)
	if s.notifier, err = s.newNotifier(); err != nil {
		return nil, err
	}
	if s.handler, err = s.routes(); err != nil {
		return nil, err
	}
	return s, nil
}

// defaultURL says localhost for loopback and unspecified addresses: OCI
// clients take plain HTTP for granted only there.
func defaultURL(a net.Addr, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return scheme + "://" + a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsLoopback() || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// setTLS prepares certificates from files or by ACME.
func (s *Server) setTLS() error {
	t := s.cfg.TLS
	switch {
	case t.Cert != "":
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			return fmt.Errorf("tls.cert: %w", err)
		}
		// Read again for each handshake, so that a renewed file needs no restart.
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &c, err
		}}
	case len(t.ACMEDomains) > 0:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(t.ACMEDomains...),
			Cache: autocert.DirCache(filepath.Join(s.cfg.Data.Dir, "acme")), Email: t.ACMEEmail,
		}
		s.tls = m.TLSConfig()
		s.tls.MinVersion = tls.VersionTLS12
	default:
		return nil
	}
	s.tls.NextProtos = append([]string{"h2", "http/1.1"}, s.tls.NextProtos...)
	s.ln = tls.NewListener(s.ln, s.tls)
	return nil
}

// PublicURL is the address that clients use: "http://localhost:8080".
func (s *Server) PublicURL() string { return s.publicURL }

// Handler serves everything that the public listener does.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves until ctx ends, then lets requests and events in hand finish. The
// caller closes the server afterwards.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	serve := func(ln net.Listener, h http.Handler) {
		srv := &http.Server{
			Handler: h, ReadHeaderTimeout: s.cfg.HTTP.HeaderTimeout, IdleTimeout: s.cfg.HTTP.IdleTimeout,
			ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
			// What streams (the change feed) learns from this that it must end.
			BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		}
		stopping := make(chan struct{})
		srv.RegisterOnShutdown(func() { close(stopping) })
		srv.Handler = untilShutdown(h, stopping)
		g.Go(func() error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.HTTP.ShutdownGrace)
			defer cancel()
			if err := srv.Shutdown(stop); err != nil {
				return errors.Join(err, srv.Close())
			}
			return nil
		})
	}
	serve(s.ln, s.handler)
	serve(s.admin, s.adminHandler())
	if s.metrics != nil {
		serve(s.metrics, s.stats.handler())
	}
	s.loops(ctx, g)
	return g.Wait()
}
