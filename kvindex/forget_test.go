package kvindex_test

import (
	"context"
	"slices"
	"testing"

	"github.com/trinedb/trine/schema"
)

// TestForgetDropped drops collections and demands that those are forgotten of which
// nothing is left anywhere, and no others, also after a restart.
func TestForgetDropped(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	x := open(t, dir)
	m := newMaker()
	const gone, held, young, marked, kept = 16, 17, 18, 19, 20
	for inst := schema.Instance(gone); inst <= kept; inst++ {
		must(t, x.Apply(ctx, m.chunk(inst, upsert("k", "v"))))
	}
	must(t, x.MarkUpkeep(ctx, marked, []byte("acme/marked")))
	must(t, x.Drop(ctx, 10, gone, held, marked))
	must(t, x.Drop(ctx, 20, young))
	forget := func(before int64, want int) {
		t.Helper()
		x.AwaitReclaim(t)
		n, err := x.ForgetDropped(ctx, before, func(_ context.Context, inst schema.Instance) (bool, error) {
			if inst == kept {
				t.Errorf("asked about a collection that was not dropped")
			}
			return inst == held, nil
		})
		must(t, err)
		if n != want {
			t.Errorf("forgot %d before %d, want %d", n, before, want)
		}
	}
	check := func(want ...schema.Instance) {
		t.Helper()
		for inst := schema.Instance(gone); inst <= kept; inst++ {
			_, dropped, err := x.DroppedAt(ctx, inst)
			must(t, err)
			if is := slices.Contains(want, inst); is != dropped {
				t.Errorf("instance %d: dropped %t, want %t", inst, dropped, is)
			}
		}
	}
	forget(10, 0)
	check(gone, held, young, marked)
	forget(20, 1)
	check(held, young, marked)
	must(t, x.UpkeepDone(ctx, marked, 0))
	closeIndex(t, x)
	x = open(t, dir)
	check(held, young, marked)
	forget(21, 2)
	check(held)
	forget(21, 0)
	// The log may say it again, to an index that goes back.
	must(t, x.Drop(ctx, 10, gone))
	check(gone, held)
	if s, err := x.Stats(ctx, kept); err != nil || s.Rows != 1 {
		t.Errorf("the collection that stays has %d rows (%v)", s.Rows, err)
	}
}
