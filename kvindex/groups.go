package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Groups calls fn for the groups of a collection's log, oldest first, from the
// one that holds the change from (or the first after it), as of one Applied,
// until fn reports no more or fails.
func (x *Index) Groups(ctx context.Context, inst schema.Instance, from schema.Seq, fn func(GroupRef) (more bool, err error)) error {
	return x.walkGroups(ctx, inst, false, func(v *view, t tally, c cursor) error {
		return x.seekGroup(v, t, c, inst, from)
	}, fn)
}

// GroupsBackward calls fn for the groups of a collection's log that begin
// below before, newest first; otherwise it is as Groups.
func (x *Index) GroupsBackward(ctx context.Context, inst schema.Instance, before schema.Seq, fn func(GroupRef) (more bool, err error)) error {
	return x.walkGroups(ctx, inst, true, func(_ *view, _ tally, c cursor) error {
		if before > 0 {
			c.seek(appendGroupKey(nil, inst, before-1))
		}
		return nil
	}, fn)
}

// GroupAt finds the first group that was committed at or after a time, or
// reports that there is none yet.
func (x *Index) GroupAt(ctx context.Context, inst schema.Instance, timeMicros int64) (GroupRef, bool, error) {
	if err := x.gate.enter(); err != nil {
		return GroupRef{}, false, err
	}
	defer x.gate.leave()
	if x.isDropped(inst) {
		return GroupRef{}, false, nil
	}
	v := x.pin()
	defer x.unpin(v)
	t, _, err := x.tallyAt(v.ts, inst)
	if err != nil {
		return GroupRef{}, false, err
	}
	c, err := x.groups(v.ts, inst, t, false)
	if err != nil {
		return GroupRef{}, false, err
	}
	defer c.close()
	// Commit times never go back, so the groups from some seq on are it: halve
	// the seqs between lo, where groups are too old, and hi.
	var found GroupRef
	ok := false
	for lo, hi := schema.Seq(0), t.nextSeq; lo < hi; {
		if err := ctx.Err(); err != nil {
			return GroupRef{}, false, err
		}
		mid := lo + (hi-lo)/2
		c.seek(appendGroupKey(nil, inst, mid))
		if !c.valid() {
			hi = mid
			continue
		}
		g, _, err := groupAtCursor(c)
		if err != nil {
			return GroupRef{}, false, err
		}
		if g.TimeMicros >= timeMicros {
			found, ok = g, true
			hi = mid
		} else {
			lo = g.FirstSeq + 1
		}
	}
	return found, ok, nil
}

// walkGroups runs fn over the groups from where start puts the cursor.
func (x *Index) walkGroups(ctx context.Context, inst schema.Instance, reverse bool,
	start func(*view, tally, cursor) error, fn func(GroupRef) (bool, error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	if x.isDropped(inst) {
		return nil
	}
	v := x.pin()
	defer x.unpin(v)
	t, _, err := x.tallyAt(v.ts, inst)
	if err != nil {
		return err
	}
	c, err := x.groups(v.ts, inst, t, reverse)
	if err != nil {
		return err
	}
	defer c.close()
	if err := start(v, t, c); err != nil {
		return err
	}
	for n := 0; c.valid(); c.next() {
		if n++; n%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return err
			}
		}
		g, _, err := groupAtCursor(c)
		if err != nil {
			return fmt.Errorf("groups of instance %d: %w", inst, err)
		}
		if more, err := fn(g); err != nil || !more {
			return err
		}
	}
	return nil
}

// seekGroup puts c on the group that holds seq, or else on the first after it.
func (x *Index) seekGroup(v *view, t tally, c cursor, inst schema.Instance, seq schema.Seq) error {
	key := appendGroupKey(nil, inst, seq)
	c.seek(key)
	if c.valid() && string(c.key()) == string(key) || seq == 0 {
		return nil // readers that go on at a group's end come here
	}
	g, _, ok, err := x.groupBelow(v.ts, inst, seq, t)
	if err != nil || !ok || g.NextSeq() <= seq {
		return err
	}
	c.seek(appendGroupKey(nil, inst, g.FirstSeq))
	return nil
}

// groupBelow is the last group that begins at or below seq, and what the log
// bytes were when it began.
func (x *Index) groupBelow(ts uint64, inst schema.Instance, seq schema.Seq, t tally) (g GroupRef, before int64, ok bool, err error) {
	c, err := x.groups(ts, inst, t, true)
	if err != nil {
		return GroupRef{}, 0, false, err
	}
	defer c.close()
	c.seek(appendGroupKey(nil, inst, seq))
	if !c.valid() {
		return GroupRef{}, 0, false, nil
	}
	g, before, err = groupAtCursor(c)
	return g, before, err == nil, err
}

func groupAtCursor(c cursor) (GroupRef, int64, error) {
	val, err := c.value()
	if err != nil {
		return GroupRef{}, 0, corrupt("read group", err)
	}
	return decodeGroup(c.key(), val)
}
