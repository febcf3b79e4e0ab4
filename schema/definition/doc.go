// Package definition reads collection files, says how a collection gets from
// what it is to what a file asks for, and gives schemas their canonical form.
//
// A collection file is YAML or JSON. It is declarative: Evolve compares it
// with the collection that exists and answers a Plan, by Iceberg's rules of
// schema evolution, keeping the ids of fields; what would break readers is
// refused. What a file leaves out of its options has its default, so one file
// always gives one collection.
//
// EncodeSchema is deterministic: its SHA-256 is a schema's content address.
// DecodeSchema accepts exactly what EncodeSchema writes.
//
// Nothing here trusts its input: files are bounded in bytes, fields, depth and
// in what aliases expand to.
package definition

// Limits on collection files.
const (
	MaxFileBytes   = 4 << 20 // bytes of a file or a request's body
	MaxFields      = 2000    // fields of a collection, nested ones, elements, keys and values counted
	MaxDepth       = 32      // levels of types: a string is one, a list of strings two
	MaxCollections = 10_000  // collections in a file
	MaxSchemas     = 1000    // named schemas in a file
	MaxKeyFields   = 16      // fields of a key or an index
	MaxIndexes     = 32      // secondary indexes of a collection
	MaxLayout      = 8       // fields that a table is partitioned by, and sorted by
	MaxFieldName   = 128     // bytes of a field's name
	MaxDoc         = 4096    // bytes of a field's doc
	MaxFixed       = 65_536  // bytes of a fixed(n)
)

// maxNodes bounds the YAML nodes that are visited, aliases followed.
const maxNodes = 1 << 20
