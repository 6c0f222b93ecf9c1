package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	const sha = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for _, tt := range []struct {
		in     string
		name   string // or the reference
		want   string
		status int
	}{
		{in: "@acme/zlib", name: "@acme/zlib"},
		{in: "acme/zlib", name: "@acme/zlib"},
		{in: "@acme/zlib@1.3.1", name: "@acme/zlib", want: "1.3.1"},
		{in: "acme/zlib@^1.2", name: "@acme/zlib", want: "^1.2"},
		{in: "acme/zlib@>=1 <2", name: "@acme/zlib", want: ">=1 <2"},
		{in: "acme/fmt.core", name: "@acme/fmt.core"},
		{in: "zlib", name: "zlib"},
		{in: "zlib@1", name: "zlib", want: "1"},
		{in: "ghcr.io/acme/zlib:1.3.1", name: "ghcr.io/acme/zlib:1.3.1"},
		{in: "ghcr.io/acme/zlib", name: "ghcr.io/acme/zlib"},
		{in: "localhost/acme/zlib:1", name: "localhost/acme/zlib:1"},
		{in: "localhost:5000/acme/zlib:1", name: "localhost:5000/acme/zlib:1"},
		{in: "http://r.test/acme/zlib@" + sha, name: "r.test/acme/zlib@" + sha},
		{in: "ghcr.io/acme/zlib:1@" + sha, name: "ghcr.io/acme/zlib@" + sha},
		{in: "acme/zlib:1.3.1", status: exitUsage},
		{in: "zlib:1.3.1", status: exitUsage},
		{in: "localhost:5000", status: exitUsage},
		{in: "@acme", status: exitUsage},
		{in: "acme/zlib@", status: exitUsage},
		{in: "ghcr.io/acme/zlib@1.3.1", status: exitUsage},
		{in: "ghcr.io/acme/zlib:", name: "ghcr.io/acme/zlib"}, // as GitHub writes it
		{in: "r.test/acme/zlib:", status: exitUsage},
		{in: "ghcr.io/acme/zlib:a/b", status: exitInvalid},
		{in: "user:pass@ghcr.io/acme/zlib", status: exitUsage},
		{in: "", status: exitInvalid},
		{in: "acme/Zlib", status: exitInvalid},
		{in: "acme/zlib@^^1", status: exitInvalid},
		{in: "a/b/c", status: exitInvalid},
		{in: "\x1b[31m", status: exitInvalid},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := parseTarget(tt.in)
			if code := status(context.Background(), err); code != tt.status {
				t.Fatalf("parseTarget(%q): %v, exit status %d; want %d", tt.in, err, code, tt.status)
			}
			if err != nil {
				return
			}
			name := got.name.String()
			if got.ref.at.host != "" {
				name = got.ref.String()
			}
			if name != tt.name || got.want != tt.want {
				t.Errorf("parseTarget(%q) = %q @ %q; want %q @ %q", tt.in, name, got.want, tt.name, tt.want)
			}
		})
	}
}

// FuzzParseTarget: an argument is a package or a reference and never both;
// what it was read as reads back to the same; the only failures are usage
// errors and ErrInvalid.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"@acme/zlib@^1", "ghcr.io/acme/zlib:1", "http://a/b/c", "zlib", "@", "a:b/c@d", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTarget(s)
		if err != nil {
			if _, usage := errors.AsType[*usageError](err); !usage && !errors.Is(err, clyde.ErrInvalid) {
				t.Fatalf("parseTarget(%q): %v", s, err)
			}
			return
		}
		again := got.name.String()
		if got.want != "" {
			again += "@" + got.want
		}
		if host := got.ref.at.host; host != "" {
			if !got.name.IsZero() {
				t.Fatalf("parseTarget(%q) is %v and %v", s, got.name, got.ref)
			}
			again = got.ref.at.scheme + "://" + got.ref.String()
		}
		back, err := parseTarget(again)
		if err != nil || back.name != got.name || back.want != got.want || back.ref != got.ref {
			t.Fatalf("parseTarget(%q) = %+v; of %q it is %+v, %v", s, got, again, back, err)
		}
	})
}

// FuzzClean: nothing that could drive a terminal, break a line or a column
// comes through, and what is clean stays as it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"zlib", "\x1b[2J", "a\tb\nc", "\u202Eabc", "\x9b31m", "👩\u200d💻", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		for _, r := range got {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("clean(%q) = %q has %U", s, got, r)
			}
		}
		if clean(got) != got {
			t.Fatalf("clean(clean(%q)) differs", s)
		}
		if strings.ContainsRune(got, '\n') {
			t.Fatalf("clean(%q) has two lines", s)
		}
	})
}

func TestAddressRepo(t *testing.T) {
	t.Parallel()
	n := clyde.Name{Namespace: "acme", Base: "zlib"}
	for _, tt := range []struct{ in, url, repo, namespace string }{
		{"localhost:8080", "http://localhost:8080", "acme/zlib", ""},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", "acme/zlib", ""},
		{"[::1]:8080", "http://[::1]:8080", "acme/zlib", ""},
		{"ghcr.io/acme", "https://ghcr.io", "acme/zlib", "acme"},
		{"ghcr.io/org/acme/", "https://ghcr.io", "org/acme/zlib", "acme"},
		{"https://R.Example/mirror", "https://r.example", "mirror/acme/zlib", "mirror"},
		{"http://registry:5000", "http://registry:5000", "acme/zlib", ""},
	} {
		a, err := parseAddress(tt.in)
		if err != nil || a.url() != tt.url || a.repo(n) != tt.repo || a.namespace() != tt.namespace {
			t.Errorf("parseAddress(%q) = %v, %v: url %q, repo %q, namespace %q; want %q, %q, %q",
				tt.in, a, err, a.url(), a.repo(n), a.namespace(), tt.url, tt.repo, tt.namespace)
		}
	}
	for _, in := range []string{"", "ftp://x", "https://u:p@x", "x?y", "x#y", "https://x/UPPER", "http://"} {
		if a, err := parseAddress(in); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("parseAddress(%q) = %v, %v; want ErrInvalid", in, a, err)
		}
	}
}

// TestTokenStaysHome: CLYDE_TOKEN is for the registry that clyde is set to
// talk to, and is shown to no other.
func TestTokenStaysHome(t *testing.T) {
	// Not parallel: it sets the environment.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv(githubTokenVar, "")
	t.Setenv(tokenVar, "clyde_secret")
	for _, tt := range []struct {
		host string
		ours bool
		want string
	}{{"r.test", true, "clyde_secret"}, {"r.test", false, ""}, {"ghcr.io", true, ""}, {"ghcr.io", false, ""}} {
		c, err := credentialFor(t.Context(), tt.host, tt.ours)
		if err != nil || c.secret != tt.want {
			t.Errorf("credentialFor(%s, ours %v) = %q, %v; want %q", tt.host, tt.ours, c.secret, err, tt.want)
		}
	}
	var got string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := r.Header.Get("Authorization"); h != "" {
			got = h
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer other.Close()
	t.Setenv("CLYDE_REGISTRY", "http://127.0.0.1:1")
	runClyde(t, t.Context(), exitDenied, "pull", other.URL+"/acme/zlib:1.0.0")
	if got != "" {
		t.Errorf("another registry was shown %q", got)
	}
}
