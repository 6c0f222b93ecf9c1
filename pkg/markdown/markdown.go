// Package markdown turns the readmes of strangers into HTML that may stand in
// our pages: GitHub's dialect, highlighted code, formulas, links and images resolved
// inside the package, nothing loaded from elsewhere, sanitised last. Input,
// nesting and time are bounded; what exceeds them is shown as plain text.
package markdown

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	gmhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Limits of one document. All are ours: the largest readme of the libraries we
// measured is 110 KiB and takes 40 ms.
const (
	MaxInput   = 256 << 10        // bytes of source that are rendered; the rest is cut
	MaxOutput  = 2 << 20          // bytes of HTML; more is shown as plain text
	MaxNesting = 48               // quote and list markers opening one line; more is shown as plain text
	Budget     = 1 * time.Second  // to render one document; more is shown as plain text
	maxWorkers = 4                // documents rendered at once, those over their budget included
	maxLinks   = 20_000           // links and images of one document; further ones become text
	idPrefix   = "readme-"        // of every id that a document defines, so that it cannot shadow ours
	waitBudget = 10 * time.Second // to wait for a worker
)

// Options say where the document lies.
type Options struct {
	// BaseURL is the prefix of relative links, with its slash at the end:
	// "/packages/acme/zlib/1.3.1/files/". Empty drops relative links.
	BaseURL string
	// Path is the document's own path below BaseURL, "docs/README.md":
	// relative links start at its directory, absolute ones at BaseURL.
	Path string
	// Page, where it is set, returns the address of the page that shows a file
	// of the package, by its path; "" for one that has none, whose link goes
	// below BaseURL.
	Page func(path string) string
}

var errBudget = errors.New("over budget")

var engine = goldmark.New(
	goldmark.WithExtensions(
		extension.Table, extension.Strikethrough, extension.TaskList, extension.Footnote,
		extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:"})),
	),
	goldmark.WithParserOptions(
		parser.WithAutoHeadingID(),
		parser.WithInlineParsers(util.Prioritized(inlineMath{}, 150)), // after code, before links
		parser.WithBlockParsers(util.Prioritized(blockMath{}, 750)),
		parser.WithASTTransformers(util.Prioritized(alerts{}, 500)),
	),
	goldmark.WithRendererOptions(
		gmhtml.WithUnsafe(), // raw HTML passes the rewriter and the sanitiser like the rest
		renderer.WithNodeRenderers(util.Prioritized(codeRenderer{}, 100), util.Prioritized(mathRenderer{}, 100)),
	),
)

var workers = make(chan struct{}, maxWorkers)

// Render returns src as sanitised HTML. A document over MaxInput is cut at a
// line and says so; one over the other limits comes back as plain text. The
// error is for programs only: the HTML is fit to show beside it.
func Render(src []byte, o Options) (template.HTML, error) {
	src, cut := clean(src)
	if nesting(src) > MaxNesting {
		return Plain(src), fmt.Errorf("markdown.Render: nested deeper than %d: %w", MaxNesting, errBudget)
	}
	type result struct {
		html template.HTML
		err  error
	}
	timeout := time.NewTimer(waitBudget)
	defer timeout.Stop()
	select {
	case workers <- struct{}{}:
	case <-timeout.C:
		return Plain(src), fmt.Errorf("markdown.Render: no worker within %s: %w", waitBudget, errBudget)
	}
	timeout.Reset(Budget)
	done := make(chan result, 1)
	// The worker cannot be interrupted inside the parser. It keeps its place
	// among the workers until it ends, so that slow documents cannot pile up.
	go func() {
		defer func() { <-workers }()
		h, err := render(src, o, time.Now().Add(Budget))
		done <- result{h, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return Plain(src), r.err
		}
		if cut {
			r.html += "\n<p><em>This document is longer than we show; the file has the rest.</em></p>\n"
		}
		return r.html, nil
	case <-timeout.C:
		return Plain(src), fmt.Errorf("markdown.Render: longer than %s: %w", Budget, errBudget)
	}
}

func render(src []byte, o Options, deadline time.Time) (h template.HTML, err error) {
	// A parser of hostile text that panics must cost one readme, not a server.
	defer func() {
		if p := recover(); p != nil {
			h, err = "", fmt.Errorf("markdown.Render: panic: %v", p)
		}
	}()
	ctx := parser.NewContext(parser.WithIDs(newIDs()))
	doc := engine.Parser().Parse(text.NewReader(src), parser.WithContext(ctx))
	formulas := newMaths()
	doc.OwnerDocument().AddMeta(deadlineKey, deadline)
	doc.OwnerDocument().AddMeta(mathsKey, formulas)
	var raw bytes.Buffer
	if err := engine.Renderer().Render(&limited{w: &raw, left: MaxOutput, deadline: deadline}, src, doc); err != nil {
		return "", fmt.Errorf("markdown.Render: %w", err)
	}
	rewritten, err := rewrite(raw.Bytes(), o)
	if err != nil {
		return "", fmt.Errorf("markdown.Render: %w", err)
	}
	return template.HTML(formulas.restore(policy.SanitizeBytes(rewritten))), nil //nolint:gosec // sanitised in this very line, but for formulas of our own making
}

// Plain returns src as preformatted text.
func Plain(src []byte) template.HTML {
	src, _ = clean(src)
	return template.HTML("<pre>" + html.EscapeString(string(src)) + "</pre>") //nolint:gosec // escaped in this very line
}

// IsMarkdown reports whether a file of that name is taken for Markdown: by its
// extension, and a bare README too, for that is how most are written.
func IsMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".mkd", "":
		return true
	}
	return false
}

// PlainText returns the words of src without markup, blocks on lines of their
// own, for a search index. Raw HTML is left out, code stays.
func PlainText(src []byte) (out string) {
	src, _ = clean(src)
	if nesting(src) > MaxNesting {
		return string(src)
	}
	defer func() {
		if recover() != nil {
			out = string(src)
		}
	}()
	var b strings.Builder
	doc := engine.Parser().Parse(text.NewReader(src), parser.WithContext(parser.NewContext(parser.WithIDs(newIDs()))))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock && b.Len() > 0 {
				b.WriteByte('\n')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(src))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte('\n')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(src))
		case *formula:
			b.WriteString(n.tex)
		case *ast.CodeBlock, *ast.FencedCodeBlock, *formulaBlock:
			b.Write(linesOf(n, src))
		case *ast.HTMLBlock, *ast.RawHTML:
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	lines := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "\n")
}

// clean cuts src to MaxInput at a line end, and makes it UTF-8 without NUL.
func clean(src []byte) (out []byte, cut bool) {
	if len(src) > MaxInput {
		src, cut = src[:MaxInput], true
		if i := bytes.LastIndexByte(src, '\n'); i > 0 {
			src = src[:i+1]
		}
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(src) {
		src = bytes.ToValidUTF8(src, []byte("\uFFFD"))
	}
	if bytes.IndexByte(src, 0) >= 0 {
		src = bytes.ReplaceAll(src, []byte{0}, []byte("\uFFFD"))
	}
	return src, cut
}

// nesting returns the greatest depth that the block markers at the start of a
// line can open. The parser's cost grows with the square of it.
func nesting(src []byte) int {
	most := 0
	for line := range bytes.Lines(src) {
		depth, spaces := 0, 0
	line:
		for i := range line {
			switch c := line[i]; {
			case c == ' ':
				spaces++
			case c == '\t':
				spaces += 4
			case c == '>' || (c == '-' || c == '*' || c == '+') && i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t'):
				depth++
			case c >= '0' && c <= '9':
			case (c == '.' || c == ')') && i > 0 && line[i-1] >= '0' && line[i-1] <= '9':
				depth++
			default:
				break line
			}
		}
		// Two spaces of indentation can continue one list that is open.
		most = max(most, depth+min(spaces/2, depth))
	}
	return most
}

// limited fails a write past left bytes or the deadline.
type limited struct {
	w        io.Writer
	left     int
	deadline time.Time
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errBudget
	}
	if time.Now().After(l.deadline) {
		return 0, errBudget
	}
	return l.w.Write(p)
}
