package main

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// yankedPatience is how long an installation waits for word about versions that
// were withdrawn. Ours: it is advice, and what is locked installs without it.
const yankedPatience = 3 * time.Second

// yankedSince asks the index which versions of a lock file were yanked after
// they were locked, while the installation runs, and returns what says so: a
// warning for each. A registry that does not answer is no reason to fail: what is
// locked is fetched by its digest from wherever it still is.
func (a *app) yankedSince(ctx context.Context, lock *resolve.Lock) (warn func()) {
	ctx, cancel := context.WithTimeout(ctx, yankedPatience)
	found := make(chan []resolve.Outdated, 1)
	go func() {
		defer close(found)
		src, err := a.index(false)
		if err != nil {
			return
		}
		defer src.Close()
		src.Prefetch(ctx, wanted(resolve.Request{Lock: lock})...)
		if all, err := lock.Outdated(ctx, src); err == nil {
			found <- all
		}
	}()
	return func() {
		defer cancel()
		for _, o := range <-found {
			if o.Yanked == "" {
				continue
			}
			next := "no other version fits"
			if !o.Fits.Equal(o.Locked) {
				next = "clyde update " + o.Name.String() + " takes " + o.Fits.String()
			}
			a.say("warning: %s %s is locked and was yanked: %s; %s", o.Name, o.Locked, clean(o.Yanked), next)
		}
	}
}
