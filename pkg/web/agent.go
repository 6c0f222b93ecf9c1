package web

import "strings"

// agents and systems are what browsers call themselves in their User-Agent, the
// first that fits counts: most claim to be several.
var (
	agents = []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"},
	}
	systems = []struct{ mark, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"FreeBSD", "FreeBSD"}, {"Linux", "Linux"},
	}
)

// agent is a browser as its owner knows it, "Firefox 146 on Linux", from what it
// says of itself; else that, as it is.
func agent(s string) string {
	for _, a := range agents {
		_, rest, ok := strings.Cut(s, a.mark)
		if !ok {
			continue
		}
		out := a.name
		if major := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]; major != "" {
			out += " " + major
		}
		for _, sys := range systems {
			if strings.Contains(s, sys.mark) {
				return out + " on " + sys.name
			}
		}
		return out
	}
	return s
}
