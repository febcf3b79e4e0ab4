// Package schema holds the nouns that all of Trine shares: types, fields,
// schemas and collections; values, rows and keys with their codecs; changes
// and chunks as they travel between the log and the stores.
//
// A schema follows Iceberg's types and evolution rules and keeps stable field
// ids, so that a row, a Parquet file or an Arrow batch written years ago is
// still read right. Rows and keys are encoded once, when they are accepted;
// the same bytes go to the log and to the index.
//
// The package depends on the standard library and Arrow alone, and does no
// I/O.
package schema
