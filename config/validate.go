package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problems gathers what is wrong, so that one run tells all of it.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

const (
	// minGrace is the shortest registry.gc_grace: a push that takes longer would
	// have to send again what it sent.
	minGrace = 10 * time.Minute
	// minEvery is the shortest registry.gc_every and scrub_every: both look at
	// everything there is.
	minEvery = time.Minute
)

// Validate reports every problem at once, each naming its key.
func (c Config) Validate() error {
	var p problems
	c.validateRoles(&p)
	if strings.TrimSpace(c.Data.Dir) == "" || strings.ContainsRune(c.Data.Dir, 0) {
		p.add("data.dir: %q: name a directory", c.Data.Dir)
	}
	c.Storage.validate(&p)
	c.validateDatabase(&p)
	c.Search.validate(&p)
	checkAddr(&p, "http.addr", c.HTTP.Addr)
	if c.Metrics.Addr != "" {
		checkAddr(&p, "metrics.addr", c.Metrics.Addr)
	}
	c.validateURL(&p)
	c.Egress.validate(&p)
	c.Signing.validate(&p)
	if _, err := c.HTTP.Proxies(); err != nil {
		p = append(p, err)
	}
	for _, d := range []struct {
		key string
		d   time.Duration
	}{
		{"http.header_timeout", c.HTTP.HeaderTimeout},
		{"http.idle_timeout", c.HTTP.IdleTimeout},
		{"http.shutdown_grace", c.HTTP.ShutdownGrace},
		{"registry.upload_retention", c.Registry.UploadRetention},
	} {
		if d.d <= 0 {
			p.add("%s: %s; must be positive", d.key, d.d)
		}
	}
	if g := c.Registry.GCGrace; g < minGrace {
		p.add("registry.gc_grace: %s; want at least %s, which a push may take", g, minGrace)
	}
	for _, e := range []struct {
		key string
		d   time.Duration
	}{{"gc_every", c.Registry.GCEvery}, {"scrub_every", c.Registry.ScrubEvery}} {
		if e.d != 0 && e.d < minEvery {
			p.add("registry.%s: %s; want at least %s, or 0 for never", e.key, e.d, minEvery)
		}
	}
	c.Registry.Mirror.validate(&p)
	for _, n := range []struct {
		key string
		n   int64
	}{
		{"registry.max_blob", c.Registry.MaxBlob},
		{"registry.max_uploads", int64(c.Registry.MaxUploads)},
		{"registry.max_bytes_per_day", c.Registry.MaxBytesPerDay},
		{"registry.scrub_rate", c.Registry.ScrubRate},
	} {
		if n.n <= 0 {
			p.add("%s: %d; must be positive", n.key, n.n)
		}
	}
	for _, n := range []struct {
		key string
		n   int
	}{
		{"new_packages_per_hour", c.Limits.NewPackages}, {"new_versions_per_hour", c.Limits.NewVersions}, {"yanks_per_hour", c.Limits.Yanks},
		{"searches_per_minute", c.Limits.Searches}, {"resolutions_per_minute", c.Limits.Resolutions}, {"reports_per_hour", c.Limits.Reports}, {"anonymous_pulls_per_minute", c.Limits.AnonymousPulls},
	} {
		if n.n < 0 {
			p.add("limits.%s: %d; want a number from 0, which is no limit", n.key, n.n)
		}
	}
	for _, f := range []struct {
		key string
		f   float64
	}{{"api.reads_per_second", c.API.ReadsPerSecond}, {"api.writes_per_second", c.API.WritesPerSecond}} {
		if !(f.f >= 0) || math.IsInf(f.f, 0) { // not a number compares with nothing
			p.add("%s: %v; want a number from 0, which is no limit", f.key, f.f)
		}
	}
	if r := c.Audit.Retention; r != 0 && r < minAuditRetention {
		p.add("audit.retention: %s; want at least %s, or 0 to keep all in the database", r, minAuditRetention)
	}
	c.Mail.validate(&p)
	c.validateTLS(&p)
	c.SignIn.validate(&p)
	c.validateUpstreams(&p)
	c.TrustedPublishing.validate(&p)
	checkOneOf(&p, "registry.accept", c.Registry.Accept, "packages", "any")
	checkOneOf(&p, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	checkOneOf(&p, "log.format", c.Log.Format, "text", "json")
	return errors.Join(p...)
}

func (s Storage) validate(p *problems) {
	if s.S3.Bucket == "" {
		if s.S3 != Default().Storage.S3 {
			p.add("storage.s3.bucket: is empty, so the rest of storage.s3 does nothing")
		}
		if s.Redirect {
			p.add("storage.redirect: works with storage.s3 only")
		}
		return
	}
	if s.S3.Region == "" {
		p.add("storage.s3.region: is empty; us-east-1 does for most other storage than Amazon's")
	}
	if s.S3.Endpoint != "" {
		checkOrigin(p, "storage.s3.endpoint", s.S3.Endpoint)
	}
	if (s.S3.AccessKey == "") != (s.S3.SecretKeyFile == "") {
		p.add("storage.s3: access_key and secret_key_file belong together")
	}
}

// checkOrigin wants a scheme and a host, and nothing after them.
func checkOrigin(p *problems, key, v string) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || v != u.Scheme+"://"+u.Host {
		p.add("%s: %q: want https:// and a host, and nothing after it", key, v)
	}
}

func (m Mirror) validate(p *problems) {
	if m.URL == "" {
		if m != (Mirror{}) {
			p.add("registry.mirror.url: is empty, so the rest of registry.mirror does nothing")
		}
		return
	}
	checkOrigin(p, "registry.mirror.url", m.URL)
	if (m.User == "") != (m.SecretFile == "") {
		p.add("registry.mirror: user and secret_file belong together")
	}
}

func (m Mail) validate(p *problems) {
	checkOneOf(p, "mail.security", m.Security, "starttls", "tls", "none")
	if m.Addr == "" {
		if m != (Mail{Security: m.Security}) {
			p.add("mail.addr: is empty, so the rest of mail sends nothing")
		}
		return
	}
	checkAddr(p, "mail.addr", m.Addr)
	if _, err := mail.ParseAddress(m.From); err != nil {
		p.add("mail.from: %q: want an address such as Clyde Registry <registry@acme.example>", m.From)
	}
	if m.Password != "" && m.PasswordFile != "" {
		p.add("mail: use password or password_file, not both")
	}
	if (m.User == "") != (m.Password == "" && m.PasswordFile == "") {
		p.add("mail: user and password belong together")
	}
	if m.User != "" && m.Security == "none" {
		p.add("mail.security: none sends the password in plain; use starttls or tls")
	}
}

// minAuditRetention leaves at least a month to be read. Ours.
const minAuditRetention = 31 * 24 * time.Hour

func checkOneOf(p *problems, key, got string, want ...string) {
	if !slices.Contains(want, got) {
		p.add("%s: %q: want %s or %s", key, got, strings.Join(want[:len(want)-1], ", "), want[len(want)-1])
	}
}

func (c Config) validateRoles(p *problems) {
	before := len(*p)
	for i, r := range c.Roles {
		if !slices.Contains(Roles, r) {
			p.add("roles: %q is none of %v", r, Roles)
		} else if slices.Contains(c.Roles[:i], r) {
			p.add("roles: %q is there twice", r)
		}
	}
	switch {
	case len(*p) > before || len(c.Roles) == len(Roles):
	case len(c.Roles) == 0:
		p.add("roles: is empty; give this process some of %v", Roles)
	case c.OnPostgres():
		if !c.HasRegistry() && len(c.Registries) == 0 {
			p.add("roles: without the role registry, name under data.shared or storage.s3 where another process keeps the packages, or under registries those that others run")
		}
	case len(c.Roles) != len(SidecarRoles) || c.HasRole("registry"):
		p.add("roles: SQLite and the embedded search index belong to one process; give it all of %v, or %v beside registries of others, or set database.url", Roles, SidecarRoles)
	case len(c.Registries) == 0:
		p.add("registries: is empty; without the role registry, name the registries to index")
	}
}

func (c Config) validateDatabase(p *problems) {
	d := c.Database
	file := !c.OnPostgres()
	switch {
	case d.URL != "" && d.URLFile != "":
		p.add("database.url and database.url_file: give one")
	case d.URL != "" && !strings.HasPrefix(d.URL, "postgres://") && !strings.HasPrefix(d.URL, "postgresql://"):
		p.add("database.url: want postgres://user@host:5432/name, or nothing for a file in data.dir")
	case file && c.Data.Shared != "":
		p.add("data.shared: %q: a database in a file belongs to one process, which has nothing to share; set database.url", c.Data.Shared)
	}
}

func checkAddr(p *problems, key, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || !isPort(port) {
		p.add("%s: %q: want host:port, with a port from 0 to 65535", key, addr)
	}
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (c Config) validateURL(p *problems) {
	if to := c.HTTP.SecurityContact; to != "" {
		u, err := url.Parse(to)
		if err != nil || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' }) ||
			(u.Scheme != "https" || u.Host == "") && (u.Scheme != "mailto" || !strings.Contains(u.Opaque, "@")) {
			p.add("http.security_contact: %q: want https://… or mailto:somebody@…", to)
		}
	}
	s := c.HTTP.PublicURL
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		s != u.Scheme+"://"+u.Host || u.Port() != "" && !isPort(u.Port()) || strings.HasSuffix(u.Host, ":") {
		p.add("http.public_url: %q: want https://host[:port], without a path", s)
		return
	}
	if u.Scheme == "http" && (c.TLS.Cert != "" || len(c.TLS.ACMEDomains) > 0) {
		p.add("http.public_url: %q: the server speaks HTTPS, because tls is set", s)
	}
}

// domainRE is a host name with at least one dot, as certificate authorities
// want it; they sign no wildcard by the challenges that autocert knows.
var domainRE = regexp.MustCompile(`^(?i:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?i:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$`)

func (c Config) validateTLS(p *problems) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		p.add("tls: cert and key belong together")
	}
	if c.TLS.Cert != "" && len(c.TLS.ACMEDomains) > 0 {
		p.add("tls: use cert and key, or acme_domains, not both")
	}
	for _, d := range c.TLS.ACMEDomains {
		if len(d) > 253 || !domainRE.MatchString(d) { // RFC 1035's bound
			p.add("tls.acme_domains: %q: want a host name such as registry.example.org", d)
		}
	}
	if c.TLS.ACMEEmail != "" && len(c.TLS.ACMEDomains) == 0 {
		p.add("tls.acme_email: is set without tls.acme_domains")
	}
}

// Proxies parses TrustedProxies. IPv4 addresses in IPv6 form are IPv4.
func (h HTTP) Proxies() ([]netip.Prefix, error) {
	return networks("http.trusted_proxies", h.TrustedProxies)
}

// networks reads addresses and CIDR ranges.
func networks(key string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%s: %q: want an address or a CIDR range", key, s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if a := p.Addr(); a.Is4In6() {
			if p.Bits() < 96 {
				return nil, fmt.Errorf("%s: %q: is wider than all of IPv4", key, s)
			}
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
