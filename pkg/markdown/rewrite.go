package markdown

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
)

// rewrite resolves links and images, in Markdown and raw HTML alike: relative
// ones below the base, remote images to links, headings one level down (the
// page has its own first), ids and fragments into a name space of their own.
// It sees every tag but judges none; that is the sanitiser's work.
func rewrite(src []byte, o Options) ([]byte, error) {
	var (
		out   bytes.Buffer
		z     = html.NewTokenizer(bytes.NewReader(src))
		links int
		inA   int // open <a> elements
	)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return nil, fmt.Errorf("rewriting HTML: %w", err)
			}
			return out.Bytes(), nil
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if t.Data == "a" || t.Data == "img" {
				links++
			}
			prefixIDs(&t)
			switch t.Data {
			case "a":
				href, ok := o.link(attr(t, "href"))
				setAttr(&t, "href", href, ok && links <= maxLinks)
				inA++
			case "img":
				out.WriteString(o.image(t, inA > 0 || links > maxLinks))
				continue
			case "h1", "h2", "h3", "h4", "h5":
				t.Data = lower(t.Data)
			}
			out.WriteString(t.String())
		case html.EndTagToken:
			t := z.Token()
			switch t.Data {
			case "a":
				inA = max(0, inA-1)
			case "h1", "h2", "h3", "h4", "h5":
				t.Data = lower(t.Data)
			}
			out.WriteString(t.String())
		case html.TextToken:
			out.Write(z.Raw())
		}
	}
}

func lower(h string) string { return "h" + string(h[1]+1) }

func attr(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func setAttr(t *html.Token, name, value string, ok bool) {
	t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool { return a.Key == name })
	if ok && value != "" {
		t.Attr = append(t.Attr, html.Attribute{Key: name, Val: value})
	}
}

// prefixIDs puts id and name, both of which are anchors, behind our prefix.
func prefixIDs(t *html.Token) {
	id := attr(*t, "id")
	if id == "" && t.Data == "a" {
		id = attr(*t, "name")
	}
	setAttr(t, "name", "", false)
	setAttr(t, "id", idPrefix+id, id != "")
}

// link resolves what an href says; false means that it goes nowhere.
func (o Options) link(ref string) (string, bool) {
	ref = strings.TrimSpace(ref)
	if frag, ok := strings.CutPrefix(ref, "#"); ok {
		return "#" + idPrefix + frag, frag != ""
	}
	u, err := url.Parse(ref)
	if err != nil || ref == "" || strings.ContainsAny(ref, "\\\x00") {
		return "", false
	}
	switch {
	case u.Scheme == "http" || u.Scheme == "https":
		return u.String(), u.Host != ""
	case u.Scheme == "mailto":
		return u.String(), true
	case u.Scheme != "" || u.Opaque != "":
		return "", false
	case u.Host != "":
		u.Scheme = "https"
		return u.String(), true
	}
	return o.inside(u)
}

// inside resolves a relative reference. It never leaves the base.
func (o Options) inside(u *url.URL) (string, bool) {
	if o.BaseURL == "" {
		return "", false
	}
	p := u.Path
	if !strings.HasPrefix(p, "/") {
		p = path.Join("/", path.Dir(o.Path), p)
	}
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if o.Page != nil {
		if at := o.Page(p); at != "" {
			if u.Fragment != "" { // the other page's, with the prefix that it has there
				at += (&url.URL{Fragment: idPrefix + u.Fragment}).String()
			}
			return at, true
		}
	}
	to := url.URL{Path: p, Fragment: u.Fragment}
	return o.BaseURL + strings.TrimPrefix(to.String(), "./"), true
}

// image returns what stands for an <img>: the image where it lies in the
// package, else a link to it, else (inside a link) its text.
func (o Options) image(t html.Token, textOnly bool) string {
	src, alt := strings.TrimSpace(attr(t, "src")), attr(t, "alt")
	if alt == "" {
		alt = "image"
	}
	u, err := url.Parse(src)
	if err != nil || src == "" {
		return html.EscapeString(alt)
	}
	if u.Scheme == "" && u.Host == "" && u.Opaque == "" {
		o.Page = nil
		if to, ok := o.inside(u); ok {
			to, _, _ = strings.Cut(to, "#")
			setAttr(&t, "src", to+"?raw=1", true)
			setAttr(&t, "alt", attr(t, "alt"), attr(t, "alt") != "")
			setAttr(&t, "loading", "lazy", true)
			return t.String()
		}
		return html.EscapeString(alt)
	}
	if to, ok := o.link(src); ok && !textOnly {
		return `<a href="` + html.EscapeString(to) + `">` + html.EscapeString(alt) + `</a>`
	}
	return html.EscapeString(alt)
}

var policy = newPolicy()

// newPolicy lists what may stand in a readme. Classes are only those that the
// renderer itself writes, so that no readme can dress up as a part of the page.
func newPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "strong", "em", "b", "i", "u", "s", "del", "ins",
		"sub", "sup", "code", "pre", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot",
		"tr", "th", "td", "caption", "span", "div", "details", "summary", "kbd", "samp", "var", "abbr", "q", "cite", "small")
	p.AllowAttrs("id").Matching(regexp.MustCompile(`^` + idPrefix + `[\p{L}\p{N}:._-]{1,120}$`)).Globally()
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(true)
	p.RequireParseableURLs(true)
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("title").OnElements("a", "abbr", "img")
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AllowAttrs("src").Matching(regexp.MustCompile(`^/packages/[^"'<>\\]*$`)).OnElements("img")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("loading").Matching(regexp.MustCompile(`^lazy$`)).OnElements("img")
	p.AllowAttrs("width", "height").Matching(regexp.MustCompile(`^[0-9]{1,4}%?$`)).OnElements("img")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(?:left|center|right)$`)).OnElements("p", "div", "td", "th", "h2", "h3")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("open").Matching(regexp.MustCompile(`^(?:open)?$`)).OnElements("details")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^hl-[a-z]$`)).OnElements("span")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^md-alert md-(?:note|tip|important|warning|caution)$`)).OnElements("blockquote")
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	p.AllowAttrs("checked", "disabled").Matching(regexp.MustCompile(`^$`)).OnElements("input")
	return p
}
