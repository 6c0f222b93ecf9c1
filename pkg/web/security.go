package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// securityPage is the data of security.html.
type securityPage struct {
	head
	Sigs         catalog.Signatures
	Report       signing.Report
	Signatures   []signature // verified first; the layout has a Signed of its own
	Attestations []signature
	Commands     []install
	Checked      time.Time
}

// signature is one signature or attestation, as the page tells of it.
type signature struct {
	signing.SignatureResult
	Author    signing.Author
	CommitURL string
	Entries   []logEntry
	Raw       string            // address of its bytes
	Says      *signing.Attested // of a verified attestation
	Above     bool              // who it is by is told with a signature above it
}

// logEntry is where a transparency log holds it.
type logEntry struct {
	Host  string
	Index int64
	URL   string // of the entry, where the log has a page for people
}

// security shows who signed a version and what is said about it. Where nothing
// is known, there is no such page.
func (s *Web) security(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "security")
	if done || err != nil {
		return err
	}
	p := securityPage{head: h}
	p.Title += " security"
	if p.Sigs, err = s.o.Catalog.Signatures(r.Context(), r.who, ref); err != nil {
		return err
	}
	if !h.Security {
		return clyde.Errorf(clyde.ErrNotFound, "%s %s carries no signature, and no policy asks for one.", ref.Name, ref.Version)
	}
	if err := json.Unmarshal(p.Sigs.Report, &p.Report); err != nil {
		return err
	}
	if p.Sigs.Checked != nil {
		p.Checked = *p.Sigs.Checked
	}
	says := map[string]*signing.Attested{}
	for i, a := range p.Sigs.Standing.Attestations {
		says[a.Manifest.String()+a.Layer.String()] = &p.Sigs.Standing.Attestations[i]
	}
	at := apiURL(ref) + "/signatures/"
	for _, verified := range []bool{true, false} {
		for _, list := range []struct {
			from []signing.SignatureResult
			to   *[]signature
		}{{p.Report.Signatures, &p.Signatures}, {p.Report.Attestations, &p.Attestations}} {
			for _, res := range list.from {
				if (res.State == signing.StateVerified) == verified {
					*list.to = append(*list.to, shownSignature(res, at, says[res.Manifest.String()+res.Layer.String()]))
				}
			}
		}
	}
	told := map[string]bool{}
	for _, x := range p.Signatures {
		told[x.Author.Who] = x.Author.Who != ""
	}
	for i := range p.Attestations {
		p.Attestations[i].Above = told[p.Attestations[i].Author.Who]
	}
	p.Commands = s.verifyCommands(h, ref, p.Signatures)
	return s.render(w, r, http.StatusOK, "security.html", p)
}

// apiURL is where programs ask about a version.
func apiURL(ref catalog.Ref) string {
	return "/api/v1/packages/" + ref.Name.Repo() + "/versions/" + url.PathEscape(ref.Version)
}

func shownSignature(res signing.SignatureResult, at string, says *signing.Attested) signature {
	s := signature{SignatureResult: res, Author: res.Author(), Says: says}
	if res.Layer != "" {
		s.Raw = at + res.Layer.String()
	}
	if repo := webURL(s.Author.Repository); repo != "" && isHex(s.Author.Commit) {
		s.CommitURL = commitURL(repo, s.Author.Commit)
	}
	for _, l := range res.Logs {
		s.Entries = append(s.Entries, entryOf(l))
	}
	return s
}

// commitURL is the page of a commit: GitLab's differs from that of all others.
func commitURL(repo, commit string) string {
	if strings.HasPrefix(repo, "https://gitlab.com/") {
		return repo + "/-/commit/" + commit
	}
	return repo + "/commit/" + commit
}

// publicLogHost is the log of the public sigstore that has a page for each of
// its entries.
const publicLogHost = "rekor.sigstore.dev"

func entryOf(l signing.LogEntry) logEntry {
	e := logEntry{Index: l.Index, Host: l.URL}
	u, err := url.Parse(webURL(l.URL))
	if err != nil || u.Host == "" {
		return e
	}
	e.Host = u.Host
	if u.Host == publicLogHost {
		e.URL = "https://search.sigstore.dev/?logIndex=" + strconv.FormatInt(l.Index, 10)
	}
	return e
}

// verifyCommands say how to check the version without this registry's word, one
// for each way that somebody who counts has signed it.
func (s *Web) verifyCommands(h head, ref catalog.Ref, signed []signature) []install {
	spec := ref.Name.String() + "@" + ref.Version
	seen := map[string]bool{}
	var out []install
	for _, x := range signed {
		if x.State != signing.StateVerified || seen[x.Author.Who] {
			continue
		}
		seen[x.Author.Who] = true
		if x.Certificate == nil {
			out = append(out, install{
				Title: "With the key " + cutWords(x.Author.KeyName, x.Author.Key),
				Note:  "Get the public key from its owner: who names it here could name another. With cosign 3; version 2 wants --trusted-root FILE besides.",
				Text:  "clyde verify " + spec + " --key cosign.pub\ncosign verify --key cosign.pub --insecure-ignore-tlog=true " + h.Release.Reference,
			})
			continue
		}
		who := " --certificate-identity " + quoted(x.Certificate.Subject) + " --certificate-oidc-issuer " + quoted(x.Certificate.Issuer)
		get, root, note := "", "", "Whether it is the right identity is for you to say. With cosign 3; version 2 wants --use-signed-timestamps besides."
		if x.Trust != "" && !s.publicTrust(x.Trust) {
			root = " --trusted-root trusted_root.json"
			get = "curl -fLo trusted_root.json " + s.o.PublicURL + "/api/v1/trust-roots/" + url.PathEscape(x.Trust) + "\n"
			note += " The trusted root is that of a private sigstore: better have it from its operator."
		}
		clyde, unlogged := "clyde verify "+spec+who+root+"\n", ""
		if len(x.Logs) == 0 {
			// clyde asks for a log, unless a policy says otherwise.
			clyde, unlogged = "", " --insecure-ignore-tlog=true --use-signed-timestamps"
			note += " It is in no transparency log, which clyde accepts under a policy with transparencyLog: 0 alone."
		}
		out = append(out, install{
			Title: "By " + x.Author.Words, Note: note,
			Text: get + clyde + "cosign verify" + who + root + unlogged + " " + h.Release.Reference,
		})
	}
	return out
}

// publicTrust reports whether a sigstore is the public one, which tools know.
func (s *Web) publicTrust(name string) bool {
	if s.o.Policies == nil {
		return true
	}
	for _, t := range s.o.Policies.Trusts().Sources() {
		if t.Name == name {
			return t.Public
		}
	}
	return true
}

func cutWords(name, fingerprint string) string {
	if name != "" {
		return clip(name)
	}
	return fingerprint
}

// quoted is a word of a shell: who signs chooses some of them.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
