package web

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"path"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// badgeKinds say what each badge tells of a package, and in which colour.
var badgeKinds = map[string]func(p catalog.Package) (label, message, colour string){
	"version": func(p catalog.Package) (string, string, string) {
		switch {
		case p.Latest == "":
			return "clyde", "no version", badgeGrey
		case p.Deprecated != "":
			return "clyde", "v" + p.Latest + ", deprecated", badgeAmber
		}
		return "clyde", "v" + p.Latest, badgeBlue
	},
	"signed": func(p catalog.Package) (string, string, string) {
		switch p.Signed {
		case "verified":
			return "signature", "verified", badgeGreen
		case "invalid":
			return "signature", "invalid", badgeRed
		case "untrusted":
			return "signature", "key unknown", badgeAmber
		}
		return "signature", "unsigned", badgeGrey
	},
	"license": func(p catalog.Package) (string, string, string) {
		if p.License == "" {
			return "licence", "not stated", badgeGrey
		}
		return "licence", p.License, badgeBlue
	},
	"downloads": func(p catalog.Package) (string, string, string) {
		return "pulls", compact(p.Downloads), badgeBlue
	},
	"dependents": func(p catalog.Package) (string, string, string) {
		return "dependents", compact(int64(p.Dependents)), badgeBlue
	},
	"standard": func(p catalog.Package) (string, string, string) {
		if p.Standard == "" {
			return "standard", "not stated", badgeGrey
		}
		return "standard", strings.ToUpper(p.Standard), badgeBlue
	},
}

// Colours of badges: white stands on each of them with a contrast of 4.5 or more.
const (
	badgeBlue  = "#0a5f86"
	badgeGreen = "#15703a"
	badgeAmber = "#8a5308"
	badgeRed   = "#ab1a1a"
	badgeGrey  = "#5c6b74"
	badgeDark  = "#10222d" // left half
)

// maxBadgeText is how much of a text a badge shows, in bytes: ours, what fits
// beside another badge.
const maxBadgeText = 40

// badge is a picture of one fact for the readmes of others, or the same fact
// for shields.io. It tells what anybody may see: a private package has none.
func (s *Web) badge(w http.ResponseWriter, r request) error {
	file := r.PathValue("file")
	kind, ok := badgeKinds[strings.TrimSuffix(file, path.Ext(file))]
	n, err := clyde.ParseName("@" + strings.TrimPrefix(r.PathValue("ns"), "@") + "/" + r.PathValue("name"))
	if !ok || err != nil {
		return s.missing(w, r)
	}
	var send func(label, message, colour string) error
	switch path.Ext(file) {
	case ".svg":
		send = func(label, message, colour string) error {
			return s.answer(w, r, "image/svg+xml; charset=utf-8", shared, badgeSVG(label, message, colour))
		}
	case ".json":
		send = func(label, message, colour string) error {
			b, err := json.Marshal(struct {
				Schema  int    `json:"schemaVersion"`
				Label   string `json:"label"`
				Message string `json:"message"`
				Color   string `json:"color"`
			}{1, label, message, strings.TrimPrefix(colour, "#")})
			if err != nil {
				return err
			}
			return s.answer(w, r, "application/json; charset=utf-8", shared, b)
		}
	default:
		return s.missing(w, r)
	}
	p, err := s.o.Catalog.Package(r.Context(), account.Principal{}, n)
	if err != nil {
		return err
	}
	label, message, colour := kind(p)
	if len(message) > maxBadgeText {
		message = strings.ToValidUTF8(message[:maxBadgeText], "") + "…"
	}
	return send(label, message, colour)
}

// badgeSVG draws a badge. Its width follows from our own table of widths, and
// textLength makes every font keep to it.
func badgeSVG(label, message, colour string) []byte {
	const pad, height = 8, 20
	l, m := textWidth(label), textWidth(message)
	left, right := l+2*pad, m+2*pad
	label, message = html.EscapeString(label), html.EscapeString(message)
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s: %[4]s"><title>%[3]s: %[4]s</title>`+
		`<clipPath id="r"><rect width="%[1]d" height="%[2]d" rx="3"/></clipPath>`+
		`<g clip-path="url(#r)"><rect width="%[5]d" height="%[2]d" fill="%[6]s"/><rect x="%[5]d" width="%[7]d" height="%[2]d" fill="%[8]s"/><rect x="%[5]d" width="2" height="%[2]d" fill="#d4512f"/></g>`+
		`<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11"><text x="%[9]d" y="14" textLength="%[10]d">%[3]s</text><text x="%[11]d" y="14" textLength="%[12]d">%[4]s</text></g></svg>`+"\n",
		left+right, height, label, message, left, badgeDark, right, colour, pad, l, left+pad, m)
}

// textWidth is how wide a text is in Verdana at 11 pixels, nearly, in pixels.
func textWidth(s string) int {
	const tenths = 10
	w := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune("ijl.,:;|!'", r):
			w += 35
		case strings.ContainsRune("frtI ()[]-/", r):
			w += 45
		case strings.ContainsRune("mwMW@%", r):
			w += 105
		case r >= 'A' && r <= 'Z' || r == '+' || r == '…':
			w += 80
		default:
			w += 68
		}
	}
	return (w + tenths - 1) / tenths
}

// compact writes a count in at most four characters and a letter.
func compact(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 10_000:
		return fmt.Sprintf("%.1fk", float64(n/100)/10)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 10_000_000:
		return fmt.Sprintf("%.1fM", float64(n/100_000)/10)
	}
	return fmt.Sprintf("%dM", n/1_000_000)
}
