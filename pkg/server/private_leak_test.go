package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// hushed is a package whose every word is its own, and which needs a public one.
const hushed = `name: "@acme/hushed"
version: %q
language: cpp
license: Zlib
type: tool
description: Quenelle
keywords: [quincunx]
categories: [graphics]
requires: {"@acme/pub": "^1.0.0"}
`

// TestPrivateShowsNowhere takes down every page and answer that strangers are
// given, then publishes a private package, yanks and deprecates in it, and
// finds the same answers, to the byte: no hit, facet, suggestion, count,
// dependent, change or gap tells of it. A member is shown it.
func TestPrivateShowsNowhere(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	ctx := t.Context()
	name := clyde.Name{Namespace: "acme", Base: "hushed"}
	publish := func(version string) {
		t.Helper()
		if _, _, err := w.s.Ingest.Publish(ctx, w.s.Registry, System, fmt.Appendf(nil, hushed, version), bytes.NewReader(w.archive), artifact.TypeSourceGzip); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{
		"/api/v1/search?q=", "/api/v1/search?q=quenelle", "/api/v1/search?q=hush", "/api/v1/search?q=husched", "/api/v1/search?q=keyword:quincunx",
		"/api/v1/search?q=license:Zlib", "/api/v1/search?q=language:cpp", "/api/v1/search?q=namespace:acme", "/api/v1/search?q=category:graphics",
		"/api/v1/suggest?q=hus", "/api/v1/suggest?q=que", "/search?q=hushed", "/search?q=quincunx", "/search?q=", "/api/v1/changes?after=0",
		"/api/v1/packages/hushed", "/packages/hushed", "/v2/_catalog?n=100", "/packages", "/namespaces/acme", "/packages/acme/pub/dependents",
		"/", "/browse", "/sitemap.xml", "/sitemaps/1.xml", "/feeds/site.atom", "/feeds/acme.atom", "/feeds/acme/hushed.atom", "/badges/acme/hushed/version.svg",
		"/badges/acme/hushed/version.json", "/cards/acme/hushed/1.0.0.png", "/packages/acme/hushed.json",
	}
	for _, r := range w.allRoutes() {
		if r.method == "GET" && !strings.HasPrefix(r.path, "/v2/{") {
			path := places.Replace(strings.ReplaceAll(r.path, "{name}", "pub"))
			switch r.id {
			case "suggest":
				path += "?q=p"
			case "resolve-range":
				path += "?range=^1"
			}
			paths = append(paths, path)
		}
	}
	strangers := map[string]asker{}
	for _, a := range w.askers {
		if a.outsider || a.name == "reader" {
			strangers[a.name] = a
		}
	}
	shown := func(a asker) map[string]string {
		out := map[string]string{}
		ask := func(method, path string, body io.Reader) {
			req := w.request(route{method, "", ""}, "pub")
			r := httptest.NewRequest(method, "http://localhost"+path, body)
			r.RemoteAddr = req.RemoteAddr
			if body != nil {
				r.Header.Set("Content-Type", "application/json")
			}
			got := w.learns(r, a)
			out[method+" "+path] = fmt.Sprintln(got.Status, moment.ReplaceAllString(got.Body, ""))
		}
		for _, p := range paths {
			ask("GET", p, nil)
		}
		ask("POST", "/api/v1/resolve", strings.NewReader(`{"requires":{"@acme/hushed":"*"}}`))
		ask("POST", "/api/v1/resolve", strings.NewReader(`{"requires":{"@acme/pub":"*"}}`))
		return out
	}
	// What somebody did before is in lists of their own; both times are the second.
	for _, a := range strangers {
		shown(a)
	}
	before := map[string]map[string]string{}
	for n, a := range strangers {
		before[n] = shown(a)
	}
	publish("1.0.0")
	if _, err := w.s.Catalog.SetAccess(ctx, System, name, true); err != nil {
		t.Fatal(err)
	}
	publish("1.1.0")
	_, yerr := w.s.Catalog.Yank(ctx, System, catalog.Ref{Name: name, Version: "1.0.0"}, catalog.YankRequest{Yanked: true, Reason: "broken"})
	_, derr := w.s.Catalog.Deprecate(ctx, System, name, catalog.Deprecation{Message: "hush"})
	if err := errors.Join(yerr, derr); err != nil {
		t.Fatal(err)
	}
	for n, a := range strangers {
		diff := cmp.Diff(before[n], shown(a))
		switch {
		case n == "reader" && !strings.Contains(diff, "@acme/hushed"):
			t.Error("a member is not shown the package either: nothing is proved")
		case n != "reader" && diff != "":
			t.Errorf("%s sees that something is there (-before +after):\n%s", n, diff)
		}
	}
}

// moment is what passes by itself: times, and what is left of a limit.
var moment = regexp.MustCompile(`"(?:at|expires|started)":"[^"]*"|"(?:remaining|reset)":\d+`)
