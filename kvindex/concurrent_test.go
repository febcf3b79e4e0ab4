package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// Every chunk gives every row the chunk's number, in several transactions. A
// reader must never see two numbers at once, nor an older one than before.
func TestReadersSeeWholeChunks(t *testing.T) {
	const rows, chunks, inst = 2000, 12, schema.FirstUserInstance
	ctx := context.Background()
	x := open(t, t.TempDir())
	keys := make([][]byte, rows)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key %05d", i)
	}
	m := newMaker()
	write := func() *schema.Chunk {
		records := make([]schema.Record, rows)
		for i := range records {
			records[i] = schema.Record{Op: schema.OpUpsert, Key: keys[i], Row: fmt.Append(nil, m.pos.Chunk+1)}
		}
		return m.chunk(inst, records...)
	}
	queue := make(chan *schema.Chunk, chunks)
	var writer, readers sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() { // the log
		defer close(queue)
		for range chunks {
			c := write()
			x.Stage(c.Position, c.Groups)
			x.Publish(c)
			queue <- c
		}
	})
	writer.Go(func() { // the indexer
		for c := range queue {
			if err := x.Apply(ctx, c); err != nil {
				t.Error(err)
			}
		}
	})
	reader := func(read func(see func(row []byte)) error) {
		readers.Go(func() {
			last := 0
			for {
				n, value := 0, 0
				err := read(func(row []byte) {
					var v int
					_, _ = fmt.Sscan(string(row), &v)
					if n++; n == 1 {
						value = v
					} else if v != value {
						t.Errorf("two chunks at once: %d and %d", value, v)
					}
				})
				if err != nil || n != 0 && n != rows || value < last {
					t.Errorf("%d rows of chunk %d after %d: %v", n, value, last, err)
				}
				last = value
				select {
				case <-stop:
					if last != chunks {
						t.Errorf("ended at chunk %d", last)
					}
					return
				default:
				}
			}
		})
	}
	for _, reverse := range []bool{false, true} {
		reader(func(see func([]byte)) error {
			return x.Range(ctx, inst, kvindex.KeyRange{Reverse: reverse}, func(_, row []byte) (bool, error) {
				see(row)
				return true, nil
			})
		})
	}
	reader(func(see func([]byte)) error {
		return x.GetMany(ctx, inst, keys, func(_ int, row []byte) {
			if row != nil {
				see(row)
			}
		})
	})
	must(t, x.Wait(ctx, at(chunks)))
	writer.Wait()
	close(stop)
	readers.Wait()
}

func TestCloseWaitsForReaders(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	must(t, x.Apply(ctx, m.chunk(schema.FirstUserInstance, upsert("a", "1"), upsert("b", "2"))))
	inside, goOn := make(chan struct{}), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		n := 0
		err := x.Range(ctx, schema.FirstUserInstance, kvindex.KeyRange{}, func(_, _ []byte) (bool, error) {
			if n++; n == 1 {
				close(inside)
				<-goOn
				// Nested calls do not hang on the Close that waits.
				if _, _, err := x.Get(ctx, schema.FirstUserInstance, []byte("a")); !errors.Is(err, schema.ErrClosed) {
					t.Errorf("nested get: %v", err)
				}
			}
			return true, nil
		})
		if n != 2 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	<-inside
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := x.Close(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("close with a reader inside: %v", err)
	}
	if err := x.Wait(ctx, at(99)); !errors.Is(err, schema.ErrClosed) {
		t.Fatalf("wait: %v", err)
	}
	close(goOn)
	reader.Wait()
	closeIndex(t, x)
	for name, err := range map[string]error{
		"apply": x.Apply(ctx, m.chunk(schema.FirstUserInstance, upsert("a", "1"))),
		"drop":  x.Drop(ctx, 1, schema.FirstUserInstance),
		"flush": x.RecordFlush(ctx, schema.FirstUserInstance, kvindex.Flush{}),
		"many":  x.GetMany(ctx, schema.FirstUserInstance, nil, nil),
		"dirty": x.Dirty(ctx, nil),
	} {
		if !errors.Is(err, schema.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
}

// Many collections are dropped at once, small ones and one that takes several
// transactions; those between them keep their keys.
func TestDropMany(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	records := map[schema.Instance][]schema.Record{}
	var doomed []schema.Instance
	const first, last = schema.FirstUserInstance, schema.FirstUserInstance + 1200
	for inst := first; inst < last; inst++ {
		records[inst] = []schema.Record{upsert("a", "1"), upsert("b", "2")}
		if inst%7 != 0 {
			doomed = append(doomed, inst)
		}
	}
	for i := range 1700 {
		records[doomed[300]] = append(records[doomed[300]], upsert(fmt.Sprint(i), "row"))
	}
	must(t, x.Apply(ctx, m.chunkOf(records)))
	must(t, x.Drop(ctx, 1, append(doomed, doomed[0])...))
	x.AwaitReclaim(t)
	for inst := first; inst < last; inst++ {
		want := 4 // two rows, stats and the dirty marker
		if inst%7 != 0 {
			want = 1 // that it was dropped
		}
		if n := x.CountKeys(inst); n != want {
			t.Fatalf("instance %d has %d keys, want %d", inst, n, want)
		}
	}
}

func TestDropReclaims(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	x := open(t, dir)
	m := newMaker()
	var records []schema.Record
	for i := range 3000 {
		records = append(records, upsert(fmt.Sprint(i), "row"))
	}
	long := string(slices.Repeat([]byte("x"), 600<<10))
	must(t, x.Apply(ctx, m.chunk(16, records...)))
	must(t, x.Apply(ctx, m.chunk(17, upsert("stays", long))))
	must(t, x.Apply(ctx, m.chunk(16, upsert("long", long))))
	must(t, x.Drop(ctx, 1, 16))
	must(t, x.Drop(ctx, 1, 16))
	closeIndex(t, x) // in the middle of it, most likely
	x = open(t, dir)
	x.AwaitReclaim(t)
	if n := x.CountKeys(16); n != 1 { // its marker
		t.Errorf("%d keys left", n)
	}
	// A straggler changes nothing.
	must(t, x.Apply(ctx, m.chunk(16, upsert("late", "row"))))
	if n := x.CountKeys(16); n != 1 {
		t.Errorf("%d keys after a straggler", n)
	}
	if row, ok, err := x.Get(ctx, 17, []byte("stays")); !ok || err != nil || string(row) != long {
		t.Errorf("the neighbour: %d bytes, %v", len(row), err)
	}
	if n := x.CountKeys(17); n != 1+3+2 { // row, parts, stats and dirty
		t.Errorf("neighbour has %d keys", n)
	}
}
