package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// writer is an object in the making. One that fits into a part is one PUT at
// Commit; a larger one is a multipart upload, 2 requests and one for each part.
type writer struct {
	s      *Store
	ctx    context.Context // Write and Commit have none of their own
	cancel func()
	name   string

	buf    []byte // the part being filled
	upload *string
	slots  chan struct{} // bounds the parts in flight
	wg     sync.WaitGroup
	done   bool
	result error // of Commit

	mu    sync.Mutex
	parts []types.CompletedPart // by number - 1
	err   error                 // of the first part that failed
}

// Create begins a new object of at most MaxParts parts. ctx bounds it until
// Commit or Abort. That the name is free is decided at Commit.
func (s *Store) Create(ctx context.Context, name string) (blob.Writer, error) {
	if err := s.ready(ctx, name); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w := &writer{s: s, name: name, slots: make(chan struct{}, s.o.PartsInFlight)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w, nil
}

// Write appends to the object, and sends what became a whole part. An error
// means that Commit will fail without effect.
func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write %s: %w", w.name, schema.ErrClosed)
	}
	written := 0
	for len(p) > 0 {
		if len(w.buf) == w.s.o.PartBytes {
			if err := w.sendPart(); err != nil {
				return written, fmt.Errorf("write %s: %w", w.name, err)
			}
		}
		n := min(len(p), w.s.o.PartBytes-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p, written = p[n:], written+n
	}
	return written, nil
}

// sendPart hands the buffer to a goroutine that sends it.
func (w *writer) sendPart() error {
	if err := w.failed(); err != nil {
		return err
	}
	if w.upload == nil {
		if err := w.begin(); err != nil {
			return w.fail(err)
		}
	}
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return w.fail(fmt.Errorf("%w: %w", schema.ErrUnavailable, context.Cause(w.ctx)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		<-w.slots
		return w.err
	}
	number := len(w.parts) + 1
	if number > MaxParts {
		<-w.slots
		w.err = fmt.Errorf("object of more than %d parts of %d bytes: %w", MaxParts, w.s.o.PartBytes, schema.ErrInvalid)
		return w.err
	}
	w.parts = append(w.parts, types.CompletedPart{})
	data := w.buf
	w.buf = nil
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		part, err := w.put(int32(number), data)
		if err != nil {
			w.fail(fmt.Errorf("part %d: %w", number, err))
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.parts[number-1] = part
	})
	return nil
}

// fail remembers the first error. None of them has an effect on the object.
func (w *writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}

func (w *writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// begin starts a multipart upload. A try whose answer was lost leaves an upload
// without parts, for the bucket's lifecycle rule.
func (w *writer) begin() error {
	f := w.s.do(w.ctx, request{
		verb: VerbBegin, idempotent: true,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.CreateMultipartUploadInput{ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c}
			in.Bucket, in.Key = w.s.ref(w.name)
			out, err := w.s.client.CreateMultipartUpload(ctx, in)
			if err == nil {
				if w.upload = out.UploadId; aws.ToString(w.upload) == "" {
					return errors.New("the store gave no upload id")
				}
			}
			return err
		},
	})
	if f != nil {
		return readError(f) // nothing that anyone sees
	}
	return nil
}

func (w *writer) put(number int32, data []byte) (types.CompletedPart, error) {
	part := types.CompletedPart{PartNumber: aws.Int32(number), ChecksumCRC32C: checksum(data)}
	f := w.s.do(w.ctx, request{
		verb: VerbPart, size: int64(len(data)), idempotent: true,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.UploadPartInput{
				UploadId: w.upload, PartNumber: part.PartNumber, Body: bytes.NewReader(data),
				ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
				ChecksumCRC32C: part.ChecksumCRC32C,
			}
			in.Bucket, in.Key = w.s.ref(w.name)
			out, err := w.s.client.UploadPart(ctx, in)
			if err == nil {
				part.ETag = out.ETag
			}
			return err
		},
	})
	if f != nil {
		return part, readError(f)
	}
	return part, nil
}

// Commit makes the object visible if the name is free. Unless its error leaves
// the outcome open, nothing is left of the parts after a failure.
func (w *writer) Commit() error {
	if w.done {
		return w.result
	}
	w.done = true
	defer w.cancel()
	if err := w.commit(); err != nil {
		w.result = fmt.Errorf("commit %s: %w", w.name, err)
	}
	w.buf = nil
	return w.result
}

func (w *writer) commit() error {
	if w.upload == nil && w.failed() == nil {
		if err := w.s.ready(w.ctx, w.name); err != nil {
			return err
		}
		_, err := w.s.put(w.ctx, w.name, blob.Absent, w.buf, blob.ErrExists)
		return err
	}
	if len(w.buf) > 0 {
		_ = w.sendPart() // remembered
	}
	w.wg.Wait()
	if err := w.failed(); err != nil {
		return errors.Join(err, w.drop())
	}
	f := w.s.do(w.ctx, request{
		verb: VerbComplete, refusal: blob.ErrExists,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.CompleteMultipartUploadInput{
				UploadId: w.upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts}, IfNoneMatch: aws.String("*"),
			}
			in.Bucket, in.Key = w.s.ref(w.name)
			_, err := w.s.client.CompleteMultipartUpload(ctx, in)
			return err
		},
	})
	switch {
	case f == nil:
		return nil
	case f.kind != nil:
		return errors.Join(f.result(), w.drop())
	default: // dropping the parts could race with their becoming an object
		return f.result()
	}
}

// Abort drops what was written.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done, w.result = true, fmt.Errorf("commit %s: was aborted: %w", w.name, schema.ErrClosed)
	w.cancel()
	w.wg.Wait()
	w.buf = nil
	if err := w.drop(); err != nil {
		return fmt.Errorf("abort %s: %w", w.name, err)
	}
	return nil
}

// drop removes the parts, also when the caller's context has ended.
func (w *writer) drop() error {
	if w.upload == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), w.s.o.RequestTimeout)
	defer cancel()
	f := w.s.do(ctx, request{
		verb: VerbAbort, idempotent: true,
		send: func(ctx context.Context, _ *try) error {
			in := &awss3.AbortMultipartUploadInput{UploadId: w.upload}
			in.Bucket, in.Key = w.s.ref(w.name)
			_, err := w.s.client.AbortMultipartUpload(ctx, in)
			return err
		},
	})
	if f == nil || f.code == codeNoSuchUpload {
		return nil
	}
	return fmt.Errorf("drop parts of upload %s: %w", aws.ToString(w.upload), readError(f))
}
