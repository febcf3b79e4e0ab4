package lakehouse_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// A predicate opens the files of the partitions that it may be true in, and no
// others: also where bounds say nothing, as of buckets.
func TestPredicatesChoosePartitions(t *testing.T) {
	s := &schema.Schema{ID: 1, LastFieldID: 4, Fields: []schema.Field{
		{ID: 1, Name: "who", Type: kind(schema.KindString)}, {ID: 2, Name: "at", Type: kind(schema.KindTimestamp)},
		{ID: 3, Name: "n", Type: kind(schema.KindLong)}, {ID: 4, Name: "where", Type: kind(schema.KindString)},
	}}
	const days, people, places = 3, 40, 2
	by := func(id int, text string) schema.PartitionField {
		x, ok := schema.ParseTransform(text)
		if !ok {
			t.Fatal(text)
		}
		return schema.PartitionField{FieldID: id, Transform: x}
	}
	store := &counting{Mem: blob.NewMem()}
	f := &fixture{TB: t, dir: "/lake", objects: store.Mem}
	f.lake = f.open(store)
	c := collection(s)
	c.Options.LakePartition = []schema.PartitionField{by(1, "bucket(4)"), by(2, "day"), by(4, "identity")}
	tbl := newTable(f, c)
	var rows [][]schema.Value
	for i := range days * people * places * 4 {
		row := []schema.Value{
			schema.String(fmt.Sprintf("person %d", i/(days*places)%people)), schema.Int(int64(i%days-1) * 86_400_000_000),
			schema.Int(int64(i)), schema.String(string(rune('a' + i/days%places))),
		}
		if i == 0 {
			row[3] = schema.Null
		}
		rows = append(rows, row)
	}
	tbl.commit(rows, nil)
	all := 4*days*places + 1
	if n := len(tbl.snap.Files()); n != all {
		t.Fatalf("%d files, want one a partition, %d", n, all)
	}
	for _, tc := range []struct {
		where string
		files int
	}{
		{"", all},
		{"who = 'person 7'", days * places},
		{"who in ('person 7', 'person 7')", days * places},
		{"who = 'person 7' and \"where\" = 'b'", days},
		{"who = 'person 7' and \"where\" = 'b' and at < '1970-01-01'", 1},
		{"at >= '1970-01-01T12:00:00' and \"where\" = 'a'", 4},
		{"\"where\" is null", 1},
		{"\"where\" = 'c'", 0},
		{"who = 'person 7' and \"where\" is null", -1}, // at most 1, by the bucket
	} {
		var where *query.Predicate
		if tc.where != "" {
			var err error
			if where, err = query.ParseWhere(tc.where, s); err != nil {
				t.Fatal(err)
			}
		}
		store.gets = 0
		read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, Where: where})
		if store.gets != tc.files && (tc.files >= 0 || store.gets > 1) {
			t.Errorf("where %s opens %d files, want %d", tc.where, store.gets, tc.files)
		}
	}
}
