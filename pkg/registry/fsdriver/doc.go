// Package fsdriver is a storage driver for the distribution registry that
// keeps distribution's on-disk layout (a driver path is a file below the root,
// so plain distribution reads the same directory) and is durable with one
// sync for a whole push of small files instead of distribution's 28.
//
// # What is durable when
//
// Nothing is durable before Sync returns nil, and everything that any
// goroutine stored before its call of Sync is durable after it. The caller
// that answers a client calls Sync once, after the last write of the push.
//
// There are three kinds of file:
//
//   - Small files (links, manifests, blobs up to Options.SmallFile) are
//     appended to a journal, root/.clyde/journal-N, when they are stored, and
//     served from memory until they are in the tree. They are put there in the
//     background, without a sync, after Sync has made the journal durable with
//     one fdatasync: should the machine stop, replay writes them again from it.
//     That waits for a pause, for Options.Linger bytes, a checkpoint or Flush,
//     so that a burst of pushes is not slowed by it.
//   - Large files are synced by the request that finishes them, before they are
//     renamed into place; then their directories are synced, and only then does
//     the journal mention them. A large blob takes its own time and
//     holds up nobody else's Sync.
//   - Uploads in progress (below _uploads) are neither journaled nor synced.
//     They survive the end of the process, since the page cache does. An upload
//     that was begun by an earlier process is hashed again when it becomes a
//     blob, because what a power failure leaves of it is anyone's guess;
//     so the hash states that distribution saves are kept in memory only.
//
// Concurrent callers of Sync share rounds: one leads and syncs, the others wait
// for a round that covers what they wrote.
//
// # Why this order is right
//
// The invariant is: a name in the tree has its content durable, in the file
// itself or in the journal, before the name exists. So a crash leaves a file
// complete or absent (or complete again after replay), never short; this
// matters because a registry takes a blob that exists for one that is good.
//
// The journal is a sequence of checksummed frames in the order of the
// operations. Whatever prefix of it survives is a state that
// existed: a link never survives without the blob it was written after. Replay
// stops at the first frame that does not verify; everything that was
// acknowledged lies before it, since a sync of the journal covers all earlier frames.
//
// Above this driver the order is journal, then SQL commit, then 201. If the
// machine stops after the journal, the registry holds files that no row names:
// garbage, collected later. Were the SQL commit first, a row could name content that does
// not exist, which nothing can repair. The answer comes last because it is the promise.
//
// # Checkpoints
//
// When the journal exceeds Options.JournalSize a new one begins; the old one
// is removed after everything in it was written to the tree and synced (syncfs
// where there is one, else every file and its directories) and whatever
// replaced it meanwhile is durable in the new journal. Close leaves no journal. At every point
// between, the journals on disk and the tree together hold all that was acknowledged.
//
// A failed sync of the journal is final: the kernel may have dropped the data it
// could not write, so the driver refuses every later write and Sync until it is
// opened anew.
//
// # Several processes
//
// One process at a time may have a root open without Options.Name; the server's
// lock on its data directory sees to it. Several that have names share a root
// on a file system where a rename is seen by all: each has a folder of its own
// for what is temporary, keeps nothing in memory that the tree does not have,
// and pays the syncs of a large file for each small one.
package fsdriver
