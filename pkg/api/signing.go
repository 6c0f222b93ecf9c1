package api

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Signing is whose signatures the packages of namespaces must carry.
type Signing interface {
	// SigningPolicy returns that of a namespace, zero where it has none.
	SigningPolicy(ctx context.Context, namespace string) (store.SigningPolicy, error)
	// SetSigningPolicy replaces it on behalf of by, an owner; "" takes it away.
	SetSigningPolicy(ctx context.Context, by account.Principal, namespace, text string, logNames bool) (store.SigningPolicy, error)
	// PackageList returns the list of a namespace, or clyde.ErrNotFound.
	PackageList(ctx context.Context, namespace string) (store.SignedList, *policy.List, error)
	// SetPackageList publishes it on behalf of by, an owner, with its signature.
	SetPackageList(ctx context.Context, by account.Principal, namespace string, document, signature []byte) (store.SignedList, *policy.List, error)
	// DropPackageList takes it away.
	DropPackageList(ctx context.Context, by account.Principal, namespace string) error
	// Trusts are the sigstores that the registry relies on.
	Trusts() *policy.Trusts
}

// SigningPolicy is whose signatures the packages of a namespace must carry.
type SigningPolicy struct {
	Namespace string     `json:"namespace"`
	Policy    string     `json:"policy" doc:"YAML, as it was set; empty: none"`
	Digest    string     `json:"digest,omitempty" doc:"of the policy"`
	LogNames  bool       `json:"log_names" doc:"who signs its private packages may be put on public record"`
	By        string     `json:"by,omitempty" doc:"who set it"`
	At        *time.Time `json:"at,omitempty" doc:"when; absent where nobody ever did"`
}

// SigningPolicyRequest sets it.
type SigningPolicyRequest struct {
	Policy   string `json:"policy" maxLength:"262144" doc:"YAML, of kind VerificationPolicy; empty asks for nothing"`
	LogNames bool   `json:"log_names,omitempty" doc:"who signs private packages may be put on public record"`
}

// TrustRoot is a sigstore that the registry relies on.
type TrustRoot struct {
	Name   string `json:"name" doc:"as policies of namespaces name it" example:"public"`
	Public bool   `json:"public" doc:"the public sigstore"`
	Ready  bool   `json:"ready" doc:"whether its trusted root is there; one by TUF is fetched when it is first needed"`
	Digest string `json:"digest,omitempty" doc:"of its trusted root"`
}

// TrustRootList are the sigstores that the registry relies on.
type TrustRootList struct {
	Items []TrustRoot `json:"items"`
}

type (
	signingPolicyOutput struct{ Body SigningPolicy }
	signingPolicyInput  struct {
		NamespacePath
		Body SigningPolicyRequest
	}
	trustRootsOutput struct{ Body TrustRootList }
	trustRootPath    struct {
		Root string `path:"root" maxLength:"64" doc:"Name of the sigstore." example:"public"`
	}
)

// trustRootType is the media type of a trusted root, whose own mediaType names
// the version.
const trustRootType = "application/vnd.dev.sigstore.trustedroot+json"

func signingPolicyView(p store.SigningPolicy) SigningPolicy {
	v := SigningPolicy{Namespace: p.Namespace, Policy: p.Policy, LogNames: p.LogNames, By: p.By, At: moment(p.At)}
	if p.Policy != "" {
		v.Digest = digest.FromString(p.Policy).String()
	}
	return v
}

func (s *server) signing() {
	const at = base + "/namespaces/{namespace}/signing-policy"
	add(s, operation{
		id: "get-signing-policy", method: "GET", path: at, tag: "access", summary: "Get the signing policy of a namespace",
		about: "Whose signatures the packages of the namespace must carry. A version that does not waits, and only those who publish there see it. Anybody may read the policy.",
	}, func(ctx context.Context, in *NamespacePath) (*signingPolicyOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		p, err := s.Signing.SigningPolicy(ctx, ns)
		return &signingPolicyOutput{signingPolicyView(p)}, err
	})
	add(s, operation{
		id: "set-signing-policy", method: "PUT", path: at, tag: "access", summary: "Set the signing policy of a namespace", token: true, errors: writing, body: 2 * policy.MaxSize,
		about: "Replaces the policy. It is about packages of the namespace alone, relies on sigstores that the registry knows, and is refused where anybody's signature would do. What is published is looked at again: what waits and need not any longer is shown, and what everybody has seen stays. An empty policy takes it away. For owners who signed in recently.",
	}, func(ctx context.Context, in *signingPolicyInput) (*signingPolicyOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		p, err := s.Signing.SetSigningPolicy(ctx, callOf(ctx).who, ns, in.Body.Policy, in.Body.LogNames)
		return &signingPolicyOutput{signingPolicyView(p)}, err
	})
	add(s, operation{
		id: "list-trust-roots", method: "GET", path: base + "/trust-roots", tag: "registry", summary: "List the sigstores that count",
		about: "Sigstores whose certificates count here, for signatures made without a key.",
	}, func(context.Context, *struct{}) (*trustRootsOutput, error) {
		out := TrustRootList{Items: []TrustRoot{}}
		for _, t := range s.Signing.Trusts().Sources() {
			v := TrustRoot{Name: t.Name, Public: t.Public}
			if tr := s.Signing.Trusts().Known(t.Name); tr != nil {
				v.Ready, v.Digest = true, tr.Hash.String()
			}
			out.Items = append(out.Items, v)
		}
		return &trustRootsOutput{out}, nil
	})
	add(s, operation{
		id: "get-trust-root", method: "GET", path: base + "/trust-roots/{root}", tag: "registry", summary: "Get a trusted root",
		about: "The trusted_root.json that signatures are checked against here, for clyde verify --trusted-root and cosign verify --trusted-root.", errors: []int{404, 503},
		content: map[string]any{trustRootType: `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`},
	}, func(ctx context.Context, in *trustRootPath) (*rawOutput, error) {
		callOf(ctx).cache = cacheRevalidate
		tr, err := s.Signing.Trusts().Root(in.Root)
		if err != nil {
			return nil, err
		}
		return &rawOutput{trustRootType, tr.JSON}, nil
	})
}
