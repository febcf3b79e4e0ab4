package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/trinedb/trine/schema"
)

// maxIdempotencyKeyBytes bounds an idempotency key.
const maxIdempotencyKeyBytes = 255

// Writer writes batches. It is safe for concurrent use.
type Writer struct {
	o        Options
	inFlight inFlight
	decoding prometheus.Histogram
}

// New makes a Writer. It holds nothing that needs closing.
func New(o Options) (*Writer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	w := &Writer{o: o, inFlight: inFlight{room: semaphore.NewWeighted(o.MaxInFlightBytes), bytes: o.MaxInFlightBytes, wait: o.InFlightWait}}
	w.decoding = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "trine_ingest_decode_seconds", Help: "Time to read, decode and check a batch, its client's pace included.",
		Buckets: prometheus.ExponentialBuckets(0.00001, 4, 12), // 10 µs to 42 s
	})
	if o.Registerer != nil {
		if err := o.Registerer.Register(w.decoding); err != nil {
			return nil, fmt.Errorf("register ingest metrics: %w", err)
		}
	}
	return w, nil
}

// Write decodes, validates and appends one batch for one collection, and
// returns when it is durable. Records that break a rule are schema.FieldErrors
// or a *BatchError; a body in a form that is not read is ErrMediaType. Any
// error but schema.ErrUnknownOutcome means that nothing was written.
func (w *Writer) Write(ctx context.Context, r Request) (Result, error) {
	t, err := w.task(ctx, &r)
	if err != nil {
		return Result{}, err
	}
	share := &share{inFlight: &w.inFlight, ctx: ctx}
	defer share.release()
	b := t.builder(w, share)
	if err := w.read(r.Body, r.Encoding, r.Size, share, b.findings, func(in *body) error {
		switch t.form {
		case formatNDJSON:
			records := newJSONRecords(b)
			return eachLine(in, b.findings, w.o.MaxTextBytes, func(line int, data []byte) error { return records.add(line, t.op, data) })
		case formatJSON:
			return readJSON(in, b, t.op, w.o.MaxTextBytes)
		case formatCSV:
			return readCSV(in, b, t.op, w.o.MaxTextBytes)
		default:
			return readArrow(in, b, t.op, r.Match)
		}
	}); err != nil {
		return Result{}, err
	}
	return w.append(ctx, &r, b)
}

// task is a request about a collection that is there.
type task struct {
	request    *Request
	collection *schema.Collection
	form       format
	op         schema.Op
}

func (w *Writer) task(ctx context.Context, r *Request) (task, error) {
	form, err := parseFormat(r.Format)
	if err != nil {
		return task{}, err
	}
	if err := checkKey(r.IdempotencyKey); err != nil {
		return task{}, err
	}
	if r.Match != schema.MatchNames && form != formatArrow {
		return task{}, &schema.FieldError{Field: "match", Value: "id", Rule: "only columns of Arrow have ids: leave it out"}
	}
	c, err := w.o.Registry.Get(ctx, r.Tenant, r.Collection)
	if err != nil {
		return task{}, err
	}
	op, wrong := operation(c, r.Op)
	if wrong != nil {
		return task{}, wrong
	}
	return task{request: r, collection: c, form: form, op: op}, nil
}

// builder is one for a batch of the task.
func (t *task) builder(w *Writer, s *share) *builder {
	b := &builder{
		collection: t.collection, schema: t.collection.Schema,
		findings: &findings{skip: t.request.SkipBad}, limits: &limits{o: &w.o, share: s},
	}
	if t.request.IdempotencyKey != "" {
		b.digest = newDigester()
	}
	return b
}

// append appends what a builder has, and returns when it is durable.
func (w *Writer) append(ctx context.Context, r *Request, b *builder) (Result, error) {
	c := b.collection
	if err := b.requireRow(r.IfRow); err != nil {
		return Result{}, err
	}
	batch := r.batch(b)
	d := newDecision(w, []*builder{b}, b.findings)
	batch.Decide = d.decide()
	g, err := w.guard(r, c, &batch)
	if err != nil {
		return Result{}, err
	}
	ack, err := w.o.Log.Append(ctx, batch)
	if err != nil {
		return Result{}, fmt.Errorf("write to %s: %w", c, err)
	}
	out := Result{Position: ack.Position, Replayed: ack.Replayed}
	if g != nil && g.replayed {
		out.Replayed = true
		return out, nil
	}
	if len(ack.Groups) > 0 && ack.Groups[0].Instance == c.Instance {
		g := ack.Groups[0]
		out.FirstSeq, out.LastSeq, out.Count = g.FirstSeq, g.FirstSeq+schema.Seq(max(g.Count, 1)-1), g.Count
	}
	out.Skipped, out.SkippedCount = d.report()
	return out, nil
}

// batch is what was read, with the request's conditions on the collection.
func (r *Request) batch(b *builder) Batch {
	c := b.collection
	batch := Batch{Groups: []Group{{Instance: c.Instance, Records: b.records}}}
	if r.IdempotencyKey != "" {
		batch.Dedup = dedupKey(r.Tenant, r.Collection, c.Instance, r.IdempotencyKey)
		batch.Digest = b.digest.sum()
	}
	if r.IfSeq != nil {
		batch.IfSeq = &IfSeq{Instance: c.Instance, Seq: *r.IfSeq}
	}
	return batch
}

// read opens a body and decodes it. The error is the most telling one: what is
// wrong with the body as a whole, else with its records.
func (w *Writer) read(raw io.Reader, encoding string, size int64, s *share, f *findings, decode func(*body) error) error {
	if size > w.o.MaxBatchBytes {
		return fmt.Errorf("body has %d bytes, a batch at most %d, send it as several: %w", size, w.o.MaxBatchBytes, schema.ErrTooLarge)
	}
	if err := s.hold(max(size, 1)); err != nil {
		return err
	}
	in, err := newBody(raw, encoding, s, &w.o)
	if err != nil {
		return err
	}
	defer in.close()
	start := time.Now()
	err = decode(in)
	w.decoding.Observe(time.Since(start).Seconds())
	switch {
	case in.err != nil:
		return in.err
	case err == nil || errors.Is(err, errStop):
		return f.err()
	default:
		return err
	}
}

func checkKey(key string) error {
	if len(key) > maxIdempotencyKeyBytes {
		return &schema.FieldError{Field: "Idempotency-Key", Value: cut(key), Rule: fmt.Sprintf("has %d bytes, at most %d are kept", len(key), maxIdempotencyKeyBytes)}
	}
	return nil
}
