package card

import (
	"image"
	"image/color"
	"math"
)

// paint colours every pixel of a box by how far its middle is from a shape, in
// pixels: inside half of a width fully, and outside not at all.
func paint(img *image.RGBA, box image.Rectangle, width float64, c color.RGBA, distance func(x, y float64) float64) {
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			a := min(1, max(0, width/2-distance(float64(x)+0.5, float64(y)+0.5)+0.5))
			if a == 0 {
				continue
			}
			was := img.RGBAAt(x, y)
			mix := func(from, to uint8) uint8 { return uint8(math.Round(float64(from) + (float64(to)-float64(from))*a)) }
			img.SetRGBA(x, y, color.RGBA{mix(was.R, c.R), mix(was.G, c.G), mix(was.B, c.B), 0xff})
		}
	}
}

// stroke draws a line through points, with round ends.
func stroke(img *image.RGBA, width float64, c color.RGBA, points ...[2]float64) {
	box := image.Rectangle{}
	for _, p := range points {
		w := int(width) + 1
		x, y := int(p[0]), int(p[1])
		box = box.Union(image.Rect(x-w, y-w, x+w, y+w))
	}
	paint(img, box.Intersect(img.Bounds()), width, c, func(x, y float64) float64 {
		least := math.Inf(1)
		for i := 1; i < len(points); i++ {
			a, b := points[i-1], points[i]
			dx, dy := b[0]-a[0], b[1]-a[1]
			t := min(1, max(0, ((x-a[0])*dx+(y-a[1])*dy)/(dx*dx+dy*dy)))
			least = min(least, math.Hypot(x-a[0]-t*dx, y-a[1]-t*dy))
		}
		return least
	})
}

// logo draws the mark of the site into a square: a C, and the waterline through
// it, as static/logo.svg has them in a square of 32.
func logo(img *image.RGBA, left, top, size int) {
	unit := float64(size) / 32
	ox, oy := float64(left), float64(top)
	const middle, radius, openX, openY = 16, 10.5, 24.2, 9.4
	paint(img, image.Rect(left, top, left+size, top+size), 4*unit, onHull, func(x, y float64) float64 {
		x, y = (x-ox)/unit-middle, math.Abs((y-oy)/unit-middle)
		if ex, ey := openX-middle, float64(middle-openY); x > 0 && y*ex < x*ey { // in the opening
			return math.Hypot(x-ex, y-ey) * unit
		}
		return math.Abs(math.Hypot(x, y)-radius) * unit
	})
	y := oy + middle*unit
	stroke(img, 3.6*unit, color.RGBA{0xe2, 0x62, 0x3c, 0xff}, [2]float64{ox + 2*unit, y}, [2]float64{ox + 30*unit, y})
}
