package log

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// Channel is an open channel, owned by this process until another takes it
// over or it is closed. It is safe for concurrent use.
//
// One goroutine, the writer, sequences batches and decides about chunks; a few
// more encode and store them. What readers and senders share with it is guarded
// by mu.
type Channel struct {
	o          Options
	generation uint32
	claim      string
	nonce      [8]byte
	puts       atomic.Uint64
	dec        *chunk.Decoder
	metrics    *metrics
	cache      cache
	layout     layout
	heads      HeadStore
	archive    *segment.Archive // nil: no segments
	archivist  *archivist       // nil: none is at work
	recovered  bool             // the head was lost; its floor was found in segments

	in     chan *pending       // to the writer; bounded in number here, in bytes by room
	room   *semaphore.Weighted // bytes under way
	wake   chan struct{}       // Applied moved
	cancel context.CancelFunc  // of the writer's ctx, and so of calls to the store

	closeOnce sync.Once
	closing   chan struct{} // closed by Close
	exited    chan struct{} // closed when all goroutines ended
	refused   atomic.Pointer[error]
	closeErr  error // set before exited is closed

	unapplied atomic.Int64 // bytes in memory; changed under mu

	heading chan struct{} // holds a token while somebody changes the head
	ownMu   sync.Mutex    // never held during I/O
	own     ownership

	mu      sync.RWMutex
	durable uint64
	applied uint64
	moved   chan struct{} // closed and replaced when durable moves
	tail    tail
	seqs    seqs
	dedup   map[schema.DedupKey]*dedupEntry
	watches watches
}

// maxQueue is how many batches wait for the writer; more wait in Append.
const maxQueue = 1024

// Open takes the channel over, replays what the index has not applied, and
// starts to serve. The writer that had it before can no longer write.
//
// It fails with schema.ErrCorrupt if the log is damaged or the index is ahead
// of it, with schema.ErrTrimmed if the index lacks chunks that are gone, and
// with schema.ErrFenced if others keep taking the channel over.
func Open(ctx context.Context, o Options) (*Channel, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c, err := newChannel(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open channel %d: %w", o.Channel, err)
	}
	if err := c.start(ctx); err != nil {
		c.cancel()
		if c.archive != nil {
			c.archive.Close()
		}
		c.dec.Close()
		return nil, fmt.Errorf("open channel %d: %w", o.Channel, err)
	}
	return c, nil
}

func newChannel(o Options) (*Channel, error) {
	var drawn [16 + len(Channel{}.nonce)]byte
	if _, err := io.ReadFull(o.Rand, drawn[:]); err != nil {
		return nil, fmt.Errorf("draw a claim: %w", err)
	}
	dec, err := chunk.NewDecoder(max(2, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, err
	}
	c := &Channel{
		o: o, claim: hex.EncodeToString(drawn[:16]), nonce: [8]byte(drawn[16:]), dec: dec, metrics: newMetrics(o), cache: cache{limit: o.CacheBytes},
		in: make(chan *pending, maxQueue), room: semaphore.NewWeighted(o.MaxPendingBytes), wake: make(chan struct{}, 1),
		heading: make(chan struct{}, 1), closing: make(chan struct{}), exited: make(chan struct{}), moved: make(chan struct{}),
		seqs:  seqs{state: o.State, entries: map[schema.Instance]*seqEntry{}},
		dedup: map[schema.DedupKey]*dedupEntry{}, watches: watches{},
		cancel: func() {},
	}
	if len(o.Zones) > 0 {
		c.layout, c.heads = newZones(c, o.Zones), o.Head
	} else {
		c.layout, c.heads = &single{c: c, store: o.Store}, o.Store
	}
	return c, nil
}

// start takes over, replays and starts the writer.
func (c *Channel) start(ctx context.Context) error {
	own, err := c.takeOver(ctx, false, 0)
	if err != nil {
		return err
	}
	c.setOwner(own)
	// Only now: nobody else raises the floor any more above what segments hold.
	if err := c.openArchive(ctx); err != nil {
		return err
	}
	if err := c.checkArchive(own); err != nil {
		return err
	}
	if err := c.replay(ctx, own); err != nil {
		return err
	}
	// The writer outlives ctx, which is that of opening.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.o.Logger.Info("channel is open", "channel", c.o.Channel, "epoch", own.head.Epoch, "position", c.at(own.last).String())
	if err := c.startWriter(run, own.last+1, own.timeMicros); err != nil {
		return err
	}
	c.startArchivist(run)
	return nil
}

// replay brings index and memory up to the fence.
func (c *Channel) replay(ctx context.Context, own ownership) error {
	from, err := c.loadBelow(ctx, c.o.Applied, own.head.Floor)
	if err != nil {
		return err
	}
	switch {
	case from.Generation != c.generation && !from.IsZero():
		return fmt.Errorf("index has applied %v, the channel is in generation %d: %w", from, c.generation, schema.ErrUnsupported)
	case from.Chunk >= own.fence:
		return fmt.Errorf("index has applied %v, the log ends at %d: part of the log is missing: %w", from, own.fence-1, schema.ErrCorrupt)
	case from.Chunk < own.head.Floor:
		return fmt.Errorf("index has applied %v, the log begins after %d: %w", from, own.head.Floor, schema.ErrTrimmed)
	}
	c.applied, c.durable = from.Chunk, from.Chunk
	return c.scan(ctx, from.Chunk+1, own.last, func(ck *schema.Chunk) error {
		if c.o.CatchUp != nil {
			if err := c.o.CatchUp(ctx, ck); err != nil {
				return fmt.Errorf("catch up with chunk %v: %w", ck.Position, err)
			}
			c.applied = ck.Position.Chunk
			c.commit(ck)
			return nil
		}
		if err := c.restage(ctx, ck); err != nil {
			return err
		}
		c.commit(ck)
		return nil
	})
}

// loadBelow brings an index that lacks chunks which are deleted up to the floor,
// and tells what it holds then.
func (c *Channel) loadBelow(ctx context.Context, applied schema.Position, floor uint64) (schema.Position, error) {
	behind := applied.IsZero() || applied.Generation == c.generation && applied.Chunk < floor
	if floor == 0 || !behind || c.o.Load == nil || c.archive == nil {
		return applied, nil
	}
	if err := c.o.Load(ctx, c.archive, c.at(floor)); err != nil {
		return applied, fmt.Errorf("load segments up to %v: %w", c.at(floor), err)
	}
	return c.at(floor), nil
}

// restage shows the Stager a chunk of an earlier life of the channel.
func (c *Channel) restage(ctx context.Context, ck *schema.Chunk) error {
	for i := range ck.Groups {
		g := &ck.Groups[i]
		e, err := c.pin(ctx, g.Instance)
		if err != nil {
			return err
		}
		if g.FirstSeq > e.next {
			return fmt.Errorf("chunk %v: seq %d of instance %d follows %d: changes are missing: %w",
				ck.Position, g.FirstSeq, g.Instance, e.next, schema.ErrCorrupt)
		}
		c.mu.Lock()
		e.next = max(e.next, g.NextSeq())
		e.pins-- // it stays: next is not durable before commit
		c.mu.Unlock()
	}
	if len(ck.Groups) > 0 {
		c.o.Stager.Stage(ck.Position, ck.Groups)
	}
	c.o.Stager.Publish(ck)
	return nil
}

// Close refuses new batches, makes the queued ones durable and ends. When ctx
// ends first, what is not stored by then is given up, and Close returns without
// waiting for the store; it may be called again to wait. Closing a channel that
// was taken over by another tells so with schema.ErrFenced. Reads work on.
func (c *Channel) Close(ctx context.Context) error {
	c.closeOnce.Do(func() { close(c.closing) })
	select {
	case <-c.exited:
		return c.closeErr
	case <-ctx.Done():
		c.cancel()
		return fmt.Errorf("close channel %d: %w", c.o.Channel, ctx.Err())
	}
}

// stopped is the last thing that the writer does.
func (c *Channel) stopped(ctx context.Context) {
	if p := c.refused.Load(); p != nil {
		c.closeErr = fmt.Errorf("close channel %d: %w", c.o.Channel, *p)
	} else if err := c.updateHint(ctx, c.durableNumber()); err != nil {
		// The next Open walks further; nothing is lost.
		c.o.Logger.Warn("head not updated", "channel", c.o.Channel, "error", err)
	}
	c.layout.close(c.cancel)
	c.archivist.join()
	close(c.exited)
}

// refuse makes Append fail from now on.
func (c *Channel) refuse(err error) { c.refused.CompareAndSwap(nil, &err) }

// refusing is why Append fails now, if it does.
func (c *Channel) refusing() error {
	if err := c.refused.Load(); err != nil {
		return *err
	}
	select {
	case <-c.closing:
		return schema.ErrClosed
	default:
		return nil
	}
}

// Fenced reports whether another writer took the channel over: this one only
// serves reads up to its last durable chunk any more.
func (c *Channel) Fenced() bool {
	p := c.refused.Load()
	return p != nil && errors.Is(*p, schema.ErrFenced)
}

func (c *Channel) setOwner(own ownership) {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	c.own = own
}

func (c *Channel) owner() ownership {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	return c.own
}

func (c *Channel) floor() uint64 { return c.owner().head.Floor }

func (c *Channel) at(n uint64) schema.Position {
	return schema.Position{Generation: c.generation, Chunk: n}
}

func (c *Channel) durableNumber() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.durable
}

// newPutID gives an id that no other chunk has.
func (c *Channel) newPutID() (id chunk.PutID) {
	copy(id[:], c.nonce[:])
	binary.BigEndian.PutUint64(id[8:], c.puts.Add(1))
	return id
}
