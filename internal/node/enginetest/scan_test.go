package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// A scan or a log whose collection is dropped under it fails: it must not end
// early as if it were whole.
func TestReadOfADroppedCollection(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	c := r.catalog.define(16, events)
	for i := range 10 {
		r.append(c, upsert(c, item(int64(i), "a")...))
	}
	if err := r.index.Wait(t.Context(), r.channel.Durable()); err != nil {
		t.Fatal(err)
	}
	scan, err := r.engine.Scan(t.Context(), c, query.Scan{})
	if err != nil {
		t.Fatal(err)
	}
	forward := r.engine.Changes(t.Context(), c, sync.ChangesRequest{To: 10})
	backward := r.engine.Changes(t.Context(), c, sync.ChangesRequest{To: 10, Descending: true})
	r.drop(c)
	if rows, err := textRows(scan); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("scan: %d rows, %v", len(rows), err)
	}
	for name, changes := range map[string]func(func(schema.Change, error) bool){"log": forward, "log, newest first": backward} {
		n, last := 0, error(nil)
		for _, err := range changes {
			n, last = n+1, err
		}
		if !errors.Is(last, schema.ErrNotFound) {
			t.Errorf("%s: %d changes, %v", name, n, last)
		}
	}
}

// A follower learns that its collection is gone rather than waiting for ever.
func TestFollowUntilDropped(t *testing.T) {
	for _, before := range []bool{false, true} {
		r := newRig(t, nil, sync.Options{})
		c := r.catalog.define(16, events)
		r.append(c, upsert(c, item(0, "a")...))
		if before {
			r.drop(c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var last error
		for ch, err := range r.engine.Changes(ctx, c, sync.ChangesRequest{Follow: true}) {
			if last = err; err == nil && ch.Seq == 0 {
				go r.drop(c)
			}
		}
		if !errors.Is(last, schema.ErrNotFound) {
			t.Errorf("dropped before: %t; follow ended with %v", before, last)
		}
	}
}

// A follower that stands still while more chunks come than are remembered for it
// sees every change once, in order, and learns of a drop that it slept through.
func TestFollowFromFarBehind(t *testing.T) {
	const chunks = 1500
	for _, dropped := range []bool{false, true} {
		r := newRig(t, nil, sync.Options{})
		c, other := r.catalog.define(16, events), r.catalog.define(17, events)
		r.append(c, upsert(c, item(0, "a")...))
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		next, late := schema.Seq(0), false
		var last error
		for ch, err := range r.engine.Changes(ctx, c, sync.ChangesRequest{Follow: true}) {
			if last = err; err != nil {
				break
			}
			if ch.Seq != next {
				t.Fatalf("seq %d, want %d", ch.Seq, next)
			}
			switch next++; {
			case next == 1:
				r.appendBeside(c, upsert(c, item(1, "wakes it")...)) // from the watch, not from the first read
			case next == 2:
				for i := range chunks {
					r.append(c, upsert(c, item(int64(i), "b")...))
					r.append(other, upsert(other, item(int64(i), "c")...))
				}
				if dropped {
					r.drop(c)
				}
			case next == chunks+2 && !late:
				late = true
				r.appendBeside(c, upsert(c, item(2, "live again")...))
			case next == chunks+3:
				cancel()
			}
		}
		switch {
		case dropped && !errors.Is(last, schema.ErrNotFound):
			t.Errorf("dropped: ended after %d changes with %v", next, last)
		case !dropped && (next != chunks+3 || !errors.Is(last, context.Canceled)):
			t.Errorf("ended after %d changes with %v", next, last)
		}
	}
}

// Batches of long rows are cut by bytes: 65,536 of the longest would be 128 GiB.
func TestTailBatchesAreBounded(t *testing.T) {
	for _, s := range []*schema.Schema{items, events} {
		r := newRig(t, nil, sync.Options{})
		c := r.catalog.define(16, s)
		long := strings.Repeat("x", 1<<20)
		const rows = 24
		for i := range rows {
			r.append(c, upsert(c, item(int64(i), long)...))
		}
		scan, err := r.engine.Scan(t.Context(), c, query.Scan{})
		if err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for batch, err := range scan.Batches {
			if err != nil {
				t.Fatal(err)
			}
			if total += batch.NumRows(); batch.NumRows() > 8 {
				t.Errorf("batch of %d rows of 1 MiB", batch.NumRows())
			}
		}
		if total != rows {
			t.Errorf("%d rows", total)
		}
	}
}

// What a scan folds is bounded by the rows that are left, not by how often they
// changed.
func TestFoldOfHotKeys(t *testing.T) {
	r := newRig(t, nil, sync.Options{FoldBytes: 4 << 10})
	c := r.catalog.define(16, items)
	for i := range 50 {
		r.append(c, upsert(c, item(1, strings.Repeat(string(rune('a'+i%26)), 1<<10))...), upsert(c, item(2, fmt.Sprint(i))...))
	}
	at := schema.Seq(97)
	if got := r.rows(c, query.Scan{AtSeq: &at, Columns: []string{"_seq", "id"}}); fmt.Sprint(got) != "[96 1 97 2]" {
		t.Errorf("rows: %v", got)
	}
}

// An append-only table that is read as of a seq within it, and descending and
// partial logs at the borders between chunks.
func TestBorders(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	c := r.catalog.define(16, events)
	for b := range 4 {
		r.append(c, upsert(c, item(int64(3*b), "")...), upsert(c, item(int64(3*b+1), "")...), upsert(c, item(int64(3*b+2), "")...))
		if b == 1 {
			if _, err := r.engine.Flush(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for at := range schema.Seq(12) {
		if got := r.rows(c, query.Scan{AtSeq: &at}); len(got) != int(at)+1 {
			t.Errorf("at seq %d: %d rows", at, len(got))
		}
	}
	past := schema.Seq(12)
	if _, err := r.engine.Scan(t.Context(), c, query.Scan{AtSeq: &past}); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("at seq 12 of 12: %v", err)
	}
	for from := range schema.Seq(13) {
		for to := range schema.Seq(13) {
			want := max(0, int(to)-int(from))
			for _, desc := range []bool{false, true} {
				n := 0
				for ch, err := range r.engine.Changes(t.Context(), c, sync.ChangesRequest{From: from, To: to, Descending: desc}) {
					if err != nil {
						t.Fatalf("from %d to %d desc %t: %v", from, to, desc, err)
					}
					seq := from + schema.Seq(n)
					if desc {
						seq = to - 1 - schema.Seq(n)
					}
					if n++; ch.Seq != seq {
						t.Fatalf("from %d to %d desc %t: seq %d, want %d", from, to, desc, ch.Seq, seq)
					}
				}
				if n != want {
					t.Errorf("from %d to %d desc %t: %d changes, want %d", from, to, desc, n, want)
				}
			}
		}
	}
}
