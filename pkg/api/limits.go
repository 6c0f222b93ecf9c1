package api

import "time"

// Limits of requests. All are ours: they bound what one request may cost and
// lie far above what clients of this API send.
const (
	MaxURL            = 8 << 10  // bytes of the request target; longer is 414
	MaxHeader         = 32 << 10 // bytes of all header fields together; more is 431
	MaxBody           = 64 << 10 // bytes of a JSON body; more is 413
	MaxQuery          = 2 << 20  // bytes of a query to resolve, whose lock may name 10,000 packages; more is 413
	MaxIdempotencyKey = 128      // bytes of an Idempotency-Key
	MaxPage           = 100      // items of a page
	MaxCursor         = 1024     // bytes of a cursor
	MaxDays           = 366      // days that one question about downloads may span
	DefaultDays       = 30       // days of downloads when the question does not say
	MaxChanges        = 1000     // entries of the feed in one answer: a mirror reads thousands at a time
	MaxCandidates     = 8        // names beside "not found"
	MaxParts          = 2        // parts of a publish request: package.yaml and archive
	MaxETags          = 32       // entity tags of one If-Match or If-None-Match that are looked at
)

// Time limits of requests with a body, against clients that send a byte now
// and then. All are ours.
const (
	BodyTimeout   = 10 * time.Second // for the whole of a JSON body
	UploadIdle    = 30 * time.Second // between two reads of an upload
	UploadGrace   = time.Minute      // before MinUploadRate is asked for
	MinUploadRate = 4 << 10          // bytes per second, on average after UploadGrace
	drainTimeout  = 2 * time.Second  // for reading the rest of a refused upload, so that its sender reads the answer
	drainBytes    = 4 << 20          // of the rest of a refused upload
)

// Limits of event streams. All are ours.
const (
	Heartbeat        = 15 * time.Second // between two comments that keep a stream open through proxies
	StreamWrite      = 10 * time.Second // for writing one batch to a slow reader
	MaxStream        = time.Hour        // one stream; its reader connects again with Last-Event-ID
	MaxStreamsEach   = 16               // open streams of one caller
	MaxStreamsAtOnce = 1024             // open streams of all callers
)

// uploadOverhead is what a publish request may have besides the archive and
// package.yaml: boundaries and part headers, in bytes.
const uploadOverhead = 64 << 10
