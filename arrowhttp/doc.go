// Package arrowhttp is Trine's HTTP surface: everything under /v1, the health,
// metrics and OpenAPI endpoints, and the mount of the Iceberg catalog.
//
// It speaks JSON, NDJSON, server-sent events, CSV and Arrow IPC, and knows
// nothing of logs, indexes or lakes: what it needs of them are the small
// interfaces in backend.go, which internal/node joins to the engine.
//
// It guarantees:
//
//   - An error is one RFC 9457 problem with a stable code (problem.go holds the
//     one table of them), also for a path or a method that does not exist.
//   - An Arrow stream that ends without its completeness batch and end-of-stream
//     marker is not whole. One that fails after its first byte ends in a
//     truncated frame, so that a reader of Arrow reports an error rather than
//     fewer rows.
//   - A reader that goes away ends the work done for it; a reader that stalls
//     is cut off after Options.StallTimeout, and holds at most two batches.
//   - Every list, body, header and wait has a limit (limits.go).
//
// A Parquet file that is cut has no footer. NDJSON and CSV have no frame that could say "cut short". They end in the
// trailer Trine-Status, and the connection is aborted on failure; a client that
// must know should read Arrow.
package arrowhttp
