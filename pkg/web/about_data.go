package web

import (
	"cmp"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/catalog"
)

// siteData describes the site to search engines (schema.org, JSON-LD).
func (s *Web) siteData() any {
	if s.o.PublicURL == "" {
		return nil
	}
	return map[string]any{
		"@context": "https://schema.org", "@type": "WebSite", "name": "Clyde Registry", "url": s.o.PublicURL + "/",
		"potentialAction": map[string]any{
			"@type": "SearchAction", "target": s.o.PublicURL + "/search?q={search_term_string}", "query-input": "required name=search_term_string",
		},
	}
}

// packageData describes a package. Of what is not stated nothing is said.
func (s *Web) packageData(h head, f facts) any {
	if s.o.PublicURL == "" || h.Release.Version == "" || h.Package.Private {
		return nil
	}
	out := map[string]any{
		"@context": "https://schema.org", "@type": "SoftwareSourceCode", "name": h.Package.Name, "version": h.Release.Version,
		"url": s.o.PublicURL + packageURL(h.Package.Name, ""), "dateModified": h.Release.Published.UTC().Format(time.RFC3339),
		"dateCreated": h.Package.Created.UTC().Format(time.RFC3339), "identifier": h.Release.PURL,
	}
	for key, v := range map[string]string{
		"description": f.Description, "programmingLanguage": language(f.Language), "codeRepository": webURL(f.Repository),
	} {
		if v != "" {
			out[key] = v
		}
	}
	if f.License != "" {
		out["license"] = f.License
		if l := licenseOf(f.License); len(l) == 1 && l[0].URL != "" {
			out["license"] = l[0].URL
		}
	}
	if len(f.Keywords) > 0 {
		out["keywords"] = f.Keywords
	}
	return out
}

// newest returns the n versions that were published last, the last one first.
func newest(versions []catalog.Release, n int) []catalog.Release {
	out := slices.SortedStableFunc(slices.Values(versions), func(a, b catalog.Release) int {
		return cmp.Compare(b.Published.UnixNano(), a.Published.UnixNano())
	})
	return out[:min(n, len(out))]
}
