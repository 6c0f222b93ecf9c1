package artifact

import (
	"context"
	"time"
)

// SetWait replaces waiting between tries, so that tests need none.
func (c *Client) SetWait(wait func(ctx context.Context, d time.Duration) error) { c.wait = wait }

// SetChunk replaces ChunkSize, so that tests need no gigabytes.
func (c *Client) SetChunk(n int64) { c.chunk = n }

// ParseChallenges is parseChallenges for tests: scheme and parameters in turn.
func ParseChallenges(s string) (schemes []string, params []map[string]string) {
	for _, c := range parseChallenges(s) {
		schemes, params = append(schemes, c.scheme), append(params, c.params)
	}
	return schemes, params
}

// NextLink is nextLink for tests.
func NextLink(links []string) string { return nextLink(links) }
