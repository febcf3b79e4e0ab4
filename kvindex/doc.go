// Package kvindex is the key index: the latest row of every keyed collection
// by its key, where each row lies in the lake, which chunks hold a
// collection's changes, and exact counts. It is a function of a log prefix:
// the position that it has applied is written in the same transaction as the
// data, so it needs no fsync of its own and can be thrown away and rebuilt.
//
// # Life of a change
//
// The log stages a batch when it sequences it (visible to [Index.GetSequenced]
// alone), publishes its chunk once that is durable (visible to every reader),
// and the indexer then applies the chunk to Badger in the background. Between
// publication and application readers meet the change in an overlay in memory,
// so that a lookup after an acknowledgement never waits for Badger. Readers
// see overlay and Badger as one consistent state at one position.
//
// # Secondary indexes
//
// Definitions of collections are read as they come by in the log
// ([Catalog]): from there on each row has entries in the collection's
// secondary indexes, in the same transaction as the row. An index that is
// added to rows is built in the background by [Index.Build] and then ready.
// Unique ones are for the log's writer to keep, by [Index.Collisions].
//
// # What is remembered
//
// Counts of rows and bytes are exact, so that a change of a row needs to know what
// the row was: a lookup, which costs as much as to write it. Apply remembers the
// rows that it wrote last ([Options.RememberRows]), and has filters of all keys of
// collections that it saw begin ([Options.FilterBytes]); it looks up the others,
// and those whose secondary indexes ask for the bytes of the row before. Memory is
// for what was written lately: an index that nobody writes to since Open has none.
//
// # Guarantees
//
//   - Apply is exactly once, also when a chunk takes several transactions and
//     the process is killed between them: each carries how far into the chunk
//     it reaches.
//   - After a power failure the index is what it was at some earlier position;
//     replaying the chunks after [Index.Applied] makes it whole.
//   - Row counts, byte counts and next sequence numbers are exact as of
//     Applied.
//
// # Caveats
//
//   - What is not a function of the log (RecordFlush, Drop) goes back with the
//     position after a power failure. Their callers compare and repeat.
//   - A full disk kills a process that maps its files: below a free-space
//     watermark Apply refuses with schema.ErrNoSpace. Ask [Index.SpaceLow]
//     before accepting writes.
//   - Open reports a damaged directory as schema.ErrCorrupt; the way out is to
//     delete it and replay.
package kvindex
