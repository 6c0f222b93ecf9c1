package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Algorithms are the ones accepted. None that is symmetric may ever join: a
// public key would then be a secret that everybody has.
func Algorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

// Claims are what a token says, by name. Numbers are json.Number.
type Claims map[string]any

// Text returns a claim as text: texts as they are, whole numbers and truth
// values as they are written. It is "" and false for anything else.
func (c Claims) Text(name string) (string, bool) {
	switch v := c[name].(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// header is what is read of a token's header.
type header struct {
	alg, kid string
}

// parsed is a token whose signature nobody has checked.
type parsed struct {
	header header
	claims Claims
	signed string // what the signature is over
}

// bad is a token that cannot be one, or is none for us.
func bad(code, format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrUnauthenticated, "the identity token "+format, args...).WithCode(code)
}

// parse reads a token in compact form (RFC 7515, 7.1) strictly.
func parse(raw string) (parsed, error) {
	if len(raw) > MaxToken {
		return parsed{}, bad("oidc_malformed", "has %d bytes; the limit is %d", len(raw), MaxToken)
	}
	if strings.Count(raw, ".") != 2 {
		return parsed{}, bad("oidc_malformed", "is not in three parts separated by dots")
	}
	parts := strings.Split(raw, ".")
	var docs [2]Claims
	for i, what := range []string{"header", "payload"} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil || strings.ContainsAny(parts[i], "\r\n") { // the decoder skips line breaks
			return parsed{}, bad("oidc_malformed", "has a %s that is not base64url", what)
		}
		if docs[i], err = object(b); err != nil {
			return parsed{}, bad("oidc_malformed", "has a %s that is not one JSON object: %v", what, err)
		}
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(sig) == 0 || strings.ContainsAny(parts[2], "\r\n") {
		return parsed{}, bad("oidc_malformed", "has no signature that is base64url")
	}
	h, err := readHeader(docs[0])
	return parsed{header: h, claims: docs[1], signed: parts[0] + "." + parts[1]}, err
}

func readHeader(c Claims) (h header, err error) {
	// Keys come from the issuer, never from the token.
	for _, name := range []string{"crit", "jwk", "jku", "x5u", "x5c", "b64", "enc", "zip"} {
		if _, ok := c[name]; ok {
			return h, bad("oidc_malformed", "has the header parameter %q, which is not accepted", name)
		}
	}
	if typ, ok := c["typ"]; ok {
		if s, isText := typ.(string); !isText || !strings.EqualFold(s, "JWT") {
			return h, bad("oidc_malformed", "is of type %q; want \"JWT\"", clip(fmt.Sprint(typ)))
		}
	}
	alg, ok := c["alg"].(string)
	if !ok || !slices.Contains(Algorithms(), alg) {
		return h, bad("oidc_algorithm", "is signed by %q; accepted are %s", clip(fmt.Sprint(c["alg"])), strings.Join(Algorithms(), ", "))
	}
	h.alg = alg
	if kid, there := c["kid"]; there {
		if h.kid, ok = kid.(string); !ok {
			return h, bad("oidc_malformed", "has a key identifier that is no text")
		}
	}
	return h, nil
}

// object reads one JSON object and nothing after it. A name that comes twice
// is an error: readers disagree about which one counts.
func object(b []byte) (Claims, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is another value")
	}
	return m, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("it is not well formed")
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= MaxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", MaxDepth)
	}
	var out any
	if delim == '{' {
		m := map[string]any{}
		for d.More() {
			k, err := d.Token()
			name, isText := k.(string)
			if err != nil || !isText {
				return nil, errors.New("it is not well formed")
			}
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("%q comes twice", clip(name))
			}
			if m[name], err = value(d, depth+1); err != nil {
				return nil, err
			}
		}
		out = m
	} else {
		l := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		out = l
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not well formed")
	}
	return out, nil
}

// moment reads a NumericDate (RFC 7519, 2).
func (c Claims) moment(name string) (t time.Time, there bool, err error) {
	v, there := c[name]
	if !there {
		return t, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return t, true, bad("oidc_malformed", "has a claim %s that is no number", name)
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<40 { // the year 36,800
		return t, true, bad("oidc_malformed", "has a claim %s that is no time", name)
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)).UTC(), true, nil
}

// audience reads aud, which is a text or a list of texts.
func (c Claims) audience() ([]string, error) {
	switch v := c["aud"].(type) {
	case string:
		return []string{v}, nil
	case []any:
		var out []string
		for _, a := range v {
			s, ok := a.(string)
			if !ok {
				return nil, bad("oidc_malformed", "has an audience that is no text")
			}
			out = append(out, s)
		}
		return out, nil
	case nil:
		return nil, bad("oidc_audience", "has no audience")
	}
	return nil, bad("oidc_malformed", "has an audience that is no text")
}

// clip shortens what a stranger sent for use in a message.
func clip(s string) string {
	const most = 80 // bytes
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
