package sync_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// TestFold folds random changes of few and of many keys, with and without a limit, and
// compares what is left with a map. What it holds on to is bounded by the limit,
// however often keys come again.
func TestFold(t *testing.T) {
	r := seedtest.Rand(t)
	for round := range 300 {
		keys, limit := 1+r.IntN(1<<r.IntN(12)), int64(math.MaxInt64)
		if round%3 > 0 {
			limit = int64(1 + r.IntN(100_000))
		}
		changes := make([]schema.Change, r.IntN(5000))
		ascending := r.IntN(4) == 0
		for i := range changes {
			key := fmt.Appendf(nil, "%0*d", r.IntN(2)*12, r.IntN(keys))
			if ascending {
				key = fmt.Appendf(nil, "%06d", i)
			}
			changes[i] = schema.Change{Seq: schema.Seq(7 + i), TimeMicros: int64(i / 10), Record: schema.Record{Op: schema.OpUpsert, Key: key}}
			if r.IntN(5) == 0 {
				changes[i].Op = schema.OpDelete
			} else {
				changes[i].Row = bytes.Repeat([]byte{byte(i)}, r.IntN(100))
			}
		}
		taken, got, held := sync.Fold(changes, limit)
		want := map[string]schema.Change{}
		size := int64(0)
		for _, ch := range changes[:taken] {
			want[string(ch.Key)] = ch
		}
		for _, ch := range want {
			size += int64(len(ch.Key)+len(ch.Row)) + 160
		}
		if taken < len(changes) && size < limit {
			t.Fatalf("round %d: it stopped after %d changes, which leave %d bytes, with a limit of %d", round, taken, size, limit)
		}
		if limit < math.MaxInt64 && size > limit+limit/2+400 {
			t.Fatalf("round %d: it has %d bytes, with a limit of %d", round, size, limit)
		}
		if limit < math.MaxInt64 && held > 6*limit+(1<<12) {
			t.Fatalf("round %d: it holds on to %d bytes, with a limit of %d", round, held, limit)
		}
		if len(got) != len(want) || !slices.IsSortedFunc(got, func(a, b schema.Change) int { return bytes.Compare(a.Key, b.Key) }) {
			t.Fatalf("round %d: %d keys, want %d by key", round, len(got), len(want))
		}
		for _, ch := range got {
			w := want[string(ch.Key)]
			if ch.Seq != w.Seq || ch.TimeMicros != w.TimeMicros || ch.Op != w.Op || !bytes.Equal(ch.Row, w.Row) {
				t.Fatalf("round %d: key %q is %+v, want %+v", round, ch.Key, ch, w)
			}
		}
	}
}
