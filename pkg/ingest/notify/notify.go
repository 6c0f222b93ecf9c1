// Package notify takes the notifications of registries that others run: one
// adapter for each shape they come in, the proof of where they come from, and
// the handler that stores what they report before it says that it has.
//
// A notification is a hint. It says where to look and is believed in nothing
// else: which registry it is about, the endpoint says and never the payload.
package notify

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of one notification. Ours: GitHub's have tens of kilobytes, and zot's
// the whole manifest, quoted.
const (
	MaxBody  = 6 << 20 // bytes
	MaxNotes = 1000    // reports in one notification; distribution sends one at a time
	maxText  = 512     // bytes of an identifier or of who did it
)

// Note is one thing that a notification reports.
type Note struct {
	Action     clyde.Action
	Repository string // as the registry calls it: "team/acme/zlib"
	Tag        string // "" where only the digest is known
	Digest     string // "sha256:…", or "" where only the tag is known
	Actor      string // who did it, by the registry's word; may be ""
}

// Delivery is a notification that was understood.
type Delivery struct {
	ID    string // tells it from every other of its endpoint; "" where nothing in it does
	Notes []Note // what concerns manifests; none for a ping, a pull, a scan
}

// adapter reads the notifications of one make. Header fields may only say more
// about the shape; bodies are at most MaxBody bytes. An error is a *clyde.Error
// of kind clyde.ErrInvalid that says what is wrong with the shape.
type adapter func(h http.Header, body []byte) (Delivery, error)

// adapters are the kinds of notifications, by what the configuration calls them.
var adapters = map[string]adapter{
	"distribution": distribution,
	"acr":          azure,
	"harbor":       harbor,
	"zot":          zot,
	"github":       github,
	"gitea":        gitea,
	"quay":         quay,
	"dockerhub":    dockerHub,
	"ecr":          ecr,
	"gar":          artifactRegistry,
}

// Parse reads a notification of a kind that New accepts. What it returns is fit
// to be stored: repositories, tags and digests by their grammar, in lower case
// where that is the grammar, texts bounded. Reports about anything else than a
// manifest are left out.
func Parse(kind string, h http.Header, body []byte) (Delivery, error) {
	read, ok := adapters[kind]
	if !ok {
		return Delivery{}, bad("there are no notifications of kind %q", kind)
	}
	if len(body) > MaxBody {
		return Delivery{}, clyde.Errorf(clyde.ErrTooLarge, "the notification has more than %d bytes", MaxBody).WithCode("notification_too_large")
	}
	d, err := read(h, body)
	if err != nil {
		return Delivery{}, err
	}
	if len(d.Notes) > MaxNotes {
		return Delivery{}, clyde.Errorf(clyde.ErrTooLarge, "the notification has %d reports; the limit is %d", len(d.Notes), MaxNotes).WithCode("notification_too_large")
	}
	out := Delivery{ID: d.ID}
	if len(out.ID) > maxText {
		out.ID = ""
	}
	for _, n := range d.Notes {
		if n, ok := n.tidy(); ok {
			out.Notes = append(out.Notes, n)
		}
	}
	return out, nil
}

func bad(format string, args ...any) error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("notification_invalid").
		Fix("check what kind of notifications this endpoint is configured for")
}

var (
	// The grammars of the distribution specification.
	repositoryRE = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagRE        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestRE     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// maxRepository is the specification's advice, in bytes.
const maxRepository = 255

// tidy returns n as it may be stored, or false when it names nothing. Registries
// write a digest where there is no tag, and a tag where there is no digest.
func (n Note) tidy() (Note, bool) {
	n.Repository = strings.ToLower(n.Repository) // GitHub's owners keep their capitals
	if digestRE.MatchString(n.Tag) {
		if n.Digest == "" {
			n.Digest = n.Tag
		}
		n.Tag = ""
	}
	if !digestRE.MatchString(n.Digest) {
		n.Digest = ""
	}
	switch {
	case len(n.Repository) > maxRepository || !repositoryRE.MatchString(n.Repository):
		return n, false
	case n.Tag != "" && !tagRE.MatchString(n.Tag):
		return n, false
	case n.Action == clyde.ActionPush:
		if n.Tag == "" && n.Digest == "" {
			return n, false
		}
	case n.Action != clyde.ActionDelete: // which may be of the whole repository
		return n, false
	}
	if len(n.Actor) > maxText || strings.ContainsFunc(n.Actor, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		n.Actor = ""
	}
	return n, true
}

// decode reads JSON leniently about what it does not know: registries add
// members, and a notification that is refused blocks those behind it.
func decode(what string, body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(into); err != nil {
		return bad("the notification is no %s event: it cannot be read as JSON of that shape", what)
	}
	return nil
}

// lastColon splits "name:tag"; the tag is "" where there is none.
func lastColon(s string) (name, tag string) {
	i := strings.LastIndexByte(s, ':')
	if i < strings.LastIndexByte(s, '/') || i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}
