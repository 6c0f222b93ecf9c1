// Package signin lets people sign in with GitHub or an OpenID Connect provider.
// It says who a provider vouched for; what that person may do is decided by
// package account.
//
// Sources of its rules: RFC 6749 and RFC 9700 (OAuth 2.0 and its best current
// practice), RFC 7636 (PKCE), RFC 9207 (iss), OpenID Connect Core 1.0, and
// GitHub's documentation of its OAuth apps.
package signin
