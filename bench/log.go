package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// LogOptions say what is appended. The zero value of a member is its default.
type LogOptions struct {
	Options
	Senders      int           // each waits for its ack; default 64
	RecordBytes  int           // key and row; default 1024
	BatchRecords int           // records of a batch, all of one collection; default 1
	Collections  int           // default 1000
	Zipf         float64       // s of the collections' distribution; 0, the default: all alike
	Records      int64         // end after so many; default: Duration alone
	ChunkBytes   int           // see log.Options; default what suits the store
	Linger       time.Duration // see log.Options; default what suits the store
	InFlight     int           // see log.Options; default what suits the store
	// Latency makes the store as slow as one across a network: "standard",
	// "express", or the time of a PUT, such as "20ms". Default: the disk alone.
	Latency string
	Report  bool // also tell the requests and what they would cost on S3
}

// WithDefaults is o with defaults in place of zero values.
func (o LogOptions) WithDefaults() LogOptions {
	o.Options = o.Options.WithDefaults()
	o.Senders = cmp.Or(o.Senders, 64)
	o.RecordBytes = cmp.Or(o.RecordBytes, 1024)
	o.BatchRecords = cmp.Or(o.BatchRecords, 1)
	o.Collections = cmp.Or(o.Collections, 1000)
	switch o.Latency { // as a server on that store has it
	case "standard":
		o.ChunkBytes, o.Linger = cmp.Or(o.ChunkBytes, 4<<20), cmp.Or(o.Linger, 250*time.Millisecond)
	case "express":
		o.Linger, o.InFlight = cmp.Or(o.Linger, 20*time.Millisecond), cmp.Or(o.InFlight, 8)
	}
	o.ChunkBytes = cmp.Or(o.ChunkBytes, 1<<20)
	o.Linger = cmp.Or(o.Linger, time.Millisecond)
	o.InFlight = cmp.Or(o.InFlight, 4)
	return o
}

// Validate checks o, defaults filled in.
func (o LogOptions) Validate() error {
	if o.Zipf < 0 || o.Zipf > 10 {
		return fmt.Errorf("zipf %g: want 0 to 10: %w", o.Zipf, schema.ErrInvalid)
	}
	if o.Latency != "" {
		if _, err := latency.Parse(o.Latency); err != nil {
			return err
		}
	}
	return check(
		limit{"senders", int64(o.Senders), 1, maxClients},
		limit{"record bytes", int64(o.RecordBytes), logKeyBytes, 256 << 10},
		limit{"batch records", int64(o.BatchRecords), 1, 100_000},
		limit{"batch bytes", int64(o.BatchRecords) * int64(o.RecordBytes), 1, 64 << 20},
		limit{"collections", int64(o.Collections), 1, 10_000_000},
		limit{"records", o.Records, 0, maxRecords * 100},
		limit{"chunk bytes", int64(o.ChunkBytes), 4 << 10, 64 << 20},
		limit{"linger", int64(o.Linger), 1, int64(10 * time.Second)},
		limit{"in flight", int64(o.InFlight), 1, log.MaxInFlight},
	)
}

const (
	// maxLogBytes ends the workload: what was appended stays on the disk until
	// the end.
	maxLogBytes = 16 << 30
	// maxSlice is how long the log has its turn, and maxSlowSlice on a store
	// that is slow, where it has to be long beside a PUT.
	maxSlice     = 500 * time.Millisecond
	maxSlowSlice = 10 * time.Second
)

// Log measures durable appends beside a loop of bare writes.
func Log(ctx context.Context, o LogOptions) (_ *Report, err error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlace(o.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b, err := openLogBench(ctx, o, p)
	if err != nil {
		return nil, err
	}
	r, err := b.run(ctx)
	if err = errors.Join(err, b.close()); err != nil {
		return nil, err
	}
	p.caveat(r)
	return r, nil
}

// logBench is a channel alone: index and lake, which follow it, are other
// workloads.
type logBench struct {
	o     LogOptions
	place *place
	*logRig
	*logSenders
	floor logFloor
	turns []logTurn
}

// logFloor is what a log is measured against.
type logFloor interface {
	// repeat writes so many bytes in so many parts, each durable, and tells how
	// long that took.
	repeat(parts int, bytes int64) (time.Duration, error)
	// each is how long the parts took.
	each() *latencies
	close() error
}

func openLogBench(ctx context.Context, o LogOptions, p *place) (_ *logBench, err error) {
	b := &logBench{o: o, place: p, logSenders: newLogSenders(o)}
	if b.logRig, err = openLogRig(ctx, p.path("log"), o, nil); err != nil {
		return nil, err
	}
	if o.Latency != "" {
		b.floor = newPutLoop(b.slow, b.dir, o.InFlight)
	} else if b.floor, err = newFsyncLoop(p.path("floor")); err != nil {
		return nil, errors.Join(err, b.logRig.close())
	}
	return b, nil
}

func (b *logBench) close() error { return errors.Join(b.logRig.close(), b.floor.close()) }

// run measures rounds until the time, the records or the disk's share is used
// up. The floor does what the log just did, so the log always comes first.
func (b *logBench) run(ctx context.Context) (*Report, error) {
	slice := min(max(b.o.Duration/20, 20*time.Millisecond), maxSlice)
	if b.o.Latency != "" {
		slice = min(b.o.Duration/4, maxSlowSlice)
	}
	if err := b.warmUp(ctx, slice); err != nil {
		return nil, err
	}
	before, stored := b.store.Usage(), b.follow.bytes.Load()
	begin := time.Now()
	var pairs rounds
	for b.left.Load() > 0 && ctx.Err() == nil && b.follow.bytes.Load() < maxLogBytes {
		spent := time.Since(begin)
		if len(b.turns) > 0 && spent >= b.o.Duration {
			break
		}
		b.o.Progress("append", int64(spent/time.Millisecond), int64(b.o.Duration/time.Millisecond))
		t, err := b.append(ctx, b.channel, slice)
		if err != nil {
			return nil, err
		}
		if t.records == 0 {
			break
		}
		took, err := b.floor.repeat(t.chunks, t.records*int64(b.o.RecordBytes))
		if err != nil {
			return nil, err
		}
		b.turns = append(b.turns, t)
		pairs.ours = append(pairs.ours, turn{float64(t.records), t.took})
		pairs.floor = append(pairs.floor, turn{float64(t.records), took})
	}
	if len(b.turns) == 0 {
		return nil, errNothing
	}
	if err := b.follow.wait(b.channel.Durable()); err != nil {
		return nil, err
	}
	return b.report(ctx, pairs, b.store.Usage().Minus(before), b.follow.bytes.Load()-stored)
}

// errNothing is the end of a run that was interrupted too early.
var errNothing = errors.New("ended before anything was measured")

func (b *logBench) warmUp(ctx context.Context, slice time.Duration) error {
	records := b.left.Load()
	b.left.Store(min(records, 10_000))
	t, err := b.append(ctx, b.channel, slice)
	if err != nil {
		return err
	}
	if _, err := b.floor.repeat(t.chunks, t.records*int64(b.o.RecordBytes)); err != nil {
		return err
	}
	b.left.Store(records)
	b.forget()
	b.floor.each().reset()
	return b.follow.wait(b.channel.Durable())
}
