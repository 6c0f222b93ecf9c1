package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of what a namespace says about builds. Both are ours.
const (
	MaxBuildDays  = 3650 // days after its version in which a build may come; Always is no end
	MaxRebuilders = 32   // who may attach builds besides the publisher of a version

	Always = store.Always // BuildPolicy.Days without an end
)

// BuildPolicy is who may attach builds to the versions of a namespace besides
// whoever published them, and until when.
type BuildPolicy struct {
	Namespace string
	Days      int // after the version, or Always
	// Rebuilders are logins, "publisher:ID" of a trusted publisher or "token:ID"
	// of a token without an account, sorted.
	Rebuilders []string
}

// rebuilderRE is what is no login: Publication.Identity of a run or of a token.
var rebuilderRE = regexp.MustCompile(`^(publisher|token):[A-Za-z0-9._-]{1,64}$`)

const accountIdentity = "account:" // begins Publication.Identity of a person

// BuildPolicy returns what a namespace says about builds, for who manages it.
func (a *Accounts) BuildPolicy(ctx context.Context, by Principal, namespace string) (out BuildPolicy, err error) {
	defer clyde.Wrap(&err, "account.BuildPolicy(%s)", namespace)
	if err := a.managesAll(ctx, by, namespace); err != nil {
		return out, err
	}
	p, err := a.db.BuildPolicy(ctx, namespace)
	if err != nil {
		return out, err
	}
	out = BuildPolicy{Namespace: namespace, Days: p.Days, Rebuilders: []string{}}
	for _, r := range p.Rebuilders {
		if n, ok := strings.CutPrefix(r, accountIdentity); ok {
			id, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return out, err
			}
			who, err := a.db.Account(ctx, id)
			if errors.Is(err, clyde.ErrNotFound) {
				continue // whoever it was attaches nothing any more
			}
			if err != nil {
				return out, err
			}
			r = who.Login
		}
		out.Rebuilders = append(out.Rebuilders, r)
	}
	slices.Sort(out.Rebuilders)
	return out, nil
}

// SetBuildPolicy replaces what a namespace says about builds, for who manages it.
// Builds that are attached stay.
func (a *Accounts) SetBuildPolicy(ctx context.Context, by Principal, p BuildPolicy) (err error) {
	defer clyde.Wrap(&err, "account.SetBuildPolicy(%s)", p.Namespace)
	if err := a.managesAll(ctx, by, p.Namespace); err != nil {
		return err
	}
	if p.Days != Always && (p.Days < 0 || p.Days > MaxBuildDays) {
		return clyde.Errorf(clyde.ErrInvalid, "builds cannot be accepted for %d days", p.Days).WithCode("build_days").
			Fix("Give 0 to %d days, or %d for ever.", MaxBuildDays, Always)
	}
	if len(p.Rebuilders) > MaxRebuilders {
		return clyde.Errorf(clyde.ErrInvalid, "%d rebuilders; the limit is %d", len(p.Rebuilders), MaxRebuilders).WithCode("rebuilder_invalid")
	}
	before, err := a.db.BuildPolicy(ctx, p.Namespace)
	if err != nil {
		return err
	}
	var ids []string
	for _, r := range p.Rebuilders {
		if slices.Contains(before.Rebuilders, r) { // which may be gone since
			ids = append(ids, r)
			continue
		}
		id, err := a.rebuilder(ctx, r)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	row := store.BuildPolicy{Namespace: p.Namespace, Days: p.Days, Rebuilders: ids}
	e := a.audit(by, "namespace.builds", "@"+p.Namespace)
	e.Before, e.After = asJSON(policyFacts(before)), asJSON(policyFacts(row))
	return a.db.SetBuildPolicy(ctx, row, e)
}

// policyFacts is a policy as the audit log has it.
func policyFacts(p store.BuildPolicy) map[string]any {
	return map[string]any{"days": p.Days, "rebuilders": append([]string{}, p.Rebuilders...)}
}

// rebuilder returns the identity that a word of BuildPolicy.Rebuilders stands for.
// A word that would let nobody in is refused.
func (a *Accounts) rebuilder(ctx context.Context, word string) (string, error) {
	if kind, id, ok := strings.Cut(word, ":"); ok {
		if !rebuilderRE.MatchString(word) {
			return "", clyde.Errorf(clyde.ErrInvalid, "%.80q is no rebuilder", word).WithCode("rebuilder_invalid").
				Fix("Give a login, publisher:ID of a trusted publisher, or token:ID of a token.")
		}
		return word, a.mayRebuild(ctx, kind, id)
	}
	who, err := a.db.AccountByLogin(ctx, word)
	if errors.Is(err, clyde.ErrNotFound) {
		return "", clyde.Errorf(clyde.ErrInvalid, "there is no account %.80q to rebuild", word).WithCode("rebuilder_invalid").
			Fix("Give the login of somebody who has signed in here, publisher:ID of a trusted publisher, or token:ID of a token.")
	}
	return fmt.Sprint(accountIdentity, who.ID), err
}

// mayRebuild returns nil where builds can come from a trusted publisher or a
// token of this ID.
func (a *Accounts) mayRebuild(ctx context.Context, kind, id string) error {
	var err error
	if kind == "publisher" {
		_, err = a.db.Publisher(ctx, id)
	} else {
		var t store.Token
		if t, err = a.db.Token(ctx, id); err == nil && t.Account != 0 {
			return clyde.Errorf(clyde.ErrInvalid, "the token %s is somebody's: what it attaches, its owner does", id).WithCode("rebuilder_invalid").
				Fix("Give the login of its owner.")
		}
	}
	if errors.Is(err, clyde.ErrNotFound) {
		return clyde.Errorf(clyde.ErrInvalid, "there is no %s with the ID %s to rebuild", kind, id).WithCode("rebuilder_invalid").
			Fix("Give the ID, not the name: the lists of tokens and of trusted publishers have it first.")
	}
	return err
}

// managesAll returns nil where by may manage all of a namespace that exists.
func (a *Accounts) managesAll(ctx context.Context, by Principal, namespace string) error {
	if err := clyde.CheckNamespace(namespace); err != nil {
		return err
	}
	if err := Authorize(by, Manage, Resource{Repo: namespace + "/*"}); err != nil {
		return err
	}
	_, err := a.db.Namespace(ctx, namespace)
	return err
}
