package markdown

import (
	"bytes"
	"crypto/rand"
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/clydepm/clyde-registry/pkg/texmath"
)

// maths holds the formulas of one document aside while it is sanitised: the
// sanitiser lets no MathML of a stranger pass, and needs no exception for ours.
// In its place the document has a word that nobody can guess.
type maths struct {
	word string
	done []string // MathML, by number
	left int      // bytes that further formulas may have
}

// mathsKey is where a document keeps its *maths.
const mathsKey = "clyde-maths"

func newMaths() *maths { return &maths{word: "math" + rand.Text(), left: MaxOutput} }

// mathsOf is where the document of n keeps its formulas.
func mathsOf(n ast.Node) *maths {
	m, ok := n.OwnerDocument().Meta()[mathsKey].(*maths)
	if !ok {
		return &maths{} // nowhere: all are code
	}
	return m
}

// put returns what stands for a formula until it is sanitised: for one that is
// not known as mathematics, its source as code.
func (m *maths) put(tex string, display, block bool) string {
	ml, err := texmath.MathML(tex, display)
	if m.left -= len(ml); err != nil || m.left < 0 {
		if block {
			return "<pre><code>" + html.EscapeString(tex) + "</code></pre>\n"
		}
		return "<code>" + html.EscapeString(tex) + "</code>"
	}
	m.done = append(m.done, ml)
	return m.word + "x" + strconv.Itoa(len(m.done)-1) + ";"
}

// restore puts the formulas back in their places.
func (m *maths) restore(doc []byte) []byte {
	if len(m.done) == 0 {
		return doc
	}
	var out bytes.Buffer
	for {
		before, after, ok := bytes.Cut(doc, []byte(m.word+"x"))
		out.Write(before)
		if !ok {
			return out.Bytes()
		}
		number, rest, _ := bytes.Cut(after, []byte(";"))
		if i, err := strconv.Atoi(string(number)); err == nil && i < len(m.done) {
			out.WriteString(m.done[i])
		}
		doc = rest
	}
}

// formula is mathematics within a line or, displayed, on its own.
type formula struct {
	ast.BaseInline
	tex     string
	display bool
}

var kindFormula = ast.NewNodeKind("Formula")

func (*formula) Kind() ast.NodeKind { return kindFormula }

func (f *formula) Dump(src []byte, level int) {
	ast.DumpHelper(f, src, level, map[string]string{"TeX": f.tex}, nil)
}

// formulaBlock is mathematics between lines that begin with two dollars.
type formulaBlock struct {
	ast.BaseBlock
	closed bool
}

var kindFormulaBlock = ast.NewNodeKind("FormulaBlock")

func (*formulaBlock) Kind() ast.NodeKind { return kindFormulaBlock }

func (*formulaBlock) IsRaw() bool { return true }

func (f *formulaBlock) Dump(src []byte, level int) { ast.DumpHelper(f, src, level, nil, nil) }

// inlineMath reads $…$, $`…`$ and $$…$$ within a paragraph, by the rules that
// keep amounts of money and variables of a shell what they are: no space inside
// the dollars, and no letter or digit before the first and after the last.
type inlineMath struct{}

func (inlineMath) Trigger() []byte { return []byte{'$'} }

func (inlineMath) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	if before := block.PrecendingCharacter(); before == '$' || before == '\\' || unicode.IsLetter(before) || unicode.IsDigit(before) {
		return nil
	}
	line, at := block.Position()
	fence := "$"
	if first, _ := block.PeekLine(); bytes.HasPrefix(first, []byte("$$")) {
		fence = "$$"
	}
	block.Advance(len(fence))
	var tex strings.Builder
	for {
		rest, _ := block.PeekLine()
		if rest == nil || tex.Len() > texmath.MaxInput {
			break
		}
		i := closing(rest, fence)
		if i < 0 {
			tex.Write(rest)
			block.AdvanceLine()
			continue
		}
		tex.Write(rest[:i])
		after, _ := utf8.DecodeRune(rest[i+len(fence):])
		body := tex.String()
		if code, ok := strings.CutPrefix(body, "`"); ok && strings.HasSuffix(code, "`") {
			body = strings.TrimSuffix(code, "`")
		} else if fence == "$" && (body != strings.TrimSpace(body) || unicode.IsLetter(after) || unicode.IsDigit(after)) {
			break
		}
		if strings.TrimSpace(body) == "" {
			break
		}
		block.Advance(i + len(fence))
		return &formula{tex: body, display: fence == "$$"}
	}
	block.SetPosition(line, at)
	return nil
}

// closing returns where a fence of dollars is in a line, behind no backslash;
// -1 where it is not.
func closing(line []byte, fence string) int {
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if bytes.HasPrefix(line[i:], []byte(fence)) {
			return i
		}
	}
	return -1
}

// blockMath reads lines from $$ to $$.
type blockMath struct{}

func (blockMath) Trigger() []byte { return []byte{'$'} }

func (blockMath) Open(_ ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, seg := reader.PeekLine()
	start := pc.BlockOffset()
	if start < 0 || !bytes.HasPrefix(line[start:], []byte("$$")) {
		return nil, parser.NoChildren
	}
	// Two dollars that nothing closes soon are text.
	from := seg.Start + start + 2 - seg.Padding
	src := reader.Source()
	if from < 0 || from > len(src) {
		return nil, parser.NoChildren
	}
	end := closing(src[from:min(len(src), from+texmath.MaxInput)], "$$")
	if end <= 0 {
		return nil, parser.NoChildren
	}
	b := &formulaBlock{}
	own := src[from : from+end]
	if i := bytes.IndexByte(own, '\n'); i < 0 { // all on one line, which it has to end
		rest, _, _ := bytes.Cut(src[from+end+2:], []byte("\n"))
		if len(bytes.TrimSpace(rest)) > 0 || len(bytes.TrimSpace(own)) == 0 {
			return nil, parser.NoChildren
		}
		b.Lines().Append(text.NewSegment(from, from+end))
		b.closed = true
	} else {
		b.Lines().Append(text.NewSegment(from, from+i+1))
	}
	reader.AdvanceToEOL()
	return b, parser.NoChildren
}

func (blockMath) Continue(node ast.Node, reader text.Reader, _ parser.Context) parser.State {
	b := node.(*formulaBlock)
	if b.closed {
		return parser.Close
	}
	line, seg := reader.PeekLine()
	if i := closing(line, "$$"); i >= 0 {
		b.Lines().Append(text.NewSegment(seg.Start, max(seg.Start, seg.Start+i-seg.Padding)))
		reader.AdvanceToEOL()
		b.closed = true
		return parser.Close
	}
	b.Lines().Append(seg)
	reader.AdvanceToEOL()
	return parser.Continue | parser.NoChildren
}

func (blockMath) Close(ast.Node, text.Reader, parser.Context) {}

func (blockMath) CanInterruptParagraph() bool { return true }

func (blockMath) CanAcceptIndentedLine() bool { return false }

// mathRenderer writes formulas.
type mathRenderer struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (mathRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindFormula, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		f := n.(*formula)
		_, err := w.WriteString(mathsOf(n).put(f.tex, f.display, false))
		return ast.WalkSkipChildren, err
	})
	r.Register(kindFormulaBlock, func(w util.BufWriter, src []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		_, err := w.WriteString(mathsOf(n).put(string(linesOf(n, src)), true, true))
		return ast.WalkSkipChildren, err
	})
}

// linesOf is the source of a block that is shown as it stands.
func linesOf(n ast.Node, src []byte) []byte {
	var out []byte
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		out = append(out, line.Value(src)...)
	}
	return out
}
