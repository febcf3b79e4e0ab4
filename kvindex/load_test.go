package kvindex_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// segmentsOf are the changes of chunks as segments give them: by collection, then
// seq, in groups that are cut anywhere.
func segmentsOf(rnd *rand.Rand, chunks []*schema.Chunk) iter.Seq2[kvindex.LoadGroup, error] {
	var all []kvindex.LoadGroup
	for _, c := range chunks {
		for _, g := range c.Groups {
			for rest := g; len(rest.Records) > 0; {
				n := 1 + rnd.IntN(len(rest.Records))
				part := rest
				part.Records = rest.Records[:n]
				all = append(all, kvindex.LoadGroup{Group: part, TimeMicros: c.TimeMicros})
				rest.Records, rest.FirstSeq = rest.Records[n:], rest.FirstSeq+schema.Seq(n)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b kvindex.LoadGroup) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.FirstSeq, b.FirstSeq))
	})
	return func(yield func(kvindex.LoadGroup, error) bool) {
		for _, g := range all {
			if !yield(g, nil) {
				return
			}
		}
	}
}

// loading brings an index up from segments, cut short after each transaction.
type loading struct {
	t      *testing.T
	rnd    *rand.Rand
	dir    string
	o      kvindex.Options
	x      *kvindex.Index
	chunks []*schema.Chunk
	cuts   int // short loads
	kills  int
}

func (l *loading) open() {
	l.t.Helper()
	l.o.Dir = l.dir
	x, err := kvindex.Open(l.o)
	must(l.t, err)
	l.x = x
}

// kill goes on from what a killed process leaves.
func (l *loading) kill() {
	l.t.Helper()
	from := l.dir
	l.dir = l.t.TempDir()
	copyIndex(l.t, from, l.dir)
	closeIndex(l.t, l.x)
	l.open()
	l.kills++
}

// load loads up to a chunk, by one to a few transactions at a time; between them
// it dies, or goes on.
func (l *loading) load(through uint64) {
	l.t.Helper()
	for {
		from := l.x.Applied().Chunk
		err := l.x.Load(&countdown{Context: context.Background(), left: 1 + l.rnd.IntN(2)}, at(through), segmentsOf(l.rnd, l.chunks[from:through]), kvindex.LoadOptions{})
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			l.t.Fatal(err)
		}
		if l.x.Applied() != at(from) {
			l.t.Fatalf("applied %v after a load from %d that was cut short", l.x.Applied(), from)
		}
		l.cuts++
		if l.rnd.IntN(2) == 0 {
			l.kill()
		}
	}
	if got := l.x.Applied(); got != at(through) || !l.x.Loading().IsZero() {
		l.t.Fatalf("applied %v, loading %v, want %d", got, l.x.Loading(), through)
	}
}

// loadHistory is a log of collections with secondary indexes that come and go, of
// long rows, of one without keys, and of one that is dropped.
func loadHistory(rnd *rand.Rand, chunks int) (list []*schema.Chunk) {
	m := newMaker()
	for n := range chunks {
		records := map[schema.Instance][]schema.Record{}
		switch n {
		case 1:
			records[schema.InstanceCollections] = []schema.Record{definition(16, definedIndex{ID: 1, Fields: []int{2}}), definition(17, definedIndex{ID: 1, Fields: []int{3}, Unique: true})}
		case chunks / 2:
			records[schema.InstanceCollections] = []schema.Record{definition(16, definedIndex{ID: 2, Fields: []int{3, 2}})}
		}
		for inst := schema.Instance(16); inst < 20; inst++ {
			count := rnd.IntN(30)
			if rnd.IntN(8) == 0 {
				count = 600
			}
			seen := map[string]bool{}
			for i := range count {
				number := int64(rnd.IntN(900))
				t := town{id: fmt.Sprint(number), city: pick(rnd, "a", "b", "c"), n: &number}
				if rnd.IntN(300) == 0 {
					long := strings.Repeat("z", 300<<10)
					t.zip = &long
				}
				r := t.record(2)
				switch {
				case inst == 18:
					r = insert(fmt.Sprint("row ", n, i))
				case seen[t.id]:
					continue
				case rnd.IntN(4) == 0:
					r = schema.Record{Op: schema.OpDelete, Key: r.Key}
				}
				seen[t.id] = true
				records[inst] = append(records[inst], r)
			}
		}
		list = append(list, m.chunkOf(records))
	}
	return list
}

// compareIndexes holds all keys of two indexes against each other, but for those
// that a load has not: answers, pointers, the position and how builds went.
func compareIndexes(t *testing.T, got, want *kvindex.Index) {
	t.Helper()
	a, b := got.Content(), want.Content()
	for key, val := range b {
		if other, ok := a[key]; !ok || !bytes.Equal(other, val) {
			t.Errorf("key %x: %.40x, want %.40x", key, other, val)
		}
		delete(a, key)
	}
	for key := range maps.Keys(a) {
		t.Errorf("key %x is not wanted", key)
	}
	for inst := schema.Instance(16); inst < 20; inst++ {
		x, err := got.Secondaries(t.Context(), inst)
		must(t, err)
		y, err := want.Secondaries(t.Context(), inst)
		must(t, err)
		if len(x) != len(y) {
			t.Errorf("instance %d: %d indexes, want %d", inst, len(x), len(y))
		}
		for i := range x {
			if x[i].ID != y[i].ID || x[i].State != y[i].State {
				t.Errorf("instance %d: index %+v, want %+v", inst, x[i], y[i])
			}
		}
		_, err = got.VerifySecondaries(t.Context(), inst, func(d kvindex.EntryDifference) error {
			t.Errorf("instance %d: %+v", inst, d)
			return nil
		})
		must(t, err)
	}
}

// TestLoad builds an index from segments, cut short in every transaction, by a
// kill or in the same process, and compares with one that was built from the chunks.
func TestLoad(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 12))
			chunks := loadHistory(rnd, 60)
			end := uint64(len(chunks))
			settle := func(x *kvindex.Index) {
				x.Build(func(context.Context) error { return nil })
				x.AwaitBuilds(t)
				x.AwaitReclaim(t)
			}
			o := testOptions(t.TempDir()).ShortRows(4 << 20)
			o.Catalog = catalog{}
			want, err := kvindex.Open(o)
			must(t, err)
			defer closeIndex(t, want)
			for _, c := range chunks {
				must(t, want.Apply(t.Context(), c))
			}
			must(t, want.Drop(t.Context(), 1, 19))
			settle(want)

			l := &loading{t: t, rnd: rnd, dir: t.TempDir(), o: o, chunks: chunks}
			l.open()
			defer func() { closeIndex(t, l.x) }()
			// What lies before was applied from chunks, and one in part.
			applied := uint64(rnd.IntN(5))
			for _, c := range chunks[:applied] {
				must(t, l.x.Apply(t.Context(), c))
			}
			must(t, l.x.Drop(t.Context(), 1, 19))
			for l.x.Applied().Chunk < end {
				from := l.x.Applied().Chunk
				l.load(from + 1 + rnd.Uint64N(end-from))
			}
			settle(l.x)
			compareIndexes(t, l.x, want)
			t.Logf("%d loads were cut short, %d of them by a kill", l.cuts, l.kills)
			if l.cuts == 0 || l.kills == 0 {
				t.Error("too few loads were cut short")
			}
		})
	}
}

// TestLoadLongField loads a row whose indexed fields were too long before it had
// the index: the index was ready, and is again.
func TestLoadLongField(t *testing.T) {
	long, short := strings.Repeat("z", 5<<10), "z"
	m := newMaker()
	chunks := []*schema.Chunk{
		m.chunk(16, town{id: "a", zip: &long}.record(2)),
		m.chunk(16, town{id: "a", zip: &short}.record(2)),
		m.chunk(schema.InstanceCollections, definition(16, definedIndex{ID: 1, Fields: []int{4}})),
	}
	state := func(load bool) kvindex.SecondaryState {
		o := testOptions(t.TempDir())
		o.Catalog = catalog{}
		x, err := kvindex.Open(o)
		must(t, err)
		defer closeIndex(t, x)
		if load {
			must(t, x.Load(t.Context(), at(3), segmentsOf(rand.New(rand.NewPCG(1, 1)), chunks), kvindex.LoadOptions{}))
		} else {
			for _, c := range chunks {
				must(t, x.Apply(t.Context(), c))
			}
		}
		x.Build(func(context.Context) error { return nil })
		x.AwaitBuilds(t)
		list, err := x.Secondaries(t.Context(), 16)
		must(t, err)
		if n := x.CountEntries(16); n != 1 {
			t.Errorf("load %t: %d entries", load, n)
		}
		return list[0].State
	}
	if got, want := state(true), state(false); got != want || want != kvindex.SecondaryReady {
		t.Errorf("loaded index is %v, that of the chunks %v", got, want)
	}
}

// keptCatalog knows the schemas that the index itself has.
type keptCatalog struct {
	catalog
	index **kvindex.Index
}

func (k keptCatalog) Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error) {
	if _, ok, err := (*k.index).Get(ctx, schema.InstanceSchemas, fmt.Appendf(nil, "s%d", id)); err != nil || !ok {
		return nil, fmt.Errorf("schema %d: %w", id, errors.Join(err, schema.ErrNotFound))
	}
	return k.catalog.Schema(ctx, id)
}

// TestLoadReadsItsSchemas loads a log whose schemas are in it too: an index that
// begins empty reads them for the rows that come after.
func TestLoadReadsItsSchemas(t *testing.T) {
	m := newMaker()
	zip := "z"
	chunks := []*schema.Chunk{
		m.chunk(schema.InstanceSchemas, upsert("s2", "a schema")),
		m.chunk(schema.InstanceCollections, definition(16, definedIndex{ID: 1, Fields: []int{4}})),
		m.chunk(16, town{id: "a", zip: &zip}.record(2)),
	}
	var x *kvindex.Index
	o := testOptions(t.TempDir())
	o.Catalog = keptCatalog{index: &x}
	x, err := kvindex.Open(o)
	must(t, err)
	defer closeIndex(t, x)
	must(t, x.Load(t.Context(), at(3), segmentsOf(rand.New(rand.NewPCG(1, 1)), chunks), kvindex.LoadOptions{}))
	if n := x.CountEntries(16); n != 1 {
		t.Errorf("%d entries", n)
	}
}
