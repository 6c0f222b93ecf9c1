// Package config is the configuration of clyde-registry: a YAML file over
// defaults that serve everything from one process, and the environment over
// both.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// MaxFile is the largest configuration file read, in bytes: ours.
const MaxFile = 1 << 20

// Roles is every role a process may have.
var Roles = []string{"registry", "api", "web", "indexer"}

// Config is the whole of clyde-registry's configuration file. Default returns
// one that serves everything from one process.
type Config struct {
	Roles    []string `yaml:"roles"` // registry, api, web, indexer
	Data     Data     `yaml:"data"`
	HTTP     HTTP     `yaml:"http"`
	TLS      TLS      `yaml:"tls"`
	Registry Registry `yaml:"registry"`
	API      API      `yaml:"api"`
	Metrics  Metrics  `yaml:"metrics"`
	Log      Log      `yaml:"log"`
}

// Data is where everything is kept.
type Data struct {
	Dir string `yaml:"dir"` // one directory: database, blobs, secrets
}

// HTTP configures the public listener.
type HTTP struct {
	Addr           string        `yaml:"addr"`            // host:port; port 0 picks one
	PublicURL      string        `yaml:"public_url"`      // as clients see it, no trailing slash; empty: http://localhost:PORT
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
}

// API configures the REST API.
type API struct {
	ReadsPerSecond  float64 `yaml:"reads_per_second"`  // per token or address; 0 is no limit
	WritesPerSecond float64 `yaml:"writes_per_second"` // per token or address; 0 is no limit
}

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
		},
		API: API{ReadsPerSecond: 0, WritesPerSecond: 0},
		Log: Log{Level: "info", Format: "text"},
	}
}

// Read decodes YAML over the defaults, then lays the environment over both
// (see Overlay), and validates. An unknown key is an error, so that a typing
// mistake cannot silently leave a default in force. A nil r is an empty file.
func Read(r io.Reader, environ []string) (Config, error) {
	c := Default()
	if r != nil {
		b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
		if err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
		if len(b) > MaxFile {
			return Config{}, fmt.Errorf("config: the file is larger than %d bytes", MaxFile)
		}
		dec := yaml.NewDecoder(bytes.NewReader(b))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return Config{}, fmt.Errorf("config: %w", err)
		}
	}
	if err := c.Overlay(environ); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// envPrefix starts every variable that is read.
const envPrefix = "CLYDE_"

// Overlay sets fields from variables named after their path: CLYDE_HTTP_ADDR
// is http.addr. Lists are separated by commas. Other variables of that prefix
// belong to the client and are left alone.
func (c *Config) Overlay(environ []string) error {
	vars := map[string]string{}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, envPrefix) {
			vars[k] = v
		}
	}
	return overlay(reflect.ValueOf(c).Elem(), strings.TrimSuffix(envPrefix, "_"), vars)
}

func overlay(v reflect.Value, path string, vars map[string]string) error {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if err := overlay(v.Field(i), path+"_"+strings.ToUpper(key), vars); err != nil {
				return err
			}
		}
		return nil
	}
	s, ok := vars[path]
	if !ok {
		return nil
	}
	if err := setField(v, s); err != nil {
		return fmt.Errorf("config: %s=%q: %w", path, s, err)
	}
	return nil
}

func setField(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = s
	case *time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			return err
		}
		*p = d
	case *[]string:
		*p = []string{}
		for _, x := range strings.Split(s, ",") {
			if x = strings.TrimSpace(x); x != "" {
				*p = append(*p, x)
			}
		}
	case *int, *int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return err
		}
		v.SetInt(n)
	case *float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return err
		}
		*p = f
	default:
		return fmt.Errorf("a value of type %s cannot come from the environment", v.Type())
	}
	return nil
}

// Validate reports every problem at once, each naming its key.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, r := range c.Roles {
		if !slices.Contains(Roles, r) {
			bad("roles: %q is none of %v", r, Roles)
		}
	}
	if len(errs) == 0 && len(c.Roles) < len(Roles) {
		bad("roles: SQLite and the embedded search index belong to one process; give it all of %v", Roles)
	}
	if c.Data.Dir == "" {
		bad("data.dir: empty; name a directory")
	}
	if _, _, err := net.SplitHostPort(c.HTTP.Addr); err != nil {
		bad("http.addr: %q: want host:port", c.HTTP.Addr)
	}
	if c.HTTP.PublicURL != "" {
		u, err := url.Parse(c.HTTP.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			bad("http.public_url: %q: want https://host[:port], without a path", c.HTTP.PublicURL)
		}
	}
	if _, err := c.HTTP.Proxies(); err != nil {
		errs = append(errs, err)
	}
	for key, d := range map[string]time.Duration{"http.header_timeout": c.HTTP.HeaderTimeout, "http.idle_timeout": c.HTTP.IdleTimeout, "http.shutdown_grace": c.HTTP.ShutdownGrace, "registry.upload_retention": c.Registry.UploadRetention} {
		if d <= 0 {
			bad("%s: %s; must be positive", key, d)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls: cert and key belong together")
	}
	if c.TLS.Cert != "" && len(c.TLS.ACMEDomains) > 0 {
		bad("tls: use cert and key, or acme_domains, not both")
	}
	if c.Registry.Accept != "packages" && c.Registry.Accept != "any" {
		bad("registry.accept: %q: want packages or any", c.Registry.Accept)
	}
	for key, n := range map[string]int64{"registry.max_blob": c.Registry.MaxBlob, "registry.max_uploads": int64(c.Registry.MaxUploads), "registry.max_bytes_per_day": c.Registry.MaxBytesPerDay} {
		if n <= 0 {
			bad("%s: %d; must be positive", key, n)
		}
	}
	if c.API.ReadsPerSecond < 0 || c.API.WritesPerSecond < 0 {
		bad("api: rates must not be negative; 0 is no limit")
	}
	if c.Metrics.Addr != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Addr); err != nil {
			bad("metrics.addr: %q: want host:port", c.Metrics.Addr)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level: %q: want debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format: %q: want text or json", c.Log.Format)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Proxies parses TrustedProxies.
func (h HTTP) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range h.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("http.trusted_proxies: %q: want an address or a CIDR range", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// ReadFile is Read of a file; a path of "" reads clyde.yaml where there is one.
func ReadFile(path string, environ []string) (Config, error) {
	optional := path == ""
	if optional {
		path = "clyde.yaml"
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && optional {
		return Read(nil, environ)
	}
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	return Read(f, environ)
}
