// Package rest serves the Iceberg REST catalog, through which SQL engines find,
// load and change tables: a tenant is a namespace, a collection a table. Loading a
// table asks the Source for its newest version, which is what makes an engine read
// what was acknowledged before it asked. A commit is taken apart here, and given to
// the Source as what it asks for; what is not an engine's to change is refused with
// what to do instead (docs/engines.md).
//
// Views do not exist, tables are not renamed or registered, and one commit is to one
// table. Lists are streamed, so that a namespace of millions of tables costs no
// memory.
//
// Caveats: who may see what is the Source's to decide, by the request's
// context; requests to the object store are not signed for engines.
package rest
