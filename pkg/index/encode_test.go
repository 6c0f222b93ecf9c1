package index

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func drawDocument(t *rapid.T) Document {
	text, list := rapid.String(), rapid.SliceOf(rapid.String())
	at := func(what string) time.Time {
		if n := rapid.Int64Range(0, 4e12).Draw(t, what); n != 0 {
			return time.UnixMilli(n).UTC()
		}
		return time.Time{}
	}
	return Document{
		Key: text.Draw(t, "key"), Name: clyde.Name{Namespace: text.Draw(t, "namespace"), Base: text.Draw(t, "base")},
		Aliases: list.Draw(t, "aliases"), Version: text.Draw(t, "version"), UpstreamVersion: text.Draw(t, "upstream"),
		Description: text.Draw(t, "description"), Keywords: list.Draw(t, "keywords"), Categories: list.Draw(t, "categories"),
		License: text.Draw(t, "license"), LicenseGroup: text.Draw(t, "group"), Language: text.Draw(t, "language"),
		Standard: text.Draw(t, "standard"), Platforms: list.Draw(t, "platforms"), Kind: text.Draw(t, "kind"),
		Headers: list.Draw(t, "headers"), Readme: text.Draw(t, "readme"), Dependencies: list.Draw(t, "dependencies"),
		Dependents: rapid.Int().Draw(t, "dependents"), Downloads: rapid.Int64().Draw(t, "downloads"), Signed: text.Draw(t, "signed"),
		Deprecated: rapid.Bool().Draw(t, "deprecated"), Yanked: rapid.Bool().Draw(t, "yanked"), Private: rapid.Bool().Draw(t, "private"),
		Updated: at("updated"), Created: at("created"),
	}
}

func TestEncodeDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drawDocument(t)
		b := d.Encode()
		got, err := DecodeDocument(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("DecodeDocument(Encode) (-want +got):\n%s", diff)
		}
		if len(b) > 1 {
			if _, err := DecodeDocument(b[:len(b)-1]); err == nil {
				t.Error("a document cut short was read")
			}
		}
		if _, err := DecodeDocument(append(b, 0)); err == nil {
			t.Error("a document with something behind it was read")
		}
	})
}

// A database written by an earlier release holds JSON.
func TestDecodeDocumentJSON(t *testing.T) {
	t.Parallel()
	want := Document{Key: "acme/z", Name: clyde.Name{Namespace: "acme", Base: "z"}, Headers: []string{"z.h"}, Readme: "Z."}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeDocument(b); err != nil || !cmp.Equal(got, want) {
		t.Errorf("DecodeDocument = %+v, %v; want %+v", got, err, want)
	}
}

// FuzzDecodeDocument: what can be read is written again as what is read the same.
func FuzzDecodeDocument(f *testing.F) {
	d := Document{Key: "acme/z", Keywords: []string{"a", ""}, Updated: time.UnixMilli(5)}
	f.Add(d.Encode())
	f.Add([]byte{documentFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDocument(b)
		if err != nil || b[0] != documentFormat {
			return
		}
		again, err := DecodeDocument(d.Encode())
		if err != nil || !cmp.Equal(d, again, cmpopts.EquateEmpty()) {
			t.Errorf("%q: %+v; read again %+v, %v", b, d, again, err)
		}
	})
}
