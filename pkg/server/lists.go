package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// listRead is a list that the registry keeps, as API and clients want it: who
// signed it, they find out themselves.
func listRead(row store.SignedList) (store.SignedList, *policy.List, error) {
	if len(row.Document) == 0 {
		return row, nil, clyde.Errorf(clyde.ErrNotFound, "@%s has published no list", row.Namespace).WithCode("list_unknown")
	}
	l, err := policy.ParseList(row.Document)
	return row, l, err
}

// PackageList returns the list of a namespace, or clyde.ErrNotFound.
func (s policies) PackageList(ctx context.Context, namespace string) (store.SignedList, *policy.List, error) {
	row, err := s.p.DB.SignedList(ctx, namespace)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return store.SignedList{}, nil, err
	}
	row.Namespace = namespace
	return listRead(row)
}

// SetPackageList publishes the list of a namespace on behalf of an owner. It must
// be signed by one of those whom the namespace's signing policy names for it, and
// be newer than the one before; the same again changes nothing.
func (s policies) SetPackageList(ctx context.Context, by account.Principal, namespace string, document, signature []byte) (store.SignedList, *policy.List, error) {
	p := s.p
	fail := func(err error) (store.SignedList, *policy.List, error) { return store.SignedList{}, nil, err }
	if err := clyde.CheckNamespace(namespace); err != nil {
		return fail(err)
	}
	if err := account.Authorize(by, account.Own, account.Resource{Repo: namespace + "/*"}); err != nil {
		return fail(err)
	}
	l, err := s.checkList(ctx, namespace, document, signature)
	if e := clyde.AsError(err); e != nil && (e.Kind == clyde.ErrUnverified || e.Code == "list_expired") {
		// To whoever checks a list it means that it cannot be relied on; whoever
		// sends one has sent a wrong one.
		err = clyde.Errorf(clyde.ErrInvalid, "%s", e.Msg).WithCode(e.Code)
	}
	if err != nil {
		return fail(err)
	}
	was, err := p.DB.SignedList(ctx, namespace)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return fail(err)
	}
	if err := l.Follows(was.Version, document, was.Document); err != nil {
		return fail(err)
	}
	if l.Version == was.Version && string(was.Signature) == string(signature) {
		return was, l, nil
	}
	row := store.SignedList{Namespace: namespace, Version: l.Version, Document: document, Signature: signature, By: by.String(), At: p.Now().UTC()}
	audit := by.Audit(row.At, "namespace.list", "@"+namespace)
	if audit.Before, err = listLine(was, nil); err == nil {
		audit.After, err = listLine(row, l)
	}
	if err != nil {
		return fail(err)
	}
	return row, l, p.DB.SetSignedList(ctx, row, l.Version == was.Version, audit)
}

// checkList holds a list against who may sign it by the namespace's policy.
func (s policies) checkList(ctx context.Context, namespace string, document, signature []byte) (*policy.List, error) {
	row, err := s.p.DB.SigningPolicy(ctx, namespace)
	if err != nil {
		return nil, err
	}
	nobody := clyde.Errorf(clyde.ErrInvalid, "the signing policy of @%s names nobody who may sign its list", namespace).WithCode("list_authorities").
		Fix("say who, under lists: in its policy: clyde policy set @%s FILE", namespace)
	if row.Policy == "" {
		return nil, nobody
	}
	parsed, err := policy.Parse([]byte(row.Policy))
	if err != nil {
		return nil, fmt.Errorf("the signing policy of @%s: %w", namespace, err)
	}
	parsed.Roots(s.p.Trusts.Read)
	from, ok := parsed.ListOf(namespace)
	if !ok {
		return nil, nobody
	}
	return parsed.CheckList(ctx, from, document, signature, s.p.Now())
}

// DropPackageList takes the list of a namespace away on behalf of an owner who
// signed in recently. Its version is remembered, so that no older one follows.
func (s policies) DropPackageList(ctx context.Context, by account.Principal, namespace string) error {
	if err := clyde.CheckNamespace(namespace); err != nil {
		return err
	}
	if err := s.p.Accounts.OwnsRecently(by, namespace+"/*", "taking a list away"); err != nil {
		return err
	}
	was, l, err := s.PackageList(ctx, namespace)
	if err != nil {
		return err
	}
	audit := by.Audit(s.p.Now().UTC(), "namespace.list", "@"+namespace)
	if audit.Before, err = listLine(was, l); err != nil {
		return err
	}
	return s.p.DB.SetSignedList(ctx, store.SignedList{Namespace: namespace, Version: was.Version, By: by.String(), At: s.p.Now().UTC()}, true, audit)
}

// listLine is what the audit log keeps of a list.
func listLine(row store.SignedList, l *policy.List) (string, error) {
	if len(row.Document) == 0 {
		return "", nil
	}
	if l == nil {
		var err error
		if l, err = policy.ParseList(row.Document); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(struct {
		Version  int64    `json:"version"`
		Digest   string   `json:"digest"`
		Expires  string   `json:"expires"`
		Allow    int      `json:"allow"`
		Deny     int      `json:"deny"`
		SignedBy []string `json:"signed_by,omitempty"`
	}{l.Version, l.Digest.String(), l.Expires.Format("2006-01-02T15:04:05Z"), len(l.Allow), len(l.Deny), l.SignedBy})
	return string(b), err
}
