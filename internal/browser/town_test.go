package browser_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

const readme = `# acme::json

A JSON reader and writer that keeps numbers exact and says *where* a document is wrong.

## Use

` + "```cpp\n#include <acme/json.hpp>\n\nint main() {\n  auto doc = acme::json::parse(R\"({\"answer\": 42})\");\n  return doc[\"answer\"].as<int>() == 42 ? 0 : 1; // exact\n}\n```" + `

| Reader | MB/s | Allocations |
|---|--:|--:|
| acme::json | 1,420 | 3 |
| a well-known one | 310 | 12,044 |

> [!NOTE]
> Needs C++17 or later.

- [x] RFC 8259
- [ ] Comments
`

const header = `// The reader and the writer.
#pragma once
#include <string_view>

namespace acme::json {
// parse reads a document; it throws error where text is none, with its line and column.
class value parse(std::string_view text, int depth = 64, bool exact_numbers = true, bool comments = false, bool trailing_commas = false);
}
`

// manual is the documentation of a package.
var manual = map[string]string{
	"CHANGELOG.md":             "# Changelog\n\n## 2.1.0\n\n- Nesting of 128 by default; see [limits](docs/limits.md#depth).\n\n## 2.0.1\n\n- Exact numbers on 32-bit machines.\n",
	"docs/README.md":           "# acme::json, the manual\n\nHow to read, write and stream documents.\n\n## What is in it\n\n1. [Reading](reading.md)\n2. [Limits](limits.md)\n3. [Streams](advanced/streams.md)\n\n## Words\n\nA *document* is one value and what is in it.\n",
	"docs/reading.md":          "# Reading\n\n```cpp\nauto doc = acme::json::parse(text);\n```\n\n## Errors\n\nAn error names line and column[^1].\n\n### Where they come from\n\nFrom the text.\n\n[^1]: Counted from one, in code points.\n",
	"docs/limits.md":           "# Limits\n\n## Depth\n\n| Limit | Default |\n|---|--:|\n| depth | 128 |\n\n> [!WARNING]\n> A deeper document needs a larger stack.\n\n## Cost\n\nReading takes $O(n \\log k)$ steps for $n$ bytes and $k \\le 2^{16}$ members:\n\n$$\nT(n) = \\sum_{i=1}^{n} \\frac{c_i}{\\sqrt{i}} + \\begin{cases} 0 & n < 128 \\\\ \\log_2 n & \\text{else} \\end{cases}\n$$\n\n```mermaid\nflowchart LR\n  text --> tokens --> document\n```\n",
	"docs/advanced/streams.md": "# Streams\n\nA stream is read in parts.\n\n## A rather long heading about what happens when a part ends in the middle of a number\n\nIt waits.\n",
}

// town fills the server with what a registry in use has: an organisation with
// members, teams and packages in every state, reports, requests, and a log.
func (w *world) town() {
	w.Helper()
	w.person("ada", "Ada Lovelace", false)
	w.person("bob", "Bob", false)
	w.person("newcomer", "", false)
	w.person("boss", "The Administrator", true)
	ctx, a := w.Context(), w.s.Accounts
	_, err := a.CreateOrgFor(ctx, server.System, "acme", "Acme Incorporated", "ada")
	w.must(err)
	w.owns(ownerOrg, "acme", "acme")
	w.owns(ownerAccount, "ada", "ada")
	ada := w.as("ada")
	w.joins(ada, "acme", "bob", account.RoleMaintainer)
	w.joins(ada, "acme", "newcomer", account.RoleReader)
	w.person("grace", "Grace Hopper", false)
	_, err = a.Invite(ctx, ada, "acme", "grace", account.RolePublisher)
	w.must(err)
	_, err = a.CreateTeam(ctx, ada, "acme", "release")
	w.must(err)
	w.must(a.AddToTeam(ctx, ada, "acme", "release", "bob"))

	key := w.key("acme")
	const cpp = "type: library\nlanguage: cpp\nstandard: {cxx: \"17\"}\nlicense: Apache-2.0 OR MIT\nrepository: https://git.example.org/acme/json\nhomepage: https://json.example.org/\nissues: https://git.example.org/acme/json/issues\nauthors: [\"Ada Lovelace\", \"The Acme authors\"]\nkeywords: [json, parser, serialization, rfc8259]\ncategories: [serialization]\ninclude: [include]\n"
	files := map[string]string{
		"README.md": readme, "LICENSE": "MIT\n", "include/acme/json.hpp": header, "include/acme/writer.hpp": "#pragma once\n",
		"src/parse.cpp": "#include <acme/json.hpp>\n", "src/a/very/deep/folder/with_a_name_that_is_long_enough_to_be_in_the_way.cpp": "int x;\n",
	}
	w.publish("@acme/strings", "0.9.2", "description: Views, splits and joins of text, without copies\nlicense: BSL-1.0\nlanguage: cpp\ntype: header-only\n", files)
	for _, v := range []string{"1.0.0", "2.0.0", "2.0.1", "2.1.0"} {
		files := files
		if v == "2.1.0" {
			files = maps.Clone(files)
			maps.Copy(files, manual)
			files["src/reader/parse.cpp"] = files["src/parse.cpp"]
			delete(files, "src/parse.cpp")
			files["include/acme/json.hpp"] = strings.Replace(header, "int depth = 64", "int depth = 128", 1) + "\n// end\n"
		}
		w.publish("@acme/json", v, "upstream_version: \""+v+"-rel\"\ndescription: JSON reader and writer with exact numbers and errors that name line and column\n"+cpp+"requires:\n  \"@acme/strings\": \"^0.9\"\n  \"@elsewhere/allocator\": \">=1.0 <3\"\n", files)
	}
	w.sign(key, "@acme/json", "2.1.0")
	w.publish("@ada/json", "0.1.0", "description: A toy that reads some JSON\nlicense: MIT\nlanguage: c\n", nil)
	w.publish("@ada/tiny", "0.0.1", "license: MIT\n", nil)
	w.publish("@acme/oldfmt", "3.0.0", "description: Formats text, as one did before there was something better\nlicense: MIT\nlanguage: cpp\n", files)
	w.publish("@acme/secret-sauce", "1.0.0", "description: Nobody sees it\nlicense: LicenseRef-Proprietary\nlanguage: cpp\n", files)
	w.publish("@acme/a-package-whose-name-is-rather-long-for-a-heading-on-a-phone", "10.20.30-rc.1", "description: Its name is long, and its description goes on for a while, too, so that one sees where the lines break, how many of them there are, and whether the page holds them together without a scroll bar\nlicense: GPL-3.0-or-later WITH GCC-exception-3.1 OR LGPL-2.1-or-later\nlanguage: cpp\n", files)

	name := func(s string) clyde.Name {
		n, err := clyde.ParseName(s)
		w.must(err)
		return n
	}
	json := name("@acme/json")
	_, err = w.s.Catalog.Deprecate(ctx, ada, name("@acme/oldfmt"), catalog.Deprecation{Message: "the standard library does it now", ReplacedBy: "@acme/strings"})
	w.must(err)
	_, err = w.s.Catalog.SetAccess(ctx, ada, name("@acme/secret-sauce"), true)
	w.must(err)
	_, err = w.s.Catalog.Yank(ctx, ada, catalog.Ref{Name: json, Version: "1.0.0"}, catalog.YankRequest{Yanked: true, Reason: "broken", Text: "does not link with libc++"})
	w.must(err)
	w.must(a.GrantTeam(ctx, ada, json.String(), "acme", "release", account.RolePublisher))
	_, err = a.GrantAccount(ctx, ada, json.String(), "grace", account.RoleReader)
	w.must(err)
	_, err = a.AskTransfer(ctx, ada, "@acme/oldfmt", ownerAccount, "ada")
	w.must(err)
	for _, n := range []clyde.Name{json, name("@acme/soon")} {
		_, err = w.s.Trusted.Add(ctx, ada, n, account.PublisherSpec{Issuer: "forge", Repository: "acme/json", Workflow: "release.yml", OwnerID: "501", RepositoryID: "7001", Environment: "release", Ref: "refs/tags/v*"})
		w.must(err)
	}
	for _, s := range []account.TokenSpec{
		{Name: "release job of json", Scopes: []account.Scope{{Actions: []account.Action{account.Publish, account.Yank}, Pattern: "@acme/json"}}, Expires: time.Now().Add(90 * 24 * time.Hour)},
		{Name: "laptop", Scopes: []account.Scope{{Actions: []account.Action{account.Pull, account.PublishNew, account.Publish, account.Yank, account.Manage}, Pattern: "*"}}},
	} {
		_, _, err = a.CreateFor(ctx, ada, s)
		w.must(err)
	}
	_, err = a.RequestNamespace(ctx, w.as("newcomer"), "brand-new", "", "It is what my project has been called since 2011; see https://brand-new.example.org")
	w.must(err)
	boss := w.as("boss")
	w.must(a.ReserveName(ctx, boss, "openssl", "kept for its authors"))
	_, err = w.s.Moderator.Decide(ctx, boss, json, "2.0.0", account.Quarantine, "we look into a report about its install script")
	w.must(err)
	r, err := w.s.Moderator.Report(ctx, w.as("bob"), json, "2.0.0", "malware", "The install script fetches something from an address that I do not know.\nSee line 12.")
	w.must(err)
	_, err = w.s.Moderator.Report(ctx, w.as("newcomer"), json, "2.1.0", "other", "The licence is not in the archive.")
	w.must(err)
	_, err = w.s.Moderator.CloseReport(ctx, boss, r.ID, "quarantined while we look")
	w.must(err)
	w.person("mallory", "", false)
	w.must(a.Suspend(ctx, boss, "mallory", "published malware twice"))
	w.settled("@acme/strings", "@acme/json", "@ada/json", "@acme/oldfmt")
	w.built("@acme/strings", "0.9.2", compat.Facts{Libc: compat.Libc{Family: "glibc", Min: "2.34"}, Compiler: compat.Compiler{Family: "gcc", Version: "12.2.0"}})
	w.built("@acme/strings", "0.9.2", compat.Facts{Libc: compat.Libc{Family: "musl", Min: "1.2"}, Compiler: compat.Compiler{Family: "clang", Version: "19.1.7"}})
}

// joins makes somebody a member: invited by one, and accepting.
func (w *world) joins(by account.Principal, org, login string, role account.RoleName) {
	w.Helper()
	i, err := w.s.Accounts.Invite(w.Context(), by, org, login, role)
	w.must(err)
	w.must(w.s.Accounts.Accept(w.Context(), w.as(login), i.ID))
}

// key makes a key pair and registers its public half for a namespace.
func (w *world) key(namespace string) *signing.KeySigner {
	w.Helper()
	private, public, err := signing.GenerateKeyPair(nil)
	w.must(err)
	_, err = w.s.AddKey(w.Context(), server.System, server.KeyAdd{Namespace: namespace, Name: "release", PEM: string(public)})
	w.must(err)
	s, err := signing.LoadSigner(private, nil)
	w.must(err)
	return s
}

// sink writes signatures as the system.
type sink struct{ w *world }

func (s sink) PutBlob(ctx context.Context, repo string, d ocispec.Descriptor, r io.Reader) error {
	return s.w.s.Registry.PutBlob(ctx, server.System, repo, d, r)
}

func (s sink) PutManifest(ctx context.Context, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	return s.w.s.Registry.PutManifest(ctx, server.System, repo, ref, mediaType, payload)
}

// sign signs a version, and waits until that was noticed.
func (w *world) sign(key *signing.KeySigner, name, version string) {
	w.Helper()
	n, err := clyde.ParseName(name)
	w.must(err)
	ref := catalog.Ref{Name: n, Version: version}
	rel, err := w.s.Catalog.Release(w.Context(), server.System, ref)
	w.must(err)
	d, err := w.s.Registry.Resolve(w.Context(), n.Repo(), rel.Digest)
	w.must(err)
	_, err = signing.Sign(w.Context(), sink{w}, w.s.Registry, key, signing.Subject{
		Repo: n.Repo(), Name: n, Version: version, Digest: digest.Digest(rel.Digest), MediaType: d.MediaType, Size: d.Size,
	}, signing.SignOptions{})
	w.must(err)
	w.waitFor(fmt.Sprintf("%s %s is verified", name, version), func() bool {
		rel, err := w.s.Catalog.Release(w.Context(), server.System, ref)
		w.must(err)
		return rel.Signed == "verified"
	})
}

// waitFor asks again until ok, for what the server does on its own time.
func (w *world) waitFor(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			w.Fatal("never: " + what)
		}
		w.fetch("/readyz") // and let it work meanwhile
	}
}

// settled waits until a search finds every package.
func (w *world) settled(names ...string) {
	w.Helper()
	w.waitFor("a search finds "+strings.Join(names, ", "), func() bool {
		body := w.fetch("/search?sort=name")
		for _, n := range names {
			if !strings.Contains(body, ">"+n+"<") {
				return false
			}
		}
		return true
	})
}
