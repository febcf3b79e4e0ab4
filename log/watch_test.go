package log_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// waiting calls Next in a goroutine.
func waiting(w *log.Watch) <-chan string {
	got := make(chan string, 1)
	go func() {
		pos, err := w.Next(context.Background())
		got <- fmt.Sprint(pos.Chunk, " ", err)
	}()
	return got
}

// TestWatch: a chunk wakes the watches of its collections, and no other.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newFakeIndex(t).options(blob.NewMem()))
		mustAppend(t, c, batch(group(16, "before")))
		a, b, both := c.Watch(16), c.Watch(17), c.Watch(16, 17)
		defer b.Close()
		defer both.Close()
		idle := waiting(b)
		first := mustAppend(t, c, batch(group(16, "x"))).Position.Chunk
		mustAppend(t, c, batch(group(18, "x")))
		second := mustAppend(t, c, batch(group(16, "y"))).Position.Chunk
		for _, want := range []uint64{first, second} {
			if got := <-waiting(a); got != fmt.Sprint(want, " <nil>") {
				t.Errorf("got %s, want %d", got, want)
			}
		}
		synctest.Wait()
		select {
		case got := <-idle:
			t.Errorf("a chunk of others woke it: %s", got)
		default:
		}
		a.Close()
		last := mustAppend(t, c, batch(group(16, "z"), group(17, "z"))).Position.Chunk
		if got := <-idle; got != fmt.Sprint(last, " <nil>") {
			t.Errorf("got %s, want %d", got, last)
		}
		for _, want := range []uint64{first, second, last} { // a chunk with both once
			if got := <-waiting(both); got != fmt.Sprint(want, " <nil>") {
				t.Errorf("got %s, want %d", got, want)
			}
		}
		ended := waiting(both)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-ended; got != "0 watch: "+schema.ErrClosed.Error() {
			t.Errorf("after the channel's end: %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Next(ctx); err == nil {
			t.Error("no error")
		}
	})
}

// TestWatchBehind: what nobody asks for is forgotten, in one go, and the watch
// says so once.
func TestWatchBehind(t *testing.T) {
	x := newFakeIndex(t)
	c := open(t, x.options(blob.NewMem()))
	w := c.Watch(16)
	defer w.Close()
	const most = 1024
	var numbers []uint64
	for i := range most {
		numbers = append(numbers, mustAppend(t, c, batch(group(16, fmt.Sprint(i)))).Position.Chunk)
	}
	var got []uint64
	for range most {
		pos, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, pos.Chunk)
	}
	if !slices.Equal(got, numbers) {
		t.Errorf("%v, want %v", got, numbers)
	}
	for i := range most + 1 {
		mustAppend(t, c, batch(group(16, fmt.Sprint(i))))
	}
	if pos, err := w.Next(t.Context()); !errors.Is(err, log.ErrBehind) {
		t.Fatalf("%v %v, want %v", pos, err, log.ErrBehind)
	}
	last := mustAppend(t, c, batch(group(16, "last")))
	if pos, err := w.Next(t.Context()); err != nil || pos != last.Position {
		t.Errorf("%v %v, want %v", pos, err, last.Position)
	}
}
