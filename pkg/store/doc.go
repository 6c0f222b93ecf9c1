// Package store holds all SQL of the server. Tables are of two kinds: derived
// from the registry, which reindex drops and rebuilds, and our own (accounts,
// tokens, keys, claims on versions, yanks, settings, audit, counts), which only
// a backup brings back.
//
// Times are given and stored as UTC with millisecond precision.
//
// # SQL
//
// Statements are plain files, query/*.sql, in blocks that begin with
// "-- name: X"; they are prepared once per connection and called by that name,
// and a test prepares every one. A generator (sqlc) is left out: its tool is
// slow to build, and it adds a generated package and a step to every change, to
// save the few scan functions written here by hand.
//
// They are portable between SQLite and Postgres: text, bigint, boolean and
// bytes, $1 placeholders, ON CONFLICT, RETURNING. What only one engine has
// stands in the folder of its name, in query and in migrations, and what it does
// its own way is an engine (engine.go): how a transaction begins, what arguments
// it takes, when it cannot be reached.
//
// # Writing
//
// One connection writes. Writers queue, and whoever comes first carries out
// everything waiting: all closures in one transaction, each under a savepoint,
// one commit, one sync (see writer). On Postgres, where several processes have
// such a connection, a transaction takes an advisory lock before anything else,
// so that there too one writes at a time and what is read before a write is
// true when it is written. That costs nothing where it counts: a batch shares
// one commit, and reads wait for nobody.
//
// Writes whose loss a power cut may cause without harm (reservations, leases of
// events, counts, derived rows) ask for no sync. The log of either engine is a
// prefix of history after a crash, so a durable write makes all earlier ones
// durable too, and nothing later survives without what came before it.
package store
