package web

import (
	"context"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/policy"
)

// Policies is whose signatures the packages of namespaces must carry. Who may
// change that is decided there.
type Policies interface {
	SigningPolicy(ctx context.Context, namespace string) (account.SigningPolicy, error)
	SetSigningPolicy(ctx context.Context, by account.Principal, namespace, text string, logNames bool) (account.SigningPolicy, error)
	Trusts() *policy.Trusts
}

func (s *Web) setPolicy(r request, p subject) (string, error) {
	text := strings.ReplaceAll(r.PostFormValue("policy"), "\r\n", "\n")
	if strings.TrimSpace(text) == "" || r.PostForm.Has("undo") {
		text = ""
	}
	_, err := s.o.Policies.SetSigningPolicy(r.Context(), r.who, p.name.Namespace, text, r.PostForm.Has("log_names"))
	return "saved", err
}
