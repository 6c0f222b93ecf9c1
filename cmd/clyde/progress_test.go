package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"
)

func TestPlainProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	m := &meters{w: &out, mode: "plain", now: func() time.Time { return now }}
	p := m.start("pushing \x1b[31m@acme/x", 40_000_000)
	p.set(1, 40_000_000) // at once: nothing is said
	for range 3 {
		now = now.Add(plainEvery / 2)
		p.add(4_000_000)
	}
	now = now.Add(1250 * time.Millisecond)
	p.set(40_000_000, 40_000_000)
	p.end(true)
	m.start("broken off", 10).end(false)
	m.wait()
	want := "pushing \uFFFD[31m@acme/x: 8.0 MB of 40.0 MB\n" +
		"pushing \uFFFD[31m@acme/x: 40.0 MB in 16.3s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("plain progress (-want +got):\n%s", diff)
	}
}

func TestNoProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{stderr: &out, quiet: true}
	m := a.meters(t.Context())
	p := m.start("x", 10)
	p.add(10)
	p.end(true)
	m.wait()
	if out.Len() > 0 {
		t.Errorf("quiet progress printed %q", out.String())
	}
	// What is no terminal never gets bars.
	if m := (&app{stderr: &out, progressFlag: "auto"}).meters(t.Context()); m.mode != "plain" {
		t.Errorf("progress into a buffer is %q; want plain", m.mode)
	}
}

// TestBars: transfers that end, break off and have no length all let wait
// return, whoever reports them.
func TestBars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := &meters{w: &out, mode: "bars", now: time.Now, bars: mpb.NewWithContext(t.Context(), mpb.WithOutput(&out), mpb.WithAutoRefresh())}
	var wg sync.WaitGroup
	for i, total := range []int64{1000, 0, 500} {
		p := m.start("transfer", total)
		wg.Go(func() {
			for range 10 {
				p.add(total / 10)
			}
			p.end(i != 2)
		})
	}
	wg.Wait()
	m.wait()
	if !strings.Contains(out.String(), "transfer") || !strings.Contains(out.String(), "1.0 kB") {
		t.Errorf("bars drew %q", out.String())
	}
}
