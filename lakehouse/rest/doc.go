// Package rest serves the read part of the Iceberg REST catalog, through which
// SQL engines find and load tables: a tenant is a namespace, a collection a
// table. Loading a table asks the Source for its newest version, which is what
// makes an engine read what was acknowledged before it asked.
//
// Whatever would write is answered with Iceberg's error for an unsupported
// operation. Views do not exist. Lists are streamed, so that a namespace of
// millions of tables costs no memory.
//
// Caveats: who may see what is the Source's to decide, by the request's
// context; credentials for the object store are not vended.
package rest
