package config_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/config"
)

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{"empty": "", "comment": "# nothing\n", "sections without keys": "http:\ntls:\n  # cert: x\nroles: [registry, api, web, indexer]\n", "null document": "---\n"} {
		got, err := config.Read(strings.NewReader(in), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(config.Default(), got); diff != "" {
			t.Errorf("%s (-default +got):\n%s", name, diff)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := config.Read(strings.NewReader(`
data: {dir: /srv/clyde}
http:
  addr: 0.0.0.0:443
  public_url: https://registry.example.org
  trusted_proxies: [10.0.0.0/8, "::1"]
  header_timeout: 5s
registry:
  accept: any
  max_blob: 1073741824
api: {reads_per_second: 50.5}
`), []string{"CLYDE_HTTP_HEADER_TIMEOUT=1m30s", "CLYDE_REGISTRY_MAX_UPLOADS=7", "CLYDE_API_WRITES_PER_SECOND=0.5", "CLYDE_HTTP_TRUSTED_PROXIES=192.0.2.1, 192.0.2.2,", "CLYDE_ROLES=web,api,registry,indexer"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Roles = []string{"web", "api", "registry", "indexer"}
	want.Data.Dir = "/srv/clyde"
	want.HTTP.Addr, want.HTTP.PublicURL = "0.0.0.0:443", "https://registry.example.org"
	want.HTTP.TrustedProxies, want.HTTP.HeaderTimeout = []string{"192.0.2.1", "192.0.2.2"}, 90*time.Second
	want.Registry.Accept, want.Registry.MaxBlob, want.Registry.MaxUploads = "any", 1<<30, 7
	want.API.ReadsPerSecond, want.API.WritesPerSecond = 50.5, 0.5
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"unknown key":        {"http:\n  adr: x\n", `line 2: unknown key "http.adr"; did you mean "http.addr"?`},
		"unknown section":    {"\nregistri: {}\n", `line 2: unknown key "registri"; did you mean "registry"?`},
		"nothing like it":    {"zzzzzzzzzz: 1\n", `unknown key "zzzzzzzzzz"`},
		"two at once":        {"http: {adr: x}\nlog: {levell: x}\n", `"log.level"`},
		"wrong case":         {"HTTP: {}\n", `unknown key "HTTP"`},
		"twice":              {"log: {level: info}\nlog: {level: warn}\n", `already defined`},
		"second document":    {"log: {}\n---\nlog: {}\n", "more than one document"},
		"anchor":             {"log: &x {}\n", "line 1: anchors"},
		"merge":              {"log: &x {level: info}\nhttp: {<<: *x}\n", "anchors"},
		"number for section": {"http: 8080\n", "line 1: http: want keys below it"},
		"list for text":      {"http: {addr: [a, b]}\n", "line 1"},
		"map in list":        {"roles: [{a: b}]\n", "line 1: roles: want a list of texts"},
		"null in list":       {"roles: [~]\n", "line 1: roles: want a list of texts"},
		"bare duration":      {"http: {idle_timeout: 10}\n", "line 1"},
		"bad duration":       {"http: {idle_timeout: soon}\n", "line 1"},
		"fraction":           {"registry: {max_uploads: 1.5}\n", "line 1"},
		"not a mapping":      {"- a\n", "the file: want keys below it"},
		"not YAML":           {"a: [\n", "yaml"},
		"too large":          {strings.Repeat("#", config.MaxFile) + "\n", "larger than"},
	} {
		if _, err := config.Read(strings.NewReader(tt.in), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	if _, err := config.Read(strings.NewReader(strings.Repeat("#", config.MaxFile)), nil); err != nil {
		t.Errorf("a file of exactly MaxFile bytes: %v", err)
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  []string
		want string // in the error; "" none
	}{
		"the client's":      {[]string{"CLYDE_REGISTRY=localhost:8080", "CLYDE_TOKEN=x", "CLYDE_KEY=k", "CLYDE_CONFIG=c", "CLYDE_KEY_PASSWORD=p"}, ""},
		"others'":           {[]string{"PATH=/bin", "CLYDEHTTP_ADDR=x", "=C:=C:\\", "HTTP_ADDR=x", "clyde_http_addr=x"}, ""},
		"Kubernetes'":       {[]string{"CLYDE_REGISTRY_SERVICE_HOST=10.0.0.1", "CLYDE_REGISTRY_SERVICE_PORT=80", "CLYDE_REGISTRY_SERVICE_PORT_HTTP=80", "CLYDE_REGISTRY_PORT=tcp://10.0.0.1:80", "CLYDE_REGISTRY_PORT_80_TCP=x", "CLYDE_REGISTRY_PORT_80_TCP_ADDR=x"}, ""},
		"typing mistake":    {[]string{"CLYDE_HTTP_ADR=:1"}, "CLYDE_HTTP_ADR sets nothing; did you mean CLYDE_HTTP_ADDR?"},
		"unknown":           {[]string{"CLYDE_TLS_VERY_DIFFERENT_THING=1"}, "CLYDE_TLS_VERY_DIFFERENT_THING sets nothing"},
		"not a number":      {[]string{"CLYDE_REGISTRY_MAX_BLOB=5GB"}, `CLYDE_REGISTRY_MAX_BLOB="5GB": want a whole number`},
		"empty number":      {[]string{"CLYDE_REGISTRY_MAX_BLOB="}, "want a whole number"},
		"too large":         {[]string{"CLYDE_REGISTRY_MAX_BLOB=9223372036854775808"}, "want a whole number"},
		"not a rate":        {[]string{"CLYDE_API_READS_PER_SECOND=x"}, "want a number"},
		"not a duration":    {[]string{"CLYDE_HTTP_IDLE_TIMEOUT=5"}, "want a duration"},
		"two at once":       {[]string{"CLYDE_HTTP_IDLE_TIMEOUT=5", "CLYDE_LOG_FROMAT=text"}, "CLYDE_LOG_FORMAT?"},
		"validated as well": {[]string{"CLYDE_REGISTRY_ACCEPT=all"}, `registry.accept: "all": want packages or any`},
		"not a number, NaN": {[]string{"CLYDE_API_READS_PER_SECOND=NaN"}, "api.reads_per_second"},
	} {
		_, err := config.Read(nil, tt.env)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

// Every field can be set from the environment by its path.
func TestOverlayReachesEveryField(t *testing.T) {
	t.Parallel()
	c := config.Default()
	top := reflect.ValueOf(&c).Elem()
	set := func(name string, v reflect.Value) {
		value := map[reflect.Kind]string{reflect.String: "x", reflect.Int: "3", reflect.Int64: "3", reflect.Float64: "3", reflect.Slice: "x,y"}[v.Kind()]
		if v.Type() == reflect.TypeFor[[]config.OIDCProvider]() {
			value = `[{"key": "acme", "issuer": "https://sso.acme.example"}]`
		}
		if v.Type() == reflect.TypeFor[[]config.TrustedIssuer]() {
			value = `[{"name": "codeberg", "url": "https://codeberg.org/api/actions", "kind": "forgejo"}]`
		}
		if v.Type() == reflect.TypeFor[[]config.Upstream]() {
			value = `[{"name": "ghcr", "url": "https://ghcr.io", "namespaces": ["acme"], "sweep_every": "15m"}]`
		}
		if v.Type() == reflect.TypeFor[[]config.Sigstore]() {
			value = `[{"name": "acme", "trusted_root": "/etc/clyde/trusted_root.json"}]`
		}
		if v.Kind() == reflect.Bool {
			value = strconv.FormatBool(!v.Bool())
		}
		if v.Type() == reflect.TypeFor[time.Duration]() {
			value = "3ns"
		}
		before := v.Interface()
		if err := c.Overlay([]string{name + "=" + value}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if reflect.DeepEqual(before, v.Interface()) {
			t.Errorf("%s sets nothing", name)
		}
	}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := prefix + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
			if v.Field(i).Kind() == reflect.Struct {
				walk(name+"_", v.Field(i))
			} else {
				set(name, v.Field(i))
			}
		}
	}
	walk("CLYDE_", top)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit func(*config.Config)
		want string
	}{
		"unknown role":     {func(c *config.Config) { c.Roles = []string{"registry", "cook"} }, `roles: "cook" is none of`},
		"role twice":       {func(c *config.Config) { c.Roles = []string{"registry", "api", "web", "web"} }, `roles: "web" is there twice`},
		"split":            {func(c *config.Config) { c.Roles = []string{"registry", "api", "web"} }, "belong to one process"},
		"no role":          {func(c *config.Config) { c.Roles = nil }, "roles: is empty"},
		"nothing to serve": {func(c *config.Config) { c.Roles, c.Database.URL = []string{"api", "web"}, "postgres://db/clyde" }, "roles: without the role registry"},
		"split on Postgres": {func(c *config.Config) {
			c.Roles, c.Database.URL, c.Data.Shared = []string{"api"}, "postgres://db/clyde", "/srv/clyde"
		}, ""},
		"no data.dir":         {func(c *config.Config) { c.Data.Dir = " " }, "data.dir"},
		"no port":             {func(c *config.Config) { c.HTTP.Addr = "127.0.0.1" }, "http.addr"},
		"empty port":          {func(c *config.Config) { c.HTTP.Addr = "127.0.0.1:" }, "http.addr"},
		"port by name":        {func(c *config.Config) { c.HTTP.Addr = ":http" }, "http.addr"},
		"largest port":        {func(c *config.Config) { c.HTTP.Addr = ":65535" }, ""},
		"port too large":      {func(c *config.Config) { c.HTTP.Addr = ":65536" }, "http.addr"},
		"any port":            {func(c *config.Config) { c.HTTP.Addr = "[::1]:0" }, ""},
		"metrics":             {func(c *config.Config) { c.Metrics.Addr = "127.0.0.1:9090" }, ""},
		"metrics, no port":    {func(c *config.Config) { c.Metrics.Addr = "9090" }, "metrics.addr"},
		"URL":                 {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org:8443" }, ""},
		"contact by mail":     {func(c *config.Config) { c.HTTP.SecurityContact = "mailto:security@example.org" }, ""},
		"contact on the web":  {func(c *config.Config) { c.HTTP.SecurityContact = "https://example.org/security" }, ""},
		"contact, bare":       {func(c *config.Config) { c.HTTP.SecurityContact = "security@example.org" }, "http.security_contact"},
		"contact, two lines":  {func(c *config.Config) { c.HTTP.SecurityContact = "mailto:a@b\nExpires: never" }, "http.security_contact"},
		"URL with a slash":    {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org/" }, "http.public_url"},
		"URL with a query":    {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org?" }, "http.public_url"},
		"URL with a fragment": {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org#x" }, "http.public_url"},
		"URL with a password": {func(c *config.Config) { c.HTTP.PublicURL = "https://u:p@r.example.org" }, "http.public_url"},
		"URL without a host":  {func(c *config.Config) { c.HTTP.PublicURL = "https://:80" }, "http.public_url"},
		"URL, bad port":       {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org:99999" }, "http.public_url"},
		"URL, empty port":     {func(c *config.Config) { c.HTTP.PublicURL = "https://r.example.org:" }, "http.public_url"},
		"URL, other scheme":   {func(c *config.Config) { c.HTTP.PublicURL = "ftp://r.example.org" }, "http.public_url"},
		"URL, no scheme":      {func(c *config.Config) { c.HTTP.PublicURL = "r.example.org" }, "http.public_url"},
		"URL against TLS":     {func(c *config.Config) { c.HTTP.PublicURL, c.TLS.Cert, c.TLS.Key = "http://r.example.org", "c", "k" }, "speaks HTTPS"},
		"no time":             {func(c *config.Config) { c.HTTP.HeaderTimeout = 0 }, "http.header_timeout: 0s; must be positive"},
		"least time":          {func(c *config.Config) { c.HTTP.IdleTimeout = 1 }, ""},
		"negative time":       {func(c *config.Config) { c.HTTP.ShutdownGrace = -1 }, "http.shutdown_grace"},
		"no retention":        {func(c *config.Config) { c.Registry.UploadRetention = 0 }, "registry.upload_retention"},
		"no blob":             {func(c *config.Config) { c.Registry.MaxBlob = 0 }, "registry.max_blob"},
		"least blob":          {func(c *config.Config) { c.Registry.MaxBlob = 1 }, ""},
		"no uploads":          {func(c *config.Config) { c.Registry.MaxUploads = 0 }, "registry.max_uploads"},
		"no bytes":            {func(c *config.Config) { c.Registry.MaxBytesPerDay = -1 }, "registry.max_bytes_per_day"},
		"negative rate":       {func(c *config.Config) { c.API.ReadsPerSecond = -0.1 }, "api.reads_per_second"},
		"rate of no number":   {func(c *config.Config) { c.API.WritesPerSecond = math.NaN() }, "api.writes_per_second"},
		"endless rate":        {func(c *config.Config) { c.API.WritesPerSecond = math.Inf(1) }, "api.writes_per_second"},
		"cert without key":    {func(c *config.Config) { c.TLS.Cert = "c" }, "tls: cert and key belong together"},
		"key without cert":    {func(c *config.Config) { c.TLS.Key = "k" }, "tls: cert and key belong together"},
		"cert and ACME":       {func(c *config.Config) { c.TLS.Cert, c.TLS.Key, c.TLS.ACMEDomains = "c", "k", []string{"a.example.org"} }, "not both"},
		"ACME": {func(c *config.Config) {
			c.TLS.ACMEDomains, c.TLS.ACMEEmail = []string{"a.example.org"}, "x@example.org"
		}, ""},
		"ACME, wildcard":  {func(c *config.Config) { c.TLS.ACMEDomains = []string{"*.example.org"} }, "tls.acme_domains"},
		"ACME, address":   {func(c *config.Config) { c.TLS.ACMEDomains = []string{"192.0.2.1"} }, "tls.acme_domains"},
		"ACME, one label": {func(c *config.Config) { c.TLS.ACMEDomains = []string{"localhost"} }, "tls.acme_domains"},
		"ACME, empty":     {func(c *config.Config) { c.TLS.ACMEDomains = []string{""} }, "tls.acme_domains"},
		"ACME, only mail": {func(c *config.Config) { c.TLS.ACMEEmail = "x@example.org" }, "tls.acme_email"},
		"accept":          {func(c *config.Config) { c.Registry.Accept = "" }, "registry.accept"},
		"level":           {func(c *config.Config) { c.Log.Level = "loud" }, "want debug, info, warn or error"},
		"format":          {func(c *config.Config) { c.Log.Format = "xml" }, "log.format"},
		"proxy":           {func(c *config.Config) { c.HTTP.TrustedProxies = []string{"10.0.0.0/33"} }, "http.trusted_proxies"},
		"two":             {func(c *config.Config) { c.Log.Format, c.Registry.Accept = "", "" }, "log.format"},
	} {
		c := config.Default()
		tt.edit(&c)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	c := config.Default()
	c.Log.Format, c.Registry.Accept = "", ""
	if n := strings.Count(c.Validate().Error(), "\n"); n != 1 {
		t.Errorf("two mistakes give %d lines", n+1)
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.1.2.3/8": "10.0.0.0/8", "::1": "::1/128", "2001:db8::1/32": "2001:db8::/32",
		"0.0.0.0/0": "0.0.0.0/0", "::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.0/104": "10.0.0.0/8",
		"": "", "10.0.0.0/33": "", "10.0.0": "", "host": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/90": "", "10.0.0.1-10.0.0.9": "",
	} {
		ps, err := config.HTTP{TrustedProxies: []string{in}}.Proxies()
		got := ""
		if err == nil {
			got = ps[0].String()
		}
		if got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if c, err := config.ReadFile("", nil); err != nil || !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("no file: %+v, %v", c, err)
	}
	if _, err := config.ReadFile("clyde.yaml", nil); err == nil {
		t.Error("a file that was named and is absent is no error")
	}
	if err := os.WriteFile("clyde.yaml", []byte("data: {dir: elsewhere}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", filepath.Join(dir, "clyde.yaml")} {
		if c, err := config.ReadFile(name, nil); err != nil || c.Data.Dir != "elsewhere" {
			t.Errorf("ReadFile(%q): %+v, %v", name, c.Data, err)
		}
	}
}

// FuzzRead: no input makes Read panic, and what it accepts is valid and reads
// the same again with everything named in the environment.
func FuzzRead(f *testing.F) {
	f.Add("http: {addr: ':0'}", "CLYDE_LOG_LEVEL=warn")
	f.Add("roles: [registry, api, web, indexer]\n", "CLYDE_HTTP_TRUSTED_PROXIES=10.0.0.0/8")
	f.Add("a: &b [*b]", "CLYDE_API_READS_PER_SECOND=1e3")
	f.Fuzz(func(t *testing.T, file, env string) {
		c, err := config.Read(strings.NewReader(file), []string{env})
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, and not valid: %v", err)
		}
		if again, err := config.Read(strings.NewReader(file), []string{env, env}); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("the second reading differs: %v", err)
		}
	})
}
