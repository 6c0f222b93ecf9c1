package web

import (
	"context"
	"errors"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
)

// Policies is whose signatures the packages of namespaces must carry, and which
// packages their owners let be used. Who may change that is decided there.
type Policies interface {
	SigningPolicy(ctx context.Context, namespace string) (account.SigningPolicy, error)
	SetSigningPolicy(ctx context.Context, by account.Principal, namespace, text string, logNames bool) (account.SigningPolicy, error)
	Trusts() *policy.Trusts

	// PackageList returns the list of a namespace, or clyde.ErrNotFound.
	PackageList(ctx context.Context, namespace string) (account.SignedList, *policy.List, error)
	DropPackageList(ctx context.Context, by account.Principal, namespace string) error
}

// packageList is the list of a namespace as its settings show it; nil where it
// has none.
type packageList struct {
	*policy.List

	Row   account.SignedList
	Ended bool
}

func (s *Web) packageList(ctx context.Context, namespace string) (*packageList, error) {
	row, l, err := s.o.Policies.PackageList(ctx, namespace)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &packageList{l, row, !s.o.Now().Before(l.Expires)}, nil
}

// dropList takes a list away. One is published where its authors sign it, by
// clyde policy set-list: no private key is ever typed into a page.
func (s *Web) dropList(r request, p subject) (string, error) {
	return "unlisted", s.o.Policies.DropPackageList(r.Context(), r.who, p.name.Namespace)
}

func (s *Web) setPolicy(r request, p subject) (string, error) {
	text := strings.ReplaceAll(r.PostFormValue("policy"), "\r\n", "\n")
	if strings.TrimSpace(text) == "" || r.PostForm.Has("undo") {
		text = ""
	}
	_, err := s.o.Policies.SetSigningPolicy(r.Context(), r.who, p.name.Namespace, text, r.PostForm.Has("log_names"))
	return "saved", err
}
