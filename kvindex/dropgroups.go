package kvindex

import (
	"context"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// DropGroups forgets the pointers to chunks up to a position, oldest first in
// each collection, and tells how many. It goes through the pointers that there
// are, which are those to younger chunks and what the last call left, at the pace
// of a reclaim; so a collection that has none costs nothing.
func (x *Index) DropGroups(ctx context.Context, through schema.Position) (int, error) {
	if err := x.gate.enter(); err != nil {
		return 0, err
	}
	defer x.gate.leave()
	total := 0
	for from := []byte{byte(spaceGroup)}; from != nil; {
		n, next, err := x.dropSomeGroups(ctx, through, from)
		if err != nil {
			return total, fmt.Errorf("drop pointers to chunks up to %v: %w", through, err)
		}
		total, from = total+n, next
		if err := sleep(ctx, time.Duration(n)*time.Second/time.Duration(x.opts.ReclaimPerSecond)); err != nil {
			return total, err
		}
	}
	return total, nil
}

// dropSomeGroups drops what one transaction takes, from a key on, and gives the
// key to go on with; nil at the end.
func (x *Index) dropSomeGroups(ctx context.Context, through schema.Position, from []byte) (n int, next []byte, err error) {
	if err := x.checkSpace(reclaimPercent); err != nil {
		return 0, nil, err
	}
	b := new(batch)
	c := x.eng.iterate(latest, []byte{byte(spaceGroup)}, false)
	defer c.close()
	looked := 0
	for c.seek(from); c.valid(); c.next() {
		if len(b.ops) == reclaimBatch {
			next = append([]byte(nil), c.key()...)
			break
		}
		if looked++; looked%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return 0, nil, err
			}
		}
		g, _, err := groupAtCursor(c)
		if err != nil {
			return 0, nil, err
		}
		if g.Position.Compare(through) <= 0 {
			b.delete(append(b.alloc(len(c.key())), c.key()...))
		}
	}
	if len(b.ops) == 0 {
		return 0, nil, nil
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	return len(b.ops), next, x.commitNow(b)
}
