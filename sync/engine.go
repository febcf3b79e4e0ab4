package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// Catalog finds definitions.
type Catalog interface {
	// ByInstance is the collection that has this instance; ErrNotFound once it
	// was dropped.
	ByInstance(ctx context.Context, inst schema.Instance) (*schema.Collection, error)
	// Pinned calls fn for every collection whose lake option is pinned, until fn
	// answers false or fails.
	Pinned(ctx context.Context, fn func(schema.Instance) (more bool, err error)) error
	// Schema is the schema with that number.
	Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error)
}

// Options configure an Engine. Log, Index, Lake, Catalog and Dropped are
// needed; the rest has defaults.
type Options struct {
	Log     *log.Channel
	Index   *kvindex.Index
	Lake    *lakehouse.Lake
	Catalog Catalog
	// Dropped tells whether a record of the registry's collection ends an
	// instance, so that its space is taken back.
	Dropped func(schema.Record) (schema.Instance, bool)

	// OnIndexed, when set, is told of each chunk once the index holds it, in order,
	// and must not block: the next chunk waits for it.
	OnIndexed func(*schema.Chunk)

	// Copied is up to where a copy of the index lies where the loss of this one does
	// not reach it: the rows of keyed collections come from there once the log has
	// let go of them. nil: there is none.
	Copied func() schema.Position
	// OnHeld, when set, is told how many trimmed bytes the log keeps because no copy
	// of the index holds their rows, at each look that finds any. It must not block.
	OnHeld func(bytes int64)
	// RetainEvery is the least time between two looks of Retain at a segment.
	// Default 1 h.
	RetainEvery time.Duration

	// FlushBytes is how many bytes of changes make a collection's table worth
	// a commit at once. Default 32 MiB.
	FlushBytes int64
	// FoldBytes bounds the changes of a keyed collection that one commit or one
	// scan folds in memory; a scan that cannot flush instead may fold eight times
	// as much, and a commit of what is not keyed, which passes through, takes that
	// many. Default 128 MiB.
	FoldBytes int64
	// FlushWorkers is how many tables are written at the same time. Default 1:
	// a flush is bound by the processor, which the writers need too.
	FlushWorkers int

	// NoUpkeep leaves tables as flushes make them, but for what Compact and
	// ExpireTable are asked for.
	NoUpkeep bool
	// WithdrawAfter is how long no engine has asked for the table of a small
	// collection before it is withdrawn. Default 0: never.
	WithdrawAfter time.Duration
	// UpkeepEvery is the least time between two removals of old versions of one
	// table. Default 10 min.
	UpkeepEvery time.Duration
	// UpkeepRequests is how many requests a second upkeep makes of the lake's store
	// for the removal of files. Default 100.
	UpkeepRequests int

	Logger     *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default none
	Now        func() time.Time      // default time.Now
}

func (o *Options) setDefaults() {
	if o.FlushBytes == 0 {
		o.FlushBytes = 32 << 20
	}
	if o.FoldBytes == 0 {
		o.FoldBytes = 128 << 20
	}
	if o.FlushWorkers == 0 {
		o.FlushWorkers = 1
	}
	if o.UpkeepEvery == 0 {
		o.UpkeepEvery = 10 * time.Minute
	}
	if o.UpkeepRequests == 0 {
		o.UpkeepRequests = 100
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RetainEvery == 0 {
		o.RetainEvery = time.Hour
	}
	if o.OnIndexed == nil {
		o.OnIndexed = func(*schema.Chunk) {}
	}
}

// Engine runs the fan-out of one channel and reads across the stores. It is
// safe for concurrent use.
type Engine struct {
	log     *log.Channel
	index   *kvindex.Index
	lake    *lakehouse.Lake
	catalog Catalog
	opts    Options
	logger  *slog.Logger
	metrics *metrics

	// These two are Retain's, which one goroutine calls.
	held     heldBytes
	forgetAt time.Time // when it is looked for dropped collections next

	tables       tableLocks
	flusher      *flusher
	flushing     atomic.Int64 // flushes under way
	upkeep       *upkeeper
	appliedMoved broadcast // the index applied a chunk, or stopped

	cancel context.CancelFunc
	done   stdsync.WaitGroup

	failMu  stdsync.Mutex
	failure error // why the indexer stopped, if it did
}

// Open starts the fan-out. Close ends it.
func Open(o Options) (*Engine, error) {
	o.setDefaults()
	m, err := newMetrics(o.Registerer, func() float64 {
		applied := o.Index.Applied() // first, so that it cannot be ahead of durable
		return float64(o.Log.Durable().Chunk - applied.Chunk)
	})
	if err != nil {
		return nil, fmt.Errorf("open sync: register metrics: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Engine{
		log: o.Log, index: o.Index, lake: o.Lake, catalog: o.Catalog,
		opts: o, logger: o.Logger, metrics: m, cancel: cancel,
		held: heldBytes{total: m.heldBytes, onHeld: o.OnHeld, logger: o.Logger},
	}
	e.flusher = newFlusher(e)
	e.upkeep = newUpkeeper(e)
	e.done.Add(3)
	go func() { defer e.done.Done(); e.runIndexer(ctx) }()
	go func() { defer e.done.Done(); e.flusher.run(ctx) }()
	go func() { defer e.done.Done(); e.upkeep.run(ctx) }()
	return e, nil
}

// Close stops the fan-out after what it has in hand. What the index or the
// lake lack then, they are given at the next start. It may be called twice.
func (e *Engine) Close(ctx context.Context) error {
	e.cancel()
	joined := make(chan struct{})
	go func() { e.done.Wait(); close(joined) }()
	select {
	case <-joined:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close sync: %w", ctx.Err())
	}
}

// Err is why the fan-out stopped, ErrClosed if it was told to, or nil while it
// runs.
func (e *Engine) Err() error {
	e.failMu.Lock()
	defer e.failMu.Unlock()
	return e.failure
}

func (e *Engine) fail(err error) {
	e.failMu.Lock()
	if e.failure == nil {
		e.failure = err
	}
	e.failMu.Unlock()
	e.appliedMoved.signal()
}

// Evolved tells that a collection's definition changed: its table may be due by
// other rules now, though nothing is written to it.
func (e *Engine) Evolved(c *schema.Collection) { e.flusher.touchOne(c.Instance) }

// Position is a position that every read begun from now on sees.
func (e *Engine) Position() schema.Position { return e.log.Durable() }

// Wait returns once Position is at least pos, or ErrUnavailable when ctx ends.
func (e *Engine) Wait(ctx context.Context, pos schema.Position) error {
	err := e.log.Wait(ctx, pos)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("wait for position %s, now at %s: %w", pos, e.log.Durable(), schema.ErrUnavailable)
	}
	return err
}
