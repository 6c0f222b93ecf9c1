// Package clyderegistry_test holds what is true of the module as a whole.
package clyderegistry_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/clydepm/clyde-registry/"

// layer says how high a package stands: it may import only what stands lower,
// so that arrows point down and there is no cycle of ideas. A package that is
// missing here fails the test: adding one, or moving one, is an architectural
// change; say why in the commit.
var layer = map[string]int{
	"pkg/clyde": 0, // the words; imports nothing of ours
	"config":    0,

	"pkg/strictjson": 5, // of any format

	"pkg/compat":              8,  // facts of builds and what fits what; no I/O
	"pkg/texmath":             8,  // TeX to MathML; no I/O
	"pkg/egress":              10, // asks addresses that somebody else chose
	"pkg/jobs":                10,
	"pkg/limits":              10, // counts; knows neither what nor whom
	"pkg/keylock":             10, // a mutex for each key
	"pkg/filelock":            10, // the same between processes
	"pkg/markdown":            10,
	"pkg/card":                10, // pictures for previews
	"pkg/diff":                10, // what changed between texts and trees
	"pkg/resolve":             10,
	"pkg/resolve/resolvetest": 11,
	"pkg/recent":              10, // what was used last

	"pkg/binary":     11, // what files say of the facts of builds
	"pkg/graph":      11, // what a graph that was resolved amounts to
	"pkg/sbom":       12, // graphs as documents
	"pkg/provenance": 11, // what CI says of a build
	"pkg/generate":   11, // what resolve decided, for build systems
	"pkg/toolchain":  12, // what this machine is

	"pkg/store":                     20,
	"pkg/store/storetest":           21,
	"pkg/artifact":                  20,
	"pkg/signing":                   21, // of artifacts
	"pkg/signing/sigstoretest":      22, // a sigstore on this machine
	"pkg/github":                    21, // repositories there, and packages in their tags
	"pkg/policy":                    22, // whose signatures must be there
	"pkg/index":                     20,
	"pkg/index/indextest":           21,
	"pkg/index/memory":              21,
	"pkg/index/meili":               22, // ranks with memory
	"internal/meilitest":            10,
	"pkg/client":                    20,
	"pkg/sparse":                    21, // asks through client
	"pkg/registry/fsdriver":         20, // disk layout; knows nothing of packages
	"pkg/registry/fsdriver/crashfs": 21,
	"pkg/registry/s3driver":         20, // the same layout in a bucket
	"pkg/account/oidc":              10, // tokens; knows nothing of accounts
	"pkg/account/oidc/oidctest":     11,
	"pkg/account":                   30,
	"pkg/account/signin":            31, // who a provider vouched for
	"pkg/account/signin/signintest": 32,
	"pkg/notice":                    21, // mail about what the log and the feed say
	"pkg/install":                   30, // packages in a project; never asks for more than bytes by digest
	"pkg/content":                   30,
	"pkg/downloads":                 30, // counts pulls in classes
	"pkg/catalog":                   31, // asks account and content
	"pkg/linked":                    31, // publishes tags of repositories
	"pkg/ingest":                    31,
	"pkg/ingest/notify":             31, // what other registries report
	"pkg/upstream":                  22, // registries that others run
	"pkg/api":                       40,
	"pkg/web":                       40,
	"pkg/registry":                  40,
	"pkg/server":                    50,
	"cmd/clyde":                     60,
	"cmd/clyde-registry":            60,
	"cmd/clyde-bench":               60,
	"internal/postgrestest":         10,
	"internal/toolchaintest":        10,
	"internal/tlstest":              5,  // certificates
	"internal/githubtest":           10, // what of GitHub matters, on this machine
	"internal/registrytest":         22,
	"internal/devtools/seed":        60,
	"internal/devtools/dev":         60,
	"internal/devtools/chaos":       60,
	"internal/devtools/sigstore":    60,
}

// only lists what may be imported, outside tests, by the named packages alone
// (and what lies below them). A key ends with "/" where it stands for
// everything under it.
var only = []struct {
	path string
	by   []string
	why  string
}{
	{module + "config", []string{"pkg/server", "cmd/clyde-registry", "cmd/clyde-bench"}, "settings are passed down as arguments"},
	{module + "pkg/server", []string{"cmd/clyde-registry", "cmd/clyde-bench"}, "the client and the parts do not know how they are assembled"},
	{module + "pkg/store/storetest", nil, "tests only"},
	{module + "pkg/account/oidc/oidctest", []string{"pkg/account/signin/signintest"}, "tests only"},
	{module + "pkg/account/signin/signintest", nil, "tests only"},
	{module + "pkg/resolve/resolvetest", []string{"cmd/clyde-bench"}, "tests and measurements only"},
	{module + "pkg/index/indextest", []string{"cmd/clyde-bench"}, "tests and measurements only"},
	{module + "pkg/registry/fsdriver/crashfs", nil, "tests only"},
	{module + "internal/registrytest", nil, "tests only"},
	{module + "internal/meilitest", nil, "tests only"},
	{"github.com/meilisearch/", []string{"pkg/index/meili"}, "the engine can be replaced"},
	{"github.com/distribution/distribution/", []string{"pkg/registry", "cmd/clyde-bench", "internal/registrytest"}, "the embedded registry can be replaced"},
	{"github.com/sirupsen/logrus", []string{"pkg/registry", "cmd/clyde-bench", "internal/registrytest"}, "it comes with distribution and is bridged there"},
	{"github.com/sigstore/", []string{"pkg/signing"}, "signatures are checked in one place"},
	{module + "pkg/signing/sigstoretest", []string{"internal/devtools/sigstore"}, "tests, and trying by hand"},
	{"github.com/google/certificate-transparency-go", []string{"pkg/signing/sigstoretest"}, "only a log of our own needs it"},
	{"github.com/theupdateframework/", []string{"pkg/signing"}, "trusted roots are fetched in one place"},
	{"github.com/go-jose/", []string{"pkg/account/oidc", "pkg/account/oidc/oidctest", "pkg/account/signin/signintest"}, "identity tokens are checked in one place"},
	{"golang.org/x/oauth2", []string{"pkg/account/signin"}, "people sign in through one package"},
	{"github.com/danielgtaylor/huma/", []string{"pkg/api"}, "the framework stays at the edge"},
	{"github.com/prometheus/", []string{"pkg/server", "pkg/registry", "pkg/api"}, "rules do not count"},
	{"database/sql", []string{"pkg/store", "internal/postgrestest"}, "all SQL is in one place"},
	{"github.com/jackc/", []string{"pkg/store", "internal/postgrestest"}, "all SQL is in one place"},
	{"modernc.org/", []string{"pkg/store"}, "all SQL is in one place"},
	{"github.com/pressly/goose/", []string{"pkg/store"}, "all SQL is in one place"},
	{"oras.land/oras-go/", []string{"pkg/artifact", "cmd/clyde", "cmd/clyde-bench"}, "packages travel through one client; the program shares credentials with docker and oras"},
	{"github.com/spf13/cobra", []string{"cmd"}, "libraries have no command line"},
	{"github.com/google/go-containerregistry/", []string{"cmd/clyde-bench", "internal/githubtest", "internal/registrytest"}, "tests use it as a peer"},
	{module + "internal/githubtest", nil, "tests only"},
	{"github.com/google/go-cmp/", []string{"pkg/store/storetest", "pkg/index/indextest"}, "tests only"},
	{"pgregory.net/rapid", []string{"pkg/store/storetest", "pkg/index/indextest"}, "tests only"},
	{"testing", []string{"pkg/store/storetest", "pkg/resolve/resolvetest", "pkg/index/indextest", "pkg/registry/fsdriver/crashfs", "pkg/account/oidc/oidctest", "pkg/account/signin/signintest", "internal/postgrestest", "internal/toolchaintest", "internal/registrytest", "internal/tlstest", "internal/githubtest", "internal/meilitest"}, "programs do not link the test runner"},
	{"github.com/stretchr/testify/", nil, "tests use testing and go-cmp"},
}

// The client does not carry the server, and the server's parts do not carry
// what only the client needs.
var never = map[string][]string{
	"cmd/clyde":    {"pkg/store", "pkg/registry", "pkg/ingest", "pkg/catalog", "pkg/account", "pkg/api", "pkg/web", "pkg/index", "pkg/jobs"},
	"pkg/web":      {"pkg/store", "pkg/ingest", "pkg/registry", "pkg/client"},
	"pkg/api":      {"pkg/web", "pkg/registry", "pkg/client"},
	"pkg/catalog":  {"pkg/registry", "pkg/client"},
	"pkg/registry": {"pkg/client", "pkg/index"},
}

// banned is nothing that either program may link, however indirectly: cloud
// SDKs and what drags them in make a build minutes slower and tens of
// megabytes larger, and a signature check needs none of them.
var banned = []string{
	"github.com/aws/aws-sdk-go-v2", "github.com/Azure/azure-sdk", "cloud.google.com/", "google.golang.org/api/",
	"k8s.io/api", "k8s.io/apimachinery", "k8s.io/client-go",
	"github.com/open-policy-agent/", "cuelang.org/",
	"github.com/sigstore/cosign/v2/cmd", "github.com/sigstore/cosign/v2/pkg/policy",
	"github.com/distribution/distribution/v3/registry/storage/driver/azure",
	"github.com/distribution/distribution/v3/registry/storage/driver/gcs",
	"github.com/stretchr/testify",
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		pkg, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue // the module's root, which has only tests
		}
		rank, known := layer[pkg]
		if !known && len(p.GoFiles) > 0 {
			t.Errorf("%s has no layer: give it one in imports_test.go", pkg)
			continue
		}
		for _, imp := range p.Imports {
			if dep, ok := strings.CutPrefix(imp, module); ok {
				if layer[dep] >= rank {
					t.Errorf("%s (layer %d) may not import %s (layer %d): arrows point down", pkg, rank, dep, layer[dep])
				}
				if slices.Contains(never[pkg], dep) {
					t.Errorf("%s may not import %s", pkg, dep)
				}
			}
			for _, o := range only {
				match := imp == o.path || strings.HasSuffix(o.path, "/") && strings.HasPrefix(imp, o.path)
				if match && !slices.ContainsFunc(o.by, func(by string) bool { return pkg == by || strings.HasPrefix(pkg, by+"/") }) {
					t.Errorf("%s may not import %s: %s", pkg, imp, o.why)
				}
			}
		}
	}
}

func TestLinked(t *testing.T) {
	t.Parallel()
	linked(t, "./cmd/clyde", append(slices.Clip(banned), "github.com/aws/", "github.com/distribution/")) // the registry has them, for a bucket
	linked(t, "./cmd/clyde-registry", banned)
}

func linked(t *testing.T, program string, banned []string) {
	t.Helper()
	for _, p := range list(t, "-deps", program) {
		for _, b := range banned {
			if p.ImportPath == b || strings.HasPrefix(p.ImportPath, strings.TrimSuffix(b, "/")+"/") {
				t.Errorf("%s links %s", program, p.ImportPath)
			}
		}
	}
}

type listed struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

// list is go list with the given arguments.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,GoFiles,Imports"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		if ee, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
