package web

import (
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// siteFeed is the feed of everything.
var siteFeed = feed{"Clyde Registry: what is published", "/feeds/site.atom"}

func namespaceFeed(ns string) feed {
	return feed{"@" + ns + ": what is published", "/feeds/" + ns + ".atom"}
}

func packageFeed(p catalog.Package) feed {
	return feed{p.Name + ": versions", "/feeds/" + p.Namespace + "/" + p.Base + ".atom"}
}

// Atom (RFC 4287), as far as our feeds need it.
type (
	atomFeed struct {
		XMLName  xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID       string      `xml:"id"`
		Title    string      `xml:"title"`
		Subtitle string      `xml:"subtitle,omitempty"`
		Updated  string      `xml:"updated"`
		Author   atomPerson  `xml:"author"`
		Icon     string      `xml:"icon,omitempty"`
		Links    []atomLink  `xml:"link"`
		Entries  []atomEntry `xml:"entry"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomPerson struct {
		Name string `xml:"name"`
	}
	atomEntry struct {
		ID        string      `xml:"id"`
		Title     string      `xml:"title"`
		Updated   string      `xml:"updated"`
		Published string      `xml:"published"`
		Author    *atomPerson `xml:"author"`
		Links     []atomLink  `xml:"link"`
		Summary   string      `xml:"summary,omitempty"`
	}
)

// entry is one version of a package. Its address is its identity: a version
// once published is never another.
func (s *Web) entry(name, version, about, by string, at time.Time) atomEntry {
	e := atomEntry{
		ID: s.o.PublicURL + packageURL(name, version), Title: name + " " + version, Summary: about,
		Updated: at.UTC().Format(time.RFC3339), Published: at.UTC().Format(time.RFC3339),
	}
	e.Links = []atomLink{{"alternate", "text/html", e.ID}}
	if by != "" {
		e.Author = &atomPerson{by}
	}
	return e
}

// sendFeed sends a feed of entries, newest first. Page is the address that the
// feed is about.
func (s *Web) sendFeed(w http.ResponseWriter, r request, f feed, page, about string, entries []atomEntry) error {
	updated := time.Unix(0, 0).UTC().Format(time.RFC3339) // of a feed without entries: always the same
	for _, e := range entries {
		updated = max(updated, e.Updated)
	}
	self := s.o.PublicURL + f.URL
	return s.xmlAnswer(w, r, "application/atom+xml; charset=utf-8", atomFeed{
		ID: self, Title: f.Title, Subtitle: about, Updated: updated, Author: atomPerson{"Clyde Registry"}, Icon: s.o.PublicURL + "/favicon.ico",
		Links:   []atomLink{{"self", "application/atom+xml", self}, {"alternate", "text/html", s.o.PublicURL + page}},
		Entries: entries,
	})
}

// latest lists the packages that were published last, as entries.
func (s *Web) latest(r request, f index.Filters) ([]atomEntry, error) {
	found, err := s.o.Catalog.Search(r.Context(), account.Principal{}, index.Query{Sort: index.SortUpdated, Limit: feedEntries, Filters: f})
	if err != nil {
		return nil, err
	}
	var out []atomEntry
	for _, h := range found.Items {
		if h.Latest != "" {
			out = append(out, s.entry(h.Name, h.Latest, h.Description, "", h.Updated))
		}
	}
	return out, nil
}

func (s *Web) siteFeed(w http.ResponseWriter, r request) error {
	entries, err := s.latest(r, index.Filters{})
	if err != nil {
		return err
	}
	return s.sendFeed(w, r, siteFeed, "/search?sort=updated", "The latest version of the packages that were published last.", entries)
}

// namespaceFeed is of a namespace. One without public packages has none, as one
// that does not exist.
func (s *Web) namespaceFeed(w http.ResponseWriter, r request) error {
	ns, ok := strings.CutSuffix(strings.TrimPrefix(r.PathValue("file"), "@"), ".atom")
	if !ok || clyde.CheckNamespace(ns) != nil {
		return s.missing(w, r)
	}
	entries, err := s.latest(r, index.Filters{Namespace: []string{ns}})
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return s.missing(w, r)
	}
	return s.sendFeed(w, r, namespaceFeed(ns), "/namespaces/"+ns, "The latest version of each package of @"+ns+".", entries)
}

// packageFeed is the versions of a package, with what happened to them.
func (s *Web) packageFeed(w http.ResponseWriter, r request) error {
	base, ok := strings.CutSuffix(r.PathValue("file"), ".atom")
	n, err := clyde.ParseName("@" + strings.TrimPrefix(r.PathValue("ns"), "@") + "/" + base)
	if !ok || err != nil {
		return s.missing(w, r)
	}
	p, err := s.o.Catalog.Package(r.Context(), account.Principal{}, n)
	if err != nil {
		return err
	}
	versions, err := s.o.Catalog.Versions(r.Context(), account.Principal{}, n)
	if err != nil {
		return err
	}
	var entries []atomEntry
	for _, v := range newest(versions, feedEntries) {
		e := s.entry(v.Name, v.Version, "", v.Publisher, v.Published)
		switch {
		case v.Withdrawn != nil:
			e.Summary = "Withdrawn by the administrators: " + v.Withdrawn.Reason
		case v.Yanked != nil:
			e.Summary = strings.TrimSuffix("Yanked ("+v.Yanked.Reason+"): "+v.Yanked.Text, ": ")
		case v.Signed == "verified":
			e.Summary = "Signed by " + v.Signer
		}
		entries = append(entries, e)
	}
	return s.sendFeed(w, r, packageFeed(p), packageURL(p.Name, ""), p.Description, entries)
}
