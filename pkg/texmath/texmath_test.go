package texmath_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/texmath"
)

func ExampleMathML() {
	fmt.Println(texmath.MathML(`\sqrt{x^2}`, false))
	_, err := texmath.MathML(`\def\x{y}`, false)
	fmt.Println(err)
	// Output:
	// <math><mrow><msqrt><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></msqrt></mrow></math> <nil>
	// not known as mathematics: the command \def
}

func TestMathML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tex     string
		display bool
		want    string // inside <math><mrow>
	}{
		{"a+b", false, `<mi>a</mi><mo>+</mo><mi>b</mi>`},
		{"3.14 - x", false, `<mn>3.14</mn><mo>−</mo><mi>x</mi>`},
		{"x_1^2", false, `<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>`},
		{"x^12", false, `<msup><mi>x</mi><mn>1</mn></msup><mn>2</mn>`},
		{"f''", false, `<msup><mi>f</mi><mo>′′</mo></msup>`},
		{"f'^2", false, `<msup><mi>f</mi><mrow><mo>′</mo><mn>2</mn></mrow></msup>`},
		{`\frac12`, false, `<mfrac><mn>1</mn><mn>2</mn></mfrac>`},
		{`\frac{a}{b}`, false, `<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>`},
		{`\sqrt[3]{x}`, false, `<mroot><mrow><mi>x</mi></mrow><mrow><mn>3</mn></mrow></mroot>`},
		{`\sum_{i}^n`, false, `<msubsup><mo>∑</mo><mrow><mi>i</mi></mrow><mi>n</mi></msubsup>`},
		{`\sum_{i}^n`, true, `<munderover><mo>∑</mo><mrow><mi>i</mi></mrow><mi>n</mi></munderover>`},
		{`\int_0^1`, true, `<msubsup><mo>∫</mo><mn>0</mn><mn>1</mn></msubsup>`},
		{`\sin x`, false, `<mi>sin</mi><mspace width="0.17em"></mspace><mi>x</mi>`},
		{`\log(n)`, false, `<mi>log</mi><mo stretchy="false">(</mo><mi>n</mi><mo stretchy="false">)</mo>`},
		{`O(n \log n)`, false, `<mi>O</mi><mo stretchy="false">(</mo><mi>n</mi><mspace width="0.17em"></mspace><mi>log</mi><mspace width="0.17em"></mspace><mi>n</mi><mo stretchy="false">)</mo>`},
		{`\mathbb{R}^n`, false, `<msup><mrow><mi>ℝ</mi></mrow><mi>n</mi></msup>`},
		{`\mathbf{A1}`, false, `<mrow><mi>𝐀</mi><mn>𝟏</mn></mrow>`},
		{`\mathrm{d}x`, false, `<mrow><mi mathvariant="normal">d</mi></mrow><mi>x</mi>`},
		{`\text{a <b>}`, false, "<mtext>a\u00a0&lt;b&gt;</mtext>"},
		{`\hat x`, false, `<mover accent="true"><mi>x</mi><mo>^</mo></mover>`},
		{`a<b & c`, false, `<mtable class="math-lines"><mtr><mtd><mi>a</mi><mo>&lt;</mo><mi>b</mi></mtd><mtd><mi>c</mi></mtd></mtr></mtable>`},
		{`\left(\frac1x\right.`, false, `<mrow><mo fence="true" stretchy="true" form="prefix">(</mo><mfrac><mn>1</mn><mi>x</mi></mfrac></mrow>`},
		{`\begin{bmatrix}1&0\\0&1\\\end{bmatrix}`, true, `<mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr></mtable>`},
		{`f(x)=\begin{cases}0&x<0\\1&\text{else}\end{cases}`, true, `<mtable class="math-cases">`},
		{`\lVert x \rVert_2 \le \varepsilon`, false, `<mo stretchy="false">‖</mo>`},
		{`\alpha \in \Omega, \{0, 1\}`, false, `<mi>α</mi><mo>∈</mo><mi>Ω</mi>`},
		{`e^{i\pi} + 1 = 0`, false, `<msup><mi>e</mi><mrow><mi>i</mi><mi>π</mi></mrow></msup>`},
		{`\lim_{n \to \infty} a_n`, true, `<munder><mi>lim</mi><mrow><mi>n</mi><mo>→</mo><mi>∞</mi></mrow></munder>`},
		{`\binom nk`, false, `<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>`},
		{`\underbrace{x}_{n}`, false, `<munder><munder><mrow><mi>x</mi></mrow><mo>⏟</mo></munder><mrow><mi>n</mi></mrow></munder>`},
		{`a\ b\,c~d`, false, `<mi>a</mi><mspace width="0.33em"></mspace><mi>b</mi><mspace width="0.17em"></mspace><mi>c</mi><mspace width="0.33em"></mspace><mi>d</mi>`},
		{`a \bmod b \pmod{n}`, false, `<mi>mod</mi>`},
		{`\operatorname{rank} A`, false, `<mi mathvariant="normal">rank</mi><mspace`},
		{`\bigl( x \bigr)`, false, `<mo minsize="1.2em" maxsize="1.2em">(</mo>`},
		{`5\%`, false, `<mn>5</mn><mo>%</mo>`},
		{"", false, ""},
	} {
		got, err := texmath.MathML(tt.tex, tt.display)
		if err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("MathML(%q, %t) = %s, %v; want %s in it", tt.tex, tt.display, got, err, tt.want)
		}
		check(t, tt.tex, got)
	}
}

func TestMathMLRefuses(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("{", n) + "x" + strings.Repeat("}", n) }
	for _, tex := range []string{
		`\def\a{\a\a}`, `\href{javascript:alert(1)}{x}`, `\require{html}`, `\unknown`, `\`, `{`, `}`, `x^`, `x^1^2`, `x_{`, `\frac{1}`, `\frac`, `\sqrt[2`, `\left( x`, `\left x \right)`,
		`\right)`, `\begin{foo}\end{foo}`, `\begin{matrix}`, `\begin{matrix}\end{cases}`, `\end{matrix}`, `\begin`, `\text{\def}`, `\text`, `x % comment`, `#1`, "a\x00b", "\xff", `^^41`,
		strings.Repeat("x", texmath.MaxInput+1), nested(texmath.MaxDepth),
	} {
		if got, err := texmath.MathML(tex, true); !errors.Is(err, texmath.ErrTeX) || got != "" {
			t.Errorf("MathML(%.40q) = %q, %v; want ErrTeX", tex, got, err)
		}
	}
	for _, tex := range []string{strings.Repeat("x", texmath.MaxInput), nested(texmath.MaxDepth - 1)} {
		if _, err := texmath.MathML(tex, false); err != nil {
			t.Errorf("MathML(%.40q): %v; it is at the limit", tex, err)
		}
	}
}

// allowed is every element that MathML writes, with its attributes.
var allowed = map[string]string{
	"math": "display", "mrow": "", "mi": "mathvariant", "mn": "", "mo": "stretchy fence form minsize maxsize lspace rspace", "mtext": "", "mspace": "width",
	"mfrac": "linethickness", "msqrt": "", "mroot": "", "msub": "", "msup": "", "msubsup": "", "munder": "accentunder", "mover": "accent", "munderover": "",
	"mtable": "class", "mtr": "", "mtd": "",
}

// parts is how many elements those with a fixed number have in them.
var parts = map[string]int{"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}

// check fails where ml is not well formed, has what is not allowed, or an
// element without all of its parts.
func check(t *testing.T, tex, ml string) {
	t.Helper()
	var open []string
	var count []int
	for d := xml.NewDecoder(strings.NewReader(ml)); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("MathML(%q) = %s: %v", tex, ml, err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			attrs, ok := allowed[tok.Name.Local]
			if !ok || tok.Name.Space != "" {
				t.Errorf("MathML(%q) = %s: has <%s>", tex, ml, tok.Name.Local)
			}
			for _, a := range tok.Attr {
				if !strings.Contains(" "+attrs+" ", " "+a.Name.Local+" ") {
					t.Errorf("MathML(%q) = %s: has %s in <%s>", tex, ml, a.Name.Local, tok.Name.Local)
				}
			}
			if len(count) > 0 {
				count[len(count)-1]++
			}
			open, count = append(open, tok.Name.Local), append(count, 0)
		case xml.EndElement:
			last := len(open) - 1
			if want := parts[open[last]]; want != 0 && count[last] != want {
				t.Errorf("MathML(%q) = %s: <%s> has %d parts; want %d", tex, ml, open[last], count[last], want)
			}
			open, count = open[:last], count[:last]
		case xml.CharData:
			if len(open) == 0 {
				t.Errorf("MathML(%q) = %s: text outside", tex, ml)
			}
		default:
			t.Errorf("MathML(%q) = %s: has %T", tex, ml, tok)
		}
	}
}

// FuzzMathML: what comes out is well formed, of the closed list alone, and not
// much longer than what went in.
func FuzzMathML(f *testing.F) {
	for _, tex := range []string{
		`\frac{-b \pm \sqrt{b^2-4ac}}{2a}`, `\begin{cases}1&x\\2\end{cases}`, `\left[\middle|\right)_1'^2`, `\mathbb{R}\text{<script>}`, `\sum\limits_{i=1}^{n} x_i \over 2`, `\Bigl\{ \vec{a} \overset{!}{=} \bm b`,
	} {
		f.Add(tex, true)
	}
	f.Fuzz(func(t *testing.T, tex string, display bool) {
		ml, err := texmath.MathML(tex, display)
		if err != nil {
			if !errors.Is(err, texmath.ErrTeX) || ml != "" {
				t.Fatalf("MathML(%q) = %q, %v", tex, ml, err)
			}
			return
		}
		check(t, tex, ml)
		const most = 100 // bytes of MathML for one of TeX
		if len(ml) > most*(len(tex)+2) {
			t.Errorf("MathML of %d bytes has %d", len(tex), len(ml))
		}
	})
}

func BenchmarkMathML(b *testing.B) {
	for b.Loop() {
		if _, err := texmath.MathML(`x_{1,2} = \frac{-b \pm \sqrt{b^2-4ac}}{2a}`, true); err != nil {
			b.Fatal(err)
		}
	}
}
