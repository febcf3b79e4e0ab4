package arrowhttp

import "time"

// The limits of the HTTP surface. Those that an operator may want to move are
// defaults of Options; the rest are part of the contract.
const (
	MaxHeaderBytes         = 32 << 10  // of a request's header; more is 431
	MaxDefinitionBytes     = 1 << 20   // of a collection file in a PUT
	MaxLookupBytes         = 16 << 20  // of a lookup's body
	MaxLookupKeys          = 10_000    // of one lookup
	MaxAnswerBytes         = 64 << 20  // of a lookup's answer; more is 413
	MaxPageBytes           = 16 << 20  // of a page of a range: it ends early, with a token
	MaxListLimit           = 1_000     // collections in a page
	DefaultListLimit       = 100       //
	MaxRangeLimit          = 10_000    // records in a page
	DefaultRangeLimit      = 1_000     //
	MaxUnboundedRows       = 100_000   // that a page of a range with where reads without allow_scan
	MaxIdempotencyKeyBytes = 255       //
	MaxQueryBytes          = 64 << 10  // of the URL's query, which a where may fill
	DefaultMaxBodyBytes    = 256 << 20 // of a write, as sent

	DefaultWait = 10 * time.Second // for Trine-At-Least without Trine-Wait
	MaxWait     = 60 * time.Second // a longer Trine-Wait is cut to it
)

// Of streams.
const (
	firstBatchRows    = 1_024   // so that a client sees something soon
	maxBatchRows      = 65_536  // measured best on loopback, with the next
	maxBatchBytes     = 2 << 20 //
	pendingTextBytes  = 256 << 10
	parquetGroupBytes = 16 << 20  // of a row group, before compression; it is in memory
	writePieceBytes   = 256 << 10 // the write deadline is extended for each piece
	lingerTime        = 5 * time.Millisecond
	followLingerTime  = time.Millisecond // of a follower, who waits for each change
	heartbeatTime     = 15 * time.Second // SSE comments on an idle log
	minHeartbeat      = time.Second      // that a client may ask for
	maxHeartbeat      = 5 * time.Minute
)

// Of the server.
const (
	readHeaderTimeout   = 10 * time.Second
	idleTimeout         = 2 * time.Minute
	DefaultStallTimeout = 60 * time.Second
)

// Of answers under way at a time. A scan holds two batches and a page of each
// column, some twelve MiB; a log read or a follower at most half a MiB; a
// verification reads all there is.
const (
	DefaultMaxScans    = 64
	DefaultMaxLogReads = 256
	DefaultMaxFollows  = 4096
	DefaultMaxVerifies = 2
)

// Of the file form, which is spooled to disk to have a length and ranges.
const (
	defaultMaxSpoolBytes = 16 << 30 // in all; more is 503
	maxSpoolFiles        = 64
	spoolKeepTime        = 2 * time.Minute // since last use
)
