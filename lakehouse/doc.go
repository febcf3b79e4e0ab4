// Package lakehouse keeps collections as Iceberg tables on an object store:
// Parquet data files, position-delete files or deletion vectors, and the metadata
// that makes a version of the table out of them. docs/format/lake.md specifies the bytes.
//
// A commit is one object written create-if-absent, v<N>.metadata.json: of any
// number of committers exactly one wins version N. Everything that the object
// names is durable before it is written, so a crash at any point leaves either
// the old version or the new one, and at worst files that nothing names. The
// snapshot summary says how far into the collection's changes it reaches
// (NextSeq) and which log position that was, in the same atomic write as the
// data; the lake can be thrown away and rebuilt from there.
//
// The cost of a commit does not grow with the number of commits before it:
// the state of the newest version is kept beside it in memory (and read back
// once if it was lost), at most a few manifests are rewritten, and the
// metadata names a bounded number of old snapshots.
//
// Files are written with parquet-go and read to Arrow with pqarrow, each being
// the faster at that.
//
// Upkeep: PlanRewrite, Rewrite and Replace merge small and worn data files; Expire,
// Clean and RemoveOrphans remove what nobody can need. All go on beside commits
// and reads.
//
// CommitByEngine makes a version as an SQL engine asks for it; SetTag and RemoveTag
// name snapshots, which stay.
//
// Caveats: one committer per table is assumed for progress, not for safety; old
// files live on for a time after they have left the table, as engines may read
// them; a table's format version never falls.
package lakehouse
