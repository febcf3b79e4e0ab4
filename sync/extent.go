package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Extent is how much log lies between two seqs, told without reading it.
type Extent struct {
	Bytes      int64 // of keys and rows; by share where a seq lies within a chunk or segments
	LastMicros int64 // commit time of the collection's newest change; 0: there is none
}

// Extent tells how much of a collection's log lies in [from, to), by the
// index's pointers and the chunks in memory that it has not applied: no chunk
// is read. When the newest change was committed is asked of a segment, if only
// these tell.
func (e *Engine) Extent(ctx context.Context, c *schema.Collection, from, to schema.Seq) (Extent, error) {
	durable := e.log.Durable()
	applied := e.index.Applied()
	x, err := e.extent(ctx, c.Instance, from, to, applied, durable)
	if err != nil {
		return Extent{}, fmt.Errorf("measure log of %s: %w", c, err)
	}
	return x, nil
}

func (e *Engine) extent(ctx context.Context, inst schema.Instance, from, to schema.Seq, applied, durable schema.Position) (Extent, error) {
	known, err := e.index.LogBetween(ctx, inst, from, to)
	if err != nil {
		return Extent{}, err
	}
	x := Extent{Bytes: known.Bytes, LastMicros: known.LastMicros}
	// The index may have applied more meanwhile, which is in both.
	from = max(from, known.NextSeq)
	err = e.groupsBetween(ctx, inst, applied, durable, func(g schema.Group, micros int64) (bool, error) {
		x.LastMicros = max(x.LastMicros, micros)
		for i := range g.Records {
			if seq := g.FirstSeq + schema.Seq(i); seq >= from && seq < to {
				x.Bytes += int64(g.Records[i].Bytes())
			}
		}
		return true, nil
	})
	if err == nil && x.LastMicros == 0 && known.NextSeq > 0 {
		x.LastMicros, err = e.lastArchived(ctx, inst)
	}
	return x, err
}

// lastArchived is when the newest change that segments hold was committed; 0 if
// they hold none.
func (e *Engine) lastArchived(ctx context.Context, inst schema.Instance) (int64, error) {
	if e.log.Archive() == nil {
		return 0, nil
	}
	for g, err := range e.log.Archive().ReadBackward(ctx, inst, seqEnd) {
		return g.TimeMicros, err
	}
	return 0, nil
}
