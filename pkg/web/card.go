package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/card"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of pictures for previews. Both are ours: a card is some 50 KB and one
// core's work for some 40 ms, and only one is drawn at once.
const (
	cardsKept  = 16 << 20        // bytes in memory
	cardsQueue = 5 * time.Second // to wait for a turn
)

const pngKind = "image/png"

// cardURL is where the picture of a version is, for the pages of others.
func (s *Web) cardURL(n clyde.Name, version string) string {
	return s.o.PublicURL + strings.Replace(packageURL(n.String(), version), "/packages/", "/cards/", 1) + ".png"
}

// siteCard is the picture of what has none of its own.
func (s *Web) siteCard(w http.ResponseWriter, r request) error {
	if r.PathValue("file") != "site.png" {
		return s.missing(w, r)
	}
	return s.drawn(w, r, daily, card.Card{Title: "Clyde Registry", Text: "Find, verify and install C and C++ libraries.", Facts: []string{"OCI artifacts, signed with cosign"}})
}

// card is the picture of a version. It tells what anybody may see: a private
// package has none.
func (s *Web) card(w http.ResponseWriter, r request) error {
	version, ok := strings.CutSuffix(r.PathValue("file"), ".png")
	n, err := clyde.ParseName("@" + r.PathValue("ns") + "/" + r.PathValue("name"))
	if !ok || err != nil || version == "" {
		return s.missing(w, r)
	}
	h := head{}
	if h.Package, err = s.o.Catalog.Package(r.Context(), account.Principal{}, n); err != nil {
		return err
	}
	if h.Release, err = s.o.Catalog.Release(r.Context(), account.Principal{}, catalog.Ref{Name: n, Version: version}); err != nil {
		return err
	}
	h.Latest = h.Release.Version == h.Package.Latest
	return s.drawn(w, r, shared, cardOf(h))
}

// cardOf is what the picture of a version says: what to beware of before who
// signed it.
func cardOf(h head) card.Card {
	f, rel := factsOf(h), h.Release
	c := card.Card{Over: "@" + h.Package.Namespace + " /", Title: h.Package.Base, Version: rel.Version, Text: f.Description}
	switch {
	case rel.Signed == "invalid":
		c.Mark, c.Facts = card.Bad, []string{"Invalid signature"}
	case rel.Yanked != nil:
		c.Mark, c.Facts = card.Bad, []string{"Yanked: " + rel.Yanked.Reason}
	case h.Package.Deprecated != "":
		c.Mark, c.Facts = card.Bad, []string{"Deprecated"}
	case rel.Signed == "verified":
		by, _, _ := strings.Cut(rel.Signer, " (SHA256:")
		c.Mark, c.Facts = card.Good, []string{"Signed by " + cmp.Or(by, "its publisher")}
	default:
		c.Facts = []string{"Unsigned"}
	}
	if f.License != "" {
		c.Facts = append(c.Facts, f.License)
	}
	switch {
	case len(f.Standards) > 0:
		c.Facts = append(c.Facts, strings.ToUpper(f.Standards[0]))
	case f.Language != "":
		c.Facts = append(c.Facts, language(f.Language))
	}
	return c
}

// drawn sends the picture that says c.
func (s *Web) drawn(w http.ResponseWriter, r request, cache string, c card.Card) error {
	key := fmt.Sprintf("%#v", c)
	b, ok := s.cards.Get(key)
	if !ok {
		ctx, cancel := context.WithTimeout(r.Context(), cardsQueue)
		defer cancel()
		select {
		case s.pen <- struct{}{}:
			defer func() { <-s.pen }()
		case <-ctx.Done():
			return clyde.Errorf(clyde.ErrUnavailable, "Many pictures are being drawn at the moment.").Fix("Try again in a moment.")
		}
		if b, ok = s.cards.Get(key); !ok { // nobody drew it meanwhile
			var err error
			if b, err = card.PNG(c); err != nil {
				return err
			}
			s.cards.Put(key, b, len(b)+len(key))
		}
	}
	return s.answer(w, r, pngKind, cache, b)
}
