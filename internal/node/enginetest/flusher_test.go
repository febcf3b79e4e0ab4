package enginetest_test

import (
	"context"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// watchedObjects tells of each version of a table that becomes current.
type watchedObjects struct {
	*blob.Mem
	mu       stdsync.Mutex
	versions []string                // in order
	before   func(name string) error // may hold or fail one
}

func (w *watchedObjects) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if !strings.HasSuffix(name, ".metadata.json") {
		return w.Mem.PutIfAbsent(ctx, name, data)
	}
	if err := w.before(name); err != nil {
		return err
	}
	w.mu.Lock()
	w.versions = append(w.versions, name)
	w.mu.Unlock()
	return w.Mem.PutIfAbsent(ctx, name, data)
}

// commits counts the versions of c's table, and says which place in the order
// of all the last one took.
func (w *watchedObjects) commits(c *schema.Collection) (n int, last int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, name := range w.versions {
		if strings.HasPrefix(name, c.String()+"-") {
			n, last = n+1, i
		}
	}
	return n, last
}

// waitFor polls, as the flusher works by itself.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s after 30 s", what)
		}
	}
}

// A table with a long tail takes turns with others: it does not keep them
// waiting until all of it is written.
func TestLongTailTakesTurns(t *testing.T) {
	held := make(chan struct{})
	let := make(chan struct{})
	var once stdsync.Once
	objects := &watchedObjects{Mem: blob.NewMem(), before: func(name string) error {
		once.Do(func() { close(held); <-let })
		return nil
	}}
	r := newRig(t, objects, sync.Options{FlushBytes: 1, FoldBytes: 1})
	long, short := r.catalog.define(16, items), r.catalog.define(17, items)
	const batches = 20
	for i := range batches {
		r.append(long, upsert(long, item(int64(i), "a")...))
	}
	<-held
	ack := r.append(short, upsert(short, item(1, "a")...))
	if err := r.index.Wait(t.Context(), ack.Position); err != nil {
		t.Fatal(err)
	}
	close(let)
	waitFor(t, "end of the long tail", func() bool { n, _ := objects.commits(long); return n >= batches })
	_, lastLong := objects.commits(long)
	if n, lastShort := objects.commits(short); n != 1 || lastShort > lastLong {
		t.Errorf("the short tail was written %d times, at %d of %d", n, lastShort, lastLong)
	}
}

// A table that cannot be written waits for its retry however often it is
// touched, while others are written.
func TestFailingTableWaits(t *testing.T) {
	tries := 0
	objects := &watchedObjects{Mem: blob.NewMem()}
	objects.before = func(name string) error {
		if strings.HasPrefix(name, "acme/c16-") {
			tries++
			return schema.ErrNoSpace
		}
		return nil
	}
	r := newRig(t, objects, sync.Options{FlushBytes: 1})
	bad, good := r.catalog.define(16, items), r.catalog.define(17, items)
	for i := range 3 {
		r.append(bad, upsert(bad, item(int64(i), "a")...))
		r.append(good, upsert(good, item(int64(i), "a")...))
		waitFor(t, "flush of the good table", func() bool { n, _ := objects.commits(good); return n > i })
	}
	r.close()
	if tries != 1 {
		t.Errorf("the bad table was tried %d times", tries)
	}
}

// A collection that is pinned after it was written gets its table without
// another write.
func TestPinnedLater(t *testing.T) {
	objects := &watchedObjects{Mem: blob.NewMem(), before: func(string) error { return nil }}
	r := newRig(t, objects, sync.Options{})
	c := r.catalog.define(16, items)
	ack := r.append(c, upsert(c, item(1, "a")...))
	if err := r.index.Wait(t.Context(), ack.Position); err != nil {
		t.Fatal(err)
	}
	pinned := *c
	pinned.Options.Lake, pinned.Options.LakeFreshness = schema.LakePinned, time.Millisecond
	r.catalog.put(&pinned)
	r.engine.Evolved(&pinned)
	waitFor(t, "table of a pinned collection", func() bool { n, _ := objects.commits(c); return n == 1 })
}
