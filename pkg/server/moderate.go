package server

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Arguments of the commands of moderation.
type (
	// Moderate decides about a version; Version "*" is the whole package.
	Moderate struct {
		Package  string `json:"package"`
		Version  string `json:"version"`
		Decision string `json:"decision"` // one of account.Decisions
		Reason   string `json:"reason"`
	}
	// Suspend suspends an account, or with Reason "" ends that.
	Suspend struct {
		Login  string `json:"login"`
		Reason string `json:"reason"`
	}
	// Reports lists reports in a state.
	Reports struct {
		State string `json:"state"`
		Limit int    `json:"limit"`
	}
	// CloseReport closes a report.
	CloseReport struct {
		ID       string `json:"id"`
		Decision string `json:"decision"`
	}
)

// maxModerated bounds the list of what is withdrawn. Ours: more than anybody
// reads.
const maxModerated = 10_000

// newModerator returns what withdraws versions from every part.
func (p *Parts) newModerator() *account.Moderator {
	return &account.Moderator{
		DB: p.DB, Now: p.Now, Changed: p.Ingest.Relatest,
		Erase: func(ctx context.Context, m store.Moderation, digest string, change store.Change, audit store.AuditEntry) error {
			return p.Ingest.Erase(ctx, p.Registry, m, digest, change, audit)
		},
	}
}

func (p *Parts) moderate(ctx context.Context, a Moderate) (any, error) {
	name, err := clyde.ParseName(a.Package)
	if err != nil {
		return nil, err
	}
	return p.Moderator.Decide(ctx, System, name, a.Version, a.Decision, a.Reason)
}

func (p *Parts) suspend(ctx context.Context, a Suspend) (any, error) {
	if a.Reason == "" {
		return nil, p.Accounts.Unsuspend(ctx, System, a.Login)
	}
	return nil, p.Accounts.Suspend(ctx, System, a.Login, a.Reason)
}
