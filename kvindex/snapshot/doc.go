// Package snapshot keeps copies of the key index in an object store, so that a
// node with an empty disk fetches one and replays the rest of the log, instead of
// all of it. docs/format/index-snapshot.md is the format, and has the reasons.
//
// # Guarantees
//
//   - A snapshot that was announced ([Snapshots.Take] returned) can be restored,
//     and is the index exactly at its position.
//   - A table that did not change since the last snapshot is not uploaded again.
//   - Nothing that a usable snapshot names is deleted, also when an owner of the
//     channel that was replaced does not know it yet. No clock is trusted for that.
//   - What is restored has been compared with its hashes and opened before it gets
//     the index's name.
//
// # Caveats
//
//   - While a snapshot is taken, files that compaction has done with stay on the
//     disk, and up to 128 MiB of memtables in memory.
//   - After a restart all tables are read once for their hashes.
//   - A block that was damaged on the disk before it was first copied is copied as
//     it is: see [kvindex.Index.VerifyChecksums].
package snapshot
