package markdown

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var opts = Options{BaseURL: "/packages/acme/zlib/1.3.1/files/", Path: "README.md"}

func TestRender(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"heading", "# Hello, World", `<h2 id="readme-hello-world">Hello, World</h2>`},
		{"same_headings", "# A\n# A", `<h2 id="readme-a-1">A</h2>`},
		{"unicode_heading", "## Über uns", `<h3 id="readme-über-uns">`},
		{"fragment", "[x](#hello)", `href="#readme-hello"`},
		{"relative", "[x](docs/a.md#b)", `href="/packages/acme/zlib/1.3.1/files/docs/a.md#b"`},
		{"absolute", "[x](/LICENSE)", `href="/packages/acme/zlib/1.3.1/files/LICENSE"`},
		{"outside", "[x](../../../../admin)", `href="/packages/acme/zlib/1.3.1/files/admin"`},
		{"remote", "[x](https://example.org/)", `<a href="https://example.org/" rel="nofollow noreferrer">x</a>`},
		{"own_image", "![logo](img/a.png)", `<img src="/packages/acme/zlib/1.3.1/files/img/a.png?raw=1" alt="logo" loading="lazy"`},
		{"remote_image", "![ci](https://ci.example/x.svg)", `<a href="https://ci.example/x.svg" rel="nofollow noreferrer">ci</a>`},
		{"badge", "[![ci](https://ci.example/x.svg)](https://ci.example)", `<a href="https://ci.example" rel="nofollow noreferrer">ci</a>`},
		{"raw_image", `<p align="center"><img src="a.png" width="100"></p>`, `src="/packages/acme/zlib/1.3.1/files/a.png?raw=1"`},
		{"raw_anchor", `<a name="top"></a>`, `id="readme-top"`},
		{"table", "|a|b|\n|-|-|\n|1|2|", `<td>1</td>`},
		{"task", "- [x] done", `type="checkbox"`},
		{"strike", "~~no~~", `<del>no</del>`},
		{"autolink", "see https://example.org now", `<a href="https://example.org"`},
		{"footnote", "a[^1]\n\n[^1]: b", `href="#readme-fn:1"`},
		{"alert", "> [!WARNING]\n> Hot.", `<blockquote class="md-alert md-warning">`},
		{"code", "```cpp\nint main() { return 0; }\n```", `<span class="hl-t">int</span>`},
		{"math", "Takes $O(n^2)$ time.", `Takes <math><mrow><mi>O</mi><mo stretchy="false">(</mo><msup><mi>n</mi><mn>2</mn></msup><mo stretchy="false">)</mo></mrow></math> time.`},
		{"math_escapes", "$a_1 < b_2 * c * d$", `<msub><mi>a</mi><mn>1</mn></msub><mo>&lt;</mo>`},
		{"math_in_ticks", "$`x\\$ y`$", "<mi>x</mi><mo>$</mo><mi>y</mi>"},
		{"math_ticks", "$`x`$", "<math><mrow><mi>x</mi></mrow></math>"},
		{"math_display", "so $$x$$ holds", `so <math display="block">`},
		{"math_line", "$$ x = 1 $$", `<math display="block"><mrow><mi>x</mi>`},
		{"math_block", "text\n$$\na\n+ b\n= c\n$$\nmore", `<mo>+</mo><mi>b</mi><mo>=</mo><mi>c</mi></mrow></math><p>more`},
		{"math_fence", "```math\n\\frac12\n```", `<math display="block"><mrow><mfrac>`},
		{"math_quoted", "> $$\n> x^2\n> $$", "<blockquote>\n<math display=\"block\"><mrow><msup>"},
		{"math_unknown", "$\\foo{<b>}$", `<code>\foo{&lt;b&gt;}</code>`},
		{"math_unknown_block", "$$\n\\foo<b>\n$$", "<pre><code>\n\\foo&lt;b&gt;\n</code></pre>"},
		{"mermaid", "```mermaid\na --> b\n```", `<small>A Mermaid diagram, shown as its source`},
		{"money", "from $5 to $10, or US$20 and $30.", `from $5 to $10, or US$20 and $30.`},
		{"shell", "$HOME/bin:$PATH and `$x$`", `$HOME/bin:$PATH and <code>$x$</code>`},
		{"dollars", "$$ is a process\n\n# Next", `<h2 id="readme-next">`},
		{"unknown_language", "```zork\n<b>\n```", `<pre><code>&lt;b&gt;`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Render([]byte(tt.in), opts)
			if err != nil || !strings.Contains(string(got), tt.want) {
				t.Errorf("Render(%q) = %s, %v; want %s in it", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestRenderAlertKeepsItsText(t *testing.T) {
	t.Parallel()
	got, err := Render([]byte("> [!NOTE]\n> Mind *this*."), opts)
	if err != nil || strings.Contains(string(got), "[!NOTE]") || !strings.Contains(string(got), "Mind <em>this</em>") {
		t.Errorf("Render(alert) = %s, %v", got, err)
	}
}

// attacks is what people write into readmes that are shown elsewhere.
var attacks = []string{
	"$\\text{<script>alert(1)</script>}$", `$<img src=x onerror=alert(1)>$`, `![$x$](a.png)`, `<a title="$x$">$y$</a>`, `<math><annotation-xml encoding="text/html"><style><img src=x onerror=alert(1)>`,
	"$$\n<script>alert(1)</script>\n$$", "<style>$x$</style>", "<pre>\n$x$\n</pre>", "[$x$](javascript:alert(1))", "$x$ <!-- $y$", `<math display="block" onclick="alert(1)">$x$</math>`,
	`<script>alert(1)</script>`, `<SCRIPT SRC=//evil.example/x.js></SCRIPT>`, `<scr<script>ipt>alert(1)</scr</script>ipt>`,
	`<img src=x onerror=alert(1)>`, `<img src="javascript:alert(1)">`, `<img src=/api/v1/x>`, `<img src="//evil.example/p.gif">`,
	`<img src="data:image/svg+xml,<svg onload=alert(1)>">`, `![x](data:text/html;base64,PHNjcmlwdD4=)`,
	`<svg onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`, `<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>`,
	`[x](javascript:alert(1))`, `[x](JaVaScRiPt:alert(1))`, "[x](java\tscript:alert(1))", `[x](&#106;avascript:alert(1))`, `[x](vbscript:x)`,
	`[x](data:text/html,<script>alert(1)</script>)`, `<a href="jav&#x0A;ascript:alert(1)">x</a>`, `<a href=" javascript:alert(1)">x</a>`,
	`<javascript:alert(1)>`, `<a href="\\evil.example">x</a>`, `[x](\\evil.example)`,
	`<iframe src="https://evil.example"></iframe>`, `<object data="x"></object>`, `<embed src=x>`, `<form action=/api/v1/tokens><button>go</button></form>`,
	`<input type=text name=password>`, `<input type=checkbox autofocus onfocus=alert(1)>`, `<textarea></textarea>`, `<select></select>`,
	`<style>body{display:none}</style>`, `<link rel=stylesheet href=//evil.example>`, `<meta http-equiv=refresh content="0;url=//evil.example">`, `<base href="//evil.example/">`,
	`<div style="position:fixed;top:0">x</div>`, `<div class="banner danger">x</div>`, `<div id="q">x</div>`, `<a id="main">x</a>`, `<p onclick=alert(1)>x</p>`,
	"```\"><script>alert(1)</script>\nx\n```", "```c\n</code></pre><script>alert(1)</script>\n```", "`<script>`", `<!--><script>alert(1)</script>-->`, `<![CDATA[<script>alert(1)</script>]]>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<xmp><script>alert(1)</script></xmp>`, `<template><script>alert(1)</script></template>`,
	`# <img src=x onerror=alert(1)>`, `[a]: javascript:alert(1)` + "\n\n[a]", `|<script>alert(1)</script>|` + "\n|-|", `[^x]` + "\n\n[^x]: <script>alert(1)</script>",
	`<video src=x onerror=alert(1)>`, `<audio controls src=//evil.example>`, `<details ontoggle=alert(1) open>x</details>`, `<marquee onstart=alert(1)>`,
	`<a href="https://ok.example" target=_blank onmouseover=alert(1)>x</a>`, "<a href='x' \x00onclick=alert(1)>x</a>", `<td background="javascript:alert(1)">`,
	`<img srcset="//evil.example/x 1x" src=a.png>`, `<picture><source srcset="//evil.example/x"><img src="a.png"></picture>`,
	`<a href="&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61&#x6C&#x65&#x72&#x74&#x28&#x31&#x29">x</a>`,
}

// check states what holds for every output: it is well-formed enough to close
// what it opens, holds nothing that runs, loads, submits, styles or leaves its
// own id space.
func check(t *testing.T, in, out string) {
	t.Helper()
	for z := html.NewTokenizer(strings.NewReader(out)); z.Next() != html.ErrorToken; {
		tok := z.Token()
		if tok.Type != html.StartTagToken && tok.Type != html.SelfClosingTagToken {
			if tok.Type == html.CommentToken || tok.Type == html.DoctypeToken {
				t.Errorf("Render(%q) = %q: has %s", in, out, tok)
			}
			continue
		}
		switch tok.Data {
		case "script", "style", "iframe", "object", "embed", "form", "button", "textarea", "select", "link", "meta", "base",
			"svg", "template", "noscript", "video", "audio", "source", "picture", "xmp", "h1", "title":
			t.Errorf("Render(%q) = %q: has <%s>", in, out, tok.Data)
		}
		if ours := strings.Contains(in, "$") || strings.Contains(in, "math"); tok.Data == "math" && (!ours || len(tok.Attr) > 1 || len(tok.Attr) == 1 && tok.Attr[0].Key != "display") {
			t.Errorf("Render(%q) = %q: has %s", in, out, tok)
		}
		for _, a := range tok.Attr {
			v := strings.ToLower(a.Val)
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcset", a.Key == "name", a.Key == "target", a.Key == "background":
				t.Errorf("Render(%q) = %q: has attribute %s", in, out, a.Key)
			case a.Key == "id" && !strings.HasPrefix(v, idPrefix):
				t.Errorf("Render(%q) = %q: id %q", in, out, v)
			case a.Key == "src" && !strings.HasPrefix(v, opts.BaseURL):
				t.Errorf("Render(%q) = %q: src %q", in, out, v)
			case a.Key == "class" && !strings.HasPrefix(v, "hl-") && !strings.HasPrefix(v, "md-alert ") && !strings.HasPrefix(v, "math-"):
				t.Errorf("Render(%q) = %q: class %q", in, out, v)
			case a.Key == "href" && !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "mailto:") &&
				!strings.HasPrefix(v, "#"+idPrefix) && !strings.HasPrefix(v, opts.BaseURL):
				t.Errorf("Render(%q) = %q: href %q", in, out, v)
			case a.Key == "type" && v != "checkbox":
				t.Errorf("Render(%q) = %q: input of type %q", in, out, v)
			}
		}
	}
}

func TestRenderAttacks(t *testing.T) {
	t.Parallel()
	for _, in := range attacks {
		got, err := Render([]byte(in), opts)
		if err != nil {
			t.Errorf("Render(%q): %v", in, err)
		}
		check(t, in, string(got))
		got, _ = Render([]byte("> - "+in+"\n\ntext "+in), opts)
		check(t, in, string(got))
	}
}

// TestRenderBudget feeds what makes Markdown parsers slow. Whatever comes back
// comes back soon.
func TestRenderBudget(t *testing.T) {
	for name, unit := range map[string]string{
		"quotes": ">", "brackets": "[", "links": "[a](", "emphasis": "*a _b ", "stars": "**", "backticks": "`a``", "headings": "# a\n", "entities": "&#1;",
		"lists": "- ", "nested": "> - 1. ", "tables": "|", "html": "<a ", "comments": "<!--", "autolinks": "http://a.", "footnotes": "[^1]", "definitions": "[a]: b\n",
		"dollars": "$", "formulas": "$a$ ", "open_formulas": "$$a\n", "formula_lines": "$a\n", "images": "![", "tildes": "~~a~", "code": "```c\n\"", "indent": "   - a\n ", "images_ok": "![a](b) ", "open": "<div>", "mails": "a@b.", "backslash": "\\[",
	} {
		src := []byte(strings.Repeat(unit, MaxInput/len(unit)))
		start := time.Now()
		out, _ := Render(src, opts)
		// Between two looks at the clock a busy machine with the race detector
		// may take long; a parser that never looks takes longer still.
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s: %s; the budget is %s", name, d, Budget)
		} else if d > Budget/4 {
			t.Logf("%s: %s", name, d)
		}
		if name != "code" {
			check(t, unit, string(out))
		}
	}
}

func TestRenderLimits(t *testing.T) {
	t.Parallel()
	got, err := Render([]byte(strings.Repeat(strings.Repeat("a", 99)+"\n", MaxInput/100+10)), opts)
	if err != nil || !strings.Contains(string(got), "longer than we show") {
		t.Errorf("Render(over MaxInput): %v; want it cut and said so", err)
	}
	if _, err := Render([]byte(strings.Repeat(">", MaxNesting)+" a"), opts); err != nil {
		t.Errorf("Render(nested %d deep): %v", MaxNesting, err)
	}
	got, err = Render([]byte(strings.Repeat(">", MaxNesting+1)+" <b>"), opts)
	if err == nil || !strings.HasPrefix(string(got), "<pre>&gt;") {
		t.Errorf("Render(nested %d deep) = %.20q, %v; want plain text and an error", MaxNesting+1, got, err)
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	in := "# zlib\n\nA *fast* [library](https://x.example) <b>bold</b>.\n\n```c\nint x;\n```\n- one\n"
	if got, want := PlainText([]byte(in)), "zlib\nA fast library bold.\nint x;\none"; got != want {
		t.Errorf("PlainText(%q) = %q; want %q", in, got, want)
	}
}

func TestHighlight(t *testing.T) {
	t.Parallel()
	got, ok := Highlight("zlib.h", "/* a\n   b */\n#define X \"<s>\"\n", time.Now().Add(time.Minute))
	if !ok || !strings.Contains(string(got), "<span class=\"hl-c\">/* a</span>\n<span class=\"hl-c\">   b */</span>") {
		t.Errorf("Highlight(comment) = %q, %t", got, ok)
	}
	if strings.Contains(string(got), "<s>") {
		t.Errorf("Highlight: not escaped: %q", got)
	}
	if _, ok := Highlight("a.c", strings.Repeat("x", MaxHighlight+1), time.Now().Add(time.Minute)); ok {
		t.Error("Highlight(over MaxHighlight) was highlighted")
	}
	if _, ok := Highlight("a.c", strings.Repeat("int x;\n", 1000), time.Now()); ok {
		t.Error("Highlight(past deadline) was highlighted")
	}
}

func FuzzRender(f *testing.F) {
	for _, a := range attacks {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, _ := Render([]byte(in), opts)
		check(t, in, string(out))
	})
}

// FuzzHighlight: taking the tags away again gives the code back.
func FuzzHighlight(f *testing.F) {
	f.Add("a.c", "int main(void) { return \"\\\"<\" + 'x'; } // é\n")
	f.Add("x.cmake", "add_library(x ${Y})\r\n")
	f.Fuzz(func(t *testing.T, lang, code string) {
		out, ok := Highlight(lang, code, time.Now().Add(time.Second))
		if !ok {
			return
		}
		var b strings.Builder
		for z := html.NewTokenizer(strings.NewReader(string(out))); z.Next() != html.ErrorToken; {
			if tok := z.Token(); tok.Type == html.TextToken {
				b.WriteString(tok.Data)
			}
		}
		want := strings.ReplaceAll(strings.ReplaceAll(code, "\r\n", "\n"), "\r", "\n")
		if got := strings.ReplaceAll(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\r", "\n"); strings.TrimRight(got, "\n") != strings.TrimRight(strings.ReplaceAll(want, "\x00", "\uFFFD"), "\n") && !strings.Contains(code, "\x00") && strings.ToValidUTF8(code, "") == code {
			t.Errorf("Highlight(%q, %q) = %q: text %q", lang, code, out, got)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	src := []byte(strings.Repeat("# Title\n\nSome *text* with [links](a.md).\n\n```cpp\nint main() { return 0; }\n```\n\n", 100))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(src, opts); err != nil {
			b.Fatal(err)
		}
	}
}
