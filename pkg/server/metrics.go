package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/clydepm/clyde-registry/pkg/registry"
)

// metrics is a registry of our own: libraries put things into the default one
// that nobody asked for. Labels have few values: a path is never one.
type metrics struct {
	reg      *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

// metricsTimeout bounds the queries behind one scrape.
const metricsTimeout = 5 * time.Second

func newMetrics(p *Parts) *metrics {
	m := &metrics{
		reg: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clyde_http_requests_total", Help: "Requests answered, by part, method and status.",
		}, []string{"part", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clyde_http_request_seconds", Help: "Time to answer a request, in seconds, by part and method.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"part", "method"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clyde_http_sent_bytes_total", Help: "Bytes of bodies sent, by part.",
		}, []string{"part"}),
	}
	gauge := func(name, help string, f func(context.Context) (float64, error)) prometheus.Collector {
		return &query{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, f}
	}
	m.reg.MustRegister(m.requests, m.seconds, m.bytes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("clyde_inbox_waiting", "Events waiting to be applied.", func(ctx context.Context) (float64, error) {
			n, err := p.DB.Waiting(ctx)
			return float64(n), err
		}),
		gauge("clyde_inbox_parked", "Events that could not be applied; clyde-registry inbox says why.", func(ctx context.Context) (float64, error) {
			n, err := p.DB.Parked(ctx)
			return float64(n), err
		}),
		gauge("clyde_inbox_oldest_seconds", "Age of the event that has waited longest, in seconds; 0 where none waits.", func(ctx context.Context) (float64, error) {
			at, err := p.DB.OldestWaiting(ctx)
			if err != nil || at.IsZero() {
				return 0, err
			}
			return max(0, p.Now().Sub(at).Seconds()), nil
		}),
		&sweeps{p},
		gauge("clyde_packages", "Public packages.", func(ctx context.Context) (float64, error) {
			s, err := p.Catalog.Stats(ctx)
			return float64(s.Packages), err
		}),
		gauge("clyde_releases", "Versions of public packages.", func(ctx context.Context) (float64, error) {
			s, err := p.Catalog.Stats(ctx)
			return float64(s.Releases), err
		}),
		gauge("clyde_search_documents", "Packages in the search index.", func(context.Context) (float64, error) {
			return float64(p.Engine.Len()), nil
		}),
		scrubMetric("clyde_scrub_blobs", "Blobs that the last scrub of this process hashed.", p, func(s registry.Scrub) float64 { return float64(s.Blobs) }),
		scrubMetric("clyde_scrub_bytes", "Bytes of those blobs.", p, func(s registry.Scrub) float64 { return float64(s.Bytes) }),
		scrubMetric("clyde_scrub_damaged_blobs", "Blobs that it found damaged or missing and could not heal.", p, func(s registry.Scrub) float64 { return float64(s.Open()) }),
		scrubMetric("clyde_scrub_finished_seconds", "When it ended, as Unix time; 0 is never.", p, func(s registry.Scrub) float64 { return unix(s.Began.Add(s.Took)) }),
		gcMetric("clyde_gc_removed_blobs_total", "Blobs that garbage collections of this process removed.", prometheus.CounterValue, p, func(t registry.Collected) float64 { return float64(t.Removed) }),
		gcMetric("clyde_gc_freed_bytes_total", "Bytes of those blobs.", prometheus.CounterValue, p, func(t registry.Collected) float64 { return float64(t.Freed) }),
		gcMetric("clyde_gc_finished_seconds", "When the last garbage collection of this process ended, as Unix time; 0 is never.", prometheus.GaugeValue, p, func(t registry.Collected) float64 { return unix(t.Finished) }),
	)
	return m
}

// unix is a time in seconds; 0 is never.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

// scrubMetric reads a figure of the last scrub when it is scraped.
func scrubMetric(name, help string, p *Parts, of func(registry.Scrub) float64) prometheus.Collector {
	return &query{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, func(context.Context) (float64, error) { return of(p.Registry.Scrubbed()), nil }}
}

// gcMetric reads a figure of the garbage collection when it is scraped.
func gcMetric(name, help string, kind prometheus.ValueType, p *Parts, of func(registry.Collected) float64) prometheus.Collector {
	return &query{prometheus.NewDesc(name, help, nil, nil), kind, func(context.Context) (float64, error) { return of(p.Registry.Collected()), nil }}
}

// query is a figure that is read when it is scraped.
type query struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(context.Context) (float64, error)
}

func (q *query) Describe(ch chan<- *prometheus.Desc) { ch <- q.desc }

func (q *query) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	v, err := q.read(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(q.desc, errors.Join(errors.New("read"), err))
		return
	}
	ch <- prometheus.MustNewConstMetric(q.desc, q.kind, v)
}

// sweeps tells of each registry that others run.
type sweeps struct{ p *Parts }

var (
	sweepAge     = prometheus.NewDesc("clyde_upstream_sweep_age_seconds", "Time since all of a registry that others run was looked at, in seconds.", []string{"registry"}, nil)
	sweepFailing = prometheus.NewDesc("clyde_upstream_sweep_failing", "1 where the last sweep of a registry that others run met with a problem.", []string{"registry"}, nil)
)

func (s *sweeps) Describe(ch chan<- *prometheus.Desc) { ch <- sweepAge; ch <- sweepFailing }

func (s *sweeps) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	for _, r := range s.p.Upstreams.All() {
		at, err := s.p.DB.UpstreamSweep(ctx, r.Host())
		if err != nil {
			ch <- prometheus.NewInvalidMetric(sweepAge, err)
			return
		}
		failing := 0.0
		if at.Problem != "" {
			failing = 1
		}
		ch <- prometheus.MustNewConstMetric(sweepFailing, prometheus.GaugeValue, failing, r.Name())
		if !at.Finished.IsZero() { // never is no age; clyde_upstream_sweep_failing says why
			ch <- prometheus.MustNewConstMetric(sweepAge, prometheus.GaugeValue, s.p.Now().Sub(at.Finished).Seconds(), r.Name())
		}
	}
}

// part is which part of the server answers a path.
func part(path string) string {
	switch {
	case path == "/v2" || strings.HasPrefix(path, "/v2/"):
		return "registry"
	case path == "/api" || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/.well-known/clyde/") || path == "/healthz" || path == "/readyz":
		return "api"
	}
	return "web"
}

// method bounds the label: a client may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// answered counts one request.
func (m *metrics) answered(r *http.Request, status int, sent int64, took time.Duration) {
	if status == 0 {
		status = http.StatusOK
	}
	p, v := part(r.URL.Path), method(r.Method)
	m.requests.WithLabelValues(p, v, strconv.Itoa(status)).Inc()
	m.bytes.WithLabelValues(p).Add(float64(sent))
	m.seconds.WithLabelValues(p, v).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{Registry: m.reg, MaxRequestsInFlight: 4}))
	return mux
}
