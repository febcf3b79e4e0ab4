package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// flushBorder is what is known of the changes from a flush's LakeSeq up to the
// first pointer behind it, where no pointer holds that seq: it was dropped.
type flushBorder struct {
	known bool
	next  schema.Seq // where that pointer begins, or the log's next
	bytes int64      // of the changes in between
	since int64      // microseconds, of the first
}

// border asks for what pointers do not tell.
func (x *Index) border(ctx context.Context, inst schema.Instance, f Flush) (flushBorder, error) {
	t, err := x.flushable(inst, f)
	if err != nil || f.LakeSeq >= t.nextSeq {
		return flushBorder{}, err
	}
	g, _, ok, err := x.groupBelow(latest, inst, f.LakeSeq, t)
	if err != nil || ok && g.NextSeq() > f.LakeSeq {
		return flushBorder{}, err
	}
	next, _, err := x.firstGroup(latest, inst, f.LakeSeq, t)
	if err != nil {
		return flushBorder{}, err
	}
	if f.Between == nil {
		return flushBorder{}, fmt.Errorf("no group holds seq %d: %w", f.LakeSeq, schema.ErrCorrupt)
	}
	bytes, since, err := f.Between(ctx, f.LakeSeq, next)
	if err != nil {
		return flushBorder{}, fmt.Errorf("bytes of seqs %d to %d: %w", f.LakeSeq, next, err)
	}
	return flushBorder{known: true, next: next, bytes: bytes, since: since.UnixMicro()}, nil
}

// firstGroup is where the first pointer above a seq begins, and what the log bytes
// were then; the log's end if there is none.
func (x *Index) firstGroup(ts uint64, inst schema.Instance, seq schema.Seq, t tally) (schema.Seq, int64, error) {
	c, err := x.groups(ts, inst, t, false)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	c.seek(appendGroupKey(nil, inst, seq))
	if !c.valid() {
		return t.nextSeq, t.logBytes, nil
	}
	g, before, err := groupAtCursor(c)
	return g.FirstSeq, before, err
}
