// Package sync joins the three stores: it carries the log's chunks, in order,
// into the key index and the lake, and answers the reads that need more than
// one of them.
//
// The log is the database. The index records the position it has applied, and
// a table the seq below which it holds everything, each in the same atomic
// write as the data; so whatever is lost of either is carried again, once.
//
// Reads are of what is durable. A lookup or range sees every acknowledged
// write through the index's overlay; a scan is the union of a lake snapshot and
// the changes since, as of one position, with the rows that those changes
// supersede hidden by their place in the lake's files.
//
// Work for the lake is found from the collections that changed, never by
// visiting all: an idle collection costs neither memory nor a timer.
package sync
