package log_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/trinedb/trine/schema"
)

// pointers are an index's pointers into chunks: of each collection the chunks
// that hold changes of it, in order.
type pointers map[schema.Instance][]uint64

func (p pointers) clone() pointers {
	q := pointers{}
	for id, chunks := range p {
		q[id] = append([]uint64(nil), chunks...)
	}
	return q
}

func (p pointers) drop(id schema.Instance, through uint64) {
	for len(p[id]) > 0 && p[id][0] <= through {
		p[id] = p[id][1:]
	}
}

// archived is SegmentOptions.Archived.
func (x *fakeIndex) archived(_ context.Context, through schema.Position, held iter.Seq2[schema.Instance, error]) error {
	var ids []schema.Instance
	if held != nil {
		for id, err := range held { // not under the mutex, which is no wait for synctest
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.applied.Compare(through) < 0 {
		return fmt.Errorf("%v, applied is %v: %w", through, x.applied, schema.ErrUnavailable)
	}
	if held == nil {
		for id := range x.pointers {
			x.pointers.drop(id, through.Chunk)
		}
		x.toldAll++
	} else {
		last := schema.Instance(0)
		for _, id := range ids {
			if id <= last {
				x.t.Errorf("instance %d after %d", id, last)
			}
			if last = id; len(x.pointers[id]) == 0 || x.pointers[id][0] > through.Chunk {
				x.spared++
			}
			x.pointers.drop(id, through.Chunk)
		}
		x.toldSome++
	}
	x.told = through
	return nil
}

// checkPointers demands that none is left of those that may go.
func (x *fakeIndex) checkPointers(t *testing.T, archived schema.Position) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.told != archived {
		t.Errorf("pointers up to %v may go, segments hold all up to %v", x.told, archived)
	}
	for id, chunks := range x.pointers {
		if len(chunks) > 0 && chunks[0] <= x.told.Chunk {
			t.Errorf("pointers of instance %d to chunks %v are left, up to %v they may go", id, chunks, x.told)
		}
	}
}
