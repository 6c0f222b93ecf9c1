package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// RunUpstream sweeps a registry until ctx ends: every interval, or when it may be
// asked again. It begins at once, where the last walk stopped.
func (in *Ingest) RunUpstream(ctx context.Context, r *upstream.Registry) error {
	for {
		began := in.Now()
		rep, err := in.SweepUpstream(ctx, r)
		if ctx.Err() != nil {
			return nil
		}
		every := r.SweepEvery()
		pause := every
		if err != nil {
			in.Log.WarnContext(ctx, "ingest: sweep", "registry", r.Name(), "err", err)
			pause = min(every, resumeAfter)
		}
		if held := time.Until(r.Held()); held > pause {
			pause = held
		}
		in.Log.InfoContext(ctx, "ingest: swept", "registry", r.Name(), "repositories", rep.Repositories, "tags", rep.Tags,
			"applied", rep.Applied, "failed", rep.Failed, "took", in.Now().Sub(began).Round(time.Millisecond).String())
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// resumeAfter is how soon a walk that was broken off goes on. Ours.
const resumeAfter = 30 * time.Second

// bindConfigured binds the namespaces that the configuration gives to registries,
// before anything is pushed there or here, and lets those see what is hidden whom
// the configuration names. What cannot be bound is said and left as it is.
func (in *Ingest) bindConfigured(ctx context.Context) error {
	for _, r := range in.Upstreams.All() {
		for ns, prefix := range r.Configured() {
			err := in.DB.BindNamespace(ctx, store.UpstreamNamespace{Namespace: ns, Host: r.Host(), Prefix: prefix, Created: in.Now()}, "registry:"+r.Name())
			if errors.Is(err, clyde.ErrConflict) {
				in.Log.ErrorContext(ctx, "ingest: a namespace is not bound", "registry", r.Name(), "err", reason(err))
				continue
			}
			if err != nil {
				return fmt.Errorf("registries: %s: %w", r.Name(), err)
			}
			if err := in.letSee(ctx, r, ns); err != nil {
				return err
			}
		}
	}
	return nil
}

// letSee makes readers of a namespace of those whom the configuration names.
func (in *Ingest) letSee(ctx context.Context, r *upstream.Registry, ns string) error {
	for _, login := range r.VisibleTo() {
		a, err := in.DB.AccountByLogin(ctx, login)
		if errors.Is(err, clyde.ErrNotFound) {
			continue // never signed in
		}
		if err != nil {
			return err
		}
		pattern := ns + "/*"
		held, err := in.DB.Grants(ctx, ns)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(held, func(g store.Grant) bool {
			return g.Pattern == pattern && g.HolderKind == store.OwnerAccount && g.Holder == a.ID
		}) {
			continue // reader, or more
		}
		by := "registry:" + r.Name()
		err = in.DB.SetGrant(ctx, store.Grant{Pattern: pattern, HolderKind: store.OwnerAccount, Holder: a.ID, Role: "reader", By: by, Created: in.Now()},
			store.AuditEntry{Time: in.Now(), Actor: by, Action: "grant.set", Resource: "@" + pattern, Detail: `{"role":"reader","by":"configuration"}`})
		if err != nil {
			return err
		}
	}
	return nil
}
