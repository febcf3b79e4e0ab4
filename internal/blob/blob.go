// Package blob keeps named, immutable objects and a few small ones that change
// by compare-and-swap: what the log keeps its chunks in and the lake its
// tables.
//
// Guarantees of every store:
//   - An object appears whole or not at all, and once its call has returned nil
//     it survives a power failure.
//   - PutIfAbsent and Writer.Commit never replace: of many that race for a name
//     exactly one wins, the others get ErrExists; what has the name then survives
//     a power failure, whoever put it.
//   - Swap changes an object only if it still is what the caller read.
//   - A call that fails with ErrExists, ErrChanged, ErrNotFound,
//     schema.ErrNoSpace, schema.ErrUnavailable, schema.ErrInvalid or
//     schema.ErrClosed changed nothing and never will. Any other error of a
//     write leaves it open whether the write landed, or still will.
//
// Stores: Dir on a local disk, Mem in memory, and below this package s3 in S3,
// hedge, which sends a slow PUT twice, count, which counts calls, and latency,
// which makes a store as slow as another. All are safe for concurrent use, Dir
// also by several processes. The package blobtest holds the acceptance
// suite that every store passes, and a store that fails on demand; the package
// crashfs simulates power failures below Dir.
//
// Caveats: Delete is not durable by itself, an object may come back after a power
// failure. Dir does not remove folders that became empty. Names are
// case-sensitive, and Dir on a file system that is not will confuse two that
// differ in case alone. A consumer declares the few methods that it needs as an
// interface of its own; there is no interface of all of them.
package blob

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/trinedb/trine/schema"
)

// The outcomes that a store tells apart, beside the kinds of schema.
var (
	ErrNotFound = errors.New("object not found")
	ErrExists   = errors.New("object exists")
	ErrChanged  = errors.New("object changed") // Swap: it is not what the caller read
)

// Version identifies the content of an object, for Swap. The empty Version
// stands for an object that does not exist.
type Version string

// Absent is the Version of an object that does not exist.
const Absent Version = ""

// Writer makes one object of any size, unseen until Commit. It is used by one
// goroutine. Exactly one of Commit and Abort ends it; a second is a no-op, so
// that Abort can be deferred.
type Writer interface {
	io.Writer
	// Commit makes the object visible and durable, or fails with ErrExists.
	Commit() error
	// Abort drops what was written.
	Abort() error
}

// Reader reads one object, by many goroutines at once. It must be closed.
type Reader interface {
	io.ReaderAt
	io.Closer
	// Size is the object's length in bytes.
	Size() int64
}

// NoEffect reports whether err, from a call that writes, promises that nothing
// was changed and nothing will be.
func NoEffect(err error) bool {
	for _, kind := range []error{
		ErrExists, ErrChanged, ErrNotFound,
		schema.ErrNoSpace, schema.ErrUnavailable, schema.ErrInvalid, schema.ErrClosed,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// MaxNameBytes is the longest name of an object.
const MaxNameBytes = 900

// CheckName reports whether name can name an object: segments joined by '/',
// each not empty, at most 255 bytes, and not beginning with a dot, of printable
// characters without a backslash.
func CheckName(name string) error {
	if name == "" || len(name) > MaxNameBytes {
		return fmt.Errorf("object name of %d bytes: want 1 to %d: %w", len(name), MaxNameBytes, schema.ErrInvalid)
	}
	for seg := range strings.SplitSeq(name, "/") {
		if seg == "" || seg[0] == '.' || len(seg) > 255 {
			return fmt.Errorf("object name %q: segments are 1 to 255 bytes and do not begin with a dot: %w", name, schema.ErrInvalid)
		}
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return fmt.Errorf("object name %q: control characters and backslashes are not allowed: %w", name, schema.ErrInvalid)
		}
	}
	if path.Clean(name) != name {
		return fmt.Errorf("object name %q is not a clean path: %w", name, schema.ErrInvalid)
	}
	return nil
}
