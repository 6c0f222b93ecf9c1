package clyde

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// MaxURLLen is the longest address accepted, in bytes. Ours: what every browser
// and proxy carries.
const MaxURLLen = 2048

// checkURL returns what is wrong with an http or https address, or "".
func checkURL(s string) string {
	if len(s) > MaxURLLen {
		return "the address is longer than the limit"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsAny(s, " \t\n\r\\<>\"`"):
		return "is not an address"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is not an address that starts with https:// or http://"
	case u.Hostname() == "":
		return "names no host"
	case u.User != nil:
		return "holds a user name or password: leave it out"
	}
	return ""
}

var driveRE = regexp.MustCompile(`^[A-Za-z]:`)

// checkPath returns what is wrong with a path or glob inside the package, or
// "".
func checkPath(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.Contains(s, `\`):
		return "has a backslash: separate folders by /"
	case strings.HasPrefix(s, "/") || driveRE.MatchString(s) || strings.HasPrefix(s, "~"):
		return "is absolute: paths are relative to the package"
	case strings.ContainsAny(s, "\n\r\t"):
		return "has a line break or tab"
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == ".." {
			return "leaves the package: no .. is allowed"
		}
	}
	if strings.Contains(s, "[") {
		if _, err := path.Match(s, ""); err != nil {
			return "is not a pattern: a [ is not closed"
		}
	}
	return ""
}

// splitFlags splits compiler flags at spaces as a shell would, quotes and
// backslashes included, and nothing else: no variable is expanded.
func splitFlags(s string) ([]string, bool) {
	var flags []string
	var word strings.Builder
	var quote rune
	in, escaped := false, false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			in, escaped = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			in, quote = true, r
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if in {
				flags = append(flags, word.String())
				word.Reset()
				in = false
			}
		default:
			in = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, false
	}
	if in {
		flags = append(flags, word.String())
	}
	return flags, true
}
