package texmath

import (
	"html"
	"strings"
)

// command reads what a command takes.
func (p *parser) command(name string) (atom, error) {
	if s, ok := identifiers[name]; ok {
		return atom{ml: "<mi>" + s + "</mi>"}, nil
	}
	if s, ok := operators[name]; ok {
		return atom{ml: "<mo>" + html.EscapeString(s) + "</mo>"}, nil
	}
	if s, ok := large[name]; ok {
		return atom{ml: "<mo>" + s + "</mo>", limits: p.display && !strings.HasSuffix(name, "int")}, nil
	}
	if limits, ok := functions[name]; ok {
		return atom{ml: "<mi>" + functionName(name) + "</mi>", limits: limits && p.display, function: true}, nil
	}
	if s, ok := accents[name]; ok {
		return p.accent(s)
	}
	if w, ok := spaces[name]; ok {
		return atom{ml: `<mspace width="` + w + `"></mspace>`}, nil
	}
	if f, ok := alphabets[name]; ok {
		return p.alphabet(f)
	}
	if size, ok := sizes[strings.TrimRight(name, "lrm")]; ok {
		d, err := p.delimiter()
		return atom{ml: `<mo minsize="` + size + `" maxsize="` + size + `">` + d + "</mo>"}, err
	}
	if _, ok := delimiters["\\"+name]; ok {
		return atom{ml: `<mo stretchy="false">` + delimiters["\\"+name] + "</mo>"}, nil
	}
	return p.construct(name)
}

// construct reads what is built of parts.
func (p *parser) construct(name string) (a atom, err error) {
	switch name {
	case "frac", "dfrac", "tfrac", "cfrac":
		a.ml, err = p.pair("mfrac")
	case "binom", "dbinom", "tbinom":
		if a.ml, err = p.pair(`mfrac linethickness="0"`); err == nil {
			a.ml = "<mrow><mo>(</mo>" + a.ml + "<mo>)</mo></mrow>"
		}
	case "overset", "stackrel":
		a.ml, err = p.swapped("mover")
	case "underset":
		a.ml, err = p.swapped("munder")
	case "sqrt":
		a.ml, err = p.root()
	case "text", "textrm", "textnormal", "mbox", "textbf", "textit":
		var text string
		if text, err = p.raw(); err == nil {
			a.ml = "<mtext>" + html.EscapeString(strings.ReplaceAll(text, " ", "\u00a0")) + "</mtext>"
		}
	case "operatorname":
		var text string
		if text, err = p.raw(); err == nil {
			a = atom{ml: `<mi mathvariant="normal">` + html.EscapeString(text) + "</mi>", function: true}
		}
	case "overbrace", "underbrace":
		mark, tag := "⏞", "mover"
		if name == "underbrace" {
			mark, tag = "⏟", "munder"
		}
		var body string
		if body, err = p.argument(); err == nil {
			a = atom{ml: element(tag, body, "<mo>"+mark+"</mo>"), limits: true}
		}
	case "bmod", "mod":
		a.ml = `<mo lspace="0.22em" rspace="0.22em">mod</mo>`
	case "pmod":
		var body string
		if body, err = p.argument(); err == nil {
			a.ml = `<mrow><mspace width="0.5em"></mspace><mo stretchy="false">(</mo><mi>mod</mi><mspace width="0.33em"></mspace>` + body + `<mo stretchy="false">)</mo></mrow>`
		}
	case "left":
		a.ml, err = p.fenced()
	case "begin":
		a.ml, err = p.environment()
	case " ", "\t", "\n":
		a.ml = `<mspace width="0.33em"></mspace>`
	case "displaystyle", "textstyle": // what is set large is set so anyway
		a.ml = "<mrow></mrow>"
	default:
		err = p.wrong("the command \\%s", name)
	}
	return a, err
}

// pair reads two arguments into an element.
func (p *parser) pair(tag string) (string, error) {
	x, err := p.argument()
	if err != nil {
		return "", err
	}
	y, err := p.argument()
	name, _, _ := strings.Cut(tag, " ")
	return "<" + tag + ">" + x + y + "</" + name + ">", err
}

// swapped reads what stands over or under, and then on what.
func (p *parser) swapped(tag string) (string, error) {
	x, err := p.argument()
	if err != nil {
		return "", err
	}
	y, err := p.argument()
	return element(tag, y, x), err
}

func (p *parser) root() (string, error) {
	if !p.taken("[") {
		body, err := p.argument()
		return element("msqrt", body), err
	}
	degree, err := p.list("]")
	if err != nil {
		return "", err
	}
	if !p.taken("]") {
		return "", p.wrong("the degree of a root is not closed")
	}
	body, err := p.argument()
	return element("mroot", body, element("mrow", degree)), err
}

func (p *parser) accent(mark string) (atom, error) {
	body, err := p.argument()
	if mark == "_" {
		return atom{ml: `<munder accentunder="true">` + body + "<mo>_</mo></munder>"}, err
	}
	return atom{ml: `<mover accent="true">` + body + "<mo>" + mark + "</mo></mover>"}, err
}

func (p *parser) alphabet(f func(rune) string) (atom, error) {
	was := p.letters
	p.letters = f
	defer func() { p.letters = was }()
	body, err := p.argument()
	return atom{ml: body}, err
}

// delimiter reads a bracket; "" for the dot that stands for none.
func (p *parser) delimiter() (string, error) {
	p.space()
	t := p.take()
	if d, ok := delimiters[t]; ok {
		return d, nil
	}
	return "", p.wrong("%q is no bracket", t)
}

// fenced reads what stands between \left and \right.
func (p *parser) fenced() (string, error) {
	open, err := p.delimiter()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("<mrow>" + fence(open, "prefix"))
	for {
		part, err := p.list(`\middle`)
		if err != nil {
			return "", err
		}
		b.WriteString(part)
		if !p.taken(`\middle`) {
			break
		}
		d, err := p.delimiter()
		if err != nil {
			return "", err
		}
		b.WriteString(fence(d, "infix"))
	}
	if !p.taken(`\right`) {
		return "", p.wrong(`\left without \right`)
	}
	end, err := p.delimiter()
	b.WriteString(fence(end, "postfix") + "</mrow>")
	return b.String(), err
}

func fence(d, form string) string {
	if d == "" {
		return ""
	}
	return `<mo fence="true" stretchy="true" form="` + form + `">` + d + "</mo>"
}

// environment reads a table between \begin and \end.
func (p *parser) environment() (string, error) {
	name, err := p.raw()
	if err != nil {
		return "", err
	}
	e, ok := environments[name]
	if !ok {
		return "", p.wrong("the environment %q", name)
	}
	if name == "array" {
		if _, err := p.raw(); err != nil { // how columns stand; they stand in the middle
			return "", err
		}
	}
	body, err := p.table(e.class)
	if err != nil {
		return "", err
	}
	if !p.taken(`\end`) {
		return "", p.wrong(`\begin{%s} without \end`, name)
	}
	if end, err := p.raw(); err != nil || end != name {
		return "", p.wrong(`\begin{%s} ends as another`, name)
	}
	return "<mrow>" + fence(e.open, "prefix") + body + fence(e.end, "postfix") + "</mrow>", nil
}

// table reads cells and rows. One cell alone is no table.
func (p *parser) table(class string) (string, error) {
	var b strings.Builder
	cells, only := 0, ""
	b.WriteString(`<mtable class="` + class + `"><mtr>`)
	for {
		cell, err := p.list("")
		if err != nil {
			return "", err
		}
		cells++
		only = "<mrow>" + cell + "</mrow>"
		b.WriteString("<mtd>" + cell + "</mtd>")
		switch p.next() {
		case "&":
			p.take()
		case `\\`, `\cr`:
			p.take()
			p.space()
			if t := p.next(); t == "" || t == `\end` { // after the last row
				b.WriteString("</mtr></mtable>")
				if cells == 1 {
					return only, nil
				}
				return b.String(), nil
			}
			b.WriteString("</mtr><mtr>")
		default:
			b.WriteString("</mtr></mtable>")
			if cells == 1 {
				return only, nil
			}
			return b.String(), nil
		}
	}
}
