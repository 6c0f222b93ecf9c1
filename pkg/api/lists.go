package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// PackageList is which packages an organisation lets be used, signed by it.
type PackageList struct {
	Namespace string          `json:"namespace"`
	Version   int64           `json:"version" doc:"grows with each change"`
	Expires   time.Time       `json:"expires" doc:"from then on nobody may rely on it"`
	Digest    string          `json:"digest" doc:"of the document"`
	Document  string          `json:"document" doc:"YAML of kind PackageList, byte for byte as it was signed"`
	Signature json.RawMessage `json:"signature" doc:"sigstore bundle over the document, of the predicate type https://clyde.dev/package-list/v1"`
	By        string          `json:"by" doc:"who sent it"`
	At        time.Time       `json:"at" doc:"when"`
}

// PackageListRequest publishes it.
type PackageListRequest struct {
	Document  string          `json:"document" maxLength:"1048576" doc:"YAML of kind PackageList"`
	Signature json.RawMessage `json:"signature" doc:"sigstore bundle over the document's bytes"`
}

type (
	packageListOutput struct{ Body PackageList }
	packageListInput  struct {
		NamespacePath
		Body PackageListRequest
	}
)

func packageListView(row store.SignedList, l *policy.List) PackageList {
	return PackageList{
		Namespace: row.Namespace, Version: l.Version, Expires: l.Expires, Digest: l.Digest.String(),
		Document: string(row.Document), Signature: row.Signature, By: row.By, At: row.At,
	}
}

func (s *server) lists() {
	const at = base + "/namespaces/{namespace}/package-list"
	add(s, operation{
		id: "get-package-list", method: "GET", path: at, tag: "access", summary: "Get the list of packages that an organisation allows or denies",
		about: "Which packages the owners of the namespace let be used, and which not, with their signature. Whoever relies on it checks that, its version against the last one seen, and when it ends; `clyde` does, for a policy that follows it. Anybody may read it.",
	}, func(ctx context.Context, in *NamespacePath) (*packageListOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		row, l, err := s.Signing.PackageList(ctx, ns)
		if err != nil {
			return nil, err
		}
		return &packageListOutput{packageListView(row, l)}, nil
	})
	add(s, operation{
		id: "set-package-list", method: "PUT", path: at, tag: "access", summary: "Publish the list of packages that an organisation allows or denies", token: true, errors: writing, body: 2*policy.MaxListSize + signing.MaxBlob,
		about: "Publishes the list. It must be signed by one of those whom `lists` in the namespace's signing policy names, and have a higher version than any before it; the same again changes nothing. For owners.",
	}, func(ctx context.Context, in *packageListInput) (*packageListOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		row, l, err := s.Signing.SetPackageList(ctx, callOf(ctx).who, ns, []byte(in.Body.Document), in.Body.Signature)
		if err != nil {
			return nil, err
		}
		return &packageListOutput{packageListView(row, l)}, nil
	})
	add(s, operation{
		id: "delete-package-list", method: "DELETE", path: at, tag: "access", summary: "Take an organisation's list away", token: true, status: http.StatusNoContent, errors: []int{404},
		about: "Takes the list away. Its version is remembered: the next one must be higher. Who follows it is refused everything until they stop following it. For owners who signed in recently.",
	}, func(ctx context.Context, in *NamespacePath) (*struct{}, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		return nil, s.Signing.DropPackageList(ctx, callOf(ctx).who, ns)
	})
}
