package lakehouse_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// fixture is a lake.
type fixture struct {
	testing.TB
	dir     string
	objects blobtest.Store
	lake    *lakehouse.Lake
}

// newFixture is a lake in memory.
func newFixture(t testing.TB, change ...func(*lakehouse.Options)) *fixture {
	t.Helper()
	f := &fixture{TB: t, dir: "/lake", objects: blob.NewMem()}
	f.lake = f.open(f.objects, change...)
	return f
}

// newDirFixture is a lake on a local disk.
func newDirFixture(t testing.TB, change ...func(*lakehouse.Options)) *fixture {
	t.Helper()
	dir := t.TempDir()
	objects, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	f := &fixture{TB: t, dir: dir, objects: objects}
	f.lake = f.open(objects, change...)
	return f
}

// open is another Lake on the same folder, with nothing in memory.
func (f *fixture) open(objects lakehouse.Objects, change ...func(*lakehouse.Options)) *lakehouse.Lake {
	f.Helper()
	opts := lakehouse.Options{Objects: objects, BaseURI: "file://" + f.dir}
	for _, c := range change {
		c(&opts)
	}
	l, err := lakehouse.Open(opts)
	if err != nil {
		f.Fatal(err)
	}
	return l
}

func collection(s *schema.Schema) *schema.Collection {
	return &schema.Collection{Tenant: "acme", Name: "things", Instance: 77, Schema: s, Options: schema.DefaultOptions()}
}

// inFormat is a collection whose table is of that format version.
func inFormat(format int, s *schema.Schema) *schema.Collection {
	c := collection(s)
	c.Options.LakeFormat = format
	return c
}

// eachFormat runs a test with tables of each format version.
func eachFormat(t *testing.T, test func(t *testing.T, format int)) {
	t.Helper()
	for _, format := range []int{2, 3} {
		t.Run(fmt.Sprintf("format=%d", format), func(t *testing.T) { test(t, format) })
	}
}

// times is how often a test does something: n, but with -short, as beside the race
// detector, short.
func times(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}

// table is what a test believes a table holds: every row ever written by its
// place, and those that are gone.
type table struct {
	*fixture
	c       *schema.Collection
	snap    *lakehouse.Snapshot
	rows    map[uint32][]lakehouse.Row
	gone    map[uint32]map[uint32]bool
	next    schema.Seq
	schemas map[uint32]*schema.Schema  // by which a file was written
	orders  map[int][]schema.SortField // by id, where a test cares
}

func newTable(f *fixture, c *schema.Collection) *table {
	return &table{fixture: f, c: c, rows: map[uint32][]lakehouse.Row{}, gone: map[uint32]map[uint32]bool{}, schemas: map[uint32]*schema.Schema{}}
}

// commit writes rows, given without seq and time, and deletes.
func (t *table) commit(values [][]schema.Value, deletes map[uint32][]uint32) {
	t.Helper()
	rows := make([]lakehouse.Row, len(values))
	for i, v := range values {
		rows[i] = lakehouse.Row{Values: v, Seq: t.next, TimeMicros: 1_700_000_000_000_000 + int64(t.next)}
		t.next++
	}
	snap, written, err := t.lake.Commit(context.Background(), lakehouse.Commit{
		Collection: t.c, Base: t.snap, NextSeq: t.next, Position: schema.Position{Chunk: uint64(t.next)},
		Rows: each(rows), Deletes: deletes,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.snap = snap
	t.took(written, rows)
	for file, gone := range deletes {
		if t.gone[file] == nil {
			t.gone[file] = map[uint32]bool{}
		}
		for _, row := range gone {
			t.gone[file][row] = true
		}
	}
}

// took notes where a commit's rows went.
func (t *table) took(written []lakehouse.Written, rows []lakehouse.Row) {
	t.Helper()
	n := 0
	for _, w := range written {
		t.schemas[w.File] = t.c.Schema
		t.rows[w.File] = make([]lakehouse.Row, w.Rows)
		for i := range t.rows[w.File] {
			from := n
			if w.Order != nil {
				from = int(w.Order[i])
			}
			t.rows[w.File][i] = rows[from]
			n++
		}
	}
	if n != len(rows) {
		t.Fatalf("%d of %d rows were written", n, len(rows))
	}
}

func each(rows []lakehouse.Row) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// want is the live rows in the order that Read gives them, decoded to the
// current schema.
func (t *table) want() []string {
	t.Helper()
	b := schema.NewArrowBuilder(memory.DefaultAllocator, t.c.Schema, nil, true)
	defer b.Release()
	for _, file := range sortedKeys(t.rows) {
		from := t.schemas[file]
		decoder := schema.NewRowDecoder(from, t.c.Schema)
		for i, r := range t.rows[file] {
			if t.gone[file][uint32(i)] {
				continue
			}
			row, err := decoder.Decode(from.AppendRow(nil, r.Values), nil)
			if err != nil {
				t.Fatal(err)
			}
			b.Append(row, r.Seq, r.TimeMicros)
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	return lines(batch)
}

// check reads the table and compares.
func (t *table) check(snap *lakehouse.Snapshot) {
	t.Helper()
	got := read(t, snap, lakehouse.ReadOptions{Schema: t.c.Schema, System: true})
	want := t.want()
	if !slices.Equal(got, want) {
		t.Fatalf("read %d rows, want %d\n got %s\nwant %s", len(got), len(want), sample(got), sample(want))
	}
	if snap.Rows() != int64(len(want)) {
		t.Fatalf("Rows() = %d, want %d", snap.Rows(), len(want))
	}
}

func read(t testing.TB, snap *lakehouse.Snapshot, opts lakehouse.ReadOptions) []string {
	t.Helper()
	got := []string{}
	want := opts.Schema.Arrow(opts.Columns, opts.System)
	for batch, err := range snap.Read(context.Background(), opts) {
		if err != nil {
			t.Fatal(err)
		}
		if !batch.Schema().Equal(want) {
			t.Fatalf("batch has schema\n%s\nwant\n%s", batch.Schema(), want)
		}
		got = append(got, lines(batch)...)
	}
	return got
}

func lines(batch arrow.RecordBatch) []string {
	out := make([]string, batch.NumRows())
	for i := range out {
		var sb strings.Builder
		for c := range int(batch.NumCols()) {
			fmt.Fprintf(&sb, "%s|", batch.Column(c).ValueStr(i))
		}
		out[i] = sb.String()
	}
	return out
}

func sample(rows []string) string { return strings.Join(rows[:min(8, len(rows))], "\n     ") }

func sortedKeys[V any](m map[uint32]V) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// simple is a keyed schema of a few columns.
func simple() *schema.Schema {
	return &schema.Schema{ID: 1, LastFieldID: 3, Key: []int{0}, Fields: []schema.Field{
		{ID: 1, Name: "id", Type: schema.Type{Kind: schema.KindLong}, Required: true},
		{ID: 2, Name: "name", Type: schema.Type{Kind: schema.KindString}},
		{ID: 3, Name: "score", Type: schema.Type{Kind: schema.KindDouble}},
	}}
}

func simpleRows(from, n int) [][]schema.Value {
	rows := make([][]schema.Value, n)
	for i := range rows {
		id := from + i
		rows[i] = []schema.Value{schema.Int(int64(id)), schema.String(fmt.Sprintf("name %d", id%50)), schema.Float(float64(id) / 4)}
	}
	return rows
}

// everything has a field of each type, optional and required, and each of them
// in a struct, a list and a map.
func everything() *schema.Schema {
	types := []schema.Type{
		{Kind: schema.KindBoolean}, {Kind: schema.KindInt}, {Kind: schema.KindLong}, {Kind: schema.KindFloat},
		{Kind: schema.KindDouble}, {Kind: schema.KindDecimal, Precision: 7, Scale: 2},
		{Kind: schema.KindDecimal, Precision: 18, Scale: 4}, {Kind: schema.KindDecimal, Precision: 38, Scale: 10},
		{Kind: schema.KindDecimal, Precision: 21, Scale: 0},
		{Kind: schema.KindDate}, {Kind: schema.KindTime}, {Kind: schema.KindTimestamp}, {Kind: schema.KindTimestamptz},
		{Kind: schema.KindString}, {Kind: schema.KindUUID}, {Kind: schema.KindFixed, Length: 5}, {Kind: schema.KindBinary},
		{Kind: schema.KindJSON},
	}
	s := &schema.Schema{ID: 2, Key: []int{0}}
	id := func() int { s.LastFieldID++; return s.LastFieldID }
	add := func(name string, t schema.Type, required bool) {
		s.Fields = append(s.Fields, schema.Field{ID: id(), Name: name, Type: t, Required: required})
	}
	add("id", schema.Type{Kind: schema.KindLong}, true)
	for i, t := range types {
		add(fmt.Sprintf("o%d %s, größe.x", i, t), t, false)
		add(fmt.Sprintf("r%d", i), t, true)
		list := schema.Type{Kind: schema.KindList, Fields: []schema.Field{{ID: id(), Name: "element", Type: t, Required: i%2 == 0}}}
		add(fmt.Sprintf("list%d", i), list, i%3 == 0)
		add(fmt.Sprintf("map%d", i), schema.Type{Kind: schema.KindMap, Fields: []schema.Field{
			{ID: id(), Name: "key", Type: schema.Type{Kind: schema.KindString}, Required: true},
			{ID: id(), Name: "value", Type: t, Required: i%2 == 1},
		}}, false)
		inner := schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{
			{ID: id(), Name: "z", Type: t, Required: true}, {ID: id(), Name: "a", Type: list2(list, id, id), Required: false},
		}}
		add(fmt.Sprintf("struct%d", i), schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{
			{ID: id(), Name: "n", Type: t}, {ID: id(), Name: "inner", Type: inner, Required: i%2 == 0},
		}}, i%4 == 0)
	}
	return s
}

// list2 is a list of lists, with ids of its own.
func list2(of schema.Type, id1, id2 func() int) schema.Type {
	e := of.Element()
	e.ID = id1()
	inner := schema.Type{Kind: schema.KindList, Fields: []schema.Field{e}}
	return schema.Type{Kind: schema.KindList, Fields: []schema.Field{{ID: id2(), Name: "element", Type: inner}}}
}

// randomValue is a value of a type, edge cases being likely.
func randomValue(r *rand.Rand, t schema.Type, required bool) schema.Value {
	if !required && r.IntN(4) == 0 {
		return schema.Null
	}
	edge := r.IntN(6)
	blob := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	pick := func(lo, hi int64) schema.Value {
		switch edge {
		case 0:
			return schema.Int(lo)
		case 1:
			return schema.Int(hi)
		case 2:
			return schema.Int(0)
		}
		return schema.Int(r.Int64N(1000) - min(500, -lo))
	}
	switch t.Kind {
	case schema.KindBoolean:
		return schema.Bool(r.IntN(2) == 0)
	case schema.KindInt:
		return pick(math.MinInt32, math.MaxInt32)
	case schema.KindDate:
		return pick(-100000, 100000)
	case schema.KindLong:
		return pick(math.MinInt64, math.MaxInt64)
	case schema.KindTime:
		return schema.Int(r.Int64N(86_400_000_000))
	case schema.KindTimestamp, schema.KindTimestamptz:
		return pick(-62135596800_000000, 253402300799_999999)
	case schema.KindFloat:
		v := []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Copysign(0, -1)), math.MaxFloat32, 0, r.Float32()}
		return schema.Float(float64(v[edge]))
	case schema.KindDouble:
		v := []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), math.SmallestNonzeroFloat64, 0, r.NormFloat64()}
		return schema.Float(v[edge])
	case schema.KindDecimal:
		text := strings.Repeat("9", 1+r.IntN(t.Precision))
		if r.IntN(2) == 0 {
			text = "-" + text
		}
		unscaled := schema.Type{Kind: schema.KindDecimal, Precision: t.Precision}
		v, err := schema.ParseText(unscaled, text)
		if err != nil {
			panic(err)
		}
		return v
	case schema.KindString, schema.KindJSON:
		words := []string{"", "a", "zürich ☃ 𝄞", strings.Repeat("long ", 60), fmt.Sprint(r.IntN(20)), fmt.Sprint(r.Uint64())}
		if t.Kind == schema.KindJSON {
			return schema.String(fmt.Sprintf(`{"w":%q}`, words[edge]))
		}
		return schema.String(words[edge])
	case schema.KindUUID:
		return schema.Bytes(blob(16))
	case schema.KindFixed:
		return schema.Bytes(blob(t.Length))
	case schema.KindBinary:
		return schema.Bytes(blob(r.IntN(40)))
	case schema.KindStruct:
		elems := make([]schema.Value, len(t.Fields))
		for i, f := range t.Fields {
			elems[i] = randomValue(r, f.Type, f.Required)
		}
		return schema.Elems(elems)
	case schema.KindList:
		elems := make([]schema.Value, r.IntN(4))
		for i := range elems {
			elems[i] = randomValue(r, t.Element().Type, t.Element().Required)
		}
		return schema.Elems(elems)
	default: // map
		var elems []schema.Value
		for i := range r.IntN(4) {
			elems = append(elems, schema.String(fmt.Sprint("k", i)), randomValue(r, t.MapValue().Type, t.MapValue().Required))
		}
		return schema.Elems(elems)
	}
}

func randomRows(r *rand.Rand, s *schema.Schema, n int) [][]schema.Value {
	rows := make([][]schema.Value, n)
	for i := range rows {
		rows[i] = make([]schema.Value, len(s.Fields))
		for c, f := range s.Fields {
			rows[i][c] = randomValue(r, f.Type, f.Required)
		}
		rows[i][0] = schema.Int(int64(i))
	}
	return rows
}

func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want one that is %v", err, kind)
	}
}
