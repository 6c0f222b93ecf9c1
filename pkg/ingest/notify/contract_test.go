package notify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest/notify"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fixture is a notification in the shape that a registry was recorded to send.
type fixture struct {
	name, kind string
	header     http.Header
	body       []byte
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []fixture
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		if name == "golden" {
			continue
		}
		kind, _, _ := strings.Cut(name, ".")
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fx := fixture{name: name, kind: kind, header: http.Header{}, body: body}
		fields, err := os.ReadFile(strings.TrimSuffix(f, "json") + "header")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(fields)) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
			fx.header.Set(textproto.CanonicalMIMEHeaderKey(k), v)
		}
		out = append(out, fx)
	}
	return out
}

// What each recorded notification reports, in one file for review.
func TestFixtures(t *testing.T) {
	t.Parallel()
	got := map[string]notify.Delivery{}
	for _, f := range fixtures(t) {
		d, err := notify.Parse(f.kind, f.header, f.body)
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		got[f.name] = d
	}
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	const golden = "testdata/golden.json"
	if *update {
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(b)); d != "" {
		t.Errorf("%s (-want +got); -update to accept:\n%s", golden, d)
	}
}

// What every adapter has to do, with each of its fixtures.
func TestContract(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, f := range fixtures(t) {
		kinds[f.kind] = true
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d, err := notify.Parse(f.kind, f.header, f.body)
			if err != nil {
				t.Fatal(err)
			}
			tidy(t, d)
			if again, err := notify.Parse(f.kind, f.header, f.body); err != nil || !reflect.DeepEqual(d, again) {
				t.Errorf("read twice: %+v, %v; want %+v", again, err, d)
			}
			// What it does not know it does not mind: registries add members.
			var m map[string]any
			if err := json.Unmarshal(f.body, &m); err != nil {
				t.Fatal(err)
			}
			m["added_later"] = map[string]any{"x": []int{1}}
			more, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := notify.Parse(f.kind, f.header, more); err != nil || !reflect.DeepEqual(d.Notes, got.Notes) {
				t.Errorf("with another member: %+v, %v; want %+v", got, err, d)
			}
			// What is cut off is refused, and named so.
			if _, err := notify.Parse(f.kind, f.header, f.body[:len(f.body)/2]); !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("half of it: %v; want clyde.ErrInvalid", err)
			}
			// Nobody else's events are taken for it.
			for _, other := range []string{"{}", "[]", "null", "", "1", `{"zzz":1}`} {
				if d, err := notify.Parse(f.kind, http.Header{}, []byte(other)); len(d.Notes) > 0 || err != nil && !errors.Is(err, clyde.ErrInvalid) {
					t.Errorf("Parse(%s, %q) = %+v, %v", f.kind, other, d, err)
				}
			}
			if bytes.Contains(f.body, []byte("evil.example")) {
				for _, n := range d.Notes {
					if strings.Contains(n.Repository, "evil") {
						t.Errorf("the payload's host is in %+v", n)
					}
				}
			}
		})
	}
	for kind := range config.UpstreamEvents {
		if !kinds[kind] {
			t.Errorf("no fixture of kind %s", kind)
		}
	}
	if len(kinds) != len(config.UpstreamEvents) {
		t.Errorf("fixtures of %v; the configuration knows %v", kinds, config.UpstreamEvents)
	}
}

// tidy checks what Parse promises of anything it returns.
func tidy(t testing.TB, d notify.Delivery) {
	t.Helper()
	if len(d.ID) > 512 || len(d.Notes) > notify.MaxNotes {
		t.Errorf("an identifier of %d bytes, %d reports", len(d.ID), len(d.Notes))
	}
	for _, n := range d.Notes {
		switch {
		case n.Action != clyde.ActionPush && n.Action != clyde.ActionDelete:
			t.Errorf("action %q", n.Action)
		case n.Repository == "" || len(n.Repository) > 255 || n.Repository != strings.ToLower(n.Repository) || strings.ContainsAny(n.Repository, " :@\x00"):
			t.Errorf("repository %q", n.Repository)
		case len(n.Tag) > 128 || strings.ContainsAny(n.Tag, "/: @\x00"):
			t.Errorf("tag %q", n.Tag)
		case n.Digest != "" && (len(n.Digest) != 71 || !strings.HasPrefix(n.Digest, "sha256:")):
			t.Errorf("digest %q", n.Digest)
		case n.Action == clyde.ActionPush && n.Tag == "" && n.Digest == "":
			t.Errorf("a push of nothing: %+v", n)
		case len(n.Actor) > 512 || strings.ContainsAny(n.Actor, "\r\n\x00\x1b"):
			t.Errorf("actor %q", n.Actor)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	if _, err := notify.Parse("quay", nil, bytes.Repeat([]byte(" "), notify.MaxBody+1)); !errors.Is(err, clyde.ErrTooLarge) {
		t.Errorf("a body too large: %v", err)
	}
	tags := func(n int) []byte {
		b, err := json.Marshal(map[string]any{"repository": "acme/zlib", "updated_tags": slices.Repeat([]string{"1.0"}, n)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if d, err := notify.Parse("quay", nil, tags(notify.MaxNotes)); err != nil || len(d.Notes) != notify.MaxNotes {
		t.Errorf("%d reports: %d, %v", notify.MaxNotes, len(d.Notes), err)
	}
	if _, err := notify.Parse("quay", nil, tags(notify.MaxNotes+1)); !errors.Is(err, clyde.ErrTooLarge) {
		t.Errorf("%d reports: %v", notify.MaxNotes+1, err)
	}
	if _, err := notify.Parse("nexus", nil, []byte("{}")); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	// What names nothing that can be is left out; the rest is kept.
	d, err := notify.Parse("quay", nil, []byte(`{"repository":"ACME/zlib","updated_tags":["1.0","a/b","","../x"]}`))
	if err != nil || len(d.Notes) != 1 || d.Notes[0].Repository != "acme/zlib" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, repo := range []string{"", "/", "acme//zlib", "../../etc", "acme/zlib\x00", "-acme/zlib", strings.Repeat("a", 256)} {
		b, err := json.Marshal(map[string]any{"repository": repo, "updated_tags": []string{"1"}})
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := notify.Parse("quay", nil, b); len(d.Notes) > 0 {
			t.Errorf("repository %q: %+v", repo, d)
		}
	}
}

// Whatever comes, only tidy reports come of it, and errors of one kind.
func FuzzParse(f *testing.F) {
	kinds := []string{}
	for k := range config.UpstreamEvents {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, x := range fixtures(f) {
		f.Add(slices.Index(kinds, x.kind), x.header.Get("Ce-Type"), x.body)
	}
	f.Fuzz(func(t *testing.T, kind int, ceType string, body []byte) {
		if kind < 0 || kind >= len(kinds) {
			return
		}
		d, err := notify.Parse(kinds[kind], http.Header{"Ce-Type": {ceType}}, body)
		if err != nil && !errors.Is(err, clyde.ErrInvalid) && !errors.Is(err, clyde.ErrTooLarge) {
			t.Fatalf("%v", err)
		}
		tidy(t, d)
	})
}
