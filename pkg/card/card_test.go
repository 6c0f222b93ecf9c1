package card_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/card"
)

var zlib = card.Card{
	Over: "@acme /", Title: "zlib", Version: "1.3.1", Text: "A lossless data-compression library that is not encumbered by patents.",
	Mark: card.Good, Facts: []string{"Signed by release", "Zlib", "C11"},
}

// drawn draws a card and reads the picture again. With CLYDE_CARDS it keeps it
// in that directory, to be looked at.
func drawn(t *testing.T, name string, c card.Card) *image.RGBA {
	t.Helper()
	b, err := card.PNG(c)
	if err != nil {
		t.Fatalf("PNG(%s): %v", name, err)
	}
	if dir := os.Getenv("CLYDE_CARDS"); dir != "" {
		if err := os.WriteFile(dir+"/"+name+".png", b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(b) > 200<<10 {
		t.Errorf("PNG(%s) has %d bytes; previews want less", name, len(b))
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, card.Width, card.Height) {
		t.Errorf("PNG(%s) is %v", name, img.Bounds())
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("PNG(%s) is a %T", name, img)
	}
	return rgba
}

// inked counts the pixels of a part that are not as the empty card has them.
func inked(a, b *image.RGBA, r image.Rectangle) (n int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if a.RGBAAt(x, y) != b.RGBAAt(x, y) {
				n++
			}
		}
	}
	return n
}

func TestPNG(t *testing.T) {
	t.Parallel()
	empty := drawn(t, "empty", card.Card{})
	long := strings.Repeat("wide ", 200)
	title := image.Rect(0, 200, card.Width, 290)
	text := image.Rect(0, 300, card.Width, 490)
	facts := image.Rect(0, 510, card.Width, card.Height)
	// Nothing is written here, however long it is.
	edges := []image.Rectangle{image.Rect(0, 0, 79, card.Height), image.Rect(card.Width-79, 0, card.Width, card.Height)}
	for _, tt := range []struct {
		name               string
		c                  card.Card
		title, text, facts bool
	}{
		{"zlib", zlib, true, true, true},
		{"long", card.Card{Over: "@" + long, Title: strings.Repeat("w", 128), Version: strings.Repeat("9.", 60), Text: long, Mark: card.Bad, Facts: []string{long, long}}, true, true, true},
		{"one-word", card.Card{Title: "x", Text: strings.Repeat("w", 500)}, true, true, false},
		{"cyrillic", card.Card{Title: "x", Text: "Библиотека сжатия данных без потерь"}, true, true, false},
		{"unwritable", card.Card{Title: "x", Text: "数据压缩库 zip"}, true, false, false},
		{"broken", card.Card{Title: "x", Text: "\xff\xfe\x00\n\t", Facts: []string{""}}, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			img := drawn(t, tt.name, tt.c)
			for _, part := range []struct {
				what string
				r    image.Rectangle
				want bool
			}{{"title", title, tt.title}, {"text", text, tt.text}, {"facts", facts, tt.facts}} {
				if n := inked(img, empty, part.r); (n > 100) != part.want {
					t.Errorf("the %s has %d pixels; want some: %t", part.what, n, part.want)
				}
			}
			for _, r := range edges {
				if n := inked(img, empty, r); n != 0 {
					t.Errorf("%d pixels at %v; want an empty margin", n, r)
				}
			}
		})
	}
}

// One card is the same picture, whoever draws it beside whom.
func TestPNGIsDeterministic(t *testing.T) {
	t.Parallel()
	const times = 4
	got := make(chan []byte, times)
	for range times {
		go func() { b, _ := card.PNG(zlib); got <- b }()
	}
	first := <-got
	for range times - 1 {
		if b := <-got; len(b) == 0 || !bytes.Equal(first, b) {
			t.Fatal("PNG gave other bytes for the same card")
		}
	}
}

func BenchmarkPNG(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := card.PNG(zlib); err != nil {
			b.Fatal(err)
		}
	}
}
