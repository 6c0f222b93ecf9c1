package markdown

import (
	"html"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// deadlineKey is where a document keeps the time by which it must be rendered.
const deadlineKey = "clyde-deadline"

// ids gives headings their anchors as GitHub does. The parser's own generator
// takes quadratic time where many headings have one text.
type ids struct{ seen map[string]int }

func newIDs() *ids { return &ids{seen: map[string]int{}} }

// maxID bounds an anchor, in runes.
const maxID = 80

// Generate implements parser.IDs.
func (s *ids) Generate(value []byte, _ ast.NodeKind) []byte {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToLower(strings.TrimSpace(string(value))) {
		switch {
		case n == maxID:
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			b.WriteRune(r)
			n++
		case r == ' ':
			b.WriteByte('-')
			n++
		}
	}
	id := b.String()
	if id == "" {
		id = "heading"
	}
	k := s.seen[id]
	s.seen[id] = k + 1
	if k > 0 {
		id += "-" + strconv.Itoa(k)
	}
	return []byte(id)
}

// Put implements parser.IDs.
func (s *ids) Put(value []byte) { s.seen[string(value)]++ }

// codeRenderer writes code blocks, highlighted where the language is known.
type codeRenderer struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (c codeRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, c.render)
	r.Register(ast.KindCodeBlock, c.render)
}

func (codeRenderer) render(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	code := string(linesOf(n, src))
	lang := ""
	if f, ok := n.(*ast.FencedCodeBlock); ok {
		lang = string(f.Language(src))
	}
	if lang == "math" {
		_, err := w.WriteString(mathsOf(n).put(code, true, true))
		return ast.WalkSkipChildren, err
	}
	deadline, _ := n.OwnerDocument().Meta()[deadlineKey].(time.Time)
	if deadline.IsZero() {
		deadline = time.Now().Add(Budget)
	}
	_, _ = w.WriteString("<pre><code>")
	// Highlighting may use half of what is left; plain text is always there.
	limit := time.Now().Add(time.Until(deadline) / 2)
	if spans, ok := Highlight(lang, code, limit); ok {
		_, _ = w.WriteString(string(spans))
	} else {
		_, _ = w.WriteString(html.EscapeString(code))
	}
	_, err := w.WriteString("</code></pre>\n")
	if err == nil && lang == "mermaid" {
		_, err = w.WriteString("<p><small>A Mermaid diagram, shown as its source: nothing that a package contains is run on this page.</small></p>\n")
	}
	return ast.WalkSkipChildren, err
}

// alerts turns "> [!NOTE]" quotes into what GitHub makes of them.
type alerts struct{}

var alertTitles = map[string]string{
	"[!NOTE]": "Note", "[!TIP]": "Tip", "[!IMPORTANT]": "Important", "[!WARNING]": "Warning", "[!CAUTION]": "Caution",
}

// Transform implements parser.ASTTransformer.
func (alerts) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		quote, ok := n.(*ast.Blockquote)
		if !ok {
			continue
		}
		p, ok := quote.FirstChild().(*ast.Paragraph)
		if !ok || p.Lines().Len() == 0 {
			continue
		}
		line := p.Lines().At(0)
		title, ok := alertTitles[strings.ToUpper(strings.TrimSpace(string(line.Value(reader.Source()))))]
		if !ok {
			continue
		}
		for c := p.FirstChild(); c != nil; {
			next := c.NextSibling()
			t, ok := c.(*ast.Text)
			if !ok || t.Segment.Start >= line.Stop {
				break
			}
			p.RemoveChild(p, c)
			c = next
		}
		quote.SetAttributeString("class", []byte("md-alert md-"+strings.ToLower(title)))
		head := ast.NewParagraph()
		strong := ast.NewEmphasis(2)
		strong.AppendChild(strong, ast.NewString([]byte(title)))
		head.AppendChild(head, strong)
		quote.InsertBefore(quote, p, head)
		if !p.HasChildren() {
			quote.RemoveChild(quote, p)
		}
	}
}
