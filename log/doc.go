// Package log is Trine's chunk log: it puts batches of changes in order, makes
// them durable in immutable chunks, and gives them back.
//
// A Channel is one ordered sequence of chunks with one writer at a time. What
// it guarantees:
//   - A batch that Append acknowledged is durable, whole, and appears once.
//   - Seqs of a collection are dense, from 0, in the order of sequencing.
//   - A batch that failed is invisible and never appears; only one that failed
//     with schema.ErrUnknownOutcome may have landed, and then it landed once.
//   - Of two writers of a channel, the one that opened it last owns it: nothing
//     that the other sends after that becomes visible. No clock is trusted.
//
// The bytes are specified in docs/format/chunk.md and docs/format/head.md,
// chunks are encoded and decoded by the package chunk below this one.
//
// Several chunks are at the store at a time; batches are acknowledged in order,
// each when all before it are durable.
//
// Caveats: a chunk that fails takes those behind it along, also what the store
// has of them. Records handed to Append are
// kept by reference, in memory, until they are applied and have left the tail.
package log
