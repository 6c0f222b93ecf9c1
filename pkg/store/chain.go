package store

import (
	"fmt"
	"time"
)

// Chain checks audit entries that come from elsewhere than the database, one
// after another: those of an archive.
type Chain struct {
	Seq  int64  // of the last entry that is right
	Hash string // of that entry
}

// After returns the chain that entries of m must continue.
func (m AuditMonth) After() Chain { return Chain{Seq: m.First - 1, Hash: m.Prev} }

// Add checks the next entry, and says what is wrong with it; "" when nothing is.
func (c *Chain) Add(a AuditEntry) string {
	a.Time = a.Time.UTC().Truncate(time.Millisecond)
	switch {
	case a.Seq != c.Seq+1:
		return fmt.Sprintf("entry %d is missing", c.Seq+1)
	case a.Prev != c.Hash || a.Hash != a.chain():
		return fmt.Sprintf("entry %d was changed", a.Seq)
	}
	c.Seq, c.Hash = a.Seq, a.Hash
	return ""
}

// Ends reports whether the chain ends where m does.
func (c *Chain) Ends(m AuditMonth) bool { return c.Seq == m.Last && c.Hash == m.Hash }
