package client

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Headers of the change feed.
const (
	epochHeader = "Clyde-Epoch"    // identifies one history of the feed
	lastHeader  = "Clyde-Last-Seq" // last sequence number that the page looked at
)

// maxLine is the longest line of the feed, in bytes. Ours: an entry has some
// hundred.
const maxLine = 64 << 10

// Changes yields the feed's entries after since, oldest first, and ends where
// the feed ends now. An error is yielded last; one with code "epoch_changed"
// (clyde.ErrConflict) says that the feed has begun anew and that a reader must
// start over from 0.
func (c *Client) Changes(ctx context.Context, since int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		epoch := ""
		for {
			last, more, err := c.page(ctx, since, &epoch, yield)
			if err != nil {
				yield(Change{}, err)
				return
			}
			if !more || last <= since {
				return
			}
			since = last
		}
	}
}

// page yields one page of the feed. More is false once the caller has enough.
func (c *Client) page(ctx context.Context, since int64, epoch *string, yield func(Change, error) bool) (last int64, more bool, err error) {
	resp, err := c.send(ctx, http.MethodGet, "/changes?since="+strconv.FormatInt(since, 10), nil, http.Header{"Accept": {"application/x-ndjson"}})
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if e := resp.Header.Get(epochHeader); *epoch == "" {
		*epoch = e
	} else if *epoch != e {
		return 0, false, clyde.Errorf(clyde.ErrConflict, "the change feed of %s has begun anew", c.base.Host).
			WithCode("epoch_changed").Fix("Start over from 0.")
	}
	if last, err = strconv.ParseInt(resp.Header.Get(lastHeader), 10, 64); err != nil {
		return 0, false, c.notOurs(resp, err)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var ch Change
		if err := json.Unmarshal(lines.Bytes(), &ch); err != nil {
			return 0, false, c.notOurs(resp, err)
		}
		if !yield(ch, nil) {
			return last, false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, false, c.unreachable(ctx, err)
	}
	return last, true, nil
}
