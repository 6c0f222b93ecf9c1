// Package card draws the picture that stands for a package where somebody
// shares its address: in a chat, a forum, a feed. One Card always gives the
// same bytes. The fonts are the Go fonts, which are free to embed.
package card

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Size of a card in pixels: what the previews of others are cut for.
const (
	Width  = 1200
	Height = 630
)

// maxText is how much of one text is looked at, in bytes. Ours: more than
// fits on a card in its smallest letters.
const maxText = 512

// Card is what a picture says. Every text may be empty, and may be anything:
// what does not fit is cut, and what the fonts cannot write is left out.
type Card struct {
	Over    string   // small, above the title: "@acme /"
	Title   string   // large: "zlib"
	Version string   // beside it
	Text    string   // below it, three lines at most
	Mark    Mark     // before the facts
	Facts   []string // below the waterline: "signed by release", "Zlib"
}

// Mark is the sign before the facts.
type Mark int

// The marks.
const (
	NoMark Mark = iota
	Good        // a tick: verified
	Bad         // a cross: not to be used
)

// Colours are those of the site at night; see docs/design.md.
var (
	hull      = color.RGBA{0x10, 0x22, 0x2d, 0xff}
	hullHigh  = color.RGBA{0x1d, 0x34, 0x41, 0xff}
	onHull    = color.RGBA{0xee, 0xf5, 0xf8, 0xff}
	onHullDim = color.RGBA{0xa8, 0xbf, 0xca, 0xff}
	waterline = color.RGBA{0xd4, 0x51, 0x2f, 0xff}
	green     = color.RGBA{0x6f, 0xd0, 0x96, 0xff}
	red       = color.RGBA{0xff, 0x9a, 0x92, 0xff}
)

// Where things are, in pixels.
const (
	margin     = 80
	inside     = Width - 2*margin
	lineAt     = 498 // upper edge of the waterline
	lineHeight = 8
	factsAt    = 582 // base line
	titleAt    = 268 // base line
	textAt     = 342 // first base line
	textStep   = 50
	textLines  = 3
	leastFact  = 120 // room without which a fact is left out
)

// fonts are parsed once. They are safe to share; the faces made of them are
// not.
var fonts = sync.OnceValues(func() (f struct{ bold, regular, mono *sfnt.Font }, err error) {
	for _, x := range []struct {
		to  **sfnt.Font
		ttf []byte
	}{{&f.bold, gobold.TTF}, {&f.regular, goregular.TTF}, {&f.mono, gomono.TTF}} {
		if *x.to, err = opentype.Parse(x.ttf); err != nil {
			return f, fmt.Errorf("card: %w", err)
		}
	}
	return f, nil
})

// PNG draws c. It takes some 40 ms; the picture has some 50 KB.
func PNG(c Card) ([]byte, error) {
	f, err := fonts()
	if err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, Width, Height))
	fill(img, img.Bounds(), hull)
	fill(img, image.Rect(0, lineAt, Width, Height), hullHigh)
	fill(img, image.Rect(0, lineAt, Width, lineAt+lineHeight), waterline)
	logo(img, margin, 40, 64)
	p := pen{img: img}
	p.write(f.regular, 30, onHullDim, margin+84, 82, inside, "Clyde Registry")
	p.write(f.regular, 38, onHullDim, margin, 172, inside, c.Over)
	version := 0
	if c.Version != "" {
		version = min(p.measure(f.mono, 44, c.Version), inside/3) + 28
	}
	title := 88
	for title > 48 && p.measure(f.bold, title, c.Title) > inside-version {
		title -= 4
	}
	end := p.write(f.bold, title, onHull, margin, titleAt, inside-version, c.Title)
	p.write(f.mono, 44, onHullDim, end+28, titleAt, version-28, c.Version)
	for i, line := range p.wrap(f.regular, 36, c.Text) {
		p.write(f.regular, 36, onHull, margin, textAt+i*textStep, inside, line)
	}
	at := margin
	switch c.Mark {
	case Good:
		stroke(img, 6, green, [2]float64{84, 572}, [2]float64{92, 580}, [2]float64{108, 562})
		at += 44
	case Bad:
		stroke(img, 6, red, [2]float64{84, 562}, [2]float64{102, 580})
		stroke(img, 6, red, [2]float64{102, 562}, [2]float64{84, 580})
		at += 44
	}
	for i, fact := range c.Facts {
		if at > Width-margin-leastFact {
			break
		}
		if i > 0 {
			at = p.write(f.regular, 32, onHullDim, at+18, factsAt, leastFact, "·") + 18
		}
		at = p.write(f.regular, 32, onHull, at, factsAt, Width-margin-at, fact)
	}
	if p.err != nil {
		return nil, fmt.Errorf("card: %w", p.err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	return b.Bytes(), nil
}

func fill(img *image.RGBA, r image.Rectangle, c color.RGBA) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// pen writes text. Its first error stays.
type pen struct {
	img *image.RGBA
	err error
}

// face returns a font at a size in pixels.
func (p *pen) face(f *sfnt.Font, size int) (font.Face, bool) {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingNone})
	if err != nil && p.err == nil {
		p.err = err
	}
	return face, err == nil
}

// write draws text from x on a base line, cut to a width, and returns where it
// ends.
func (p *pen) write(f *sfnt.Font, size int, c color.RGBA, x, y, width int, text string) int {
	face, ok := p.face(f, size)
	if !ok {
		return x
	}
	text = writable(f, text)
	if font.MeasureString(face, text).Ceil() > width {
		letters := []rune(text)
		for len(letters) > 0 && font.MeasureString(face, string(letters)+"…").Ceil() > width {
			letters = letters[:len(letters)-1]
		}
		if len(letters) == 0 {
			return x
		}
		text = strings.TrimRightFunc(string(letters), unicode.IsSpace) + "…"
	}
	d := font.Drawer{Dst: p.img, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(text)
	return d.Dot.X.Ceil()
}

// measure returns how wide text is, in pixels.
func (p *pen) measure(f *sfnt.Font, size int, text string) int {
	face, ok := p.face(f, size)
	if !ok {
		return 0
	}
	return font.MeasureString(face, writable(f, text)).Ceil()
}

// wrap breaks text between words into lines that fit; the last one has all
// that is left.
func (p *pen) wrap(f *sfnt.Font, size int, text string) (lines []string) {
	face, ok := p.face(f, size)
	if !ok {
		return nil
	}
	line := ""
	for word := range strings.FieldsSeq(writable(f, text)) {
		longer := strings.TrimPrefix(line+" "+word, " ")
		if line != "" && len(lines) < textLines-1 && font.MeasureString(face, longer).Ceil() > inside {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// writable is what of a text the font has letters for, on one line. Of a text
// that loses more than half of them nothing is left: it would say something
// else.
func writable(f *sfnt.Font, text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	var buf sfnt.Buffer
	var b strings.Builder
	all, kept := 0, 0
	for _, r := range strings.ToValidUTF8(text, "") {
		if unicode.IsSpace(r) {
			b.WriteByte(' ')
			continue
		}
		all++
		if i, err := f.GlyphIndex(&buf, r); err == nil && i != 0 {
			b.WriteRune(r)
			kept++
		}
	}
	if kept*2 < all {
		return ""
	}
	return strings.TrimSpace(b.String())
}
