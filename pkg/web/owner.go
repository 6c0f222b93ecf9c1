package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// ownerPage is the page about a person or an organisation.
type ownerPage struct {
	base
	Who    account.OwnerView
	Org    bool
	Own    bool // who looks is, or belongs to, the owner
	Letter string
	Result catalog.SearchPage
	More   string // address of the search that lists all; "" where these are all
}

// ownerURL is the address of the page about who owns a namespace.
func ownerURL(n account.Namespace) string {
	if n.Owner.Kind == account.OwnerOrg {
		return "/organisations/" + url.PathEscape(n.OwnerName)
	}
	return "/people/" + url.PathEscape(n.OwnerName)
}

func (s *Web) person(w http.ResponseWriter, r request) error {
	return s.owner(w, r, account.OwnerAccount, r.PathValue("login"))
}

func (s *Web) organisation(w http.ResponseWriter, r request) error {
	return s.owner(w, r, account.OwnerOrg, r.PathValue("org"))
}

// owner shows who owns namespaces, and what is in them.
func (s *Web) owner(w http.ResponseWriter, r request, kind, login string) error {
	who, err := s.o.Accounts.OwnerView(r.Context(), kind, login)
	if err != nil {
		return err
	}
	p := ownerPage{base: s.base(r, who.Login), Who: who, Org: kind == account.OwnerOrg}
	p.About = "C and C++ packages of " + who.Login + "."
	p.Canonical = s.o.PublicURL + r.URL.EscapedPath()
	first, _ := utf8.DecodeRuneInString(who.Login)
	p.Letter = strings.ToUpper(string(unicode.ToUpper(first)))
	if p.Own = !p.Org && r.who.Session != "" && r.who.Login == who.Login; p.Org && r.who.Session != "" {
		_, err := s.o.Accounts.OrgView(r.Context(), r.who, who.Login)
		p.Own = err == nil // else it is not theirs to see
	}
	names := make([]string, 0, len(who.Namespaces))
	for _, n := range who.Namespaces {
		names = append(names, n.Name)
	}
	names = names[:min(len(names), index.MaxFilterValues)]
	if p.Result, err = s.o.Catalog.Search(r.Context(), r.who, index.Query{Sort: index.SortRelevance, Limit: index.MaxLimit, Filters: index.Filters{Namespace: names}}); err != nil {
		return err
	}
	if p.Result.NextCursor != "" {
		p.More = searchURL(map[string][]string{"namespace": names})
	}
	return s.render(w, r, http.StatusOK, "owner.html", p)
}
