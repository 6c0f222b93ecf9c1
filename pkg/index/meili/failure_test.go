package meili_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/meilitest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/meili"
)

func doc(base, description string) index.Document {
	n := clyde.Name{Namespace: "acme", Base: base}
	return index.Document{Key: n.Repo(), Name: n, Version: "1.0.0", Description: description, License: "MIT"}
}

func all(docs ...index.Document) func(func(index.Document, error) bool) {
	return func(yield func(index.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// wantCode fails the test unless err is an ErrUnavailable with this code.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	e, ok := errors.AsType[*clyde.Error](err)
	if !ok || !errors.Is(err, clyde.ErrUnavailable) || e.Code != code {
		t.Errorf("%s: %v; want ErrUnavailable with code %s", what, err, code)
	}
}

func total(t *testing.T, e *meili.Engine, text string) int {
	t.Helper()
	r, err := e.Search(t.Context(), index.Query{Text: text})
	if err != nil {
		t.Fatalf("Search(%q): %v", text, err)
	}
	return r.Total
}

// A task that was accepted and then failed is a failure, and what was there
// stays.
func TestFailedTasks(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"no_space_left_on_device": "search_disk_full", "internal": "search_refused"} {
		m := meilitest.Start(t)
		e := fresh(t, meili.Options{URL: m.URL})
		if err := e.Put(t.Context(), doc("old", "json")); err != nil {
			t.Fatal(err)
		}
		m.Refuse(func(kind string) string {
			if kind == "documentAdditionOrUpdate" {
				return code
			}
			return ""
		})
		wantCode(t, "Put", e.Put(t.Context(), doc("new", "json")), want)
		wantCode(t, "Rebuild", e.Rebuild(t.Context(), all(doc("new", "json"))), want)
		_, err := e.SetMark(t.Context(), meili.Mark{Epoch: "e", Seq: 7})
		wantCode(t, "SetMark", err, want)
		if _, ok, err := e.Mark(t.Context()); ok || err != nil {
			t.Errorf("a mark that was refused is there: %v, %v", ok, err)
		}
		m.Refuse(func(kind string) string {
			if kind == "indexSwap" {
				return code
			}
			return ""
		})
		wantCode(t, "Rebuild without a swap", e.Rebuild(t.Context(), all(doc("new", "json"))), want)
		if n := total(t, e, "json"); n != 1 || e.Len() != 1 {
			t.Errorf("after failures %d are found of %d; want the old one", n, e.Len())
		}
		m.Refuse(nil)
		if err := e.Rebuild(t.Context(), all(doc("new", "json"), doc("newer", "json"))); err != nil {
			t.Fatalf("Rebuild once there is room: %v", err)
		}
		if n := total(t, e, "json"); n != 2 {
			t.Errorf("after the rebuild %d are found; want 2", n)
		}
	}
}

func TestKeyRefused(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	m.Key = "right"
	for _, key := range []string{"", "wrong"} {
		e := meili.New(meili.Options{URL: m.URL, Key: key})
		wantCode(t, "Prepare", e.Prepare(t.Context()), "search_key_refused")
		_, err := e.Search(t.Context(), index.Query{Text: "json"})
		wantCode(t, "Search", err, "search_key_refused")
		if err != nil && strings.Contains(fmt.Sprint(err, errors.Unwrap(err)), "wrong") {
			t.Errorf("the error names the key: %v", err)
		}
	}
	if n := total(t, fresh(t, meili.Options{URL: m.URL, Key: "right"}), "json"); n != 0 {
		t.Errorf("an empty index finds %d", n)
	}
}

// What Meilisearch finds too large is sent in halves.
func TestPayloadTooLarge(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	e := fresh(t, meili.Options{URL: m.URL})
	var docs []index.Document
	for i := range 40 {
		docs = append(docs, doc(fmt.Sprintf("lib%d", i), strings.Repeat("json ", 100)))
	}
	m.LimitPayload(4 << 10)
	if err := e.Put(t.Context(), docs...); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if e.Len() != len(docs) {
		t.Errorf("Len() = %d; want %d", e.Len(), len(docs))
	}
	huge := doc("huge", "")
	huge.Readme = strings.Repeat("word ", 3000)
	wantCode(t, "Put of one that is too large", e.Put(t.Context(), huge), "search_refused")
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	e := fresh(t, meili.Options{URL: m.URL})
	m.Stop()
	_, err := e.Search(t.Context(), index.Query{Text: "json"})
	wantCode(t, "Search", err, "search_unavailable")
	_, err = e.Suggest(t.Context(), "json", 0, nil) // not even asked
	wantCode(t, "Suggest", err, "search_unavailable")
	wantCode(t, "Put", e.Put(t.Context(), doc("json", "")), "search_unavailable")
	m.Run()
	if err := e.Put(t.Context(), doc("json", "")); err != nil {
		t.Errorf("Put after it came back: %v", err)
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	e := fresh(t, meili.Options{URL: m.URL})
	if _, ok, err := e.Mark(t.Context()); ok || err != nil {
		t.Errorf("Mark of a new index = %v, %v; want none", ok, err)
	}
	want, err := e.SetMark(t.Context(), meili.Mark{Epoch: "e1", Seq: 42})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := e.Mark(t.Context()); got != want || !ok || err != nil {
		t.Errorf("Mark = %v, %v, %v; want %v", got, ok, err, want)
	}
	m.Wipe()
	if _, ok, err := e.Mark(t.Context()); ok || err != nil {
		t.Errorf("Mark after the disk was lost = %v, %v; want none", ok, err)
	}
	// Whoever was writing meanwhile has Meilisearch make an index by itself.
	if err := e.Put(t.Context(), doc("json", "")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SetMark(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := e.Mark(t.Context()); ok || err != nil {
		t.Errorf("Mark of an index that was made by itself = %v, %v; want none", ok, err)
	}
}

// No value of a filter is read as an expression: it matches, or it does not.
func TestFiltersAreValues(t *testing.T) {
	t.Parallel()
	e := fresh(t, meili.Options{URL: meilitest.Start(t).URL})
	hidden := doc("hidden", "json")
	hidden.Private = true
	if err := e.Put(t.Context(), doc("open", "json"), hidden); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{`x"] OR private = true OR tags IN ["x`, `\`, `"`, `'`, "\x00", `\" OR private = true`, "a\nb", `] OR id = "`} {
		for _, q := range []index.Query{
			{Filters: index.Filters{Keyword: []string{v}}}, {Filters: index.Filters{Header: []string{v}}},
			{Text: v + "/x.h"}, {Text: "<" + v + ">"}, {Text: v},
		} {
			r, err := e.Search(context.Background(), q)
			if err != nil && !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("Search(%+v): %v", q, err)
			}
			for _, h := range r.Hits {
				if h.Key == "acme/hidden" {
					t.Errorf("Search(%+v) shows what is private", q)
				}
			}
		}
	}
}

// The settings are what a server gets, to the last false and empty list.
func TestSettings(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	fresh(t, meili.Options{URL: m.URL})
	want, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.LastSettings(); got != strings.TrimSpace(string(want)) {
		t.Errorf("settings sent:\n%s\nwant testdata/settings.json:\n%s", got, want)
	}
}
