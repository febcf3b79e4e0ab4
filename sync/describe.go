package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// Status is how a collection stands in each store.
type Status struct {
	Rows     int64      // live rows
	FirstSeq schema.Seq // of the log: changes below are forgotten
	NextSeq  schema.Seq
	Position schema.Position
	Log      StoreStatus
	Index    StoreStatus
	Lake     LakeStatus
	Indexes  []kvindex.Secondary
}

// StoreStatus is how far one store has come and how much it holds.
type StoreStatus struct {
	NextSeq schema.Seq // it holds the changes below
	Bytes   int64
	Lag     time.Duration // age of the oldest change that it lacks
}

// LakeStatus is the lake's StoreStatus and where its table is.
type LakeStatus struct {
	StoreStatus
	Location   string // "" while there is no table
	SnapshotID int64
	Files      int64
}

// Describe waits for the index to apply what is durable, so that its counts
// are those of the position that it tells.
func (e *Engine) Describe(ctx context.Context, c *schema.Collection) (Status, error) {
	position := e.log.Durable()
	if err := e.waitApplied(ctx, position); err != nil {
		return Status{}, fmt.Errorf("describe %s: %w", c, err)
	}
	stats, err := e.index.Stats(ctx, c.Instance)
	if err != nil {
		return Status{}, fmt.Errorf("describe %s: %w", c, err)
	}
	s := Status{
		Rows: stats.Rows, NextSeq: stats.NextSeq, Position: position,
		Log:   StoreStatus{NextSeq: stats.NextSeq, Bytes: stats.LogBytes},
		Index: StoreStatus{NextSeq: stats.NextSeq, Bytes: stats.Bytes},
		Lake:  LakeStatus{StoreStatus: StoreStatus{NextSeq: stats.LakeSeq}},
	}
	if s.Indexes, err = e.index.Secondaries(ctx, c.Instance); err != nil {
		return Status{}, fmt.Errorf("describe %s: %w", c, err)
	}
	if err := e.describeTrim(ctx, c, &s); err != nil {
		return Status{}, fmt.Errorf("describe %s: %w", c, err)
	}
	if stats.NextSeq > stats.LakeSeq {
		s.Lake.Lag = max(0, e.opts.Now().Sub(stats.TailSince))
	}
	snap, err := e.currentSnapshot(ctx, c)
	if err != nil || snap == nil {
		return s, err
	}
	s.Lake.Location, s.Lake.SnapshotID = snap.Location(), snap.ID()
	s.Lake.NextSeq = snap.NextSeq()
	s.Lake.Files, s.Lake.Bytes = int64(len(snap.Files())), snap.Bytes()
	return s, nil
}

// describeTrim leaves out what a trim let go: from the log's size, and from the
// rows of a collection that has no other place for them.
func (e *Engine) describeTrim(ctx context.Context, c *schema.Collection, s *Status) (err error) {
	if s.FirstSeq, err = e.firstSeq(ctx, c.Instance); err != nil || s.FirstSeq == 0 {
		return err
	}
	s.FirstSeq = min(s.FirstSeq, s.NextSeq)
	kept, err := e.index.LogBetween(ctx, c.Instance, s.FirstSeq, s.NextSeq)
	if err != nil {
		return err
	}
	s.Log.Bytes = kept.Bytes
	if !c.Schema.Keyed() && c.Options.Lake == schema.LakeOff {
		s.Rows = int64(s.NextSeq - s.FirstSeq)
	}
	return nil
}

// waitApplied returns once the index has applied pos.
func (e *Engine) waitApplied(ctx context.Context, pos schema.Position) error {
	for {
		moved := e.appliedMoved.wait()
		if e.index.Applied().Compare(pos) >= 0 {
			return nil
		}
		if err := e.Err(); err != nil {
			return fmt.Errorf("index stopped: %w", err)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for the index to apply %s: %w", pos, ctx.Err())
		}
	}
}
