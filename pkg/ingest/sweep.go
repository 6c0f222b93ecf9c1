package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

const (
	// goneAfter is the least time between two answers that a digest is gone,
	// before that is believed (design: Deleted upstream).
	goneAfter = time.Hour

	// lookAgainAfter is the age at which the signatures of a version that a sweep
	// passes are looked at again. Ours: notifications are faster, and each look is
	// some four requests.
	lookAgainAfter = time.Hour

	// maxInARow is how many repositories in a row may be without an answer before
	// it is the registry that is down, and not a repository that is broken. Ours.
	maxInARow = 5

	// sweepLanes is how many repositories of one registry are looked at at once.
	// Ours: enough to hide latency; the registry's own pace bounds the rest.
	sweepLanes = 4
)

// SweepUpstream walks the repositories of a foreign registry, from where the
// last walk stopped, and applies what the catalogue does not know. A trouble with
// one repository is noted and the walk goes on; where the registry does not
// answer at all it stops, and the next one resumes. It removes nothing by what is
// missing in a list: see vanished.
func (in *Ingest) SweepUpstream(ctx context.Context, r *upstream.Registry) (rep Report, err error) {
	defer clyde.Wrap(&err, "ingest.SweepUpstream(%s)", r.Name())
	at, err := in.DB.UpstreamSweep(ctx, r.Host())
	if err != nil {
		return rep, err
	}
	if at.Started.IsZero() {
		at.Started, at.Position = in.Now().UTC().Truncate(time.Millisecond), "" // as it is stored
	}
	s := &sweep{in: in, r: r, rep: &rep}
	walkErr := s.walk(ctx, &at)
	at.Problem = ""
	switch {
	case walkErr != nil:
		at.Problem = reason(walkErr)
	default:
		at.Started, at.Finished, at.Position = time.Time{}, in.Now().UTC(), ""
		if s.noCatalog != nil {
			at.Problem = reason(s.noCatalog)
		}
	}
	return rep, errors.Join(walkErr, in.DB.SaveUpstreamSweep(context.WithoutCancel(ctx), at))
}

// sweep is one walk.
type sweep struct {
	in        *Ingest
	r         *upstream.Registry
	noCatalog error // why the list of all repositories could not be read to its end

	mu     sync.Mutex
	rep    *Report
	inARow int // repositories about which the registry did not answer
}

// add counts what was found in a repository. It fails when the registry as a
// whole does not answer.
func (s *sweep) add(r Report, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, clyde.ErrUnavailable) || errors.Is(err, clyde.ErrRateLimited) {
		s.inARow++
	} else {
		s.inARow = 0
	}
	if err != nil {
		r.Failed++
	}
	s.rep.Repositories += r.Repositories
	s.rep.Tags += r.Tags
	s.rep.Applied += r.Applied
	s.rep.Failed += r.Failed
	if err != nil && (s.inARow >= maxInARow || s.r.Held().After(time.Now())) {
		return err // asking about the next one would not be better
	}
	return nil
}

// The walk is in two parts, each in the order of names: first what the registry
// lists, then what we know or were told of besides. Positions of the second begin
// with known.
const known = "\x01"

func (s *sweep) walk(ctx context.Context, at *store.UpstreamSweep) error {
	if len(at.Position) == 0 || at.Position[:1] != known {
		if err := s.listed(ctx, at); err != nil {
			return err
		}
		at.Position = known
	}
	return s.known(ctx, at)
}

// listed walks the catalog. One that cannot be read costs nothing but the names
// that nobody told us of.
func (s *sweep) listed(ctx context.Context, at *store.UpstreamSweep) error {
	for {
		paths, err := s.r.Catalog(ctx, at.Position, sweepPage)
		if ctx.Err() != nil {
			return err
		}
		if e := clyde.AsError(err); e != nil && e.Code == "no_catalog" {
			return nil
		}
		if err != nil {
			s.noCatalog = err
			s.in.Log.WarnContext(ctx, "ingest: catalog", "registry", s.r.Name(), "err", err)
			return nil
		}
		var repos []string
		for _, p := range paths {
			// What cannot come from here is not looked at by a sweep: its publisher
			// learns of it from the notification.
			if repo, ok := s.r.Repo(p); ok && s.mayBeOurs(repo) {
				repos = append(repos, repo)
			}
		}
		if err := s.page(ctx, repos); err != nil {
			return err
		}
		if len(paths) < sweepPage {
			return nil
		}
		if err := s.advance(ctx, at, paths[len(paths)-1]); err != nil {
			return err
		}
	}
}

func (s *sweep) mayBeOurs(repo string) bool {
	name, err := clyde.ParseRepo(repo)
	if err != nil {
		return false
	}
	_, ok := s.r.Binds(name.Namespace)
	return ok
}

// known walks the repositories that hold packages and those that the
// configuration names. What the catalog had is looked at once only: it was seen
// since the walk began.
func (s *sweep) known(ctx context.Context, at *store.UpstreamSweep) error {
	if at.Position == known {
		if err := s.page(ctx, s.r.Listed()); err != nil {
			return err
		}
	}
	for {
		rows, err := s.in.DB.UpstreamRepos(ctx, s.r.Host(), at.Position[1:], sweepPage)
		if err != nil {
			return err
		}
		var repos []string
		for _, row := range rows {
			if row.Seen.Before(at.Started) {
				repos = append(repos, row.Repo)
			}
		}
		if err := s.page(ctx, repos); err != nil {
			return err
		}
		if len(rows) < sweepPage {
			return nil
		}
		if err := s.advance(ctx, at, known+rows[len(rows)-1].Repo); err != nil {
			return err
		}
	}
}

// advance notes how far the walk came, so that it resumes there.
func (s *sweep) advance(ctx context.Context, at *store.UpstreamSweep, position string) error {
	at.Position = position
	return s.in.DB.SaveUpstreamSweep(ctx, *at)
}

// page looks at some repositories, several at a time. It fails when the registry
// as a whole does not answer.
func (s *sweep) page(ctx context.Context, repos []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sweepLanes)
	for _, repo := range repos {
		g.Go(func() error {
			rep, err := s.in.sweepRepo(ctx, s.r, repo)
			if ctx.Err() != nil {
				return err
			}
			if err != nil {
				s.in.Log.WarnContext(ctx, "ingest: sweep", "registry", s.r.Name(), "repo", repo, "err", err)
			}
			return s.add(rep, err)
		})
	}
	return g.Wait()
}

// sweepRepo applies what is new in one repository, and looks for what went.
func (in *Ingest) sweepRepo(ctx context.Context, r *upstream.Registry, repo string) (rep Report, err error) {
	rep.Repositories = 1
	home, err := in.home(ctx, repo)
	if err != nil || home != nil && home != r {
		return rep, err
	}
	tags, err := r.Tags(ctx, repo, "", 0)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return rep, err
	}
	listed := err == nil
	there := map[string]bool{} // digests that tags name
	changed := map[string]bool{}
	for _, tag := range tags {
		if subject := Refers(tag); subject != "" {
			changed[subject] = true
			continue
		}
		rep.Tags++
		d, err := in.sweepTag(ctx, r, repo, tag, &rep)
		if err != nil {
			return rep, err
		}
		there[d] = true
	}
	if err := in.sweepReleases(ctx, r, repo, there, changed, &rep); err != nil {
		return rep, err
	}
	row, err := in.DB.UpstreamRepo(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) {
		return rep, nil // nothing of it is a package
	}
	if err != nil {
		return rep, err
	}
	if row.Seen = in.Now(); listed {
		_, err = in.DB.SaveUpstreamRepo(ctx, row)
	}
	return rep, err
}

// sweepTag applies one tag unless the catalogue has it already, and returns the
// digest that it names.
func (in *Ingest) sweepTag(ctx context.Context, r *upstream.Registry, repo, tag string, rep *Report) (string, error) {
	d, err := r.Resolve(ctx, repo, tag)
	if errors.Is(err, clyde.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	ev := clyde.Event{Source: r.Name(), Action: clyde.ActionPush, Repo: repo, Tag: tag, Digest: d.Digest.String(), Received: in.Now().UTC()}
	if ok, err := in.settled(ctx, ev); err != nil || ok {
		return ev.Digest, err
	}
	applied, err := in.applySafely(ctx, ev)
	switch {
	case err == nil:
		if applied {
			rep.Applied++
		} else {
			in.unpackaged.Put(repo+"@"+ev.Digest, struct{}{}, len(repo)+len(ev.Digest))
		}
		return ev.Digest, nil
	case ctx.Err() != nil:
		return "", err
	case !permanent(err):
		return "", err
	}
	rep.Failed++
	return ev.Digest, in.DB.ParkEvent(ctx, ev, reason(err))
}

// settled reports whether nothing is to be done about a tag: it is in the
// catalogue, it was found to be no package, or it is parked for what it is.
func (in *Ingest) settled(ctx context.Context, ev clyde.Event) (bool, error) {
	if _, ok := in.unpackaged.Get(ev.Repo + "@" + ev.Digest); ok {
		return true, nil
	}
	ps, err := in.DB.Problems(ctx, ev.Repo)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(ps, func(p store.InboxItem) bool {
		return p.Event.Tag == ev.Tag && p.Event.Digest == ev.Digest && in.Now().Sub(p.Updated) < lookAgainAfter
	}) {
		return true, nil
	}
	r, err := in.DB.ReleaseByDigest(ctx, ev.Repo, ev.Digest)
	if err == nil && (r.State == "gone" || r.Version != ev.Tag) {
		return false, nil
	}
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return false, err
	}
	return in.known(ctx, ev)
}

// sweepReleases looks at the versions that the catalogue has: at who may see
// them, at signatures that may have come or gone, and at those whose tag is not
// there.
func (in *Ingest) sweepReleases(ctx context.Context, r *upstream.Registry, repo string, there, changed map[string]bool, rep *Report) error {
	rs, err := in.DB.Releases(ctx, repo)
	if err != nil {
		return err
	}
	seen := false
	for _, rel := range rs {
		if !there[rel.Digest] {
			if err := in.vanished(ctx, r, rel); err != nil {
				return err
			}
			continue
		}
		if !seen {
			if seen = true; !r.Everyone() {
				if err := in.showAgain(ctx, r, repo, digest.Digest(rel.Digest)); err != nil {
					return err
				}
			}
		}
		if err := in.DB.ForgetMissing(ctx, repo, rel.VersionKey); err != nil {
			return err
		}
		if !changed[rel.Digest] && in.Now().Sub(rel.Checked) < lookAgainAfter {
			continue
		}
		applied, err := in.reverifyLocked(ctx, repo, rel.Digest)
		if err != nil {
			return err
		}
		if applied {
			rep.Applied++
		}
	}
	return nil
}

// showAgain is show for a package that is in the catalogue.
func (in *Ingest) showAgain(ctx context.Context, r *upstream.Registry, repo string, d digest.Digest) error {
	changed, err := in.show(ctx, r, repo, d)
	if err != nil || !changed {
		return err
	}
	return in.Relatest(ctx, repo)
}

// vanished looks whether a version is gone for good: the registry answered twice,
// an hour apart, that its digest is not there, while it answers that another one
// is. Then nobody resolves to it any more; its row and what was derived stay, and
// it is back with its tag. Anything less removes nothing.
func (in *Ingest) vanished(ctx context.Context, r *upstream.Registry, rel store.Release) error {
	if rel.State != "visible" {
		return nil
	}
	first, err := in.missing(ctx, r, rel)
	if err != nil || first.IsZero() || in.Now().Sub(first) < goneAfter {
		return err
	}
	alive, err := in.alive(ctx, r, rel)
	if err != nil || !alive {
		return err
	}
	change := store.Change{Time: in.Now().UTC(), Type: "version.removed", Package: "@" + rel.Repo, Version: rel.Version, Digest: rel.Digest, Actor: r.Name()}
	if err := in.DB.SetReleaseState(ctx, rel.Repo, rel.VersionKey, "gone", change); err != nil {
		return err
	}
	in.Log.InfoContext(ctx, "ingest: gone upstream", "registry", r.Name(), "repo", rel.Repo, "version", rel.Version, "first", first)
	return in.Relatest(ctx, rel.Repo)
}

// missing asks for a version's digest, and returns since when the registry has
// answered that it is gone; zero when it is there.
func (in *Ingest) missing(ctx context.Context, r *upstream.Registry, rel store.Release) (first time.Time, err error) {
	has, err := r.Has(ctx, rel.Repo, digest.Digest(rel.Digest))
	if err != nil {
		return first, err
	}
	if has {
		return first, in.DB.ForgetMissing(ctx, rel.Repo, rel.VersionKey)
	}
	return in.DB.NoteMissing(ctx, rel.Repo, rel.VersionKey, rel.Digest, in.Now())
}

// maxAlive bounds the digests that are asked for to see whether a registry
// answers truly. Ours.
const maxAlive = 5

// alive reports whether the registry has a version that we know besides rel, of
// the same package or another.
func (in *Ingest) alive(ctx context.Context, r *upstream.Registry, rel store.Release) (bool, error) {
	asked := 0
	for after := ""; ; {
		rows, err := in.DB.UpstreamRepos(ctx, r.Host(), after, sweepPage)
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			after = row.Repo
			rs, err := in.DB.Releases(ctx, row.Repo)
			if err != nil {
				return false, err
			}
			for _, other := range rs {
				if other.State != "visible" || other.Digest == rel.Digest {
					continue
				}
				has, err := r.Has(ctx, row.Repo, digest.Digest(other.Digest))
				if has || err != nil {
					return has, err
				}
				if asked++; asked == maxAlive {
					return false, nil
				}
			}
		}
		if len(rows) < sweepPage {
			return false, nil
		}
	}
}
