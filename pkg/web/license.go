package web

import (
	"strings"

	"github.com/clydepm/clyde-registry/pkg/graph"
)

// license is one part of a licence expression, told to people.
type license struct {
	ID   string
	Name string // in full; "" where it is not one that we know
	URL  string // of its text; "" for what is not on the SPDX list
	Asks string // of who uses it; "" where we do not know
	Join string // what stands before it: "or", "and", "with"
}

// licenseNames are the licences that C and C++ libraries have, nearly always,
// as the SPDX list calls them.
var licenseNames = map[string]string{
	"0BSD":              "BSD Zero Clause License",
	"AGPL-3.0-only":     "GNU Affero General Public License v3.0 only",
	"AGPL-3.0-or-later": "GNU Affero General Public License v3.0 or later",
	"Apache-2.0":        "Apache License 2.0",
	"Artistic-2.0":      "Artistic License 2.0",
	"BSD-2-Clause":      "BSD 2-Clause \"Simplified\" License",
	"BSD-3-Clause":      "BSD 3-Clause \"New\" or \"Revised\" License",
	"BSL-1.0":           "Boost Software License 1.0",
	"CC0-1.0":           "Creative Commons Zero v1.0 Universal",
	"EPL-2.0":           "Eclipse Public License 2.0",
	"EUPL-1.2":          "European Union Public License 1.2",
	"GPL-2.0-only":      "GNU General Public License v2.0 only",
	"GPL-2.0-or-later":  "GNU General Public License v2.0 or later",
	"GPL-3.0-only":      "GNU General Public License v3.0 only",
	"GPL-3.0-or-later":  "GNU General Public License v3.0 or later",
	"GCC-exception-3.1": "GCC Runtime Library exception 3.1",
	"ICU":               "ICU License",
	"IJG":               "Independent JPEG Group License",
	"ISC":               "ISC License",
	"LGPL-2.1-only":     "GNU Lesser General Public License v2.1 only",
	"LGPL-2.1-or-later": "GNU Lesser General Public License v2.1 or later",
	"LGPL-3.0-only":     "GNU Lesser General Public License v3.0 only",
	"LGPL-3.0-or-later": "GNU Lesser General Public License v3.0 or later",
	"LLVM-exception":    "LLVM Exception",
	"Libpng":            "libpng License",
	"MIT":               "MIT License",
	"MIT-0":             "MIT No Attribution",
	"MPL-2.0":           "Mozilla Public License 2.0",
	"MS-PL":             "Microsoft Public License",
	"NCSA":              "University of Illinois/NCSA Open Source License",
	"OpenSSL":           "OpenSSL License",
	"PostgreSQL":        "PostgreSQL License",
	"Python-2.0":        "Python License 2.0",
	"TCL":               "TCL/TK License",
	"Unicode-3.0":       "Unicode License v3",
	"Unlicense":         "The Unlicense",
	"WTFPL":             "Do What The F*ck You Want To Public License",
	"X11":               "X11 License",
	"Zlib":              "zlib License",
	"blessing":          "SQLite Blessing",
	"bzip2-1.0.6":       "bzip2 and libbzip2 License v1.0.6",
	"curl":              "curl License",
	"libtiff":           "libtiff License",
}

// asks says what licences of a class ask of who links to what is under them.
var asks = map[graph.Class]string{
	graph.PublicDomain:    "asks for nothing",
	graph.Permissive:      "asks for its notice",
	graph.WeakCopyleft:    "changed files stay under it",
	graph.LibraryCopyleft: "the library must stay replaceable",
	graph.StrongCopyleft:  "covers the whole program",
	graph.NetworkCopyleft: "covers the whole program, over a network too",
	graph.Restricted:      "forbids some uses",
	graph.Proprietary:     "is its owner's",
}

// maxLicenses is how many parts of an expression are told one by one; the
// expression itself is always shown whole.
const maxLicenses = 8

// licenseOf reads an SPDX expression from left to right.
func licenseOf(expression string) []license {
	words := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(expression))
	var out []license
	join := ""
	for _, w := range words {
		switch lower := strings.ToLower(w); lower {
		case "or", "and", "with":
			join = lower
			continue
		}
		if len(out) == maxLicenses {
			break
		}
		l := license{ID: w, Join: join, Asks: asks[graph.ClassOf(w)]}
		join = ""
		if known, ok := licenseNames[strings.TrimSuffix(w, "+")]; ok {
			l.Name = known
			l.URL = "https://spdx.org/licenses/" + strings.TrimSuffix(w, "+") + ".html"
		}
		out = append(out, l)
	}
	return out
}
