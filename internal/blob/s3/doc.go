// Package s3 keeps objects in a bucket of S3 Standard, of S3 Express One Zone,
// or of a server that speaks the same protocol. It is a store of package blob
// and keeps that package's promises:
//
//   - An object is durable once its call returned nil, as durable as the bucket
//     is: Express keeps it in one zone.
//   - PutIfAbsent, Swap and Commit are conditional requests (If-None-Match: *,
//     If-Match), which the store decides. Open proves that it does, and refuses
//     a store that ignores conditions.
//   - A conditional request is sent once. Neither the SDK nor net/http repeat
//     it, so that its error says what became of it. What is repeated, a bounded
//     number of times, is a request that the store has answered with "not done":
//     a conflict (409), an expired token, a clock that is off.
//   - The caller's bytes are not read after a call has returned, also when it
//     timed out and the transport is still sending.
//
// Outcomes of a write, see classify:
//
//	answer                                error                    changed
//	2xx                                   nil                      yes
//	412; 404 for If-Match                 ErrExists, ErrChanged    no
//	409, again after MaxTries             schema.ErrUnavailable    no
//	other 4xx, not sent, not connected    schema.ErrUnavailable    no
//	5xx, 408, time-out, broken off        any other error          unknown
//
// 503 SlowDown is among the unknown: there are stores that give it to a request
// that they have begun. Package hedge repeats such a PUT safely, for bytes that
// carry a put id.
//
// Reads, deletes and parts are repeated with backoff.
//
// Caveats: a Delete of which an earlier try timed out may land a second time
// later, so a deleted name is not used again while that matters. A Version of a
// bucket of S3 Standard is a digest of the content: Swap takes an object that
// changed and changed back for unchanged. List of a bucket of S3 Express sorts
// in memory and gives up past MaxListNames. Parts of a Writer that was neither
// committed nor aborted, or whose Commit has an unknown outcome, stay until a
// lifecycle rule of the bucket removes them.
package s3
