package clyde

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how much of somebody's input a message repeats, in bytes.
const maxQuoted = 80

// quoted returns s in quotes, cut to maxQuoted bytes, with everything that is
// not printable escaped, so that a message can go to a terminal.
func quoted(s string) string {
	if len(s) <= maxQuoted {
		return strconv.QuoteToGraphic(s)
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.QuoteToGraphic(s[:cut]) + "…"
}

// isDigits reports whether s is one or more of 0-9.
func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// trimZeros returns the decimal number s without leading zeros.
func trimZeros(s string) string {
	if t := strings.TrimLeft(s, "0"); t != "" {
		return t
	}
	return "0"
}

// increment returns the decimal number s plus one.
func increment(s string) string {
	b := []byte(s)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}
