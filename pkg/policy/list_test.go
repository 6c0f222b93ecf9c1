package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// listNow is when these tests are.
var listNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const listHead = "apiVersion: clyde.dev/v1\nkind: PackageList\nnamespace: acme\n"

// listText is a list of acme's that ends in a day.
func listText(version int64, more string) string {
	return listHead + fmt.Sprintf("version: %d\nexpires: %s\n%s", version, listNow.Add(24*time.Hour).Format(time.RFC3339), more)
}

func TestParseList(t *testing.T) {
	t.Parallel()
	entries := func(n int) string {
		return "default: allow\ndeny:\n" + strings.Repeat("  - {package: \"acme/*\"}\n", n)
	}
	for name, tt := range map[string]struct{ text, fails string }{
		"least":              {listText(1, "default: allow\n"), ""},
		"all of it":          {listText(policy.MaxListVersion, "default: deny\nallow: [{package: \"acme/*\"}, {package: \"@fmtlib/fmt\", versions: \">=10\"}]\ndeny: [{digest: \""+digest.FromString("x").String()+"\", reason: x}]\n"), ""},
		"entries at limit":   {listText(1, entries(policy.MaxListEntries)), ""},
		"reason at limit":    {listText(1, "default: allow\ndeny: [{package: \"*\", reason: "+strings.Repeat("x", policy.MaxListReason)+"}]\n"), ""},
		"an entry too many":  {listText(1, entries(policy.MaxListEntries+1)), "10001 entries; the limit is 10000"},
		"a byte too many":    {listText(1, "default: allow\n#") + strings.Repeat("x", policy.MaxListSize), "the limit is 1048576"},
		"reason too long":    {listText(1, "default: allow\ndeny: [{package: \"*\", reason: "+strings.Repeat("x", policy.MaxListReason+1)+"}]\n"), "the limit is 500"},
		"no version":         {listText(0, "default: allow\n"), "version is 0"},
		"version too large":  {listText(policy.MaxListVersion+1, "default: allow\n"), "version is 9007199254740992"},
		"no default":         {listText(1, ""), `default is ""`},
		"a default of yore":  {listText(1, "default: warn\n"), `default is "warn"`},
		"no end":             {listHead + "version: 1\ndefault: allow\n", "no expires"},
		"another kind":       {strings.Replace(listText(1, "default: allow\n"), "PackageList", "VerificationPolicy", 1), "want apiVersion"},
		"no namespace":       {strings.Replace(listText(1, "default: allow\n"), "acme", "Acme!", 1), "its namespace"},
		"an unknown key":     {listText(1, "default: allow\nblock: []\n"), "field block not found"},
		"an alias":           {listText(1, "default: &a allow\n"), "the list: line 6: anchors"},
		"nothing allowed":    {listText(1, "default: allow\nallow: [{package: \"*\"}]\n"), "allow says nothing"},
		"about nothing":      {listText(1, "default: allow\ndeny: [{reason: x}]\n"), "one of package and digest"},
		"about two things":   {listText(1, "default: allow\ndeny: [{package: \"*\", digest: \""+digest.FromString("x").String()+"\"}]\n"), "one of package and digest"},
		"a bad pattern":      {listText(1, "default: allow\ndeny: [{package: \"a*/b\"}]\n"), "the list: the pattern"},
		"a bad range":        {listText(1, "default: allow\ndeny: [{package: \"acme/b\", versions: \"newest\"}]\n"), "are no range"},
		"a digest's version": {listText(1, "default: allow\ndeny: [{versions: \"1\", digest: \""+digest.FromString("x").String()+"\"}]\n"), "without versions"},
	} {
		_, err := policy.ParseList([]byte(tt.text))
		e := clyde.AsError(err)
		switch {
		case tt.fails == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.fails != "" && (e == nil || e.Code != "bad_list" || !strings.Contains(err.Error(), tt.fails)):
			t.Errorf("%s: %v; want bad_list, %q", name, err, tt.fails)
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	bad := digest.FromString("bad")
	deny := listText(1, "default: allow\ndeny: [{package: \"acme/zlib\", versions: \"<1.3\", reason: CVE}, {digest: \""+bad.String()+"\"}, {package: \"evil/*\"}]\n")
	allow := listText(1, "default: deny\nallow: [{package: \"acme/*\"}, {package: \"fmtlib/fmt\", versions: \"^10\"}, {digest: \""+bad.String()+"\"}]\ndeny: [{package: \"acme/old\"}]\n")
	for _, tt := range []struct {
		list, name, version string
		digest              digest.Digest
		want                policy.Code
	}{
		{deny, "acme/zlib", "1.2.9", "", policy.DeniedByList},
		{deny, "acme/zlib", "1.3.0", "", ""},
		{deny, "acme/zlib", "", "", policy.DeniedByList}, // which version it is, nobody knows
		{deny, "acme/zlib", "1.3.0", bad, policy.DeniedByList},
		{deny, "evil/fmt", "9.9.9", "", policy.DeniedByList},
		{deny, "evil2/fmt", "9.9.9", "", ""},
		{allow, "acme/zlib", "1.0.0", "", ""},
		{allow, "acme/old", "1.0.0", "", policy.DeniedByList},
		{allow, "fmtlib/fmt", "10.2.0", "", ""},
		{allow, "fmtlib/fmt", "11.0.0", "", policy.NotOnList},
		{allow, "fmtlib/fmt", "", "", policy.NotOnList},
		{allow, "other/x", "1.0.0", "", policy.NotOnList},
		{allow, "other/x", "1.0.0", bad, ""},
	} {
		l, err := policy.ParseList([]byte(tt.list))
		if err != nil {
			t.Fatal(err)
		}
		ns, base, _ := strings.Cut(tt.name, "/")
		got, refused := l.Refuses(clyde.Name{Namespace: strings.ToLower(ns), Base: base}, tt.version, tt.digest)
		if got.Code != tt.want || refused != (tt.want != "") {
			t.Errorf("%s %s: %q, %t; want %q", tt.name, tt.version, got.Code, refused, tt.want)
		}
	}
}

func TestCheckList(t *testing.T) {
	t.Parallel()
	ours, key := newKey(t)
	other, _ := newKey(t)
	follow := func(more string) *policy.Policy {
		t.Helper()
		p, err := policy.Parse([]byte(head + "default: allow\nlists:\n  - namespace: acme\n    " + more + "\n    authorities:\n      - name: security\n        key:\n          data: |\n            " + key + "\n        validFor: {end: 2027-01-01T00:00:00Z}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	sign := func(s signing.Signer, kind, text string) []byte {
		t.Helper()
		b, err := signing.SignDocument(t.Context(), s, kind, "list:acme", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := listText(7, "default: allow\n")
	good := sign(ours, policy.ListPredicateType, text)
	revoked := follow("")
	revoked.Revoked = []policy.Revoked{{KeyFingerprint: ours.Key().Fingerprint}}
	for name, tt := range map[string]struct {
		policy *policy.Policy
		text   string
		bundle []byte
		now    time.Time
		kind   error
		code   string
	}{
		"good":                      {follow(""), text, good, listNow, nil, ""},
		"of the least version":      {follow("atLeast: 7"), text, good, listNow, nil, ""},
		"below the least version":   {follow("atLeast: 8"), text, good, listNow, clyde.ErrUnverified, "list_rolled_back"},
		"by another key":            {follow(""), text, sign(other, policy.ListPredicateType, text), listNow, clyde.ErrUnverified, "list_unverified"},
		"by a revoked key":          {revoked, text, good, listNow, clyde.ErrUnverified, "list_unverified"},
		"by a key out of time":      {follow(""), strings.Replace(text, "2026", "2028", 1), sign(ours, policy.ListPredicateType, strings.Replace(text, "2026", "2028", 1)), listNow.AddDate(2, 0, 0), clyde.ErrUnverified, "list_unverified"},
		"over other bytes":          {follow(""), text + "#\n", good, listNow, clyde.ErrUnverified, "list_unverified"},
		"signed as something else":  {follow(""), text, sign(ours, "https://example.com/x", text), listNow, clyde.ErrUnverified, "list_unverified"},
		"no bundle":                 {follow(""), text, []byte("{}"), listNow, clyde.ErrUnverified, "list_unverified"},
		"no JSON":                   {follow(""), text, []byte("x"), listNow, clyde.ErrUnverified, "list_unverified"},
		"too large":                 {follow(""), text, []byte(strings.Repeat(" ", signing.MaxBlob+1)), listNow, clyde.ErrUnverified, "list_unverified"},
		"of another namespace":      {follow(""), strings.Replace(text, "acme", "evil", 1), good, listNow, clyde.ErrUnverified, "list_unverified"},
		"a moment before its end":   {follow(""), text, good, listNow.Add(24*time.Hour - 1), nil, ""},
		"at its end":                {follow(""), text, good, listNow.Add(24 * time.Hour), clyde.ErrUnavailable, "list_expired"},
		"as long as one may hold":   {follow(""), text, good, listNow.Add(24*time.Hour - policy.MaxListLife), nil, ""},
		"longer than one may hold":  {follow(""), text, good, listNow.Add(24*time.Hour - policy.MaxListLife - 1), clyde.ErrInvalid, "bad_list"},
		"malformed, signed or not":  {follow(""), "x", sign(ours, policy.ListPredicateType, "x"), listNow, clyde.ErrInvalid, "bad_list"},
		"a package's own signature": {follow(""), text, packageSignature(t, ours, text), listNow, clyde.ErrUnverified, "list_unverified"},
	} {
		from, ok := tt.policy.ListOf("acme")
		if !ok {
			t.Fatal("the policy follows no list")
		}
		l, err := tt.policy.CheckList(t.Context(), from, []byte(tt.text), tt.bundle, tt.now)
		switch e := clyde.AsError(err); {
		case tt.kind == nil && (err != nil || l.Version != 7 || len(l.SignedBy) != 1 || l.SignedBy[0] != "security"):
			t.Errorf("%s: %+v, %v", name, l, err)
		case tt.kind != nil && (e == nil || !errors.Is(err, tt.kind) || e.Code != tt.code):
			t.Errorf("%s: %v; want %v, %s", name, err, tt.kind, tt.code)
		}
	}
}

// packageSignature is a signature that says "I published this" of text.
func packageSignature(t *testing.T, s signing.Signer, text string) []byte {
	t.Helper()
	d := digest.FromString(text)
	b, err := s.SignStatement(t.Context(), fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"list:acme","digest":{"sha256":%q}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`, d.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestListFollows(t *testing.T) {
	t.Parallel()
	two := listText(2, "default: allow\n")
	l, err := policy.ParseList([]byte(two))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		version int64
		was     string
		ok      bool
	}{
		"none":                 {0, "", true},
		"an older one":         {1, "x", true},
		"the same":             {2, two, true},
		"the same, other word": {2, two + "#", false},
		"a newer one":          {3, "x", false},
		"one taken away":       {2, "", false},
	} {
		if err := l.Follows(tt.version, []byte(two), []byte(tt.was)); (err == nil) != tt.ok || err != nil && clyde.AsError(err).Code != "list_older" {
			t.Errorf("after %s: %v; want %t", name, err, tt.ok)
		}
	}
}

// A policy that follows lists is read as strictly as any.
func TestPolicyLists(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	follow := func(ns string) string {
		return "  - namespace: " + ns + "\n    authorities:\n      - name: security\n        key:\n          data: |\n            " + key + "\n"
	}
	many := ""
	for i := range policy.MaxLists {
		many += follow(fmt.Sprintf("acme%d", i))
	}
	for name, tt := range map[string]struct{ text, fails string }{
		"one":       {"lists:\n" + follow("acme"), ""},
		"most":      {"lists:\n" + many, ""},
		"too many":  {"lists:\n" + many + follow("acme"), "17 lists; the limit is 16"},
		"twice":     {"lists:\n" + follow("acme") + follow("acme"), "is there twice"},
		"by nobody": {"lists:\n  - {namespace: acme, authorities: []}\n", "the list of @acme: it names no authorities"},
		"of nobody": {"lists:\n" + follow("A/B"), "which is no namespace"},
		"at least":  {"lists:\n  - {namespace: acme, atLeast: -1, authorities: []}\n", "which is none"},
	} {
		_, err := policy.Parse([]byte(head + "default: allow\n" + tt.text))
		if (tt.fails == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %v; want %q", name, err, tt.fails)
		}
	}
}

// FuzzParseList: what is read refuses what it denies, and never more than is
// written in it where it allows by default.
func FuzzParseList(f *testing.F) {
	f.Add(listText(1, "default: allow\ndeny: [{package: \"acme/zlib\", versions: \"<1.3\"}]\n"))
	f.Add(listText(1, "default: deny\nallow: [{package: \"acme/*\"}]\n"))
	f.Fuzz(func(t *testing.T, text string) {
		l, err := policy.ParseList([]byte(text))
		if err != nil {
			if e := clyde.AsError(err); e == nil || e.Code != "bad_list" {
				t.Fatalf("ParseList(%q) = %v; want bad_list", text, err)
			}
			return
		}
		_, refused := l.Refuses(clyde.Name{Namespace: "nobody", Base: "nothing"}, "1.0.0", "")
		if refused && l.Default == policy.Allowed && len(l.Deny) == 0 {
			t.Fatalf("%q denies nothing, and refuses", text)
		}
		if !refused && l.Default == policy.Denied && len(l.Allow) == 0 {
			t.Fatalf("%q allows nothing, and lets pass", text)
		}
	})
}
