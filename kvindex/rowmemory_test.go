package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

func TestKeyFilter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var f kvindex.KeyFilter
	const hashes = 400_000 // several layers
	added := make([]uint64, hashes)
	for i := range added {
		added[i] = rnd.Uint64()
		f.Add(added[i])
	}
	for _, h := range added {
		if !f.MayHave(h) {
			t.Fatalf("%#x was added", h)
		}
	}
	wrong := 0
	for range 100_000 {
		if f.MayHave(rnd.Uint64()) {
			wrong++
		}
	}
	t.Logf("%d bytes for %d hashes, %d of 100,000 others", f.Bytes(), hashes, wrong)
	if wrong > 1000 || f.Bytes() > 6*hashes {
		t.Errorf("%d of 100,000 that were not added, %d bytes", wrong, f.Bytes())
	}
}

// turnover are chunks that add, delete and add again the same rows, each several
// transactions long.
func turnover(m *maker, inst schema.Instance) (chunks []*schema.Chunk) {
	const rows = 1200
	var first, gone, again []schema.Record
	for i := range rows {
		key := fmt.Sprint("key ", i)
		first, gone = append(first, upsert(key, "first")), append(gone, remove(key))
		again = append(again, upsert(key, fmt.Sprint("again ", i)))
	}
	for _, records := range [][]schema.Record{first, gone, again, first[:rows/2]} {
		chunks = append(chunks, m.chunk(inst, records...))
	}
	return chunks
}

// TestApplyAfterFailure fails at each transaction in turn, and applies again: what
// was known of rows by then is of no transaction.
func TestApplyAfterFailure(t *testing.T) {
	stats := func(x *kvindex.Index) kvindex.Stats {
		s, err := x.Stats(context.Background(), keyedA)
		must(t, err)
		return s
	}
	whole := open(t, t.TempDir())
	must(t, whole.Apply(context.Background(), turnover(newMaker(), keyedA)...))
	want := stats(whole)
	failures := 0
	for fail := 1; fail > 0; fail++ {
		o := testOptions(t.TempDir())
		o.MinFreeBytes = 100
		asked := 0
		o.FreeBytes = func(string) (uint64, error) {
			if asked++; asked == fail+1 { // the first time is at Open
				return 0, nil
			}
			return 1000, nil
		}
		x := openWith(t, o)
		chunks := turnover(newMaker(), keyedA)
		err := x.Apply(context.Background(), chunks...)
		if err == nil {
			break // there are not so many
		}
		if failures++; !errors.Is(err, schema.ErrNoSpace) {
			t.Fatal(err)
		}
		must(t, x.Apply(context.Background(), chunks...))
		if got := stats(x); got != want {
			t.Errorf("after transaction %d failed: %+v, want %+v", fail, got, want)
		}
	}
	if failures < 8 {
		t.Errorf("only %d transactions", failures)
	}
}

// TestRemembered tells which rows Apply looks up.
func TestRemembered(t *testing.T) {
	ctx := context.Background()
	const rows, ahead = 3000, 512
	batch := func(m *maker, inst schema.Instance, from int) *schema.Chunk {
		var records []schema.Record
		for i := range rows {
			records = append(records, upsert(fmt.Sprint("key ", from+i), "row"))
		}
		return m.chunk(inst, records...)
	}
	for _, c := range []struct {
		name     string
		remember int
		filter   int
		fresh    [2]int // lookups of new keys: least and most
		again    [2]int // of the same a second time
	}{
		{"all", 0, 0, [2]int{0, 100}, [2]int{0, 0}},
		{"no filter", 0, -1, [2]int{rows - ahead, rows}, [2]int{0, 0}},
		{"small filter", 0, 1500, [2]int{rows - 2*ahead, rows}, [2]int{0, 0}},
		{"no rows", -1, 0, [2]int{0, 100}, [2]int{rows, rows}},
		{"few rows", rows / 10, 0, [2]int{0, 100}, [2]int{rows, rows}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			o.RememberRows, o.FilterBytes = c.remember, c.filter
			x := openWith(t, o)
			m := newMaker()
			looked := func(chunk *schema.Chunk) int {
				before := x.Looked()
				must(t, x.Apply(ctx, chunk))
				return x.Looked() - before
			}
			if n := looked(batch(m, keyedA, 0)); n < c.fresh[0] || n > c.fresh[1] {
				t.Errorf("%d lookups of new keys, want %v", n, c.fresh)
			}
			if n := looked(batch(m, keyedA, 0)); n < c.again[0] || n > c.again[1] {
				t.Errorf("%d lookups of keys that are there, want %v", n, c.again)
			}
			if bytes, counted := x.Filtered(); bytes != counted {
				t.Errorf("%d bytes of filters, counted %d", bytes, counted)
			}
			s, err := x.Stats(ctx, keyedA)
			if must(t, err); s.Rows != rows {
				t.Errorf("%d rows", s.Rows)
			}
			// A collection that had rows at Open has no filter.
			closeIndex(t, x)
			o.BootID = "test"
			x = openWith(t, o)
			if n := looked(batch(m, keyedA, rows)); n != rows {
				t.Errorf("%d lookups of new keys after Open", n)
			}
		})
	}
}
