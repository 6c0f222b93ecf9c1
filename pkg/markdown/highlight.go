package markdown

import (
	"html"
	"html/template"
	"path"
	"strings"
	"time"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// MaxHighlight is the most bytes of one text that are highlighted; longer ones
// are shown plain. Ours: it covers 99 of 100 C and C++ files, and a page of it
// is already 1.5 MB of HTML.
const MaxHighlight = 256 << 10

// Highlight returns code as spans with the classes hl-k (keyword), hl-t
// (type), hl-s (string), hl-n (number), hl-c (comment), hl-p (preprocessor),
// hl-f (function), hl-g (tag, attribute) and hl-o (operator); no span crosses
// a line end. lang is a language's name or a file's; "" and what is unknown,
// too long or not done by the deadline give false.
func Highlight(lang, code string, deadline time.Time) (_ template.HTML, ok bool) {
	if lang == "" || len(code) > MaxHighlight {
		return "", false
	}
	lexer := lexerFor(lang)
	if lexer == nil {
		return "", false
	}
	defer func() {
		if recover() != nil { // a lexer that gives up on hostile code
			ok = false
		}
	}()
	tokens, err := chroma.Coalesce(lexer).Tokenise(&chroma.TokeniseOptions{State: "root", EnsureLF: false}, code)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(code) * 2)
	n := 0
	for t := tokens(); t != chroma.EOF; t = tokens() {
		if n++; n%64 == 0 && time.Now().After(deadline) {
			return "", false
		}
		writeToken(&b, class(t.Type), t.Value)
	}
	return template.HTML(b.String()), true //nolint:gosec // every token is escaped in writeToken
}

func writeToken(b *strings.Builder, class, value string) {
	if class == "" {
		b.WriteString(html.EscapeString(value))
		return
	}
	for line := range strings.Lines(value) {
		body := strings.TrimSuffix(line, "\n")
		if body != "" {
			b.WriteString(`<span class="`)
			b.WriteString(class)
			b.WriteString(`">`)
			b.WriteString(html.EscapeString(body))
			b.WriteString("</span>")
		}
		if len(body) < len(line) {
			b.WriteByte('\n')
		}
	}
}

// lexerFor finds a lexer by language or file name. It never guesses from the
// text: that runs every lexer there is.
func lexerFor(lang string) chroma.Lexer {
	switch strings.ToLower(path.Ext(lang)) {
	case ".h", ".hh", ".hpp", ".hxx", ".inl", ".ipp", ".tpp", ".ixx", ".cppm":
		lang = "c++" // a header's language is not in its name; C++ reads C well
	}
	if strings.EqualFold(path.Base(lang), "package.yaml") {
		lang = "yaml"
	}
	if l := lexers.Get(strings.ToLower(lang)); l != nil {
		return l
	}
	return lexers.Match(path.Base(lang))
}

func class(t chroma.TokenType) string {
	switch {
	case t == chroma.KeywordType:
		return "hl-t"
	case t.InCategory(chroma.Keyword):
		return "hl-k"
	case t == chroma.CommentPreproc || t == chroma.CommentPreprocFile:
		return "hl-p"
	case t.InCategory(chroma.Comment):
		return "hl-c"
	case t.InSubCategory(chroma.LiteralString):
		return "hl-s"
	case t.InSubCategory(chroma.LiteralNumber):
		return "hl-n"
	case t == chroma.NameFunction || t == chroma.NameBuiltin || t == chroma.NameFunctionMagic:
		return "hl-f"
	case t == chroma.NameClass || t == chroma.NameNamespace:
		return "hl-t"
	case t == chroma.NameTag || t == chroma.NameAttribute || t == chroma.NameLabel || t == chroma.NameDecorator:
		return "hl-g"
	case t == chroma.OperatorWord:
		return "hl-k"
	case t == chroma.Operator:
		return "hl-o"
	}
	return ""
}
