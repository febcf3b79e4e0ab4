package lakehouse_test

import (
	"strings"
	"testing"

	"github.com/trinedb/trine/schema"
)

// In format version 3 a rewrite keeps the lineage of rows, or is refused; rows that an
// engine appends are given theirs.
func TestEngineLineage(t *testing.T) {
	for _, s := range []*schema.Schema{simple(), unkeyed()} {
		tbl := newTable(newDirFixture(t), inFormat(3, s))
		for i := range 3 {
			tbl.commit(simpleRows(10*i, 10), nil)
		}
		if !s.Keyed() {
			snap, _, err := tbl.obey(tbl.askAppend(simpleRows(100, 5)))
			if err != nil {
				t.Fatal(err)
			}
			tbl.snap = snap
		}
		_, before := icebergRead(t, tbl.snap)
		blind, err := tbl.engine().RewriteWithoutLineage(t.Context(), tbl.snap)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = tbl.obey(blind)
		wantKind(t, err, schema.ErrUnsupported)
		if err != nil && !strings.Contains(err.Error(), "_row_id") {
			t.Errorf("it does not say why: %v", err)
		}
		next, _, err := tbl.obey(tbl.askRewrite())
		if err != nil {
			t.Fatal(err)
		}
		if _, after := icebergRead(t, next); len(after) != len(before) || len(next.Files()) != 1 {
			t.Errorf("%d rows in %d files, there were %d", len(after), len(next.Files()), len(before))
		}
		// What moved once moves again.
		tbl.snap = next
		if _, _, err := tbl.obey(tbl.askRewrite()); err != nil {
			t.Error(err)
		}
	}
}
