package indextest

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/index"
)

func private(t *testing.T, e index.Engine) {
	hide := func(d *index.Document) { d.Private = true }
	put(t, e,
		doc("acme/open", "json parser"),
		doc("acme/hidden", "json parser", hide, func(d *index.Document) {
			d.License, d.Keywords, d.Headers, d.Dependents = "Secret-1.0", []string{"covert"}, []string{"open/hidden.h"}, 900
		}),
		doc("other/hidden", "json parser", hide),
	)
	asker := func(key string) bool {
		if key == "acme/open" {
			t.Error("Visible was asked about a public document")
		}
		return key == "acme/hidden"
	}
	for _, text := range []string{"", "json", "hidden", "acme/hidden", "hiden", "covert", "hidden.h", "hid"} {
		r := find(t, e, index.Query{Text: text, Facets: true})
		for _, h := range r.Hits {
			if h.Key != "acme/open" {
				t.Errorf("Search(%q) shows %s to everybody", text, h.Key)
			}
		}
		if r.Total != len(r.Hits) || counts(r, index.FacetLicense)["Secret-1.0"] != 0 || counts(r, index.FacetNamespace)["other"] != 0 {
			t.Errorf("Search(%q) counts private documents: total %d, facets %v", text, r.Total, r.Facets)
		}
		for _, h := range find(t, e, index.Query{Text: text, Visible: asker}).Hits {
			if h.Key == "other/hidden" {
				t.Errorf("Search(%q) shows other/hidden to who may see acme/hidden", text)
			}
		}
	}
	for _, text := range []string{"acme/hidden", "covert", "hidden.h", "hiden"} {
		if got := keys(find(t, e, index.Query{Text: text, Visible: asker}).Hits); len(got) == 0 || got[0] != "acme/hidden" {
			t.Errorf("Search(%q) for who may see it = %v; want acme/hidden first", text, got)
		}
	}
	// What becomes public is public, and the other way round.
	put(t, e, doc("other/hidden", "json parser"), doc("acme/open", "json parser", hide))
	wantKeys(t, e, index.Query{Text: "json"}, "other/hidden")
}

// privateChangesNothing compares an index with private documents with one
// without: whoever may see none must get the same to the last bit.
func privateChangesNothing(t *testing.T, e index.Engine) {
	words := []string{"json", "parser", "fast", "logging", "zlib", "compress"}
	var public []index.Document
	for i := range 60 {
		public = append(public, doc(fmt.Sprintf("pub/%s-%d", words[i%len(words)], i), words[i%5]+" "+words[i%3], func(d *index.Document) {
			d.Dependents = i % 9
		}))
	}
	queries := []string{"", "json", "jsom parser", "zlib", "pars", "loging", "covert", "compresssion", "fast logging zlib", "pub/json-0"}
	answers := func() []index.Result {
		var out []index.Result
		for _, q := range queries {
			out = append(out, find(t, e, index.Query{Text: q, Facets: true}))
		}
		return out
	}
	put(t, e, public...)
	want := answers()
	for i := range 300 {
		put(t, e, doc(fmt.Sprintf("priv/json%d", i), "json jsom parsers loging covert compresssion", func(d *index.Document) {
			d.Private, d.Keywords = true, []string{"json", fmt.Sprint("k", i)}
		}))
	}
	for i, got := range answers() {
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("Search(%q) with private documents = %+v; want %+v", queries[i], got, want[i])
		}
	}
}
