// Command seed fills a running registry with packages made from a file of
// metadata, through the API that every publisher uses. Records that break a
// rule of the registry are changed by a stated rule, and every change is
// written to a report. Seeding twice publishes nothing the second time.
//
//	go run ./internal/devtools/seed -registry http://127.0.0.1:8080 -token-file data/admin-token -data packages.jsonl
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// workers publish at once. More do not help: the disk decides.
const workers = 8

// attempts is how often a package is tried while the registry is busy or does
// not answer, with 1, 2, 4 and 8 seconds between.
const attempts = 5

type options struct {
	registry, tokenFile, data, report string
	limit                             int
}

func main() {
	var o options
	flag.StringVar(&o.registry, "registry", "http://127.0.0.1:8080", "address of the registry")
	flag.StringVar(&o.tokenFile, "token-file", "data/admin-token", "file with a token that may publish everywhere; $CLYDE_TOKEN comes first")
	flag.StringVar(&o.data, "data", "examples/packages.jsonl", "packages, a JSON object a line")
	flag.StringVar(&o.report, "report", "seed-report.txt", "where to write what was changed; empty: nowhere")
	flag.IntVar(&o.limit, "limit", 0, "publish the first N only; 0: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, os.Getenv("CLYDE_TOKEN"), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "seed: %v\n", err)
		os.Exit(1)
	}
}

// run is the whole program. token, where set, comes before the token file.
func run(ctx context.Context, o options, token string, stdout io.Writer) error {
	start := time.Now()
	if token == "" {
		b, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return fmt.Errorf("no token: %w; start the registry once, or name another file (TOKEN_FILE=)", err)
		}
		token = strings.TrimSpace(string(b))
	}
	f, err := os.Open(o.data)
	if err != nil {
		return err
	}
	defer f.Close()
	records, err := readRecords(f)
	if err != nil {
		return fmt.Errorf("%s: %w", o.data, err)
	}
	if o.limit > 0 && o.limit < len(records) {
		records = records[:o.limit]
	}
	c, err := client.New(client.Options{BaseURL: o.registry, Token: token, UserAgent: "clyde-seed"})
	if err != nil {
		return err
	}
	conv := newConverter(records)
	s := seeder{client: c, total: len(records), stdout: stdout}
	if err := s.publish(ctx, conv, records); err != nil {
		return err
	}
	if err := report(o, conv.changes, s.failed, stdout); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d of %d packages are in %s after %.1f s (%.0f a second)\n",
		s.done, s.total, o.registry, time.Since(start).Seconds(), float64(s.done)/time.Since(start).Seconds())
	if len(s.failed) > 0 {
		return fmt.Errorf("%d packages were refused; the first: %w", len(s.failed), s.failed[0])
	}
	return nil
}

// seeder publishes, and counts.
type seeder struct {
	client *client.Client
	total  int
	stdout io.Writer

	mu     sync.Mutex
	done   int
	failed []error
}

// publish publishes all records. It returns an error only where going on makes
// no sense: nobody is there, or the token is not good.
func (s *seeder) publish(ctx context.Context, conv *converter, records []record) error {
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan release)
	g.Go(func() error {
		defer close(work)
		for _, r := range records { // one converter: its report has the file's order
			rel, err := conv.release(r)
			if err != nil {
				s.fail(err)
				continue
			}
			select {
			case work <- rel:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workers {
		g.Go(func() error {
			for rel := range work {
				if err := s.one(ctx, rel); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *seeder) one(ctx context.Context, rel release) error {
	var err error
	for attempt := range attempts {
		_, err = s.client.Publish(ctx, rel.Manifest, bytes.NewReader(rel.Archive), artifact.TypeSourceGzip, "")
		if !errors.Is(err, clyde.ErrUnavailable) && !errors.Is(err, clyde.ErrRateLimited) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second << attempt):
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, clyde.ErrUnauthenticated), errors.Is(err, clyde.ErrUnavailable):
		return err // and so it would be for all others
	default:
		s.fail(fmt.Errorf("%s %s: %w", rel.Name, rel.Version, err))
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if s.done%500 == 0 {
		fmt.Fprintf(s.stdout, "%d of %d\n", s.done, s.total)
	}
	return nil
}

func (s *seeder) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, err)
}

// rules says what is done to what breaks a rule, by kind of change.
var rules = map[string]string{
	"dependency":  "left out: no package of this file has that name",
	"description": "one line of at most 300 characters, cut after a word",
	"homepage":    "left out: not an http or https address",
	"keywords":    "lower case, hyphens for blanks, at most 24 characters each and ten of them",
	"license":     "LicenseRef-, since it is no SPDX expression",
	"name":        "what the grammar refuses becomes a hyphen",
	"namespace":   "what the grammar refuses becomes a hyphen",
	"type":        "the nearest of our types",
	"version":     "kept as upstream_version; the version is it without v and +build, or the date in it, or 0.0.N",
}

// report prints how many records each rule changed, and writes every change to
// a file, one a line.
func report(o options, changes []change, failed []error, stdout io.Writer) error {
	byKind := map[string]int{}
	for _, c := range changes {
		byKind[c.Kind]++
	}
	if len(changes) > 0 {
		fmt.Fprintln(stdout, "changed to meet the registry's rules:")
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		for _, k := range slices.Sorted(maps.Keys(byKind)) {
			fmt.Fprintf(w, "  %s\t%d\t%s\n", k, byKind[k], rules[k])
		}
		_ = w.Flush()
	}
	if o.report == "" {
		return nil
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Package, b.Package))
	})
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s into %s: every change, and why\n", o.data, o.registry)
	for _, c := range changes {
		to := fmt.Sprintf("%q", c.To)
		if c.To == "" {
			to = "nothing"
		}
		fmt.Fprintf(&b, "%s\t%s\t%q became %s\t%s\n", c.Kind, c.Package, c.From, to, rules[c.Kind])
	}
	for _, err := range failed {
		fmt.Fprintf(&b, "failed\t%v\n", err)
	}
	if err := os.WriteFile(o.report, b.Bytes(), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "every change is in %s\n", o.report)
	return nil
}
