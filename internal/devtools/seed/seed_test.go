package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// serve runs a whole server in process and returns its address and the file
// with the administrator's token.
func serve(t *testing.T) (url, tokenFile string) {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP.Addr, cfg.Data.Dir = "127.0.0.1:0", t.TempDir()
	s, err := server.New(t.Context(), cfg, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokenFile, _, err = s.FirstToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.PublicURL(), tokenFile
}

// The small file goes in whole, is found, and goes in again without a change.
func TestSeed(t *testing.T) {
	t.Parallel()
	url, tokenFile := serve(t)
	report := filepath.Join(t.TempDir(), "report.txt")
	o := options{registry: url, tokenFile: tokenFile, data: filepath.FromSlash("../../../examples/packages.jsonl"), report: report}
	for _, nth := range []string{"first", "second"} {
		var out bytes.Buffer
		if err := run(t.Context(), o, "", &out); err != nil {
			t.Fatalf("%s run: %v\n%s", nth, err, &out)
		}
		if !strings.Contains(out.String(), "40 of 40 packages are in ") {
			t.Errorf("%s run says:\n%s", nth, &out)
		}
	}
	c, err := client.New(client.Options{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.Search(t.Context(), client.SearchQuery{Text: "quill/toml.hpp"})
	if err != nil || len(page.Items) == 0 || page.Items[0].Name != "@quill/quill-toml" {
		t.Errorf("searching for a header: %+v, %v; want @quill/quill-toml first", page.Items, err)
	}
	if all, err := c.Search(t.Context(), client.SearchQuery{Limit: 1}); err != nil || all.Total != 40 {
		t.Errorf("the catalogue has %d packages, %v; want 40", all.Total, err)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"version\t@pkgs/serialbus\t\"cci.20230914\" became \"2023-09-14\"\t",
		"dependency\t@pkgs/vault-key\t\"no-such-library\" became nothing\t",
		"namespace\t@garden-tools/cuttings\t",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report lacks %q:\n%s", want, b)
		}
	}
}

// A token that may do nothing ends the run; a package that is refused is named.
func TestSeedRefused(t *testing.T) {
	t.Parallel()
	url, tokenFile := serve(t)
	o := options{registry: url, tokenFile: tokenFile, data: filepath.FromSlash("../../../examples/packages.jsonl")}
	if err := run(t.Context(), o, "not-a-token", &bytes.Buffer{}); err == nil {
		t.Error("seeding with a bad token succeeded")
	}
	o.data = filepath.Join(t.TempDir(), "two.jsonl")
	write := func(line string) {
		t.Helper()
		if err := os.WriteFile(o.data, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"name":"stone","version":"1.0.0","description":"one"}`)
	if err := run(t.Context(), o, "", &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	write(`{"name":"stone","version":"1.0.0","description":"another"}`)
	if err := run(t.Context(), o, "", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "@pkgs/stone 1.0.0") {
		t.Errorf("other content under a version: %v; want an error that names it", err)
	}
}
