package signing

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// signRequestTimeout bounds one request to a signing service. A Rekor v2
	// answers when its next batch is stored, after two seconds or so.
	signRequestTimeout = 30 * time.Second
	// lastPromising is the last version of Rekor's API that promises an entry,
	// which is what the old format holds of it.
	lastPromising = 1
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

// certificateMargin is how long before its certificate ends a key is used no
// more: timestamps and log entries are made after the signature.
const certificateMargin = 2 * time.Minute

// KeylessSigner signs with a key that lives as long as the signer, or as its
// certificate, which says who asked for it: however much is signed, the
// certificate authority sees the identity token once. It is for one goroutine.
type KeylessSigner struct {
	services *Services
	trust    *Trust
	token    string
	made     *Authority // who signed, known after the first signature

	pair  *sign.EphemeralKeypair
	cert  []byte    // of pair, DER
	until time.Time // when another pair is to be made
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
	b, err := s.bundle(ctx, &sign.DSSEData{Data: statement, PayloadType: inTotoMediaType}, false)
	if err != nil {
		return nil, err
	}
	over, err := firstSubject(b)
	if err != nil {
		return nil, err
	}
	if err := s.learn(b, over); err != nil {
		return nil, err
	}
	return protojson.Marshal(b)
}

// bundle signs content with the certificate in force, for the old format where
// legacy says so.
func (s *KeylessSigner) bundle(ctx context.Context, content sign.Content, legacy bool) (*protobundle.Bundle, error) {
	now := time.Now()
	opts, err := s.options(ctx, now, legacy)
	if err != nil {
		return nil, err
	}
	if s.pair == nil || now.After(s.until) {
		if s.pair, err = sign.NewEphemeralKeypair(nil); err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		s.cert = nil
	}
	opts.CertificateProvider = &certifier{s, opts.CertificateProvider}
	b, err := sign.Bundle(content, s.pair, opts)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "no signature could be made: %s", serviceFailure(err)).WithCode("signing_failed").Because(err)
	}
	return b, nil
}

// certifier asks for the certificate of a signer's key once.
type certifier struct {
	s    *KeylessSigner
	from sign.CertificateProvider
}

// GetCertificate returns the certificate, DER.
func (c *certifier) GetCertificate(ctx context.Context, k sign.Keypair, opts *sign.CertificateProviderOptions) ([]byte, error) {
	if c.s.cert != nil {
		return c.s.cert, nil
	}
	der, err := c.from.GetCertificate(ctx, k, opts)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c.s.cert, c.s.until = der, cert.NotAfter.Add(-certificateMargin)
	return der, nil
}

// options picks the services that are in force at now. For the old format,
// logs whose entries it cannot hold are left alone.
func (s *KeylessSigner) options(ctx context.Context, now time.Time, legacy bool) (sign.BundleOptions, error) {
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
			if legacy && x.MajorAPIVersion > lastPromising {
				continue
			}
			opts.TransparencyLogs = append(opts.TransparencyLogs,
				sign.NewRekor(&sign.RekorOptions{BaseURL: x.URL, Version: x.MajorAPIVersion, Timeout: signRequestTimeout, Retries: signRetries}))
		}
	}
	if len(opts.TimestampAuthorities)+len(opts.TransparencyLogs) == 0 && !legacy {
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
func (s *KeylessSigner) learn(b *protobundle.Bundle, over artifact) error {
	logs := len(b.GetVerificationMaterial().GetTlogEntries())
	stamps := len(b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps())
	a := Authority{Name: "signer", Trust: s.trust, Keyless: &Keyless{IgnoreSCT: len(s.trust.material.CTLogs()) == 0}, TransparencyLog: logs, Timestamps: max(stamps, 1)}
	c, err := newAuthority(a)
	if err != nil {
		return err
	}
	p, err := c.prove(b, over)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnverified, "what was signed does not verify against the trusted root: %s", clip(err.Error())).
			WithCode("signature_not_trusted").Fix("give --trusted-root of the same sigstore as --signing-config").Because(err)
	}
	a.Keyless.Identities = []Identity{{Issuer: p.certificate.Issuer, Subject: p.certificate.Subject}}
	if s.made == nil || logs >= s.made.TransparencyLog { // the old format proves less
		s.made = &a
	}
	return nil
}

// SignPayload signs a payload in the old format. Its layer has room for a
// timestamp, and for an entry of a log that promises it (Rekor 1); entries of
// Rekor 2 have no place there, so whoever checks such a signature asks for no
// log. With neither it would end with its certificate, and is refused: a
// clyde.ErrInvalid error with the code legacy_needs_time.
func (s *KeylessSigner) SignPayload(ctx context.Context, payload []byte) (map[string]string, error) {
	b, err := s.bundle(ctx, &sign.PlainData{Data: payload}, true)
	if err != nil {
		return nil, err
	}
	if err := s.learn(b, artifact{payload: payload}); err != nil {
		return nil, err
	}
	annotations, err := legacyAnnotations(b)
	if err != nil {
		return nil, err
	}
	if annotations[annotationTimestamp] == "" && annotations[annotationBundle] == "" {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a signature in the old format would end with its certificate: no timestamp authority signs, and the log makes no promises").
			WithCode("legacy_needs_time").Fix("leave out --legacy, or sign with --key")
	}
	return annotations, nil
}

// serviceFailure says why a service refused, in one line.
func serviceFailure(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return clip(s)
}
