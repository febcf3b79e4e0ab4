package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

// TestOwners has up to three owners of a channel, of rising epochs, that all believe
// that they are the only one, take and collect snapshots in one store. Before each
// call to the store a seeded scheduler says whose turn it is. The two highest
// snapshots are whole at all times, and so what was announced stays.
func TestOwners(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(1)
	m.rows = 5
	x := openIndex(t, filepath.Join(dir, "0"))
	must(t, x.Apply(bg, m.chunk()))
	closeIndex(t, x)
	indexes := make([]*kvindex.Index, 3)
	for i := range indexes {
		at := filepath.Join(dir, fmt.Sprint("owner", i))
		copyTree(t, filepath.Join(dir, "0"), at)
		indexes[i] = openIndex(t, at)
	}
	for seed := range 2 * *seeds {
		o := &owners{t: t, seed: uint64(seed), m: m, store: newStore(), calls: make(chan int)}
		o.rnd = rand.New(rand.NewPCG(o.seed, 3))
		o.run(indexes)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type owners struct {
	t     *testing.T
	seed  uint64
	rnd   *rand.Rand
	m     *maker
	store *memStore
	calls chan int // who waits for a turn; below 0: who is done
	turns []chan struct{}
	taken int
}

func (o *owners) run(indexes []*kvindex.Index) {
	first := len(o.m.chunks)
	for range 4 {
		o.m.chunk()
	}
	for i, x := range indexes {
		for _, c := range o.m.chunks[:first] {
			must(o.t, x.Apply(bg, c))
		}
		o.turns = append(o.turns, make(chan struct{}))
		go o.owner(i, x, o.m.chunks[first:])
	}
	waiting, running := []int{}, len(indexes)
	for running > 0 {
		for len(waiting) < running {
			if i := <-o.calls; i >= 0 {
				waiting = append(waiting, i)
			} else {
				running--
			}
		}
		o.check()
		if len(waiting) == 0 {
			break
		}
		at := o.rnd.IntN(len(waiting))
		i := waiting[at]
		waiting = append(waiting[:at], waiting[at+1:]...)
		o.turns[i] <- struct{}{}
	}
	if o.taken == 0 {
		o.t.Errorf("no snapshot was announced")
	}
}

// owner takes and collects until it learns that it was replaced.
func (o *owners) owner(i int, x *kvindex.Index, chunks []*schema.Chunk) {
	defer func() { o.calls <- -1 }()
	s := snapshot.New(quick(&turnStore{memStore: o.store, o: o, i: i}))
	for _, c := range chunks {
		if err := x.Apply(bg, c); err != nil {
			o.t.Error(err)
			return
		}
		info, err := s.Take(bg, x, schema.Epoch(i+1))
		if errors.Is(err, schema.ErrFenced) {
			continue // it does not know, and goes on
		}
		if errors.Is(err, schema.ErrUnavailable) {
			continue // outrun all the time
		}
		if err != nil {
			o.t.Errorf("owner %d: %v", i, err)
			return
		}
		// All others wait for their turn.
		o.taken++
		names := o.store.names("0/snap/")
		if want := fmt.Sprintf("0/snap/%020d", info.Number); names[len(names)-1] != want {
			o.t.Errorf("seed %d: owner %d announces %s, the highest is %s", o.seed, i, want, names[len(names)-1])
		}
		if err := s.Collect(bg, info); err != nil {
			o.t.Errorf("owner %d: %v", i, err)
			return
		}
	}
}

// check demands that the two highest snapshots are whole. Nobody is at the store.
func (o *owners) check() {
	names := o.store.names("0/snap/")
	for _, name := range names[max(0, len(names)-2):] {
		var number uint64
		_, err := fmt.Sscanf(filepath.Base(name), "%d", &number)
		must(o.t, err)
		tables, err := snapshot.Named(0, number, o.store.objects[name])
		must(o.t, err)
		for _, table := range tables {
			if _, ok := o.store.objects[table]; !ok {
				o.t.Errorf("seed %d: snapshot %d of %d lacks %s", o.seed, number, len(names), table)
			}
		}
	}
}

// turnStore waits for its turn before each call, or look at a list.
type turnStore struct {
	*memStore
	o *owners
	i int
}

func (s *turnStore) wait() {
	s.o.calls <- s.i
	<-s.o.turns[s.i]
}

func (s *turnStore) Put(ctx context.Context, name string, r io.Reader) error {
	s.wait()
	return s.memStore.Put(ctx, name, r)
}

func (s *turnStore) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	s.wait()
	return s.memStore.Get(ctx, name)
}

func (s *turnStore) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	s.wait()
	return s.memStore.List(ctx, prefix)
}

func (s *turnStore) Delete(ctx context.Context, name string) error {
	s.wait()
	return s.memStore.Delete(ctx, name)
}
