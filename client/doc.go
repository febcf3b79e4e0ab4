// Package client talks to a Trine server over HTTP. The command line uses it,
// and so can a Go program.
//
// A write is sent with an idempotency key and is tried again when the server
// says that the same request may be, or when the connection broke: it lands
// once. A scan is checked for its completeness batch: Next ends with io.EOF
// only when the stream was whole, and with ErrIncomplete when it was cut.
package client
