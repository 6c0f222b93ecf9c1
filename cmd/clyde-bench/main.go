// Command clyde-bench measures the registry beside plain distribution, in one
// run on one disk, taking turns, so that the ratios mean something on a machine
// that others use too.
//
//	bench NAME OURS PEER RATIO
//
// is one figure on standard output. NAME ends with the unit: _per_s, _ms, _s,
// _MB, _MBps (10^6 bytes). RATIO is how many times better ours is, also where
// less is better; PEER and RATIO are "-" where nothing comparable exists.
// Remarks are on standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// sizes says how much is measured.
type sizes struct {
	rounds   int // turns of ours and the peer
	small    int // packages pushed and pulled in a turn, by each number of workers
	blob     int // bytes of the large blob
	packages int // of the large catalogue
	queries  int // searches of a measurement
	visible  int // pushes timed until they are found
	graph    int // packages that require each other, with twenty versions each
	runs     int // of the client, as a whole process
	locked   int // packages of a lock file whose signatures are checked
}

var (
	full  = sizes{rounds: 3, small: 100, blob: 500e6, packages: 100_000, queries: 2000, visible: 60, graph: 200, runs: 20, locked: 100}
	quick = sizes{rounds: 1, small: 8, blob: 8e6, packages: 400, queries: 60, visible: 5, graph: 10, runs: 2, locked: 5}
)

// bench is one run.
type bench struct {
	sizes
	quick   bool
	only    *regexp.Regexp
	dir     string // scratch
	data    string // file of packages, or ""
	profile string // directory for profiles of the measured servers, or ""
	stdout  io.Writer
	log     *log.Logger
}

// run is the whole program but for os.Exit. It returns 0, 1 when a measurement
// failed, or 2 for a wrong call.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && children[args[0]] != nil {
		if err := serveChild(ctx, args[0], args[1:], stdin, stdout); err != nil {
			fmt.Fprintf(stderr, "clyde-bench %s: %v\n", args[0], err)
			return 1
		}
		return 0
	}
	fs := flag.NewFlagSet("clyde-bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var (
		fast    = fs.Bool("quick", false, "small numbers: does it work, not how fast is it")
		only    = fs.String("only", "", "measure only what has a figure whose name matches this regular `expression`")
		dir     = fs.String("dir", "", "an empty `directory` to work in; default one under the system's temporary directory, removed afterwards")
		data    = fs.String("data", filepath.Join("..", "shared", "data", "packages.jsonl"), "`file` of packages for the small search figures; generated ones where it is absent")
		profile = fs.String("profile", "", "a `directory` for profiles of the measured servers' processor time")
	)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	b := &bench{sizes: full, quick: *fast, dir: *dir, data: *data, profile: *profile, stdout: stdout, log: log.New(stderr, "# ", 0)}
	if *fast {
		b.sizes = quick
	}
	var err error
	if b.only, err = regexp.Compile(*only); err != nil || fs.NArg() > 0 {
		fmt.Fprintf(stderr, "clyde-bench: -only: %v; arguments: %q\n", err, fs.Args())
		return 2
	}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "clyde-bench-"); err != nil {
			b.log.Print(err)
			return 1
		}
		defer func() { _ = os.RemoveAll(b.dir) }()
	}
	b.log.Printf("%d processors; figures of a machine that others use vary, ratios less", runtime.NumCPU())
	if *fast {
		b.log.Printf("quick: the names are those of a full run, the sizes are not")
	}
	code := 0
	for _, g := range groups {
		if !b.wanted(g.figures) {
			continue
		}
		b.log.Printf("%s: %s", g.name, g.about)
		if err := g.run(ctx, b); err != nil {
			b.log.Printf("%s: %v", g.name, err)
			code = 1
		}
		if ctx.Err() != nil {
			return 1
		}
	}
	return code
}

// groups is everything that is measured, in order. Figures are named so that
// -only can choose before anything is measured.
var groups = []struct {
	name, about string
	figures     []string
	run         func(context.Context, *bench) error
}{
	{"registry", "small packages: package.yaml, a source archive of 20 kB, a manifest; each push is a new package", registryFigures(), registry},
	{"blob", "one large blob both ways", []string{"blob500_push_MBps", "blob500_pull_MBps", "blob500_push_cpu_ms", "blob500_pull_cpu_ms", "blob500_rss_MB", "blob500_heap_MB"}, blob},
	{"visible", "from the first byte of an OCI push until the API's search shows the package", []string{"searchable_p50_ms", "searchable_p95_ms"}, visible},
	{"graph", "200 packages of twenty versions that require each other: what fits together, over HTTP, and asked by the client as a whole process; then all of it rebuilt from storage", slices.Concat([]string{
		"resolve_200_cold_ms", "resolve_200_p50_ms", "resolve_200_p95_ms", "resolve_200_p99_ms", "resolve_200_cpu_ms", "reindex_per_s",
	}, cliFigures()), graph},
	{"locked", "the signatures of a lock file of 100 packages, checked without a network by the client as a whole process", []string{lockedFigure}, locked},
	{"search", "the engine in this process, one core, 20 hits and every facet", []string{
		"search_3700_p50_ms", "search_3700_p95_ms", "search_3700_p99_ms", "search_3700_cpu_ms",
		"search_100k_p50_ms", "search_100k_p95_ms", "search_100k_p99_ms", "search_100k_cpu_ms",
		"index_100k_heap_MB", "index_100k_build_per_s", "index_100k_put_p95_ms",
	}, search},
	{"cold", "a server with a large catalogue, under GOMEMLIMIT=500MiB", []string{
		"cold_100k_ready_s", "cold_100k_rss_MB", "cold_100k_cpu_s",
		"search_http_100k_p50_ms", "search_http_100k_p95_ms", "search_http_100k_p99_ms", "search_http_100k_cpu_ms", "searched_100k_rss_MB",
		"search_page_100k_p50_ms", "search_page_100k_p95_ms", "search_page_100k_p99_ms",
		"package_page_100k_p50_ms", "package_page_100k_p95_ms", "package_page_100k_p99_ms",
	}, cold},
}

func (b *bench) wanted(figures []string) bool {
	return slices.ContainsFunc(figures, b.only.MatchString)
}

// figure prints one line. A negative number is "not measured here"; less says
// that less is better.
func (b *bench) figure(name string, ours, peer float64, less bool) {
	if !b.only.MatchString(name) || ours < 0 {
		return
	}
	p, ratio := "-", "-"
	if peer > 0 && ours > 0 {
		r := ours / peer
		if less {
			r = 1 / r
		}
		p, ratio = number(peer), fmt.Sprintf("%.2f", r)
	}
	fmt.Fprintf(b.stdout, "bench %s %s %s %s\n", name, number(ours), p, ratio)
}

// alone prints a figure without a peer.
func (b *bench) alone(name string, ours float64) { b.figure(name, ours, -1, false) }

func number(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}
