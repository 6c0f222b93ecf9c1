package signin

import (
	"net/url"
	"strings"
)

// maxPath bounds where somebody goes after a sign in, in bytes. Ours: it is
// part of a cookie.
const maxPath = 500

// HomePath is where somebody goes who came from nowhere.
const HomePath = "/account"

// OwnPath returns s when it is a path of this site, else HomePath: whoever
// made the link that somebody signed in through does not choose another site
// to go to. Browsers take \ for / and skip tabs and line breaks, so that none
// of them is let through.
func OwnPath(s string) string {
	if len(s) > maxPath || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return HomePath
	}
	for _, r := range s {
		if r <= ' ' || r == '\\' || r >= 0x7f {
			return HomePath
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return HomePath
	}
	if u.Path == "/login" || strings.HasPrefix(u.Path, "/login/") || u.Path == "/logout" {
		return HomePath
	}
	return s
}
