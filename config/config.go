// Package config is the configuration of clyde-registry: a YAML file over
// defaults that serve everything from one process, and the environment over
// both.
package config

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Roles is every role a process may have.
var Roles = []string{"registry", "api", "web", "indexer"}

// SidecarRoles are those of one process that indexes registries which others
// run, and has none of its own.
var SidecarRoles = []string{"api", "web", "indexer"}

// HasRole reports whether the process has a role.
func (c Config) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// OnPostgres reports whether a database server keeps what we know, so that
// roles may be given to several processes.
func (c Config) OnPostgres() bool { return c.Database.URL != "" || c.Database.URLFile != "" }

// HasRegistry reports whether there is a registry of our own: in this process,
// or where the processes of the other roles share its packages.
func (c Config) HasRegistry() bool {
	return c.HasRole("registry") || c.OnPostgres() && (c.Data.Shared != "" || c.Storage.S3.Bucket != "")
}

// Config is the whole of clyde-registry's configuration file. Default returns
// one that serves everything from one process.
type Config struct {
	Roles             []string          `yaml:"roles"` // registry, api, web, indexer
	Data              Data              `yaml:"data"`
	Storage           Storage           `yaml:"storage"`
	Database          Database          `yaml:"database"`
	Search            Search            `yaml:"search"`
	HTTP              HTTP              `yaml:"http"`
	TLS               TLS               `yaml:"tls"`
	Registry          Registry          `yaml:"registry"`
	Registries        []Upstream        `yaml:"registries"`
	API               API               `yaml:"api"`
	SignIn            SignIn            `yaml:"signin"`
	TrustedPublishing TrustedPublishing `yaml:"trusted_publishing"`
	Signing           Signing           `yaml:"signing"`
	Limits            Limits            `yaml:"limits"`
	Egress            Egress            `yaml:"egress"`
	Mail              Mail              `yaml:"mail"`
	Audit             Audit             `yaml:"audit"`
	Metrics           Metrics           `yaml:"metrics"`
	Log               Log               `yaml:"log"`
}

// Data is where everything is kept.
type Data struct {
	Dir string `yaml:"dir"` // one directory: database, blobs, secrets
	// Shared has what every process on one database serves: blobs, what is
	// derived from them, archives of the audit log. Empty: it is in Dir.
	Shared string `yaml:"shared"`
}

// Storage is where blobs are kept: a directory below data.shared or data.dir, or
// S3-compatible storage.
type Storage struct {
	S3 S3 `yaml:"s3"`
	// Redirect sends who pulls a blob to the storage, by an address that anybody
	// can use for some minutes.
	Redirect bool `yaml:"redirect"`
}

// S3 is a bucket.
type S3 struct {
	Bucket        string `yaml:"bucket"`          // empty: a directory
	Region        string `yaml:"region"`          // us-east-1
	Endpoint      string `yaml:"endpoint"`        // https://host[:port] of other storage than Amazon's
	Prefix        string `yaml:"prefix"`          // of all keys
	AccessKey     string `yaml:"access_key"`      // empty: from the environment, as Amazon's tools do
	SecretKeyFile string `yaml:"secret_key_file"` // read at start
	PathStyle     bool   `yaml:"path_style"`      // the bucket is part of the path, not of the host
	Encrypt       bool   `yaml:"encrypt"`         // the storage encrypts what it keeps
}

// Database is where what we know is kept: a file in data.dir, or Postgres.
type Database struct {
	URL     string `yaml:"url"`      // postgres://user@host:5432/name; empty: the file
	URLFile string `yaml:"url_file"` // read at start, in place of url: it may hold a password
}

// Address is the database's URL, from its file where it is in one; "" is the
// file in data.dir.
func (d Database) Address() (string, error) {
	url, err := Secret(d.URL, d.URLFile)
	if err != nil {
		return "", fmt.Errorf("database.url_file: %w", err)
	}
	return url, nil
}

// Search says what finds packages: an index in each process's memory, or a
// Meilisearch that all of them ask.
type Search struct {
	Engine  string `yaml:"engine"`   // embedded | meilisearch
	URL     string `yaml:"url"`      // of Meilisearch: https://search.example.org
	KeyFile string `yaml:"key_file"` // read at start: a key of Meilisearch; empty where it wants none
	Index   string `yaml:"index"`    // names the indexes there; several registries may share one
}

// searchIndexRE is what Meilisearch takes as the name of an index, with room for
// what is put behind it.
var searchIndexRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

func (s Search) validate(p *problems) {
	checkOneOf(p, "search.engine", s.Engine, "embedded", "meilisearch")
	if s.Engine != "meilisearch" {
		if s.URL != "" || s.KeyFile != "" {
			p.add("search.engine: is %s, so search.url and search.key_file do nothing; set it to meilisearch", s.Engine)
		}
		return
	}
	checkOrigin(p, "search.url", s.URL)
	if !searchIndexRE.MatchString(s.Index) {
		p.add("search.index: %q: want letters, digits, - and _, at most 100", s.Index)
	}
}

// HTTP configures the public listener.
type HTTP struct {
	Addr      string `yaml:"addr"`       // host:port; port 0 picks one
	PublicURL string `yaml:"public_url"` // as clients see it, no trailing slash; empty: http://localhost:PORT
	// SecurityContact is where holes of this server are reported, for
	// /.well-known/security.txt: an https or mailto address; empty: the project's.
	SecurityContact string `yaml:"security_contact"`

	TrustedProxies []string      `yaml:"trusted_proxies"` // addresses or CIDR ranges whose X-Forwarded-* counts
	HeaderTimeout  time.Duration `yaml:"header_timeout"`  // for reading a request's header
	IdleTimeout    time.Duration `yaml:"idle_timeout"`    // of a kept-alive connection
	ShutdownGrace  time.Duration `yaml:"shutdown_grace"`  // for requests in hand
}

// TLS serves HTTPS from files, or by ACME.
type TLS struct {
	Cert        string   `yaml:"cert"`         // PEM file
	Key         string   `yaml:"key"`          // PEM file
	ACMEDomains []string `yaml:"acme_domains"` // names to get certificates for; needs port 443 reachable
	ACMEEmail   string   `yaml:"acme_email"`
}

// Registry configures the embedded registry.
type Registry struct {
	Accept          string        `yaml:"accept"`            // packages | any
	MaxBlob         int64         `yaml:"max_blob"`          // bytes of one blob
	MaxUploads      int           `yaml:"max_uploads"`       // open upload sessions per account
	MaxBytesPerDay  int64         `yaml:"max_bytes_per_day"` // uploaded per account and UTC day
	UploadRetention time.Duration `yaml:"upload_retention"`  // of abandoned uploads
	GCEvery         time.Duration `yaml:"gc_every"`          // what no manifest names is removed this often; 0 never
	GCGrace         time.Duration `yaml:"gc_grace"`          // how long it is kept: a push may count on it
	ScrubEvery      time.Duration `yaml:"scrub_every"`       // every blob is hashed again this often; 0 never
	ScrubRate       int64         `yaml:"scrub_rate"`        // bytes read a second meanwhile
	Mirror          Mirror        `yaml:"mirror"`
}

// Mirror is a registry that has the same repositories: what is found damaged is
// fetched from it.
type Mirror struct {
	URL        string `yaml:"url"`         // https://registry.example.org; empty: none
	User       string `yaml:"user"`        // empty: anonymous
	SecretFile string `yaml:"secret_file"` // read at start: password or token of that user
}

// API configures the REST API.
type API struct {
	ReadsPerSecond  float64 `yaml:"reads_per_second"`  // per token or address; 0 is no limit
	WritesPerSecond float64 `yaml:"writes_per_second"` // per token or address; 0 is no limit
	// SecretScanningKeys is where GitHub publishes the keys that sign reports of
	// leaked tokens; "" takes no reports.
	SecretScanningKeys string `yaml:"secret_scanning_keys"`
}

// SignIn says how people sign in on the pages.
type SignIn struct {
	Passwords bool `yaml:"passwords"` // accounts that have one may sign in with it
	// AdminPasswordFile has the password of the account admin, which is made of
	// it at the first start and never changed by it later.
	AdminPasswordFile string         `yaml:"admin_password_file"`
	GitHub            GitHub         `yaml:"github"`
	OIDC              []OIDCProvider `yaml:"oidc"`
	Allow             Allow          `yaml:"allow"`
}

// Allow says who gets an account at the first sign in; one of the lists is
// enough. Without any, everybody whom a provider lets in. Accounts that are
// there, and those that administrators make, are not asked.
type Allow struct {
	Providers    []string `yaml:"providers"`     // keys: everybody who signs in with them
	EmailDomains []string `yaml:"email_domains"` // of an address that the provider verified; without subdomains
	GitHubOrgs   []string `yaml:"github_orgs"`   // active members of these organisations at signin.github
}

// Egress says whom the server may ask besides public addresses and the hosts
// that the rest of the configuration names.
type Egress struct {
	Networks []string `yaml:"networks"` // addresses or CIDR ranges
	Proxy    string   `yaml:"proxy"`    // http://host:port that every request goes through; the environment's are not used
}

// GitHub is an OAuth app there; without client_id, nobody signs in with it.
type GitHub struct {
	ClientID         string `yaml:"client_id"`
	ClientSecret     string `yaml:"client_secret"`
	ClientSecretFile string `yaml:"client_secret_file"` // read at start, in place of client_secret
	BaseURL          string `yaml:"base_url"`           // empty: https://github.com; else of GitHub Enterprise
	APIURL           string `yaml:"api_url"`            // empty: follows from base_url
}

// OIDCProvider is an OpenID Connect provider.
type OIDCProvider struct {
	Key              string   `yaml:"key" json:"key"`       // its part of addresses: /login/KEY/callback
	Name             string   `yaml:"name" json:"name"`     // as people know it; empty: the key
	Issuer           string   `yaml:"issuer" json:"issuer"` // exactly as its tokens say
	ClientID         string   `yaml:"client_id" json:"client_id"`
	ClientSecret     string   `yaml:"client_secret" json:"client_secret"`
	ClientSecretFile string   `yaml:"client_secret_file" json:"client_secret_file"` // read at start, in place of client_secret
	Scopes           []string `yaml:"scopes" json:"scopes"`                         // besides openid; absent: profile and email
}

// Limits says how often somebody may do what costs or annoys others: an
// account with all its tokens, a token of the instance, or an address. As many
// as in the whole time may come at once. 0 is no limit. Administrators may
// publish without one, and this machine may pull without one.
type Limits struct {
	NewPackages    int `yaml:"new_packages_per_hour"`
	NewVersions    int `yaml:"new_versions_per_hour"`
	Yanks          int `yaml:"yanks_per_hour"`
	Searches       int `yaml:"searches_per_minute"`
	Resolutions    int `yaml:"resolutions_per_minute"`     // of versions, on the server
	Reports        int `yaml:"reports_per_hour"`           // about packages, to the administrators
	AnonymousPulls int `yaml:"anonymous_pulls_per_minute"` // manifests and blobs
}

// Mail sends notices to people; without addr, none.
type Mail struct {
	Addr         string `yaml:"addr"`          // host:port of the mail server
	From         string `yaml:"from"`          // "Clyde Registry <registry@acme.example>"
	User         string `yaml:"user"`          // empty: without signing in
	Password     string `yaml:"password"`      //
	PasswordFile string `yaml:"password_file"` // read at start, in place of password
	Security     string `yaml:"security"`      // starttls | tls | none
}

// Audit configures the log of who did what.
type Audit struct {
	Retention time.Duration `yaml:"retention"` // older months go to files under data.dir/audit; 0 keeps all in the database
}

// AuditRetention is how long the log stays in the database. Ours: a year, and a
// month to look at it.
const AuditRetention = 400 * 24 * time.Hour

// Metrics configures the private listener.
type Metrics struct {
	Addr string `yaml:"addr"` // host:port for /metrics; empty: none
}

// Log configures the log on standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug | info | warn | error
	Format string `yaml:"format"` // text | json
}

// Default serves everything from one process on 127.0.0.1:8080, with data
// under ./data.
func Default() Config {
	return Config{
		Roles: slices.Clone(Roles),
		Data:  Data{Dir: "data"},
		HTTP: HTTP{
			Addr: "127.0.0.1:8080", TrustedProxies: []string{}, HeaderTimeout: 10 * time.Second,
			IdleTimeout: 2 * time.Minute, ShutdownGrace: 20 * time.Second,
		},
		TLS: TLS{ACMEDomains: []string{}},
		Registry: Registry{
			Accept: "packages", MaxBlob: 5 << 30, MaxUploads: 100, MaxBytesPerDay: 200 << 30, UploadRetention: 7 * 24 * time.Hour,
			GCEvery: 24 * time.Hour, GCGrace: 24 * time.Hour,
			ScrubEvery: 7 * 24 * time.Hour, ScrubRate: 20 << 20,
		},
		Search:            Search{Engine: "embedded", Index: "packages"},
		Storage:           Storage{S3: S3{Region: "us-east-1"}},
		Registries:        []Upstream{},
		API:               API{ReadsPerSecond: 0, WritesPerSecond: 0},
		Egress:            Egress{Networks: []string{}},
		SignIn:            SignIn{Passwords: true, OIDC: []OIDCProvider{}, Allow: Allow{Providers: []string{}, EmailDomains: []string{}, GitHubOrgs: []string{}}},
		TrustedPublishing: defaultTrusted(),
		Signing:           Signing{Trust: []Sigstore{{Name: "public", TUF: PublicSigstore}}},
		Limits:            Limits{NewPackages: 100, NewVersions: 1000, Yanks: 1000, Searches: 600, Resolutions: 600, Reports: 5, AnonymousPulls: 12_000},
		Mail:              Mail{Security: "starttls"},
		Audit:             Audit{Retention: AuditRetention},
		Log:               Log{Level: "info", Format: "text"},
	}
}
