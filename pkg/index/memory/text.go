package memory

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxToken is the longest word that is indexed, in bytes. Ours: longer runs
// are hashes and encoded data.
const maxToken = 40

// token is a word in lower case and where it stands in the text it is from.
type token struct {
	word       string
	start, end int // bytes
}

// tokenize calls yield for every word of s: runs of letters and digits, "+"
// and "#" behind a single letter (c++, c#), and single ideographs, which are
// written without spaces.
func tokenize(s string, yield func(token)) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !wordRune(r) {
			i += n
			continue
		}
		start := i
		if ideograph(r) {
			i += n
		} else {
			for i < len(s) {
				r, n = utf8.DecodeRuneInString(s[i:])
				if !wordRune(r) || ideograph(r) {
					break
				}
				i += n
			}
			if i-start == 1 {
				for i < len(s) && i-start < 3 && (s[i] == '+' || s[i] == '#') {
					i++
				}
			}
		}
		if i-start <= maxToken {
			yield(token{strings.ToLower(s[start:i]), start, i})
		}
	}
}

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

func ideograph(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// Collapse is the form under which spellings of a name meet: lower case,
// without "-", "_", ".", spaces and a leading "@". A "/" stays.
func Collapse(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '-' || r == '_' || r == '.' || r == '@' || unicode.IsSpace(r):
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// variant is the other form of a collapsed name with regard to "lib", which
// some registries put in front and others leave out; "" when there is none.
func variant(name string) string {
	if rest, ok := strings.CutPrefix(name, "lib"); ok {
		if len(rest) < 2 {
			return ""
		}
		return rest
	}
	if strings.Contains(name, "/") || len(name) < 2 {
		return ""
	}
	return "lib" + name
}

// suffixes that stem takes off, the longer first, with what replaces them.
var suffixes = []struct{ end, with string }{
	{"ations", "at"}, {"ation", "at"}, {"ators", "at"}, {"ator", "at"}, {"ating", "at"}, {"ated", "at"},
	{"ings", ""}, {"ing", ""}, {"ions", ""}, {"ion", ""}, {"ies", "y"}, {"ers", ""}, {"ors", ""},
	{"er", ""}, {"or", ""}, {"ed", ""}, {"es", ""}, {"s", ""}, {"e", ""},
}

// stem takes an English ending off a word so that forms of it meet (parser,
// parsing, parse). It need not be right, only alike for words that are.
func stem(w string) string {
	const least = 3 // letters that must be left
	for _, s := range suffixes {
		base, ok := strings.CutSuffix(w, s.end)
		if !ok || len(base)+len(s.with) < least {
			continue
		}
		if s.end == "s" && (strings.HasSuffix(base, "s") || strings.HasSuffix(base, "u") || strings.HasSuffix(base, "i")) {
			continue // class, status, axis
		}
		base += s.with
		if n := len(base); n > least && base[n-1] == base[n-2] && strings.IndexByte("bdgmnprt", base[n-1]) >= 0 {
			base = base[:n-1] // logging, logger: log
		}
		return base
	}
	return w
}

// IncludePath reports whether text is an include path, and returns it without
// what surrounds it in source code.
func IncludePath(text string) (path string, ok bool) {
	s := strings.TrimSpace(text)
	if rest, found := strings.CutPrefix(s, "#"); found {
		if rest, found = strings.CutPrefix(strings.TrimSpace(rest), "include"); found {
			s, ok = strings.TrimSpace(rest), true
		}
	}
	if len(s) > 1 && (s[0] == '<' || s[0] == '"') {
		s, ok = strings.Trim(s, `<>"`), true
	}
	s = strings.ReplaceAll(s, `\`, "/")
	s = strings.TrimPrefix(s, "./")
	if s == "" || strings.ContainsAny(s, " \t\n") {
		return "", false
	}
	if dot := strings.LastIndexByte(s, '.'); dot > 0 {
		switch strings.ToLower(s[dot+1:]) {
		case "h", "hh", "hpp", "hxx", "h++", "inl", "ipp", "tcc", "cuh", "ixx", "cppm":
			ok = true
		}
	}
	return s, ok
}
