// Package ingest takes what clients send and makes of it batches for the log:
// it decodes, validates, encodes each row and key once, and hands the whole
// batch over as one atomic append.
//
// Guarantee: a batch is written whole or not at all. A batch with a record
// that breaks a rule is refused before anything reaches the log, and the
// answer names line, field, value and rule, up to schema.MaxFieldErrors of
// them; Request.SkipBad writes the good records instead and gives back what is
// wrong with the others.
//
// What depends on rows that are already there (insert, which must not meet its
// key; patch, which must) is decided when the log sequences the batch, so that
// nothing can come between the look and the write.
//
// Caveats: everything a body can claim is bounded, and the bounds are Options.
// A body is never held whole, but its encoded records are, until the log has
// them; MaxInFlightBytes bounds that over all requests.
package ingest
