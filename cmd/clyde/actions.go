package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// inActions reports whether this is a run of GitHub Actions, or of Forgejo's,
// whose runner reads commands out of what programs print.
func inActions() bool { return os.Getenv("GITHUB_ACTIONS") == "true" }

// oldCommand is how the runner's older commands begin. It finds them anywhere in
// a line, so that a stranger's text could hold one.
const oldCommand = "##["

// commandText escapes the text of a workflow command: what a stranger wrote
// must not begin another one.
func commandText(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(strings.ReplaceAll(clean(s), oldCommand, "## ["))
}

// commandProperty escapes the value of a property of a workflow command.
func commandProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(commandText(s))
}

// markdownCell escapes a stranger's text for a cell of a Markdown table.
func markdownCell(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "`", "\\`", "[", "\\[", "]", "\\]", "*", "\\*", "_", "\\_", "@", "&#64;", "#", "&#35;").Replace(clean(s))
}

// annotation is a message at a place of a file, as a run's pages show it.
type annotation struct {
	kind         string // error, warning or notice
	file         string
	line, column int // from 1; 0 where it is about the whole file
	title, text  string
	more         []string // further lines of the text, ours
}

// command is the workflow command that makes it. Paths in a run are those from
// the root of its checkout.
func (n annotation) command() string {
	var props []string
	if n.file != "" {
		props = append(props, "file="+commandProperty(workspacePath(n.file)))
	}
	if n.line > 0 {
		props = append(props, fmt.Sprintf("line=%d", n.line))
	}
	if n.column > 0 {
		props = append(props, fmt.Sprintf("col=%d", n.column))
	}
	if n.title != "" {
		props = append(props, "title="+commandProperty(n.title))
	}
	text := []string{commandText(n.text)}
	for _, l := range n.more {
		text = append(text, commandText(l))
	}
	return "::" + n.kind + " " + strings.Join(props, ",") + "::" + strings.Join(text, "%0A")
}

// workspacePath is a file as seen from the root of the run's checkout.
func workspacePath(file string) string {
	if root := os.Getenv("GITHUB_WORKSPACE"); root != "" {
		if abs, err := filepath.Abs(file); err == nil {
			if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
				return filepath.ToSlash(rel)
			}
		}
	}
	return filepath.ToSlash(file)
}

// annotate prints an annotation.
func (a *app) annotate(n annotation) error { return a.printf("%s\n", n.command()) }

// appendTo adds text to the file that a variable of the run names, where it
// names one.
func appendTo(variable, text string) error {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// setOutput sets outputs of the step.
func setOutput(pairs [][2]string) error {
	var b strings.Builder
	for _, kv := range pairs {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%s=%s\n", kv[0], clean(kv[1])) // clean leaves no line break in it
		}
	}
	return appendTo("GITHUB_OUTPUT", b.String())
}

// permissions are what a job needs beyond GitHub's defaults, as lines to paste,
// or nil.
func permissions(packages, identity bool) []string {
	if !packages && !identity {
		return nil
	}
	out := []string{"permissions:", "  contents: read"}
	if packages {
		out = append(out, "  packages: write")
	}
	if identity {
		out = append(out, "  id-token: write")
	}
	return out
}

// missingPermissions are the lines that the job lacks for what failed.
func (p *publication) missingPermissions(err error) []string {
	at, aerr := p.app.address()
	if aerr != nil {
		return nil
	}
	code := ""
	if e := clyde.AsError(err); e != nil {
		code = e.Code
	}
	keyless := p.sign && p.app.keyRef(p.who) == ""
	switch noIdentity := !trustedCI(); {
	case noIdentity && keyless && !p.app.canIdentify(p.who):
		return permissions(isGHCR(at.host), true)
	case isGHCR(at.host) && (code == "ghcr_denied" || code == "not_logged_in"):
		return permissions(true, keyless)
	case noIdentity && code == "not_logged_in":
		return permissions(false, true)
	}
	return nil
}

// checkTag refuses a version that is not the one of the tag it is published
// from: somebody forgot to raise it. Tags that are no version say nothing.
func (p *publication) checkTag(v clyde.Version) error {
	tag := p.tag
	if p.format == "github" && tag == "" && os.Getenv("GITHUB_REF_TYPE") == "tag" {
		tag = os.Getenv("GITHUB_REF_NAME")
	}
	t, err := clyde.ParseVersion(strings.TrimPrefix(strings.TrimPrefix(tag, "v"), "V"))
	if err != nil || t.Equal(v) {
		return nil
	}
	return clyde.Errorf(clyde.ErrInvalid, "the tag is %s, and package.yaml says version %s", tag, v).WithCode("tag_mismatch").
		Fix("write version: \"%s\" in package.yaml, and move the tag", t)
}

// finishAction tells the run's pages what became of publishing: outputs and a
// summary, or annotations where something is wrong, and what the job lacks.
func (p *publication) finishAction(dir string, err error) error {
	a := p.app
	if err == nil {
		return errors.Join(setOutput([][2]string{
			{"name", p.done.Name}, {"version", p.done.Version}, {"digest", p.done.Digest},
			{"reference", p.done.Reference}, {"pinned", p.done.pinned()}, {"url", p.done.url()},
		}), appendTo("GITHUB_STEP_SUMMARY", p.done.summary()))
	}
	lines := p.missingPermissions(err)
	n := annotation{kind: "error", title: "clyde publish", text: err.Error()}
	e := clyde.AsError(err)
	if e != nil {
		n.text, n.title = e.Msg, cmp.Or(e.Code, n.title)
		n.more = append(n.more, e.Fixes...)
	}
	var serr error
	if _, shown := errors.AsType[manifestError](err); !shown {
		// Each problem of a manifest is at its own line.
		n.file, n.line = p.manifestLine(dir, n.title)
		if lines != nil {
			n.more = append([]string{"The job lacks permissions. Paste these lines into it:"}, lines...)
		}
		serr = a.annotate(n)
	}
	var summary strings.Builder
	summary.WriteString("### Not published\n\n" + markdownCell(n.text) + "\n")
	if e != nil {
		for _, pr := range e.Problems.Errors() {
			fmt.Fprintf(&summary, "\n- line %d: %s", pr.Line, markdownCell(pr.Msg))
		}
	}
	if lines != nil {
		summary.WriteString("\nThe job lacks permissions. Paste these lines into it:\n\n```yaml\n" + strings.Join(lines, "\n") + "\n```\n")
		a.say("the job lacks permissions; paste these lines into it:")
		for _, l := range lines {
			a.say("    %s", l)
		}
	}
	return errors.Join(err, serr, appendTo("GITHUB_STEP_SUMMARY", summary.String()+"\n"))
}

// manifestLine is the line of package.yaml that a failure is about.
func (p *publication) manifestLine(dir, code string) (file string, line int) {
	key := ""
	switch code {
	case "version_exists", "tag_mismatch", "version_missing", "version_invalid":
		key = "version:"
	case "name_mismatch", "name_unqualified", "name_taken", "namespace_unknown", "namespace_denied":
		key = "name:"
	}
	path, data, err := p.app.readManifest(dir)
	if err != nil {
		return "", 0
	}
	n := 0
	for l := range strings.Lines(string(data)) {
		if n++; key != "" && strings.HasPrefix(l, key) {
			return path, n
		}
	}
	return path, 0
}

// pinned is the reference by digest.
func (d *published) pinned() string {
	colon := strings.LastIndexByte(d.Reference, ':')
	if colon < 0 {
		return ""
	}
	return d.Reference[:colon] + "@" + d.Digest
}

// url is where people read about the version.
func (d *published) url() string {
	if d.Page != "" {
		return d.Page
	}
	host, repo, _ := strings.Cut(d.Reference, "/")
	if repo, _, ok := strings.Cut(repo, ":"); ok && isGHCR(host) {
		return "https://" + ghcrHost + "/" + repo // which leads to its page
	}
	return ""
}

// summary is what the page of the run shows.
func (d *published) summary() string {
	var b strings.Builder
	verb := "Published"
	switch {
	case d.DryRun:
		verb = "Would publish"
	case d.Already:
		verb = "Already published"
	}
	fmt.Fprintf(&b, "### %s %s %s\n\n| | |\n|---|---|\n", verb, markdownCell(d.Name), markdownCell(d.Version))
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", k, markdownCell(v))
		}
	}
	row("Reference", d.Reference)
	row("Digest", d.Digest)
	row("Page", d.url())
	row("Signed by", d.SignedBy)
	for _, x := range d.Builds {
		row("Build", x.Tag)
	}
	for _, w := range d.Warnings {
		row("Warning", w)
	}
	b.WriteString("\n")
	return b.String()
}
