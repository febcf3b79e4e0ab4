package enginetest_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// A verification sees images that are not the rows before.
func TestVerifySeesAWrongImage(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	c := r.catalog.define(16, items)
	row := func(name string) []byte { return items.AppendRow(nil, item(1, name)) }
	change := func(op schema.Op, name, before string) {
		rec := upsert(c, item(1, name)...)
		if rec.Op = op; op == schema.OpDelete {
			rec.Row = nil
		}
		if before != "" {
			rec.Before = row(before)
		}
		r.append(c, rec)
	}
	change(schema.OpInsert, "a", "")
	change(schema.OpUpdate, "b", "a")
	change(schema.OpUpsert, "c", "") // while the option was off
	change(schema.OpDelete, "", "c")
	change(schema.OpInsert, "d", "")
	verify := func() []sync.Difference {
		report, err := r.engine.Verify(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return report.Differences
	}
	if got := verify(); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	change(schema.OpUpdate, "e", "c")
	change(schema.OpDelete, "", "e")
	change(schema.OpDelete, "", "e")
	var got []string
	for _, d := range verify() {
		got = append(got, fmt.Sprintf("%s %s: %s", d.Store, d.Row, d.Want))
	}
	if want := "[log seq 5: the row of seq 4 before it log seq 7: no row before it since seq 6]"; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
