package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// maxEachKeyBytes leaves room in an idempotency key for a batch's number.
const maxEachKeyBytes = maxIdempotencyKeyBytes - 12

// EachResult answers a WriteEach. Of its Result, FirstSeq is of the first batch,
// LastSeq and Position of the last; Replayed tells that nothing was written.
type EachResult struct {
	Result
	Batches int // with rows, that are durable
}

// WriteEach writes each record batch of an Arrow stream as a batch of its own, one
// after the other, and returns when the last is durable. A stream may be of any
// length, and the limits of a batch hold for each of its batches.
//
// It ends at the first batch that fails: the result tells what is durable all the
// same, and of an error but schema.ErrUnknownOutcome nothing else is. A retry with
// the same idempotency key and stream goes on after it.
func (w *Writer) WriteEach(ctx context.Context, r Request) (EachResult, error) {
	if err := checkEach(&r); err != nil {
		return EachResult{}, err
	}
	t, err := w.task(ctx, &r)
	if err != nil {
		return EachResult{}, err
	}
	if t.form != formatArrow {
		return EachResult{}, fmt.Errorf("%w: only an Arrow stream comes in batches", ErrMediaType)
	}
	share := &share{inFlight: &w.inFlight, ctx: ctx}
	defer share.release()
	if err := share.hold(1); err != nil {
		return EachResult{}, err
	}
	in, err := newBody(r.Body, r.Encoding, share, &w.o)
	if err != nil {
		return EachResult{}, err
	}
	defer in.close()
	e := &each{writer: w, task: t}
	if err := e.run(ctx, in, share); err != nil {
		if in.err != nil {
			err = in.err
		}
		return e.done, err
	}
	return e.done, nil
}

// checkEach refuses what is about one batch.
func checkEach(r *Request) error {
	refuse := func(field string) error {
		return &schema.FieldError{Field: field, Rule: "is about one batch: write the stream as one, or leave it out"}
	}
	switch {
	case r.IfSeq != nil:
		return refuse("Trine-If-Seq")
	case r.IfRow != nil:
		return refuse("Trine-If-Row-Seq")
	case r.Producer != "":
		return refuse("Trine-Producer")
	case len(r.IdempotencyKey) > maxEachKeyBytes:
		return &schema.FieldError{Field: "Idempotency-Key", Value: cut(r.IdempotencyKey), Rule: fmt.Sprintf("has %d bytes, of a stream at most %d are kept", len(r.IdempotencyKey), maxEachKeyBytes)}
	}
	return nil
}

// each is a WriteEach under way.
type each struct {
	writer *Writer
	task   task
	done   EachResult
}

func (e *each) run(ctx context.Context, in *body, s *share) error {
	b := e.task.builder(e.writer, s)
	a, err := newArrowRecords(in, b, e.task.op, e.task.request.Match)
	if err != nil {
		return told(b, err)
	}
	defer a.close()
	for n := 0; ; n++ {
		a.b = e.task.builder(e.writer, s)
		start := time.Now()
		more, err := a.next()
		e.writer.decoding.Observe(time.Since(start).Seconds())
		if err := told(a.b, err); err != nil {
			return err
		}
		if !more && e.done.Batches > 0 {
			return nil
		}
		if more && len(a.b.records) == 0 {
			e.done.skip(a.b.findings.errs, a.b.findings.skipped)
		} else if err := e.append(ctx, a.b, n); err != nil || !more {
			return err
		}
		if err := in.again(a.messages.check.kept); err != nil {
			return err
		}
	}
}

// told is what is wrong with a batch that was read.
func told(b *builder, err error) error {
	if err == nil || errors.Is(err, errStop) {
		return b.findings.err()
	}
	return err
}

// append makes the n-th batch durable. The last, which has no rows, is for the
// position.
func (e *each) append(ctx context.Context, b *builder, n int) error {
	r := *e.task.request
	if r.IdempotencyKey != "" {
		r.IdempotencyKey = fmt.Sprintf("%s/%d", r.IdempotencyKey, n)
	}
	res, err := e.writer.append(ctx, &r, b)
	if err != nil {
		return err
	}
	if len(b.records) > 0 {
		e.done.Replayed = res.Replayed && (e.done.Replayed || e.done.Batches == 0)
		e.done.Batches++
	}
	if e.done.Count == 0 {
		e.done.FirstSeq = res.FirstSeq
	}
	if res.Count > 0 {
		e.done.LastSeq = res.LastSeq
	}
	e.done.Count += res.Count
	e.done.Position = res.Position
	e.done.skip(res.Skipped, res.SkippedCount)
	return nil
}

func (r *EachResult) skip(errs schema.FieldErrors, n int) {
	r.SkippedCount += n
	r.Skipped = append(r.Skipped, errs[:min(len(errs), schema.MaxFieldErrors-len(r.Skipped))]...)
}
