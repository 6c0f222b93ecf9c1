package signing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// signRequestTimeout bounds one request to a signing service. A Rekor v2
	// answers when its next batch is stored, after two seconds or so.
	signRequestTimeout = 30 * time.Second
	// signRetries is how often a service that fails with 5xx is asked again.
	signRetries = 2
	// IdentityAudience is the audience that Fulcio wants of an identity token.
	IdentityAudience = "sigstore"
	// MaxIdentityToken is the largest identity token used, in bytes; GitHub's
	// and GitLab's are under 3 KiB.
	MaxIdentityToken = 16 << 10
)

// Services says where a signature without a key gets its certificate, its
// timestamps and its entries in logs.
type Services struct {
	// Public is set for the public sigstore: what is signed there is on record
	// for everybody, forever, with the name of who signed.
	Public bool

	config *root.SigningConfig
}

// ParseServices reads a signing configuration in sigstore's form
// (signing_config.v0.2.json). Services speak HTTPS, or HTTP on this machine:
// they are shown an identity token. What is wrong is a clyde.ErrInvalid error
// with the code bad_signing_config.
func ParseServices(data []byte) (*Services, error) {
	bad := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("bad_signing_config")
	}
	if len(data) > MaxTrustRoot {
		return nil, bad("the signing configuration is %d bytes; the limit is %d", len(data), MaxTrustRoot)
	}
	sc, err := root.NewSigningConfigFromJSON(data)
	if err != nil {
		return nil, bad("the signing configuration cannot be read").Because(err).
			Fix("give a signing_config.v0.2.json, as cosign signing-config create makes it")
	}
	s := &Services{config: sc}
	for _, list := range [][]root.Service{sc.FulcioCertificateAuthorityURLs(), sc.RekorLogURLs(), sc.TimestampAuthorityURLs(), sc.OIDCProviderURLs()} {
		for _, x := range list {
			u, err := url.Parse(x.URL)
			if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
				return nil, bad("the signing configuration names %q, which is no https address", clip(x.URL))
			}
			if h := u.Hostname(); h == "sigstore.dev" || strings.HasSuffix(h, ".sigstore.dev") {
				s.Public = true
			}
		}
	}
	if len(sc.FulcioCertificateAuthorityURLs()) == 0 {
		return nil, bad("the signing configuration names no certificate authority")
	}
	return s, nil
}

// ServicesFromFile reads a signing configuration from a file.
func ServicesFromFile(path string) (*Services, error) {
	data, err := readBounded(path, MaxTrustRoot)
	if err != nil {
		return nil, err
	}
	return ParseServices(data)
}

// OIDCIssuer returns the address of the issuer that people sign in with, or "".
func (s *Services) OIDCIssuer() string {
	x, err := root.SelectService(s.config.OIDCProviderURLs(), []uint32{1}, time.Now())
	if err != nil {
		return ""
	}
	return x.URL
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// KeylessSigner signs with a key that lives as long as the call, and a
// certificate that says who asked for it.
type KeylessSigner struct {
	services *Services
	trust    *Trust
	token    string
	made     *Authority // who signed, known after the first signature
}

var _ Signer = (*KeylessSigner)(nil)

// NewKeyless returns a signer for whoever the identity token (a JWT for the
// audience IdentityAudience) is about. What it makes is verified against trust
// before anybody sees it.
func NewKeyless(s *Services, trust *Trust, token string) (*KeylessSigner, error) {
	switch {
	case s == nil || trust == nil:
		return nil, clyde.Errorf(clyde.ErrInvalid, "signing without a key needs a signing configuration and the trusted root of the same sigstore")
	case token == "" || len(token) > MaxIdentityToken || strings.Count(token, ".") != 2:
		return nil, clyde.Errorf(clyde.ErrInvalid, "the identity token is no JWT").WithCode("bad_identity_token").
			Fix("get a fresh one for the audience %q", IdentityAudience)
	}
	return &KeylessSigner{services: s, trust: trust, token: token}, nil
}

// Authority returns whose signatures these are, nil before the first.
func (s *KeylessSigner) Authority() *Authority { return s.made }

// SignStatement returns a v0.3 bundle with a certificate, and with the
// timestamps and log entries that the services ask for.
func (s *KeylessSigner) SignStatement(ctx context.Context, statement []byte) ([]byte, error) {
	opts, err := s.options(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("signing.SignStatement: %w", err)
	}
	b, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: inTotoMediaType}, pair, opts)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "no signature could be made: %s", serviceFailure(err)).WithCode("signing_failed").Because(err)
	}
	data, err := protojson.Marshal(b)
	if err != nil {
		return nil, err
	}
	if err := s.learn(data, len(opts.TransparencyLogs), len(opts.TimestampAuthorities)); err != nil {
		return nil, err
	}
	return data, nil
}

// options picks the services that are in force at now.
func (s *KeylessSigner) options(ctx context.Context, now time.Time) (sign.BundleOptions, error) {
	sc := s.services.config
	none := func(what string, err error) (sign.BundleOptions, error) {
		return sign.BundleOptions{}, clyde.Errorf(clyde.ErrInvalid, "the signing configuration names no %s that works today", what).
			WithCode("bad_signing_config").Because(err)
	}
	ca, err := root.SelectService(sc.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return none("certificate authority", err)
	}
	opts := sign.BundleOptions{
		Context:                    ctx,
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: ca.URL, Timeout: signRequestTimeout, Retries: signRetries, Transport: noRedirect{}}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: s.token},
	}
	if list := sc.TimestampAuthorityURLs(); len(list) > 0 {
		chosen, err := root.SelectServices(list, sc.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return none("timestamp authority", err)
		}
		for _, x := range chosen {
			opts.TimestampAuthorities = append(opts.TimestampAuthorities,
				sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: x.URL, Timeout: signRequestTimeout, Retries: signRetries}))
		}
	}
	if list := sc.RekorLogURLs(); len(list) > 0 {
		chosen, err := root.SelectServices(list, sc.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
		if err != nil {
			return none("transparency log", err)
		}
		for _, x := range chosen {
			opts.TransparencyLogs = append(opts.TransparencyLogs,
				sign.NewRekor(&sign.RekorOptions{BaseURL: x.URL, Version: x.MajorAPIVersion, Timeout: signRequestTimeout, Retries: signRetries}))
		}
	}
	if len(opts.TimestampAuthorities)+len(opts.TransparencyLogs) == 0 {
		return none("timestamp authority and no log: nothing would say when it was signed, and its certificate ends in minutes", nil)
	}
	return opts, nil
}

// noRedirect carries the identity token to the address that was configured, and
// nowhere that one points to.
type noRedirect struct{}

func (noRedirect) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
		_ = res.Body.Close()
		return nil, errors.New("it answers with a redirect")
	}
	return res, err
}

// learn verifies a bundle that was just made and remembers who made it.
func (s *KeylessSigner) learn(data []byte, logs, stamps int) error {
	b, err := parseBundle(data)
	if err != nil {
		return fmt.Errorf("signing.SignStatement: %w", err)
	}
	a := Authority{Name: "signer", Trust: s.trust, Keyless: &Keyless{IgnoreSCT: len(s.trust.material.CTLogs()) == 0}, TransparencyLog: logs, Timestamps: max(stamps, 1)}
	c, err := newAuthority(a)
	if err != nil {
		return err
	}
	over, err := firstSubject(b)
	if err != nil {
		return err
	}
	p, err := c.prove(b, over)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnverified, "what was signed does not verify against the trusted root: %s", clip(err.Error())).
			WithCode("signature_not_trusted").Fix("give --trusted-root of the same sigstore as --signing-config").Because(err)
	}
	a.Keyless.Identities = []Identity{{Issuer: p.certificate.Issuer, Subject: p.certificate.Subject}}
	s.made = &a
	return nil
}

// SignPayload refuses: logs of today give nothing that the old format can hold,
// and without it such a signature ends with its certificate.
func (s *KeylessSigner) SignPayload(context.Context, []byte) (map[string]string, error) {
	return nil, clyde.Errorf(clyde.ErrInvalid, "a signature in the old format needs a key").WithCode("legacy_needs_key").
		Fix("leave out --legacy, or sign with --key")
}

// serviceFailure says why a service refused, in one line.
func serviceFailure(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return clip(s)
}
