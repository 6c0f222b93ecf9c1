package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// TokenPrefix starts every token, so that secret scanners can find leaked ones.
const TokenPrefix = "clyde_"

// Limits of a token, ours: a line in a log, and what a person can review.
const (
	MaxTokenName = 100 // bytes
	MaxScopes    = 50
)

const (
	secretLen = 32 // bytes of randomness
	crcLen    = 4  // bytes of CRC-32 (IEEE) over the randomness, to tell typing mistakes from unknown tokens
	maxCached = 4096
	touchEach = 5 * time.Minute // LastUsed is that coarse, so that a busy token costs no writes
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewToken returns a fresh secret in its text form.
func NewToken() string {
	b := make([]byte, secretLen, secretLen+crcLen)
	_, _ = rand.Read(b) // crypto/rand.Read never fails (Go 1.24)
	sum := crc32.ChecksumIEEE(b)
	b = append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	return TokenPrefix + strings.ToLower(encoding.EncodeToString(b))
}

// WellFormed reports whether s could be a token: prefix, length and checksum.
func WellFormed(s string) bool {
	rest, ok := strings.CutPrefix(s, TokenPrefix)
	if !ok {
		return false
	}
	b, err := encoding.DecodeString(strings.ToUpper(rest))
	// The decoder lets line breaks and stray last bits pass; one secret has one spelling.
	if err != nil || len(b) != secretLen+crcLen || rest != strings.ToLower(encoding.EncodeToString(b)) {
		return false
	}
	sum := crc32.ChecksumIEEE(b[:secretLen])
	return b[secretLen] == byte(sum>>24) && b[secretLen+1] == byte(sum>>16) && b[secretLen+2] == byte(sum>>8) && b[secretLen+3] == byte(sum)
}

// hashToken is how a secret is stored. A plain hash is enough: the secret has
// 256 bits, so there is nothing to guess from it.
func hashToken(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// Tokens is what Accounts needs of the store.
type Tokens interface {
	AddToken(ctx context.Context, t store.Token, audit store.AuditEntry) error
	TokenByHash(ctx context.Context, hash []byte) (store.Token, error)
	Tokens(ctx context.Context) ([]store.Token, error)
	RevokeToken(ctx context.Context, id string, audit store.AuditEntry) error
	TouchToken(ctx context.Context, id string, at time.Time) error
}

// Accounts authenticates requests and makes tokens.
type Accounts struct {
	db  Tokens
	now func() time.Time

	mu      sync.Mutex
	touched map[string]time.Time // token ID → last write of LastUsed
}

// New returns Accounts over db; now nil means time.Now.
func New(db Tokens, now func() time.Time) *Accounts {
	if now == nil {
		now = time.Now
	}
	return &Accounts{db: db, now: now, touched: map[string]time.Time{}}
}

// TokenSpec says what a new token is for.
type TokenSpec struct {
	Name    string
	Admin   bool
	Scopes  []Scope
	Expires time.Time // zero: never
}

// Create stores a new token on behalf of by and returns its secret, which is
// shown once, and its row.
func (a *Accounts) Create(ctx context.Context, by Principal, spec TokenSpec) (string, store.Token, error) {
	if err := RequireAdmin(by, "making a token"); err != nil {
		return "", store.Token{}, err
	}
	if err := checkTokenName(spec.Name); err != nil {
		return "", store.Token{}, err
	}
	if !spec.Admin && len(spec.Scopes) == 0 {
		return "", store.Token{}, clyde.Errorf(clyde.ErrInvalid, "token %q: grants nothing; name at least one action and package", spec.Name)
	}
	for _, s := range spec.Scopes {
		if err := s.check(); err != nil {
			return "", store.Token{}, err
		}
	}
	if len(spec.Scopes) > MaxScopes {
		return "", store.Token{}, clyde.Errorf(clyde.ErrInvalid, "token %q: has %d scopes; the limit is %d", spec.Name, len(spec.Scopes), MaxScopes)
	}
	if !spec.Expires.IsZero() && !spec.Expires.After(a.now()) {
		return "", store.Token{}, clyde.Errorf(clyde.ErrInvalid, "token %q: expires in the past", spec.Name)
	}
	scopes, err := json.Marshal(spec.Scopes)
	if err != nil {
		return "", store.Token{}, err
	}
	detail, err := json.Marshal(map[string]any{"name": spec.Name, "admin": spec.Admin, "scopes": spec.Scopes, "expires": spec.Expires})
	if err != nil {
		return "", store.Token{}, err
	}
	secret := NewToken()
	hash := hashToken(secret)
	t := store.Token{
		ID: strings.ToLower(encoding.EncodeToString(hash[:5])), Hash: hash, Prefix: secret[:len(TokenPrefix)+6],
		Name: spec.Name, Admin: spec.Admin, Scopes: scopes, Created: a.now().UTC(), Expires: spec.Expires,
	}
	err = a.db.AddToken(ctx, t, store.AuditEntry{Time: t.Created, Actor: by.String(), Action: "token.create", Resource: t.ID, Detail: string(detail)})
	if err != nil {
		return "", store.Token{}, err
	}
	return secret, t, nil
}

// checkTokenName refuses names that cannot stand in a log or an audit line, or
// that would be taken for somebody else there.
func checkTokenName(s string) error {
	if s == "" || len(s) > MaxTokenName || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return clyde.Errorf(clyde.ErrInvalid, "token name: give one of 1 to %d bytes, printable, that says what the token is for", MaxTokenName)
	}
	if s == "anonymous" || s == "system" {
		return clyde.Errorf(clyde.ErrInvalid, "token name %q stands for somebody else in the audit log; choose another", s)
	}
	return nil
}

// List returns every token's row.
func (a *Accounts) List(ctx context.Context, by Principal) ([]store.Token, error) {
	if err := RequireAdmin(by, "listing tokens"); err != nil {
		return nil, err
	}
	return a.db.Tokens(ctx)
}

// Revoke ends a token at once, everywhere.
func (a *Accounts) Revoke(ctx context.Context, by Principal, id string) error {
	if err := RequireAdmin(by, "revoking a token"); err != nil {
		return err
	}
	return a.db.RevokeToken(ctx, id, store.AuditEntry{Time: a.now().UTC(), Actor: by.String(), Action: "token.revoke", Resource: id})
}

// errBadToken says why to whoever holds the secret; who does not learns nothing
// from it, because unknown secrets are all alike.
func errBadToken(why string) error {
	return clyde.Errorf(clyde.ErrUnauthenticated, "the token was not accepted: %s", why).WithCode("token_invalid").
		Fix("Check the token, or sign in again with clyde login.")
}

// Authenticate returns who sent r. No credentials, and an empty Basic pair
// (skopeo sends one), are anonymous. A token is accepted as Bearer, and as the
// password of Basic with any user name. Bad credentials are ErrUnauthenticated.
func (a *Accounts) Authenticate(r *http.Request) (Principal, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return Principal{}, errBadToken("the request has two Authorization headers")
	}
	h := r.Header.Get("Authorization")
	if h == "" {
		return Principal{}, nil
	}
	var secret string
	if user, pass, ok := r.BasicAuth(); ok {
		if user == "" && pass == "" {
			return Principal{}, nil
		}
		secret = pass
	} else if scheme, rest, _ := strings.Cut(h, " "); strings.EqualFold(scheme, "Bearer") {
		secret = strings.TrimSpace(rest)
	} else if strings.EqualFold(scheme, "Basic") {
		return Principal{}, errBadToken("the Basic credential cannot be read")
	} else {
		return Principal{}, errBadToken("only Basic and Bearer are understood")
	}
	return a.Token(r.Context(), secret)
}

// Token returns the principal that a secret stands for.
func (a *Accounts) Token(ctx context.Context, secret string) (Principal, error) {
	if !WellFormed(secret) {
		return Principal{}, errBadToken("it is not a token of this registry (mistyped or cut off?)")
	}
	hash := hashToken(secret)
	t, err := a.db.TokenByHash(ctx, hash)
	switch {
	case errors.Is(err, clyde.ErrNotFound), err == nil && subtle.ConstantTimeCompare(t.Hash, hash) != 1:
		return Principal{}, errBadToken("it is unknown")
	case err != nil:
		return Principal{}, err
	case !t.Revoked.IsZero():
		return Principal{}, errBadToken("it was revoked")
	case !t.Expires.IsZero() && !a.now().Before(t.Expires):
		return Principal{}, errBadToken("it expired on " + t.Expires.UTC().Format(time.DateOnly))
	}
	p := Principal{ID: t.ID, Name: t.Name, Admin: t.Admin}
	if len(t.Scopes) > 0 {
		if err := json.Unmarshal(t.Scopes, &p.Scopes); err != nil {
			return Principal{}, err
		}
	}
	a.touch(ctx, t.ID)
	return p, nil
}

// touch records the use of a token at most every touchEach.
func (a *Accounts) touch(ctx context.Context, id string) {
	now := a.now()
	a.mu.Lock()
	due := now.Sub(a.touched[id]) >= touchEach
	if due {
		if len(a.touched) >= maxCached {
			clear(a.touched)
		}
		a.touched[id] = now
	}
	a.mu.Unlock()
	if due {
		// Losing this write costs a coarse timestamp, so its error is no reason to refuse the request.
		_ = a.db.TouchToken(ctx, id, now)
	}
}
