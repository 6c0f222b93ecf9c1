package main

import (
	"context"
	"fmt"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// young says why a version is not old enough, or "". How old it is, the proven
// times of its signatures say, and the registry in use of its own packages; the
// earlier counts, since a signature may be made later. What a package says of
// itself never does. Where nobody says it, that is an ErrUnavailable error.
func (j *judge) young(ctx context.Context, l located, d *policy.Decision) (string, error) {
	if j.who.minAge <= 0 {
		return "", nil
	}
	var since time.Time
	known := func(t time.Time) {
		if !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t
		}
	}
	if d != nil && d.Report != nil {
		for _, s := range d.Report.Signatures {
			for _, t := range s.Times {
				if s.State == signing.StateVerified {
					known(t)
				}
			}
		}
	}
	own, err := j.app.address()
	if err != nil {
		return "", err
	}
	if j.archive == nil && (since.IsZero() || time.Since(since) < j.who.minAge) && own.host == l.at.host && l.subject.Version != "" {
		c, err := j.app.api(ctx)
		if err != nil {
			return "", err
		}
		r, err := c.Release(ctx, l.name, l.subject.Version)
		if err != nil {
			return "", err
		}
		if r.Digest == l.subject.Digest.String() {
			known(r.Published)
		}
	}
	if since.IsZero() {
		return "", clyde.Errorf(clyde.ErrUnavailable, "nobody says since when there is %s", l).WithCode("age_unknown").
			Fix("give a policy under which its signatures prove a time").Fix("leave out --min-age")
	}
	if age := time.Since(since); age < j.who.minAge {
		return fmt.Sprintf("it is %s old, and --min-age asks for %s", max(age, 0).Round(time.Second), j.who.minAge), nil
	}
	return "", nil
}
