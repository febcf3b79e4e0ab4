package kvindex_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// TestDurable cuts the power again and again: what Durable told before is there,
// and is the state at one position.
func TestDurable(t *testing.T) {
	const keys, chunks = 50, 250
	dir, m := t.TempDir(), newMaker()
	options := func(dir string) kvindex.Options { return testOptions(dir).ShortRows(2 << 20) }
	x := openWith(t, options(dir))
	fill := strings.Repeat("x", 25<<10)
	var told schema.Position
	moved, behind := 0, 0
	for n := 1; n <= chunks; n++ {
		must(t, x.Apply(t.Context(), m.chunk(16, upsert(fmt.Sprint("k", n%keys), fmt.Sprint(n, " ", fill)), upsert(fmt.Sprint("l", n%keys), fill))))
		pos, err := x.Durable()
		must(t, err)
		if pos.Compare(told) < 0 || pos.Compare(x.Applied()) > 0 {
			t.Fatalf("durable went from %v to %v, applied is %v", told, pos, x.Applied())
		}
		if pos != told {
			moved++
		}
		if told = pos; n%25 != 0 {
			continue
		}
		torn := t.TempDir()
		copyIndex(t, dir, torn)
		o := options(torn)
		o.BootID = "another" // what is in memtables is lost
		y, err := kvindex.Open(o)
		must(t, err)
		applied := int(y.Applied().Chunk)
		if y.Applied().Compare(pos) < 0 {
			t.Errorf("applied is %v after a power failure, %v was durable", y.Applied(), pos)
		}
		if applied < n {
			behind++
		}
		for k := range keys {
			last := applied - (applied-k+keys)%keys // the last that wrote it
			row, ok, err := y.GetRow(t.Context(), 16, []byte(fmt.Sprint("k", k)))
			must(t, err)
			if want := fmt.Sprint(last, " "); ok != (last > 0) || ok && !strings.HasPrefix(string(row.Bytes), want) {
				t.Errorf("k%d at %d is %.5q (%t), want %q", k, applied, row.Bytes, ok, want)
			}
		}
		closeIndex(t, y)
	}
	if moved < 2 || behind == 0 {
		t.Errorf("durable moved %d times, and was behind %d times", moved, behind)
	}
}
