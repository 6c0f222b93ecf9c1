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
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/limits"
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

// Accounts authenticates requests and makes tokens.
type Accounts struct {
	db  Store
	now func() time.Time

	mu      sync.Mutex
	touched map[string]time.Time // ID of a token or session → last write of its use
	known   map[[sha256.Size]byte]knownToken

	limits  *limits.Buckets // of signInKinds
	admit   Admission       // set before anybody signs in
	hashing chan struct{}   // one place for each password hashed at a time
	hashed  func(ctx context.Context, what string)
	signed  func(ctx context.Context, namespace string) error
}

// New returns Accounts over db; now nil means time.Now.
func New(db Store, now func() time.Time) *Accounts {
	if now == nil {
		now = time.Now
	}
	return &Accounts{
		db: db, now: now, touched: map[string]time.Time{},
		limits: limits.New(signInKinds(), now), hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0))),
	}
}

// OnHash has f told of each secret of a caller that is hashed: "token", also for
// the secrets of sessions and devices, or "password". Tests count with it that
// two answers cost the same. Call it before anybody signs in.
func (a *Accounts) OnHash(f func(ctx context.Context, what string)) { a.hashed = f }

// OnSignedOnly has f told of each namespace whose organisation changes whether
// its packages must be signed, once that is stored. Call it before anybody does.
func (a *Accounts) OnSignedOnly(f func(ctx context.Context, namespace string) error) { a.signed = f }

// hashOf is hashToken of what a caller sent.
func (a *Accounts) hashOf(ctx context.Context, secret string) []byte {
	if a.hashed != nil {
		a.hashed(ctx, "token")
	}
	return hashToken(secret)
}

// TokenSpec says what a new token is for.
type TokenSpec struct {
	Name    string
	Admin   bool
	Scopes  []Scope
	Expires time.Time // zero: never

	Networks []netip.Prefix // where it may be used from; none: anywhere
	Run      *Run           // the CI run it is for; only Mint takes it
}

// Create stores a new token on behalf of by and returns its secret, which is
// shown once, and its row.
func (a *Accounts) Create(ctx context.Context, by Principal, spec TokenSpec) (string, store.Token, error) {
	if err := RequireAdmin(by, "making a token"); err != nil {
		return "", store.Token{}, err
	}
	return a.Mint(ctx, by, 0, spec)
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
	return a.db.RevokeToken(ctx, id, a.audit(by, "token.revoke", id))
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
	return a.TokenFrom(r.Context(), secret, remoteAddr(r))
}

// Token returns the principal that a secret stands for, used from an address
// that is not known.
func (a *Accounts) Token(ctx context.Context, secret string) (Principal, error) {
	return a.TokenFrom(ctx, secret, netip.Addr{})
}

// TokenFrom returns the principal that a secret, used from addr, stands for. A
// token of an account holds what the account holds now; one of a suspended
// account is known and may do nothing but read what is public.
func (a *Accounts) TokenFrom(ctx context.Context, secret string, addr netip.Addr) (Principal, error) {
	if !WellFormed(secret) {
		return Principal{}, errBadToken("it is not a token of this registry (mistyped or cut off?)")
	}
	hash := a.hashOf(ctx, secret)
	version, err := a.db.AccessVersion(ctx) // before anything is read
	if err != nil {
		return Principal{}, err
	}
	if p, expires, ok := a.recall(hash, version); ok && (expires.IsZero() || a.now().Before(expires)) {
		p.Addr = addr
		a.touch(ctx, p.ID)
		return p, nil
	}
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
	p, err := a.holder(ctx, t)
	if err != nil {
		return Principal{}, err
	}
	a.remember(hash, knownToken{p: p, expires: t.Expires, version: version})
	p.Addr = addr
	a.touch(ctx, t.ID)
	return p, nil
}

// knownToken is what TokenFrom found out, good while the database's
// AccessVersion is the same: a client asks many things in a row.
type knownToken struct {
	p       Principal // without Addr
	expires time.Time
	version uint64
}

func (a *Accounts) recall(hash []byte, version uint64) (p Principal, expires time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.known[[sha256.Size]byte(hash)]
	if !ok || k.version != version {
		return Principal{}, time.Time{}, false
	}
	return k.p, k.expires, true
}

func (a *Accounts) remember(hash []byte, k knownToken) {
	// Whoever adds to them must not write where others read.
	k.p.Scopes, k.p.Roles, k.p.Networks = slices.Clip(k.p.Scopes), slices.Clip(k.p.Roles), slices.Clip(k.p.Networks)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= maxCached {
		a.known = map[[sha256.Size]byte]knownToken{}
	}
	a.known[[sha256.Size]byte(hash)] = k
}

// holder is the principal of a token in force.
func (a *Accounts) holder(ctx context.Context, t store.Token) (Principal, error) {
	p := Principal{ID: t.ID, Name: t.Name, Token: t.Name, Admin: t.Admin}
	for _, f := range []struct {
		from []byte
		to   any
	}{{t.Scopes, &p.Scopes}, {t.Networks, &p.Networks}, {t.Run, &p.Run}} {
		if len(f.from) > 0 {
			if err := json.Unmarshal(f.from, f.to); err != nil {
				return Principal{}, err
			}
		}
	}
	if t.Account == 0 {
		return p, nil
	}
	p.Proved = proved(p.Scopes, t.Account, t.Run, t.Created)
	acct, err := a.db.Account(ctx, t.Account)
	if errors.Is(err, clyde.ErrNotFound) {
		return Principal{}, errBadToken("its account is gone")
	}
	if err != nil {
		return Principal{}, err
	}
	if err := a.own(ctx, &p, acct); err != nil {
		return Principal{}, err
	}
	p.Admin = t.Admin && acct.Admin && p.Suspended == ""
	if acct.Admin && !p.Admin && p.Suspended == "" {
		p.Roles = append(p.Roles, Role{Pattern: "*", Name: RoleOwner, Via: viaAdmin})
	}
	return p, nil
}

// touch records the use of a token at most every touchEach.
func (a *Accounts) touch(ctx context.Context, id string) {
	if a.due(id) {
		// Losing this write costs a coarse timestamp, so its error is no reason to refuse the request.
		_ = a.db.TouchToken(ctx, id, a.now())
	}
}

// due reports whether the use of id is to be recorded, at most every touchEach.
func (a *Accounts) due(id string) bool {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.touched[id]; ok && now.Sub(last) < touchEach {
		return false
	}
	if len(a.touched) >= maxCached {
		clear(a.touched)
	}
	a.touched[id] = now
	return true
}
