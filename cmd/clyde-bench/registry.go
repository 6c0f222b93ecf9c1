package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"
)

// pair is our server and the peer, started on directories side by side.
type pair struct {
	children [2]*child // ours first
	clients  [2]*client
}

var pairNames = [2]string{"ours", "peer"}

func (b *bench) pair(ctx context.Context, dir string) (*pair, error) {
	p := &pair{}
	for i, name := range pairNames {
		c, err := b.start(ctx, "serve-"+name, dir+"-"+name)
		if err != nil {
			return nil, errors.Join(err, p.stop())
		}
		p.children[i], p.clients[i] = c, newClient(c)
	}
	return p, nil
}

func (p *pair) stop() error {
	var errs []error
	for _, c := range p.children {
		if c != nil {
			errs = append(errs, c.stop())
		}
	}
	return errors.Join(errs...)
}

// sum is what several turns took together.
type sum struct {
	n    int
	wall time.Duration
	cpu  time.Duration // of the server
}

// measure adds one turn of n operations on server i to s.
func (p *pair) measure(i int, s *sum, n int, f func(*client) (time.Duration, error)) error {
	before, err := p.children[i].usage(false)
	if err != nil {
		return err
	}
	took, err := f(p.clients[i])
	if err != nil {
		return fmt.Errorf("%s: %w", pairNames[i], err)
	}
	after, err := p.children[i].usage(false)
	s.n, s.wall, s.cpu = s.n+n, s.wall+took, s.cpu+after.CPU-before.CPU
	return err
}

// rate is operations a second, cost the server's milliseconds for one.
func (s sum) rate() float64 { return float64(s.n) / s.wall.Seconds() }
func (s sum) cost() float64 { return ms(s.cpu) / float64(s.n) }

var workers = [2]int{1, 8}

func registryFigures() []string {
	out := []string{"registry_rss_MB", "registry_heap_MB"}
	for _, what := range []string{"push", "pull"} {
		for _, w := range workers {
			out = append(out, fmt.Sprintf("%s_small_w%d_per_s", what, w), fmt.Sprintf("%s_small_w%d_cpu_ms", what, w))
		}
	}
	return out
}

// registry measures small packages. Pulls are of what the same turn pushed,
// twice, as a popular package is pulled more often than pushed.
func registry(ctx context.Context, b *bench) (err error) {
	const pulls = 2
	p, err := b.pair(ctx, "registry")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	for _, w := range workers {
		var push, pull [2]sum
		for round := range b.rounds + 1 {
			n := b.small
			if round == 0 {
				n = min(n, 8) // not counted: it makes directories and connections
			}
			parcels := make([]*parcel, n)
			for k := range parcels {
				if parcels[k], err = pack(fmt.Sprintf("bench-w%d-r%d", w, round), k); err != nil {
					return err
				}
			}
			for turn := range 2 {
				i := (round + turn) % 2 // who goes first takes turns too
				if round == 0 {
					push[i], pull[i] = sum{}, sum{}
				}
				err := p.measure(i, &push[i], n, func(c *client) (time.Duration, error) {
					return each(parcels, w, func(x *parcel) error { return c.push(ctx, x) })
				})
				if err != nil {
					return err
				}
				// What a push leaves to be done afterwards counts as its cost.
				if err := p.settle(ctx, i, &push[i], parcels[n-1]); err != nil {
					return err
				}
				err = p.measure(i, &pull[i], pulls*n, func(c *client) (time.Duration, error) {
					var all time.Duration
					for range pulls {
						took, err := each(parcels, w, func(x *parcel) error { return c.pull(ctx, x) })
						if err != nil {
							return 0, err
						}
						all += took
					}
					return all, nil
				})
				if err != nil {
					return err
				}
			}
			if round == 0 {
				push, pull = [2]sum{}, [2]sum{}
			}
		}
		for _, x := range []struct {
			what string
			s    [2]sum
		}{{"push", push}, {"pull", pull}} {
			b.figure(fmt.Sprintf("%s_small_w%d_per_s", x.what, w), x.s[0].rate(), x.s[1].rate(), false)
			b.figure(fmt.Sprintf("%s_small_w%d_cpu_ms", x.what, w), x.s[0].cost(), x.s[1].cost(), true)
		}
	}
	return b.memory("registry", p)
}

// settle waits until our server has applied everything that was pushed, the
// last package of it by name, and adds the processor time to s.
func (p *pair) settle(ctx context.Context, i int, s *sum, last *parcel) error {
	if i != 0 {
		return nil
	}
	return p.measure(i, s, 0, func(c *client) (time.Duration, error) {
		return 0, c.known(ctx, last)
	})
}

// known polls until the API knows the package.
func (c *client) known(ctx context.Context, p *parcel) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	path := "/api/v1/packages/" + p.name.Repo() + "/versions/" + p.version
	for {
		_, err := c.do(ctx, http.MethodGet, path, "", nil, 0, http.StatusOK)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// memory prints what both servers hold now.
func (b *bench) memory(name string, p *pair) error {
	var u [2]usage
	for i, c := range p.children {
		var err error
		if u[i], err = c.usage(true); err != nil {
			return err
		}
	}
	if u[0].RSS > 0 {
		b.figure(name+"_rss_MB", float64(u[0].RSS)/1e6, float64(u[1].RSS)/1e6, true)
	}
	b.figure(name+"_heap_MB", float64(u[0].Heap)/1e6, float64(u[1].Heap)/1e6, true)
	return nil
}

// pattern reads n bytes that repeat after a little more than a megabyte.
type pattern struct {
	piece []byte
	at    int
	left  int
}

func newPattern(seed byte, n int) *pattern {
	piece := make([]byte, 1<<20+7)
	x := uint32(seed)*2654435761 + 1
	for i := range piece {
		x = x*1664525 + 1013904223
		piece[i] = byte(x >> 24)
	}
	return &pattern{piece: piece, left: n}
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.left)], p.piece[p.at:])
	p.at, p.left = (p.at+n)%len(p.piece), p.left-n
	return n, nil
}

// blob measures one large blob, new content in each round.
func blob(ctx context.Context, b *bench) (err error) {
	p, err := b.pair(ctx, "blob")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var push, pull [2]sum
	for round := range max(b.rounds-1, 1) {
		d, err := digest.FromReader(newPattern(byte(round), b.blob))
		if err != nil {
			return err
		}
		for turn := range 2 {
			i := (round + turn) % 2
			repo := "bench/large"
			err := p.measure(i, &push[i], 1, func(c *client) (time.Duration, error) {
				body := newPattern(byte(round), b.blob)
				start := time.Now()
				err := c.upload(ctx, repo, d, body, int64(b.blob))
				return time.Since(start), err
			})
			if err != nil {
				return err
			}
			err = p.measure(i, &pull[i], 1, func(c *client) (time.Duration, error) {
				start := time.Now()
				_, err := c.do(ctx, http.MethodGet, "/v2/"+repo+"/blobs/"+d.String(), "", nil, 0, http.StatusOK)
				return time.Since(start), err
			})
			if err != nil {
				return err
			}
		}
	}
	size := float64(b.blob) / 1e6
	for _, x := range []struct {
		what string
		s    [2]sum
	}{{"push", push}, {"pull", pull}} {
		b.figure("blob500_"+x.what+"_MBps", size*x.s[0].rate(), size*x.s[1].rate(), false)
		b.figure("blob500_"+x.what+"_cpu_ms", x.s[0].cost(), x.s[1].cost(), true)
	}
	return b.memory("blob500", p)
}
