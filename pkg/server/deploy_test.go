package server

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/registrytest"
)

var deployDir = filepath.Join("..", "..", "deploy")

// Every figure that alerts and the dashboard name is told by a running server,
// and every one of ours is on the dashboard.
func TestDeployMetrics(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(true)
	reg.Push(t, "", "acme/zlib", "1.0.0")
	c := testConfig(t)
	c.Metrics.Addr = "127.0.0.1:0"
	c.Registries = []config.Upstream{{Name: "main", URL: "http://" + reg.Host, Namespaces: []string{"acme"}, RequestsPerSecond: 1000}}
	s := start(t, c, Options{})
	get(t, http.DefaultClient, base(s)+"/healthz")
	told := map[string]bool{"up": true} // Prometheus' own
	foundSoon(t, "all figures", func() bool {
		_, body := get(t, http.DefaultClient, "http://"+s.metrics.Addr().String()+"/metrics")
		for line := range strings.Lines(body) {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			told[name] = true
		}
		return told["clyde_upstream_sweep_age_seconds"]
	})
	name := regexp.MustCompile(`\b(clyde|process|go)_[a-z_]+\b`)
	shown := map[string]bool{}
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		b, err := os.ReadFile(filepath.Join(deployDir, "monitoring", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range name.FindAllString(string(b), -1) {
			if !told[n] {
				t.Errorf("%s names %s, which no server tells", file, n)
			}
			shown[n] = shown[n] || file == "dashboard.json"
		}
	}
	for n := range told {
		base := strings.TrimSuffix(strings.TrimSuffix(n, "_sum"), "_count")
		if strings.HasPrefix(n, "clyde_") && !shown[n] && !shown[base+"_bucket"] {
			t.Errorf("%s is not on the dashboard", n)
		}
	}
}

// Every configuration in deploy/ is one that the server starts with: read with
// the variables that its composition or its pod sets.
func TestDeployConfigurations(t *testing.T) {
	t.Parallel()
	read := func(what, file string, environ []string) {
		t.Helper()
		var b []byte
		if file != "" {
			var err error
			if b, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := config.Read(bytes.NewReader(b), environ); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	image := dockerEnv(t)
	n := 0
	compositions, _ := filepath.Glob(filepath.Join(deployDir, "compose", "*.yaml"))
	for _, file := range compositions {
		var c struct {
			Services map[string]struct {
				Image       string            `yaml:"image"`
				Environment map[string]string `yaml:"environment"`
				Volumes     []string          `yaml:"volumes"`
			} `yaml:"services"`
		}
		decodeYAML(t, file, &c)
		for name, s := range c.Services {
			if !strings.Contains(s.Image, "clyde-registry") {
				continue
			}
			environ, mounted := slices.Clone(image), ""
			for k, v := range s.Environment {
				environ = append(environ, k+"="+v)
			}
			for _, v := range s.Volumes {
				if from, ok := strings.CutSuffix(v, ":/etc/clyde/clyde.yaml:ro"); ok {
					mounted = filepath.Join(filepath.Dir(file), from)
				}
			}
			n++
			read(file+" "+name, mounted, environ)
		}
	}
	for dir, roles := range map[string][]string{"single": {""}, "sidecar": {""}, "split": {"registry", "api,web", "indexer"}} {
		file := filepath.Join(deployDir, "kubernetes", dir, "clyde.yaml")
		for _, r := range roles {
			environ := slices.Clone(image)
			if r != "" {
				environ = append(environ, "CLYDE_ROLES="+r)
			}
			n++
			read(file+" "+r, file, environ)
		}
	}
	if n != 10 {
		t.Errorf("%d configurations were read; want 10", n)
	}
}

// dockerEnv is what the image sets for the server.
func dockerEnv(t *testing.T) (environ []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deployDir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	environ = regexp.MustCompile(`CLYDE_[A-Z_]+=\S+`).FindAllString(string(b), -1)
	if len(environ) == 0 {
		t.Fatal("the image sets nothing")
	}
	mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if version == nil || !bytes.Contains(b, []byte("FROM --platform=$BUILDPLATFORM golang:"+string(version[1])+"-")) {
		t.Error("the Dockerfile builds with another Go than go.mod asks for")
	}
	return environ
}

func decodeYAML(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
