package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// SigningPolicy is whose signatures the packages of a namespace must carry.
type SigningPolicy struct {
	Namespace string     `json:"namespace"`
	Policy    string     `json:"policy"` // YAML; "" is none
	Digest    string     `json:"digest,omitempty"`
	LogNames  bool       `json:"log_names"` // who signs private packages may be put on public record
	By        string     `json:"by,omitempty"`
	At        *time.Time `json:"at,omitempty"`
}

func signingPolicyPath(namespace string) string {
	return "/namespaces/" + url.PathEscape(namespace) + "/signing-policy"
}

// SigningPolicy returns what a namespace asks for.
func (c *Client) SigningPolicy(ctx context.Context, namespace string) (SigningPolicy, error) {
	var out SigningPolicy
	err := c.call(ctx, http.MethodGet, signingPolicyPath(namespace), nil, &out, nil)
	return out, err
}

// SetSigningPolicy replaces it; "" takes it away.
func (c *Client) SetSigningPolicy(ctx context.Context, namespace, policy string, logNames bool) (SigningPolicy, error) {
	var out SigningPolicy
	err := c.call(ctx, http.MethodPut, signingPolicyPath(namespace), struct {
		Policy   string `json:"policy"`
		LogNames bool   `json:"log_names,omitempty"`
	}{policy, logNames}, &out, nil)
	return out, err
}

// Author is who signed, in words where a CI provider vouches for a run.
type Author struct {
	Who   string `json:"who"`   // as Release.Signers has it
	Words string `json:"words"` // "GitHub Actions, acme/zlib, release.yml, tag v1.3.1"
	Run   string `json:"run,omitempty"`
}

// Reason is one thing that is not in order with the signatures of a version.
type Reason struct {
	Code string `json:"code"`
	Text string `json:"text"` // a sentence without its full stop
}

// Attested is what a verified attestation says of a version.
type Attested struct {
	Kind          string `json:"kind"` // provenance | sbom | vex | other
	PredicateType string `json:"predicate_type"`
	By            string `json:"by"`
	Builder       string `json:"builder,omitempty"`
	Source        string `json:"source,omitempty"`
	Commit        string `json:"commit,omitempty"`
	Run           string `json:"run,omitempty"`
	Format        string `json:"format,omitempty"`
	Components    int    `json:"components,omitempty"`
}

// PackageList is which packages an organisation lets be used, signed by it.
type PackageList struct {
	Namespace string          `json:"namespace"`
	Version   int64           `json:"version"`
	Expires   time.Time       `json:"expires"`
	Digest    string          `json:"digest"`
	Document  string          `json:"document"`
	Signature json.RawMessage `json:"signature"`
	By        string          `json:"by"`
	At        time.Time       `json:"at"`
}

func packageListPath(namespace string) string {
	return "/namespaces/" + url.PathEscape(namespace) + "/package-list"
}

// PackageList returns the list of a namespace. Nothing in it is checked.
func (c *Client) PackageList(ctx context.Context, namespace string) (PackageList, error) {
	var out PackageList
	err := c.call(ctx, http.MethodGet, packageListPath(namespace), nil, &out, nil)
	return out, err
}

// SetPackageList publishes the list of a namespace, with a sigstore bundle over it.
func (c *Client) SetPackageList(ctx context.Context, namespace string, document, bundle []byte) (PackageList, error) {
	var out PackageList
	err := c.call(ctx, http.MethodPut, packageListPath(namespace), struct {
		Document  string          `json:"document"`
		Signature json.RawMessage `json:"signature"`
	}{string(document), bundle}, &out, nil)
	return out, err
}

// DropPackageList takes it away.
func (c *Client) DropPackageList(ctx context.Context, namespace string) error {
	return c.call(ctx, http.MethodDelete, packageListPath(namespace), nil, nil, nil)
}
