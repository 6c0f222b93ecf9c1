// Package oidc verifies OpenID Connect ID tokens of issuers that the
// configuration names, as machines present them. It knows nothing of what a
// token is good for.
//
// Sources of its rules: OpenID Connect Core 1.0 (3.1.3.7) and Discovery 1.0
// (4.3), RFC 7515, RFC 7517, RFC 7519, and RFC 8725 (JWT best practices).
package oidc

import "time"

// Limits of a token and of what an issuer answers. All are ours: they lie far
// above what GitHub, GitLab and Forgejo send, and bound what others can cost.
const (
	MaxToken    = 16 << 10         // bytes of a token in its compact form
	MaxDocument = 1 << 20          // bytes of a discovery document or key set
	MaxKeys     = 64               // keys of a set that are looked at
	MaxDepth    = 8                // nesting of JSON in a token
	MaxLifetime = 24 * time.Hour   // from iat to exp: what a replay has to be remembered for
	Leeway      = 60 * time.Second // for clocks that differ
	Timeout     = 10 * time.Second // for one fetch of discovery document and keys together
	KeysAge     = time.Hour        // after which keys are fetched again; a withdrawn key lives that long at most
	MinRefresh  = time.Minute      // between two fetches because of an unknown key
	RetryAfter  = 10 * time.Second // between two fetches when the first failed
	minRSA      = 2048             // bits (RFC 7518, 3.3)
	maxRSA      = 8192             // bits: what a check of a signature may cost
)
