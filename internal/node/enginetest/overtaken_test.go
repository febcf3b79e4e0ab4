package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// numbered is the row of a number.
func numbered(c *schema.Collection, n int64) schema.Record {
	return upsert(c, item(n, fmt.Sprint("row ", n))...)
}

// overtaken is a log of whose chunks nothing is kept longer than a moment.
type overtaken struct {
	*rig
	chunks *blob.Mem
	other  *schema.Collection
	n      int64
}

func newOvertaken(t *testing.T) *overtaken {
	at := newStores(t, blob.NewMem())
	o := &overtaken{chunks: at.log}
	at.change = func(r *rig, lo *log.Options) {
		lo.TailBytes, lo.CacheBytes = 1, 1
		lo.Segments = log.SegmentOptions{
			Store: o.chunks, Chunks: o.chunks, TargetBytes: 4 << 10, MaxAge: time.Millisecond, Grace: time.Microsecond, AnswersKept: -1,
			DeletesPerSecond: 1 << 20, Indexed: r.index.Applied,
			Archived: func(ctx context.Context, through schema.Position, held iter.Seq2[schema.Instance, error]) error {
				if err := r.index.Wait(ctx, through); err != nil {
					return err
				}
				_, err := r.index.DropGroups(ctx, through, held)
				return err
			},
		}
	}
	o.rig = newRigOn(t, at, sync.Options{})
	o.other = o.catalog.define(21, items)
	return o
}

// pass writes until the chunk after a position, and so all up to there, is deleted.
func (o *overtaken) pass(pos schema.Position) {
	o.t.Helper()
	for tries := 0; ; tries++ {
		if _, err := o.chunks.Get(o.t.Context(), fmt.Sprintf("ch/0/0/%020d", pos.Chunk)); errors.Is(err, blob.ErrNotFound) {
			return
		} else if err != nil {
			o.t.Fatal(err)
		}
		if tries == 100_000 {
			o.t.Fatalf("%v is not deleted", pos)
		}
		o.n++
		o.append(o.other, numbered(o.other, o.n))
	}
}

// TestOvertaken reads a log so slowly that deletion overtakes the reader again and
// again: no error, and each change once, in order.
func TestOvertaken(t *testing.T) {
	for name, read := range map[string]func(*sync.ChangesRequest){
		"follow":     func(r *sync.ChangesRequest) { r.Follow = true },
		"forward":    func(*sync.ChangesRequest) {},
		"descending": func(r *sync.ChangesRequest) { r.Descending = true },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOvertaken(t)
			c := o.catalog.define(20, items)
			const before, after = 60, 40
			var last log.Ack
			for n := range int64(before) {
				last = o.append(c, numbered(c, n), numbered(c, -n-1))
			}
			req := sync.ChangesRequest{To: 2 * before}
			read(&req)
			next, stop := iter.Pull2(o.engine.Changes(t.Context(), c, req))
			defer stop()
			end := 2 * before
			if req.Follow {
				end = 2 * (before + after)
			}
			for i := range end {
				ch, err, ok := next()
				if err != nil || !ok {
					t.Fatalf("change %d: %v (%t)", i, err, ok)
				}
				want := i
				if req.Descending {
					want = end - 1 - i
				}
				n := int64(want / 2)
				if want%2 > 0 {
					n = -n - 1
				}
				if rec := numbered(c, n); int(ch.Seq) != want || string(ch.Row) != string(rec.Row) {
					t.Fatalf("change %d is seq %d, %q, want seq %d, %q", i, ch.Seq, ch.Row, want, rec.Row)
				}
				switch i {
				case 5, 2*before - 1: // in the middle of what is there, and at its end
					if i > 5 && req.Follow {
						for n := range int64(after) {
							last = o.append(c, numbered(c, before+n), numbered(c, -before-n-1))
						}
					}
					o.pass(last.Position)
				case 2*before + 7:
					o.pass(last.Position)
				}
			}
			if !req.Follow {
				if _, err, ok := next(); ok {
					t.Errorf("more than all changes (%v)", err)
				}
			}
			x, err := o.engine.Extent(t.Context(), c, 0, schema.Seq(end))
			if err != nil || x.LastMicros == 0 || x.Bytes == 0 {
				t.Errorf("extent %+v (%v)", x, err)
			}
		})
	}
}
