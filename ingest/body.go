package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"github.com/trinedb/trine/schema"
)

const (
	// freeRatioBytes may come out of any body, however little went in.
	freeRatioBytes = 1 << 20
	// shareBytes is what a batch takes of the memory at a time.
	shareBytes = 256 << 10
	// maxZstdWindow bounds what a zstd body makes its reader remember.
	maxZstdWindow = 8 << 20
)

// inFlight is the bytes that all batches share. It gives back-pressure:
// a batch that finds no room is not read on.
type inFlight struct {
	room  *semaphore.Weighted
	bytes int64 // that there are
	wait  time.Duration
}

// share is what one batch has of it.
type share struct {
	inFlight *inFlight
	ctx      context.Context // the request's
	need     int64
	held     int64
}

// add makes the share larger by what the batch needs more. Batches that each
// hold a part and wait for more could wait for each other, so the wait is
// bounded.
func (s *share) add(n int64) error {
	s.need += n
	return s.hold(s.need)
}

// hold makes the share at least n bytes; one batch alone can hold it all.
func (s *share) hold(n int64) error {
	n = min(n, s.inFlight.bytes)
	if n <= s.held {
		return nil
	}
	more := min(max(n-s.held, shareBytes), s.inFlight.bytes-s.held)
	if !s.inFlight.room.TryAcquire(more) {
		wait, cancel := context.WithTimeout(s.ctx, s.inFlight.wait)
		defer cancel()
		if err := s.inFlight.room.Acquire(wait, more); err != nil {
			if s.ctx.Err() != nil {
				return s.ctx.Err()
			}
			return fmt.Errorf("read batch: too many bytes are being written: %w", schema.ErrOverloaded)
		}
	}
	s.held += more
	return nil
}

// again makes the share what a next batch begins with.
func (s *share) again(need int64) error {
	s.release()
	s.need = need
	return s.hold(max(need, 1))
}

func (s *share) release() {
	if s.held > 0 {
		s.inFlight.room.Release(s.held)
		s.held = 0
	}
}

// body is a request's body, decompressed and within its limits. Its error
// sticks, so that it is found also when a decoder on top hides it.
type body struct {
	raw      io.Reader
	in       int64 // bytes read of raw
	out      int64 // bytes given, of the batch
	before   int64 // bytes given of the batches before it
	from     io.Reader
	close    func()
	share    *share
	maxBytes int64
	maxRatio int64
	err      error
}

// newBody undoes a content encoding.
func newBody(raw io.Reader, encoding string, s *share, o *Options) (*body, error) {
	b := &body{raw: raw, share: s, maxBytes: o.MaxBatchBytes, maxRatio: o.MaxRatio, close: func() {}}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		b.from = (*rawReader)(b)
	case "gzip", "x-gzip":
		z, err := gzip.NewReader((*rawReader)(b))
		if err != nil {
			return nil, b.broken(err)
		}
		b.from, b.close = z, func() { _ = z.Close() }
	case "zstd":
		z, err := zstd.NewReader((*rawReader)(b), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, b.broken(err)
		}
		b.from, b.close = z, z.Close
	default:
		return nil, fmt.Errorf("%w: content encoding %.100q; send gzip, zstd or none", ErrMediaType, encoding)
	}
	return b, nil
}

// Read gives the next bytes, while there are limits left for them.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if err := b.share.ctx.Err(); err != nil {
		b.err = err
		return 0, err
	}
	n, err := b.from.Read(p)
	b.out += int64(n)
	switch {
	case b.out > b.maxBytes:
		b.err = fmt.Errorf("batch is larger than %d bytes, send it as several: %w", b.maxBytes, schema.ErrTooLarge)
	case b.before+b.out > freeRatioBytes+b.maxRatio*b.in:
		b.err = fmt.Errorf("body becomes more than %d times larger when decompressed: %w", b.maxRatio, schema.ErrTooLarge)
	case err != nil && err != io.EOF:
		b.err = b.broken(err)
	default:
		b.err = b.share.add(int64(n))
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, err
}

// again begins the limits anew for a next batch, which has kept bytes of the ones
// before it in memory.
func (b *body) again(kept int64) error {
	b.before += b.out - kept
	b.out = kept
	if b.err == nil {
		b.err = b.share.again(kept)
	}
	return b.err
}

// take counts bytes that a decoder makes of the body's beyond what it read:
// Arrow buffers that were compressed by themselves.
func (b *body) take(n int64) error {
	if b.err == nil {
		b.out += n
		if b.out > b.maxBytes {
			b.err = fmt.Errorf("batch is larger than %d bytes when decompressed, send it as several: %w", b.maxBytes, schema.ErrTooLarge)
		} else {
			b.err = b.share.add(n)
		}
	}
	return b.err
}

// broken tells an error of the sender's bytes from one of reading them.
func (b *body) broken(err error) error {
	switch {
	case b.err != nil:
		return b.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("zstd window is larger than %d bytes: %w", maxZstdWindow, schema.ErrTooLarge)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return schema.FieldErrors{{Rule: "the body is cut off: it ends in the middle"}}
	default:
		return schema.FieldErrors{{Rule: "the body cannot be decompressed: " + err.Error()}}
	}
}

// rawReader counts what is read of the body as it was sent, and tells errors
// of the connection from those of a decompressor on top.
type rawReader body

func (r *rawReader) Read(p []byte) (int, error) {
	n, err := r.raw.Read(p)
	r.in += int64(n)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		r.err = schema.FieldErrors{{Rule: "the body is cut off: the connection ended before it"}}
	default:
		r.err = fmt.Errorf("read body: %w", err)
	}
	return n, r.err
}
