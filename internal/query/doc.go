// Package query holds what a reader may ask of a collection: the `where`
// predicate, and the read requests that the rooms pass each other.
//
// A Predicate is parsed and type-checked once against a schema and then
// evaluated in three ways that agree: per row (Match), over an Arrow batch
// (Filter), and over bounds, to skip data that cannot match (MayMatch).
//
// Semantics are SQL's three-valued logic: a comparison with null is unknown,
// and only rows for which the whole predicate is true match. Floating-point
// values are ordered as Iceberg orders them: NaN equals NaN and is greater
// than everything else; -0 equals 0. Strings compare by their bytes.
//
// Caveats: names are matched as they are written, case included; a numeric
// literal compared with a float column is first rounded to a float; like has
// no escape character unless the predicate names one.
package query
