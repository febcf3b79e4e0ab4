package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/count"
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
	ChunkBytes   int           // see log.Options
	Linger       time.Duration // see log.Options
	Report       bool          // also tell the requests and what they would cost on S3
}

// WithDefaults is o with defaults in place of zero values.
func (o LogOptions) WithDefaults() LogOptions {
	o.Options = o.Options.WithDefaults()
	o.Senders = cmp.Or(o.Senders, 64)
	o.RecordBytes = cmp.Or(o.RecordBytes, 1024)
	o.BatchRecords = cmp.Or(o.BatchRecords, 1)
	o.Collections = cmp.Or(o.Collections, 1000)
	o.ChunkBytes = cmp.Or(o.ChunkBytes, 1<<20)
	o.Linger = cmp.Or(o.Linger, time.Millisecond)
	return o
}

// Validate checks o, defaults filled in.
func (o LogOptions) Validate() error {
	if o.Zipf < 0 || o.Zipf > 10 {
		return fmt.Errorf("zipf %g: want 0 to 10: %w", o.Zipf, schema.ErrInvalid)
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
	)
}

const (
	logKeyBytes = 16
	logRowPool  = 4 << 20 // bytes that rows are cut from
	// maxLogBytes ends the workload: what was appended stays on the disk until
	// the end.
	maxLogBytes = 16 << 30
	// maxSlice is how long the log has its turn.
	maxSlice = 500 * time.Millisecond
)

// Log measures durable appends beside a loop of bare writes and fsyncs.
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

// logBench is a channel alone, on a local disk: index and lake, which follow
// it, are other workloads.
type logBench struct {
	o       LogOptions
	place   *place
	dir     *blob.Dir
	store   *count.Store
	channel *log.Channel
	drawn   zipf
	pool    []byte
	random  []*mathrand.Rand // of each sender
	floor   *fsyncLoop
	follow  *follower

	acks    *latencies
	records atomic.Int64 // acknowledged
	left    atomic.Int64 // that may still be sent
	turns   []logTurn
}

// logTurn is a round's work of the log, which the floor then does too.
type logTurn struct {
	records, batches int64
	chunks           int
	took             time.Duration
}

func openLogBench(ctx context.Context, o LogOptions, p *place) (b *logBench, err error) {
	b = &logBench{o: o, place: p, drawn: newZipf(o.Collections, o.Zipf), acks: newLatencies(o.Senders)}
	b.left.Store(cmp.Or(o.Records, math.MaxInt64))
	b.pool = make([]byte, max(logRowPool, 2*o.RecordBytes))
	for i := 0; i < len(b.pool); i += 1024 { // half of it random, so that a batch shrinks by about half
		rand.Read(b.pool[i:min(i+512, len(b.pool))])
	}
	for i := range o.Senders {
		b.random = append(b.random, mathrand.New(mathrand.NewPCG(o.Seed, uint64(i))))
	}
	if b.dir, err = blob.OpenDir(p.path("log"), blob.DirOptions{}); err != nil {
		return nil, err
	}
	b.store = count.Around("log", b.dir)
	if b.floor, err = newFsyncLoop(p.path("floor")); err != nil {
		return nil, errors.Join(err, b.dir.Close())
	}
	b.channel, err = log.Open(context.WithoutCancel(ctx), log.Options{Store: b.store, MaxChunkBytes: o.ChunkBytes, Linger: o.Linger})
	if err != nil {
		return nil, errors.Join(err, b.floor.close(), b.dir.Close())
	}
	b.follow = follow(b.channel)
	return b, nil
}

func (b *logBench) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := b.channel.Close(ctx)
	b.follow.stop()
	return errors.Join(err, b.floor.close(), b.dir.Close())
}

// run measures rounds until the time, the records or the disk's share is used
// up. The floor does what the log just did, so the log always comes first.
func (b *logBench) run(ctx context.Context) (*Report, error) {
	slice := min(max(b.o.Duration/20, 20*time.Millisecond), maxSlice)
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
		t, err := b.append(ctx, slice)
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
	t, err := b.append(ctx, slice)
	if err != nil {
		return err
	}
	if _, err := b.floor.repeat(t.chunks, t.records*int64(b.o.RecordBytes)); err != nil {
		return err
	}
	b.left.Store(records)
	b.records.Store(0)
	b.acks.reset()
	b.floor.times.reset()
	return b.follow.wait(b.channel.Durable())
}

// append lets all senders send for a while. A batch that was begun is waited
// for: what was acknowledged is what was counted, also at an interrupt.
func (b *logBench) append(ctx context.Context, slice time.Duration) (logTurn, error) {
	before, records := b.channel.Durable().Chunk, b.records.Load()
	var wg stdsync.WaitGroup
	var batches atomic.Int64
	errs := make([]error, b.o.Senders)
	start := time.Now()
	for s := range b.o.Senders {
		wg.Go(func() {
			for ctx.Err() == nil && time.Since(start) < slice && errs[s] == nil {
				n := b.take()
				if n == 0 {
					return
				}
				if errs[s] = b.send(s, n); errs[s] == nil {
					b.records.Add(int64(n))
					batches.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return logTurn{
		records: b.records.Load() - records, batches: batches.Load(),
		chunks: int(b.channel.Durable().Chunk - before), took: time.Since(start),
	}, errors.Join(errs...)
}

// take is how many records may be sent as a batch now.
func (b *logBench) take() int {
	n := int64(b.o.BatchRecords)
	if left := b.left.Add(-n); left < 0 {
		n = max(n+left, 0)
	}
	return int(n)
}

func (b *logBench) send(sender, records int) error {
	r := b.random[sender]
	g := log.AppendGroup{
		Instance: schema.FirstUserInstance + schema.Instance(b.drawn.draw(r)),
		Records:  make([]schema.Record, records),
	}
	for i := range g.Records {
		at := r.IntN(len(b.pool) - b.o.RecordBytes)
		data := b.pool[at : at+b.o.RecordBytes]
		g.Records[i] = schema.Record{Op: schema.OpUpsert, Key: data[:logKeyBytes:logKeyBytes], Row: data[logKeyBytes:]}
	}
	start := time.Now()
	// Without ctx: a batch that is under way has an outcome.
	if _, err := b.channel.Append(context.Background(), log.Append{Groups: []log.AppendGroup{g}}); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	b.acks.add(sender, time.Since(start))
	return nil
}
