package segment

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// writer makes a segment of runs that come in order.
type writer struct {
	ref  Ref
	info Info
	w    blob.Writer
	zstd *zstd.Encoder
	// lossy: changes were left out, and another owner may have left out others.
	lossy bool

	block []byte // the open one, before compression
	open  entry  // what is known of it
	last  run    // that was added, without its records
	prev  run    // the one before in the open block

	out    []byte // working memory of flush
	offset int64  // of the next block
	before entry  // of the last block
	blocks uint32
	index  []byte
	filter filterWriter
}

// newWriter begins the segment ref. Abort must be called at the end.
func newWriter(ctx context.Context, to Target, ref Ref) (*writer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("new segment encoder: %w", err)
	}
	w, err := to.Create(ctx, ref.Name())
	if err != nil {
		return nil, fmt.Errorf("write segment: %w", err)
	}
	return &writer{ref: ref, w: w, zstd: z}, nil
}

// abort drops the object unless it was finished.
func (w *writer) abort() error { return w.w.Abort() }

// check refuses a run that cannot be next.
func (w *writer) check(r *run) error {
	if r.follows(&w.last) && r.number >= w.ref.From && r.number <= w.ref.To {
		return nil
	}
	return fmt.Errorf("segment %v: seq %d of instance %d in chunk %d after %d of %d in %d: %w", w.ref,
		r.first, r.instance, r.number, w.last.first, w.last.instance, w.last.number, schema.ErrCorrupt)
}

// add appends a run, whose records it copies.
func (w *writer) add(r run) error {
	if err := w.check(&r); err != nil {
		return err
	}
	for {
		room := BlockBytes - maxRunHeader - len(w.block)
		head, rest := run{}, r
		switch {
		case len(r.records) <= room:
			w.put(r)
			return nil
		case len(w.block) == 0 || len(r.records) > BlockBytes/2:
			// A small run is not cut: a cold collection lies in one block. Of one
			// that begins a block at least one record must go in.
			atLeast, ok := 0, false
			if len(w.block) == 0 {
				atLeast = 1
			}
			if head, rest, ok = r.split(room, atLeast); !ok {
				return fmt.Errorf("segment %v: malformed records of instance %d: %w", w.ref, r.instance, schema.ErrCorrupt)
			}
		}
		if head.count > 0 {
			w.put(head)
		}
		if rest.count == 0 {
			return nil
		}
		if err := w.flush(); err != nil {
			return err
		}
		r = rest
	}
}

// put appends a run to the open block.
func (w *writer) put(r run) {
	if len(w.block) == 0 {
		w.open = entry{first: r.instance, seq: r.first}
		w.prev = run{}
	}
	w.block = r.append(w.block, &w.prev)
	w.open.last = r.instance
	w.count(r.instance, uint64(r.count))
	r.records = nil
	w.prev, w.last = r, r
}

func (w *writer) count(id schema.Instance, changes uint64) {
	if id != w.last.instance {
		w.filter.add(id)
		w.info.Instances++
	}
	w.info.Changes += changes
}

// flush ends the open block.
func (w *writer) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	e := w.open
	e.raw = uint32(len(w.block))
	w.out = w.zstd.EncodeAll(w.block, w.out[:0])
	if e.zstd = len(w.out) <= len(w.block)-len(w.block)/8; !e.zstd {
		w.out = append(w.out[:0], w.block...)
	}
	e.stored = uint32(len(w.out))
	w.out = order.AppendUint32(w.out, crc(w.out))
	if err := w.store(&e, w.out); err != nil {
		return err
	}
	w.block = w.block[:0]
	if cap(w.block) > 4*BlockBytes {
		w.block, w.out = nil, nil
	}
	return nil
}

// store writes a block and its entry.
func (w *writer) store(e *entry, block []byte) error {
	if _, err := w.w.Write(block); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	w.index = e.append(w.index, &w.before)
	w.before = *e
	w.info.RawBytes += uint64(e.raw)
	w.blocks++
	if w.offset += e.length(); w.offset > MaxObjectBytes {
		return fmt.Errorf("segment %v of %d bytes: %w", w.ref, w.offset, schema.ErrTooLarge)
	}
	return nil
}

// copy appends a block as another segment has it: changes of one collection,
// from the run first to the run last.
func (w *writer) copy(e *entry, block []byte, first, last run, changes uint64) error {
	if err := w.check(&first); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.store(e, block); err != nil {
		return err
	}
	w.count(e.first, changes)
	last.records = nil
	w.last = last
	return nil
}

// finish makes the segment durable. That it exists is no error: what has its
// name has its content, or all that anybody needs of it.
func (w *writer) finish(ctx context.Context, from Source) (Info, error) {
	if err := w.flush(); err != nil {
		return Info{}, err
	}
	end, err := appendTail(nil, w.ref, &w.info, w.offset, w.blocks, w.index, &w.filter)
	if err != nil {
		return Info{}, err
	}
	if _, err := w.w.Write(end); err != nil {
		return Info{}, fmt.Errorf("write segment: %w", err)
	}
	if err = w.w.Commit(); err == nil {
		return w.info, nil
	}
	if !errors.Is(err, blob.ErrExists) {
		return Info{}, fmt.Errorf("write segment: %w", err)
	}
	t, _, err := readTail(ctx, from, w.ref)
	if err != nil {
		return Info{}, err
	}
	if i := t.info; !w.lossy && (i.Changes != w.info.Changes || i.Instances != w.info.Instances) {
		return Info{}, corrupt(w.ref.Name(), t.start, "exists with %d changes of %d collections, want %d of %d",
			i.Changes, i.Instances, w.info.Changes, w.info.Instances)
	}
	return t.info, nil
}
