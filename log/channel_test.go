package log_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o log.Options) *log.Channel {
	t.Helper()
	c, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		if t.Failed() {
			cancel()
		}
		defer cancel()
		if err := c.Close(ctx); err != nil && !errors.Is(err, schema.ErrFenced) {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func group(id schema.Instance, rows ...string) log.AppendGroup {
	g := log.AppendGroup{Instance: id}
	for _, r := range rows {
		g.Records = append(g.Records, schema.Record{Op: schema.OpUpsert, Key: []byte("k" + r), Row: []byte(r)})
	}
	return g
}

func batch(groups ...log.AppendGroup) log.Append { return log.Append{Groups: groups} }

func mustAppend(t testing.TB, c *log.Channel, a log.Append) log.Ack {
	t.Helper()
	ack, err := c.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// rows reads what a channel holds of each collection, from the store.
func rows(t testing.TB, c *log.Channel) map[schema.Instance][]string {
	t.Helper()
	all := map[schema.Instance][]string{}
	err := c.Check(context.Background(), schema.Position{}, func(ck *schema.Chunk) error {
		for _, g := range ck.Groups {
			if int(g.FirstSeq) != len(all[g.Instance]) {
				return fmt.Errorf("chunk %v: seq %d of instance %d after %d records", ck.Position, g.FirstSeq, g.Instance, len(all[g.Instance]))
			}
			for _, r := range g.Records {
				all[g.Instance] = append(all[g.Instance], string(r.Row))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAppendAndReadBack(t *testing.T) {
	dir, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	x := newFakeIndex(t)
	c := open(t, x.options(dir))
	ack := mustAppend(t, c, batch(group(20, "a", "b"), group(17, "x")))
	want := log.Ack{Groups: []log.AckGroup{{Instance: 20, Count: 2}, {Instance: 17, Count: 1}}, Position: schema.Position{Chunk: 2}}
	if fmt.Sprint(ack.Groups, ack.Position) != fmt.Sprint(want.Groups, want.Position) || ack.TimeMicros == 0 || ack.Replayed {
		t.Fatalf("got %+v, want %+v", ack, want)
	}
	ack = mustAppend(t, c, batch(group(20, "c")))
	if ack.Groups[0].FirstSeq != 2 || ack.Position.Chunk != 3 {
		t.Fatalf("got %+v", ack)
	}
	if got := c.Durable(); got != ack.Position {
		t.Fatalf("durable %v, want %v", got, ack.Position)
	}
	if n, err := c.NextSeq(t.Context(), 20); n != 3 || err != nil {
		t.Fatalf("next seq %d, %v", n, err)
	}
	check := func(c *log.Channel) {
		t.Helper()
		if got, want := fmt.Sprint(rows(t, c)), "map[17:[x] 20:[a b c]]"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	check(c)
	if err := errors.Join(c.Close(t.Context()), c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(t.Context(), batch(group(20, "d"))); !errors.Is(err, schema.ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	x = x.restart()
	c = open(t, x.options(dir))
	check(c)
	if ack := mustAppend(t, c, batch(group(17, "y"))); ack.Groups[0].FirstSeq != 1 {
		t.Fatalf("got %+v", ack)
	}
}

func TestConcurrentAppenders(t *testing.T) {
	const appenders, each = 16, 200
	x := newFakeIndex(t)
	o := x.options(blob.NewMem())
	o.MaxChunkBytes, o.MaxPendingBytes, o.MaxUnappliedBytes, o.TailBytes, o.HintEvery = 4096, 16<<10, 64<<10, 8<<10, 10
	c := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	var applier, senders sync.WaitGroup
	applier.Go(func() {
		for f := c.Follow(schema.Position{}); ; {
			ck, err := f.Next(ctx)
			if err != nil {
				return
			}
			for x.apply(1).Compare(ck.Position) < 0 {
				continue
			}
			c.Applied(ck.Position)
		}
	})
	for i := range appenders {
		senders.Go(func() {
			for j := range each {
				shared, own := schema.Instance(16+j%5), schema.Instance(100+i)
				ack, err := c.Append(ctx, batch(group(shared, fmt.Sprintf("%d/%d", i, j)), group(own, fmt.Sprint(j))))
				if err != nil {
					t.Error(err)
					return
				}
				if got := ack.Groups[1].FirstSeq; int(got) != j {
					t.Errorf("record %d of instance %d got seq %d", j, own, got)
				}
			}
		})
	}
	senders.Wait()
	cancel()
	applier.Wait()
	n := 0
	for id, all := range rows(t, c) {
		n += len(all)
		if id >= 100 && len(all) != each {
			t.Errorf("instance %d has %d records", id, len(all))
		}
	}
	if n != 2*appenders*each {
		t.Errorf("%d records, want %d", n, 2*appenders*each)
	}
}
