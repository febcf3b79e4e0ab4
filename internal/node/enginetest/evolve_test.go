package enginetest_test

import (
	"context"
	"fmt"
	stdsync "sync"
	"testing"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// Flushes, scans, evolutions and writers go on at once; then the stores agree
// and no row has lost a value.
func TestEvolveWhileFlushing(t *testing.T) {
	r := newRig(t, nil, sync.Options{FlushBytes: 1, FoldBytes: 2 << 10})
	c := r.catalog.define(16, items)
	ctx, cancel := context.WithCancel(t.Context())
	var busy stdsync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.engine.Flush(t.Context(), c); err != nil {
					t.Error(err)
					return
				}
				s, err := r.engine.Scan(t.Context(), c, query.Scan{Columns: []string{"id"}})
				if err == nil {
					_, err = textRows(s)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const keys, rounds = 40, 60
	now := c
	for round := range rounds {
		if round == rounds/2 {
			now = r.catalog.define(16, items2)
		}
		var batch []schema.Record
		for k := range keys / 2 {
			row := item(int64((k*7+round)%keys), fmt.Sprint(round))
			if now != c {
				row = append(row, schema.String(fmt.Sprint("more", round)))
			}
			batch = append(batch, upsert(now, row...))
		}
		r.append(now, batch...)
	}
	cancel()
	busy.Wait()
	if _, err := r.engine.Flush(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	report, err := r.engine.Verify(t.Context(), now)
	if err != nil || !report.OK() {
		t.Errorf("%v, %+v", err, report)
	}
	for _, row := range r.rows(now, query.Scan{Where: "more is null"}) {
		t.Errorf("row %s has lost a value", row)
	}
}
