package lakehouse_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func TestPruning(t *testing.T) {
	objects := &counting{Mem: blob.NewMem()}
	f := &fixture{TB: t, dir: "/lake", objects: objects}
	f.lake = f.open(objects, func(o *lakehouse.Options) { o.RowGroupRows = 256 })
	tbl := newTable(f, collection(simple()))
	for i := range 4 {
		tbl.commit(simpleRows(i*1024, 1024), nil)
	}
	for _, test := range []struct {
		where string
		rows  int
		files int
	}{
		{"id >= 0", 4096, 4},
		{"id = 1500", 256, 1},
		{"id between 1023 and 1024", 512, 2},
		{"id < 0", 0, 0},
		{"score > 1000.0 and id < 4050", 256, 1},
		{"score is null", 0, 0},
		{"name = 'zzz'", 0, 0},
		{"name like 'name 4%'", 4096, 4},
		{"_seq < 10", 256, 1},
		{"_time > timestamp '2100-01-01 00:00:00'", 0, 0},
	} {
		objects.gets = 0
		p, err := query.ParseWhere(test.where, tbl.c.Schema)
		if err != nil {
			t.Errorf("%s: %v", test.where, err)
			continue
		}
		got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema, Where: p})
		if len(got) != test.rows || objects.gets != test.files {
			t.Errorf("%s: %d rows of %d files, want %d of %d", test.where, len(got), objects.gets, test.rows, test.files)
		}
	}
}

func TestReadStopsEarly(t *testing.T) {
	defer goleak.VerifyNone(t)
	f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 256 })
	tbl := newTable(f, collection(everything()))
	tbl.commit(randomRows(seedtest.Rand(t), tbl.c.Schema, 2000), nil)
	tbl.commit(nil, map[uint32][]uint32{0: {1, 3, 5, 7, 1000}})
	opts := lakehouse.ReadOptions{Schema: tbl.c.Schema, System: true, BatchRows: 100}
	for after := range 5 {
		n := 0
		for _, err := range tbl.snap.Read(context.Background(), opts) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > after {
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range tbl.snap.Read(ctx, opts) {
		last = err
		if n++; n == 3 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n > 6 {
		t.Errorf("after cancel: %d batches, %v", n, last)
	}
}

func TestReadReleasesEverything(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 256 })
	tbl := newTable(f, collection(versions()[0]))
	r := seedtest.Rand(t)
	tbl.commit(rowsWithID(r, tbl.c.Schema, 0, 700), nil)
	tbl.commit(nil, map[uint32][]uint32{0: {1, 3, 5, 7, 600}})
	for _, s := range versions() {
		for stop := range 4 {
			n := 0
			for _, err := range tbl.snap.Read(context.Background(), lakehouse.ReadOptions{Schema: s, System: true, BatchRows: 200, Allocator: mem}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n > stop {
					break
				}
			}
		}
	}
}

// TestDamage flips bytes of a table's files: a read must give the right rows
// or an error, and never panic.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	r := seedtest.Rand(t)
	for i := range 150 {
		f := newFixture(t)
		tbl := newTable(f, collection(simple()))
		tbl.commit(simpleRows(0, 300), nil)
		tbl.commit(nil, map[uint32][]uint32{0: {1, 2}})
		var names []string
		for name := range f.objects.List(ctx, "", "") {
			names = append(names, name)
		}
		name := names[i%len(names)]
		data := slices.Clone(must(f.objects.Get(ctx, name)))
		for range 1 + r.IntN(3) {
			data[r.IntN(len(data))] ^= byte(1 + r.IntN(255))
		}
		if r.IntN(4) == 0 {
			data = data[:r.IntN(len(data))]
		}
		if err := f.objects.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
		if err := f.objects.PutIfAbsent(ctx, name, data); err != nil {
			t.Fatal(err)
		}
		snap, err := f.open(f.objects).Current(ctx, tbl.c)
		if err != nil {
			continue
		}
		for _, err := range snap.Read(ctx, lakehouse.ReadOptions{Schema: tbl.c.Schema, System: true}) {
			if err != nil {
				if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) && !errors.Is(err, schema.ErrUnavailable) {
					t.Errorf("%s damaged: %v", name, err)
				}
				break
			}
		}
	}
}
