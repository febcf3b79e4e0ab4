// Package latency makes a store as slow as one across a network: each call takes
// as long as a call of its kind was measured to take elsewhere. Benchmarks and
// simulations go around a store in memory or on disk with it.
//
// A Store promises what the store below promises. A call takes half of its time
// before it has its effect and half after, as a request and its answer do. So a
// write whose context ends under way leaves its outcome open, as it does on S3.
// Time is that of package time, and so testing/synctest turns it.
//
// # Where the figures are from
//
// Read on 2026-11-20. A figure marked [U] is unverified: nobody was found who
// measured it, it is assumed.
//
//	S3 Standard
//	PUT  p50 26 ms, p90 38 ms  objects of 1 KB, from outside of AWS:
//	     tigrisdata.com/blog/benchmark-small-objects, 2025-07-08 (25.7, 37.8)
//	     p99 350 ms            docs.automq.com, performance tuning for client: a
//	     PUT of 4 MiB has a p99 of about 400 ms, of which the bytes are 50
//	     p10 18, p999 1 s, most 5 s [U]
//	GET  p50 22 ms, p90 42 ms  the same page of Tigris
//	     p99 80 ms             quickwit.io/blog/s3-express-speculations, 2023-11,
//	     which calls 80 ms "rather common" in the tail and names no quantile [U]
//	     p10 12, p999 400 ms, most 3 s [U]
//	     bytes 80 MB/s a request: the same page of Quickwit
//
//	S3 Express One Zone, same zone
//	PUT  p50 10 ms, p99 15 ms  README of s2-lite, 2026-11: acks of 8 KiB records,
//	     10 MiB/s; the versions of that page that can be had now lack it [U]
//	     least 6, p999 150 ms, most 2 s [U]
//	GET  p90 5 ms              quickwit.io, as above, with a question mark [U]
//	     p50 4, p99 9 ms       AWS promises "single-digit milliseconds" [U]
//	     least 2, p999 60 ms, most 2 s [U]
//	     bytes 150 MB/s a request [U]
//
// Caveats: calls are independent, while real stores have bad minutes; nothing is
// throttled, and nothing fails. Package s3test has a server that does.
package latency
