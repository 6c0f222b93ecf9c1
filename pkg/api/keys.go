package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Key is a public key that a namespace vouches for.
type Key struct {
	Namespace   string     `json:"namespace"`
	Name        string     `json:"name" doc:"whose, or what for"`
	PEM         string     `json:"pem"`
	Fingerprint string     `json:"fingerprint" example:"SHA256:…"`
	By          string     `json:"by" doc:"who registered it"`
	Created     time.Time  `json:"created_at"`
	Revoked     *time.Time `json:"revoked_at,omitempty" doc:"absent while it is in force"`
}

func keyView(k store.Key) Key {
	return Key{Namespace: k.Namespace, Name: k.Name, PEM: k.PEM, Fingerprint: k.Fingerprint, By: k.By, Created: k.Created, Revoked: moment(k.Revoked)}
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// KeyList are the keys of a namespace, oldest first.
type KeyList struct {
	Items []Key `json:"items"`
}

// KeyRequest registers a key.
type KeyRequest struct {
	Name string `json:"name" minLength:"1" maxLength:"100" doc:"whose, or what for"`
	PEM  string `json:"pem" maxLength:"16384" doc:"public key, as cosign writes it to cosign.pub"`
}

// NamespacePath is the part of a path that names a namespace.
type NamespacePath struct {
	Namespace string `path:"namespace" maxLength:"64" doc:"Namespace, with or without a leading @." example:"acme"`
}

func (in NamespacePath) namespace() (string, error) {
	ns := strings.TrimPrefix(in.Namespace, "@")
	return ns, clyde.CheckNamespace(ns)
}

type addKeyInput struct {
	NamespacePath
	Body KeyRequest
}

type revokeKeyInput struct {
	NamespacePath
	Fingerprint string `query:"fingerprint" required:"true" maxLength:"128" doc:"Fingerprint of the key." example:"SHA256:…"`
}

type (
	keysOutput struct{ Body KeyList }
	keyOutput  struct{ Body Key }
)

func (s *server) keys() {
	const at = base + "/namespaces/{namespace}/keys"
	add(s, operation{
		id: "list-keys", method: "GET", path: at, tag: "access", summary: "List the public keys of a namespace",
		about: "Keys whose signatures count for the packages of the namespace, revoked ones too. Anybody may read them.",
	}, func(ctx context.Context, in *NamespacePath) (*keysOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		ks, err := s.Keys.Keys(ctx, ns)
		out := &keysOutput{KeyList{Items: make([]Key, len(ks))}}
		for i, k := range ks {
			out.Body.Items[i] = keyView(k)
		}
		return out, err
	})
	add(s, operation{
		id: "add-key", method: "POST", path: at, tag: "access", summary: "Register a public key", status: http.StatusCreated, token: true,
		about: "Signatures made with it count from now on; what is published already is looked at again. The same key again replaces its name, and puts a revoked one in force.", errors: []int{408, 413, 415, 422},
	}, func(ctx context.Context, in *addKeyInput) (*keyOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		k, err := s.Keys.AddKey(ctx, callOf(ctx).who, ns, in.Body.Name, in.Body.PEM)
		return &keyOutput{keyView(k)}, err
	})
	add(s, operation{
		id: "revoke-key", method: "DELETE", path: at, tag: "access", summary: "Revoke a public key", token: true, status: http.StatusNoContent,
		about: "Signatures made with it count no longer.", errors: []int{404},
	}, func(ctx context.Context, in *revokeKeyInput) (*struct{}, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		return nil, s.Keys.RevokeKey(ctx, callOf(ctx).who, ns, in.Fingerprint)
	})
}
