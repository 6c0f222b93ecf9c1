package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// plainEvery is how often a long transfer says where it is without a terminal:
// often enough for the watchdogs of CI, seldom enough to be read.
const plainEvery = 10 * time.Second

// meters shows the transfers of one command: as bars on a terminal, as lines
// elsewhere, or not at all.
type meters struct {
	w    io.Writer
	mode string        // bars | plain | none
	bars *mpb.Progress // with mode bars
	now  func() time.Time

	mu sync.Mutex // of w
}

// meters begins to show transfers. The caller ends it with wait.
func (a *app) meters(ctx context.Context) *meters {
	m := &meters{w: a.stderr, mode: "plain", now: time.Now}
	switch {
	case a.quiet || a.progressFlag == "none":
		m.mode = "none"
	case a.progressFlag != "plain" && isTerminal(a.stderr) && terminalWidth(a.stderr) > 0:
		m.mode = "bars"
		m.bars = mpb.NewWithContext(ctx, mpb.WithOutput(a.stderr), mpb.WithWidth(30))
	}
	return m
}

// wait returns when the bars have been drawn for the last time.
func (m *meters) wait() {
	if m.bars != nil {
		m.bars.Wait()
	}
}

// meter is one transfer. Its methods may be called from several goroutines.
type meter struct {
	m     *meters
	label string
	bar   *mpb.Bar

	mu          sync.Mutex
	done, total int64
	began, said time.Time
}

// start begins a transfer of total bytes, or of a number not yet known (0).
func (m *meters) start(label string, total int64) *meter {
	t := &meter{m: m, label: clean(label), total: total, began: m.now()}
	t.said = t.began
	if m.mode == "bars" {
		t.bar = m.bars.AddBar(total,
			mpb.PrependDecorators(decor.Name(t.label, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(
				decor.Any(func(decor.Statistics) string { return t.amount() }, decor.WCSyncSpace),
				decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), ""),
			))
	}
	return t
}

// set says that done of total bytes have been moved.
func (t *meter) set(done, total int64) {
	t.mu.Lock()
	t.done, t.total = done, total
	t.mu.Unlock()
	t.show()
}

// add says that delta more bytes have been moved; less than zero takes back
// what has to be moved again.
func (t *meter) add(delta int64) {
	t.mu.Lock()
	t.done += delta
	t.mu.Unlock()
	t.show()
}

func (t *meter) show() {
	t.mu.Lock()
	done, total := t.done, t.total
	speak := t.m.mode == "plain" && t.m.now().Sub(t.said) >= plainEvery
	if speak {
		t.said = t.m.now()
	}
	t.mu.Unlock()
	if t.bar != nil {
		t.bar.SetTotal(total, false)
		t.bar.SetCurrent(done)
	}
	if speak {
		t.m.line("%s: %s", t.label, t.amount())
	}
}

// amount is "12.3 MB of 40.0 MB".
func (t *meter) amount() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total <= 0 || t.done >= t.total {
		return size(t.done)
	}
	return size(t.done) + " of " + size(t.total)
}

// end finishes the transfer: in full, or broken off.
func (t *meter) end(ok bool) {
	if t.bar != nil {
		if ok {
			t.bar.SetTotal(-1, true)
		} else {
			t.bar.Abort(false)
		}
		return
	}
	if ok && t.m.mode == "plain" {
		t.m.line("%s: %s in %s", t.label, t.amount(), round(t.m.now().Sub(t.began)))
	}
}

func (m *meters) line(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(m.w, format+"\n", args...)
}

// round keeps what a person reads of a duration.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
