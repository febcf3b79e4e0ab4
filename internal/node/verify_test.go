package node_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// verifyOne compares the stores of a collection.
func verifyOne(t *testing.T, n *node.Node, c *schema.Collection) *sync.Report {
	t.Helper()
	report, err := n.Engine.Verify(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// tells fails unless a difference has all the words.
func tells(t *testing.T, r *sync.Report, words ...string) {
	t.Helper()
	for _, d := range r.Differences {
		text := fmt.Sprintf("%s: %s: want %s, got %s", d.Store, d.Row, d.Want, d.Got)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
	}
	t.Errorf("no difference tells %v: %+v", words, r.Differences)
}

// filled is a data directory with a flushed collection of three rows.
func filled(t *testing.T, def string, lines ...string) (string, *schema.Collection) {
	t.Helper()
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	c := makeCollection(t, n, def)
	write(t, n, c, "", lines...)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, n)
	closeNode(t, n)
	return dir, c
}

var threeItems = []string{`{"id":1,"name":"a"}`, `{"id":2,"name":"b"}`, `{"id":3,"name":"c"}`}

// TestVerifySeesAWrongIndex builds the index of a log that has another end.
func TestVerifySeesAWrongIndex(t *testing.T) {
	dir, c := filled(t, fmt.Sprintf(itemsDef, ""), threeItems...)
	n := openNode(t, node.Options{Data: dir})
	chunks := n.Chunks(t)
	closeNode(t, n)
	removeAll(t, filepath.Join(dir, "kvindex"))
	index, err := kvindex.Open(kvindex.Options{Dir: filepath.Join(dir, "kvindex"), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	row := func(id int64, name string) schema.Record {
		values := []schema.Value{schema.Int(id), schema.String(name)}
		return schema.Record{Op: schema.OpUpsert, Key: c.Schema.AppendKey(nil, values), Row: c.Schema.AppendRow(nil, values)}
	}
	for _, chunk := range chunks {
		if g, ok := chunk.Group(c.Instance); ok {
			g.Records = []schema.Record{row(1, "a"), row(2, "B"), row(9, "z")}
			chunk = &schema.Chunk{Position: chunk.Position, TimeMicros: chunk.TimeMicros, Groups: []schema.Group{g}}
		}
		if err := index.Apply(context.Background(), chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := index.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, node.Options{Data: dir})
	r := verifyOne(t, n, c)
	tells(t, r, "index", "key [2]", "want seq 1")
	tells(t, r, "index", "key [9]", "want absent")
	tells(t, r, "index", "seq 2", "want a row, got absent")
}

// TestVerifySeesAWrongTable commits to the table what the log does not hold.
func TestVerifySeesAWrongTable(t *testing.T) {
	for _, tc := range []struct {
		name, def string
		lines     []string
		rows      []lakehouse.Row
		deletes   map[uint32][]uint32
		want      [][]string
	}{
		{
			name: "keyed", def: fmt.Sprintf(itemsDef, ""), lines: threeItems,
			rows: []lakehouse.Row{
				{Values: []schema.Value{schema.Int(2), schema.String("b")}, Seq: 1},
				{Values: []schema.Value{schema.Int(9), schema.String("z")}, Seq: 2},
			},
			deletes: map[uint32][]uint32{0: {2}},
			want: [][]string{
				{"lake", "key [2]", "the key twice"}, {"lake", "key [9]", "want absent"}, {"lake", "seq 2", "want a row, got absent"},
			},
		},
		{
			name: "append-only", def: fmt.Sprintf(eventsDef, ""), lines: []string{`{"n":1}`, `{"n":2}`, `{"n":3}`},
			rows: []lakehouse.Row{
				{Values: []schema.Value{schema.Int(1)}, Seq: 0},
				{Values: []schema.Value{schema.Int(7)}, Seq: 2},
				{Values: []schema.Value{schema.Int(9)}, Seq: 5},
			},
			deletes: map[uint32][]uint32{0: {1, 2}},
			want: [][]string{
				{"lake", "seq 0", "the row twice"}, {"lake", "seq 1", "want a row, got absent"},
				{"lake", "seq 2", "want row"}, {"lake", "seq 5", "want absent"},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, c := filled(t, tc.def, tc.lines...)
			tamper(t, dir, c, tc.rows, tc.deletes)
			n := openNode(t, node.Options{Data: dir})
			r := verifyOne(t, n, c)
			for _, words := range tc.want {
				tells(t, r, words...)
			}
		})
	}
}

func tamper(t *testing.T, dir string, c *schema.Collection, rows []lakehouse.Row, deletes map[uint32][]uint32) {
	t.Helper()
	root := filepath.Join(dir, "lake")
	objects, err := blob.OpenDir(root, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	lake, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "file://" + root})
	if err != nil {
		t.Fatal(err)
	}
	base, err := lake.Current(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = lake.Commit(context.Background(), lakehouse.Commit{
		Collection: c, Base: base, NextSeq: base.NextSeq(), Position: base.Position(), Deletes: deletes,
		Rows: func(yield func(lakehouse.Row, error) bool) {
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestIndexIsRebuilt loses the index, and the lake's record in it with it: all
// is there again after the next start, and a flush then neither repeats nor
// skips a row.
func TestIndexIsRebuilt(t *testing.T) {
	dir, c := filled(t, fmt.Sprintf(itemsDef, ""), threeItems...)
	removeAll(t, filepath.Join(dir, "kvindex"))
	n := openNode(t, node.Options{Data: dir})
	mustVerify(t, n)
	write(t, n, c, ingest.OpUpsert, `{"id":2,"name":"B"}`)
	write(t, n, c, ingest.OpDelete, `{"id":3}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, n)
}

// TestTableLosesVersions takes a table's newest version away, and then all of
// it, as a disk that was not honest about a sync would: what it held is
// flushed again, once.
func TestTableLosesVersions(t *testing.T) {
	dir, c := filled(t, fmt.Sprintf(itemsDef, ""), threeItems...)
	n := openNode(t, node.Options{Data: dir})
	write(t, n, c, ingest.OpUpsert, `{"id":2,"name":"B"}`, `{"id":4,"name":"d"}`)
	write(t, n, c, ingest.OpDelete, `{"id":3}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	table, err := filepath.Glob(filepath.Join(dir, "lake", "shop", "items-*"))
	if err != nil || len(table) != 1 {
		t.Fatalf("tables %v, %v", table, err)
	}
	for _, lost := range []string{filepath.Join(table[0], "metadata", "v2.metadata.json"), table[0]} {
		removeAll(t, lost)
		n = openNode(t, node.Options{Data: dir})
		want := "[1 a 2 B 4 d]"
		got := scanRows(t, n, c, query.Scan{})
		slices.Sort(got)
		if fmt.Sprint(got) != want {
			t.Errorf("without %s: scan %v, want %s", filepath.Base(lost), got, want)
		}
		if _, err := n.Engine.Flush(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		mustVerify(t, n)
		closeNode(t, n)
	}
}
