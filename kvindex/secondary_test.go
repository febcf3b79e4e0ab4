package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

func openTowns(t *testing.T, dir string) *kvindex.Index {
	t.Helper()
	o := testOptions(dir)
	o.Catalog = catalog{}
	x, err := kvindex.Open(o)
	must(t, err)
	t.Cleanup(func() { closeIndex(t, x) })
	return x
}

func numbered(id string, n int64) schema.Record { return town{id: id, n: &n}.record(2) }

var uniqueN = definedIndex{ID: 1, Fields: []int{3}, Unique: true}

// state is that of the only index.
func stateOf(t *testing.T, x *kvindex.Index) kvindex.Secondary {
	t.Helper()
	list, err := x.Secondaries(context.Background(), townInst)
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("indexes %+v, want one", list)
	}
	return list[0]
}

// A batch is held against those before it that are staged and not durable.
func TestCollisionWithWhatIsStaged(t *testing.T) {
	x, m, ctx := openTowns(t, t.TempDir()), newMaker(), context.Background()
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, uniqueN))))
	c := m.chunk(townInst, numbered("a", 1))
	x.Stage(c.Position, c.Groups)
	found, err := x.Collisions(townInst, []schema.Record{numbered("b", 1)})
	if err != nil || len(found) != 1 || found[0].Index != "x1" || found[0].Other != -1 {
		t.Errorf("with a staged row: %+v %v", found, err)
	}
	x.Discard(c.Position)
	if found, err := x.Collisions(townInst, []schema.Record{numbered("b", 1)}); err != nil || len(found) > 0 {
		t.Errorf("with a discarded row: %+v %v", found, err)
	}
}

// A definition counts from the batch on that holds it, before it is durable.
func TestStagedDefinition(t *testing.T) {
	x, m := openTowns(t, t.TempDir()), newMaker()
	c := m.chunkOf(map[schema.Instance][]schema.Record{
		schema.InstanceCollections: {definition(townInst, uniqueN)}, townInst: {numbered("a", 1)},
	})
	x.Stage(c.Position, c.Groups[:1])
	x.Stage(c.Position, c.Groups[1:])
	if found, err := x.Collisions(townInst, []schema.Record{numbered("b", 1)}); err != nil || len(found) != 1 {
		t.Errorf("got %+v %v", found, err)
	}
	x.Publish(c)
	must(t, x.Apply(context.Background(), c))
	if st := stateOf(t, x); st.State != kvindex.SecondaryReady {
		t.Errorf("an index that came before all rows: %+v", st)
	}
}

// In which order a chunk's rows and its definition were sequenced is not in the
// chunk: rows that were decided without the index may break its rule, also when the
// chunk is replayed into an index that has nothing yet.
func TestDefinitionInAChunkWithRows(t *testing.T) {
	for name, rows := range map[string][]schema.Record{
		"failed": {numbered("a", 1), numbered("b", 1)},
		"ready":  {numbered("a", 1), numbered("b", 2)},
	} {
		x, m := openTowns(t, t.TempDir()), newMaker()
		c := m.chunkOf(map[schema.Instance][]schema.Record{
			schema.InstanceCollections: {definition(townInst, uniqueN)}, townInst: rows,
		})
		must(t, x.Apply(t.Context(), c))
		var unready *kvindex.NotReadyError
		if _, err := x.Collisions(townInst, nil); !errors.As(err, &unready) {
			t.Errorf("%s: a batch before the index is proved: %v", name, err)
		}
		x.Build(nil)
		x.AwaitBuilds(t)
		if st := stateOf(t, x); st.State.String() != name {
			t.Errorf("got %+v, want %s", st, name)
		}
	}
}

// A batch that was decided before the index was whole may break its rule: it is
// waited for before the index is proved.
func TestProofWaitsForBatchesUnderWay(t *testing.T) {
	x, m, ctx := openTowns(t, t.TempDir()), newMaker(), context.Background()
	must(t, x.Apply(ctx, m.chunk(townInst, numbered("a", 1))))
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, uniqueN))))
	c := m.chunk(townInst, numbered("b", 1))
	x.Stage(c.Position, c.Groups)
	x.Build(func(context.Context) error {
		x.Publish(c)
		return x.Apply(ctx, c)
	})
	x.AwaitBuilds(t)
	if st := stateOf(t, x); st.State != kvindex.SecondaryFailed || !strings.Contains(st.Reason, "keys a and b") {
		t.Errorf("got %+v", st)
	}
}

// An index that was not whole when the process ended may have been ready before a
// power failure: nothing is written until it is built.
func TestUniqueIndexIsGuardedAfterAStart(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	x, m := openTowns(t, dir), newMaker()
	must(t, x.Apply(ctx, m.chunk(townInst, numbered("a", 1))))
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, uniqueN))))
	var unready *kvindex.NotReadyError
	if _, err := x.Collisions(townInst, nil); !errors.As(err, &unready) || !errors.Is(err, schema.ErrUnavailable) {
		t.Errorf("while the log is caught up with: %v", err)
	}
	copied := t.TempDir()
	copyIndex(t, dir, copied)
	y := openTowns(t, copied)
	if _, err := y.Collisions(townInst, nil); !errors.As(err, &unready) {
		t.Errorf("after a start: %v", err)
	}
	y.Build(nil)
	y.AwaitBuilds(t)
	if found, err := y.Collisions(townInst, []schema.Record{numbered("b", 1)}); err != nil || len(found) != 1 {
		t.Errorf("once it is built: %+v %v", found, err)
	}
	// One that is added now was never ready: writes go on while it is built.
	more := uniqueN
	more.ID, more.Fields = 2, []int{2}
	must(t, y.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, uniqueN, more))))
	if found, err := y.Collisions(townInst, []schema.Record{numbered("b", 2)}); err != nil || len(found) > 0 {
		t.Errorf("while one that is new is built: %+v %v", found, err)
	}
}

func TestReadByAnIndexThatIsNotReady(t *testing.T) {
	x, m, ctx := openTowns(t, t.TempDir()), newMaker(), context.Background()
	must(t, x.Apply(ctx, m.chunk(townInst, numbered("a", 1))))
	read := func(id schema.IndexID) error {
		return x.SecondaryRange(ctx, townInst, id, kvindex.KeyRange{}, func(_, _ []byte, _ kvindex.Row) (bool, error) { return true, nil })
	}
	if err := read(1); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("no index: %v", err)
	}
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, uniqueN))))
	if err := read(1); !errors.Is(err, schema.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1 rows") {
		t.Errorf("being built: %v", err)
	}
	must(t, x.Apply(ctx, m.chunk(townInst, numbered("b", 1))))
	x.Build(nil)
	x.AwaitBuilds(t)
	if err := read(1); !errors.Is(err, schema.ErrConflict) || !strings.Contains(err.Error(), "keys a and b") {
		t.Errorf("failed: %v", err)
	}
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst))))
	if err := read(1); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("dropped: %v", err)
	}
	must(t, x.Drop(ctx, 1, townInst))
	x.AwaitReclaim(t)
	if n := x.CountKeys(townInst); n != 1 { // the marker
		t.Errorf("a dropped collection has %d keys", n)
	}
}

// A reader of a definition's position does not meet an index that is not known.
func TestReadWaitsForTheDefinition(t *testing.T) {
	x, m, ctx := openTowns(t, t.TempDir()), newMaker(), context.Background()
	c := m.chunkOf(map[schema.Instance][]schema.Record{
		schema.InstanceCollections: {definition(townInst, uniqueN)}, townInst: {numbered("a", 1)},
	})
	x.Stage(c.Position, c.Groups[:1])
	x.Stage(c.Position, c.Groups[1:])
	x.Publish(c)
	read := make(chan error)
	go func() {
		n := 0
		err := x.SecondaryRange(ctx, townInst, 1, kvindex.KeyRange{}, func(_, _ []byte, _ kvindex.Row) (bool, error) { n++; return true, nil })
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows, want 1", n)
		}
		read <- err
	}()
	must(t, x.Apply(ctx, c))
	must(t, <-read)
}

// A view holds what was there when it was taken, in each of the index's orders.
func TestSecondaryRangeIsOneState(t *testing.T) {
	x, m, ctx := openTowns(t, t.TempDir()), newMaker(), context.Background()
	must(t, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(townInst, definedIndex{ID: 1, Fields: []int{3}}))))
	const rows = 50
	write := func(round int64) {
		var rs []schema.Record
		for i := range rows {
			rs = append(rs, numbered(fmt.Sprintf("k%02d", i), round*1000+int64(i)))
		}
		must(t, x.Apply(ctx, m.chunk(townInst, rs...)))
	}
	write(0)
	for round := int64(1); round < 20; round++ {
		n := 0
		must(t, x.SecondaryRange(ctx, townInst, 1, kvindex.KeyRange{Reverse: round%2 == 0}, func(_, _ []byte, row kvindex.Row) (bool, error) {
			if n++; n == rows/2 {
				write(round) // moves every entry
			}
			return true, nil
		}))
		if n != rows {
			t.Fatalf("round %d: %d rows, want %d", round, n, rows)
		}
	}
}

// TestSweepOfFailedIndex has a record make its index fail after another, of the same
// transaction, got an entry in it. The sweep finds that entry, also if it looks while
// the transaction is being committed.
func TestSweepOfFailedIndex(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Catalog = catalog{}
	x, err := kvindex.Open(o)
	must(t, err)
	defer closeIndex(t, x)
	x.CommitSweepsFirst(50 * time.Millisecond)
	m := newMaker()
	long := strings.Repeat("x", 5000)
	must(t, x.Apply(t.Context(), m.chunkOf(map[schema.Instance][]schema.Record{
		schema.InstanceCollections: {definition(townInst, definedIndex{ID: 1, Fields: []int{2}})},
		townInst:                   {town{id: "a", city: &[]string{"Oslo"}[0]}.record(2), town{id: "b", city: &long}.record(2)},
	})))
	x.Build(nil)
	x.AwaitBuilds(t)
	if n := x.CountEntries(townInst); n != 0 {
		t.Errorf("%d entries are left of an index that failed", n)
	}
	list, err := x.Secondaries(t.Context(), townInst)
	must(t, err)
	if len(list) != 1 || list[0].State != kvindex.SecondaryFailed {
		t.Errorf("%+v", list)
	}
}
