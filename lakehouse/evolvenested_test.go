package lakehouse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// evolution is a schema as it evolves at random by Iceberg's rules, at any depth.
type evolution struct {
	r      *rand.Rand
	schema *schema.Schema
	counts map[string]int
}

func (e *evolution) id() int {
	e.schema.LastFieldID++
	return e.schema.LastFieldID
}

// typ is a type of at most that many levels.
func (e *evolution) typ(depth int) schema.Type {
	n := 9
	if depth > 1 {
		n = 14
	}
	switch k := e.r.IntN(n); k {
	case 0:
		return decimal(1+e.r.IntN(30), 1)
	case 1, 2:
		return kind(schema.KindInt)
	case 3, 4:
		return kind(schema.KindFloat)
	case 5, 6, 7, 8:
		return kind([]schema.Kind{schema.KindString, schema.KindBoolean, schema.KindDate, schema.KindUUID}[k-5])
	case 9:
		return schema.Type{Kind: schema.KindList, Fields: []schema.Field{e.inner("element", depth)}}
	case 10:
		key := schema.Field{ID: e.id(), Name: "key", Type: kind(schema.KindString), Required: true}
		return schema.Type{Kind: schema.KindMap, Fields: []schema.Field{key, e.inner("value", depth)}}
	}
	t := schema.Type{Kind: schema.KindStruct}
	for range 1 + e.r.IntN(3) {
		t.Fields = append(t.Fields, e.field(depth-1, e.r.IntN(4) == 0))
	}
	return t
}

func (e *evolution) inner(name string, depth int) schema.Field {
	f := e.field(depth-1, e.r.IntN(3) == 0)
	f.Name = name
	return f
}

func (e *evolution) field(depth int, required bool) schema.Field {
	id := e.id()
	return schema.Field{ID: id, Name: fmt.Sprintf("f%d", id), Type: e.typ(depth), Required: required}
}

// fields makes the next fields of a record or struct of some.
func (e *evolution) fields(old []schema.Field, depth int, keep int) []schema.Field {
	var next []schema.Field
	for _, f := range old {
		if f.ID != keep && len(old) > 1 && e.r.IntN(8) == 0 {
			e.counts["drop"]++
			continue
		}
		if f.ID != keep && e.r.IntN(8) == 0 {
			e.counts["rename"]++
			f.Name = fmt.Sprintf("renamed%d", e.r.IntN(1<<30))
		}
		if f.ID != keep {
			f = e.evolve(f, depth)
		}
		next = append(next, f)
	}
	if e.r.IntN(4) == 0 || len(next) == 0 {
		e.counts["add"]++
		next = append(next, e.field(depth, false))
	}
	if e.r.IntN(4) == 0 {
		e.counts["reorder"]++
		e.r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	}
	return next
}

// evolve makes the next form of a field.
func (e *evolution) evolve(f schema.Field, depth int) schema.Field {
	if f.Required && e.r.IntN(6) == 0 {
		e.counts["optional"]++
		f.Required = false
	}
	switch t := &f.Type; {
	case t.Kind == schema.KindStruct:
		t.Fields = e.fields(t.Fields, depth-1, 0)
	case t.Kind == schema.KindList:
		t.Fields = []schema.Field{e.evolve(t.Element(), depth-1)}
	case t.Kind == schema.KindMap:
		t.Fields = []schema.Field{t.MapKey(), e.evolve(t.MapValue(), depth-1)}
	case e.r.IntN(4) > 0:
	case t.Kind == schema.KindInt:
		e.counts["widen"]++
		t.Kind = schema.KindLong
	case t.Kind == schema.KindFloat:
		e.counts["widen"]++
		t.Kind = schema.KindDouble
	case t.Kind == schema.KindDecimal && t.Precision < 38:
		e.counts["widen"]++
		t.Precision += 1 + e.r.IntN(38-t.Precision)
	}
	return f
}

// next is the schema after a step.
func (e *evolution) next() *schema.Schema {
	s := *e.schema
	e.schema = &s
	s.ID++
	s.Fields = e.fields(s.Fields, 4, 1)
	s.Key = []int{slices.IndexFunc(s.Fields, func(f schema.Field) bool { return f.ID == 1 })}
	return &s
}

// Files of every schema that a collection had are read by the newest, and by newer
// and older ones that compaction wrote, as a row of the log is: fields inside structs,
// elements of lists and values of maps are found by id, whatever they are called,
// wherever they are, and however wide they have become.
func TestNestedEvolutionAgainstOracle(t *testing.T) {
	r := seedtest.Rand(t)
	counts := map[string]int{}
	for range times(12, 4) {
		e := &evolution{r: r, counts: counts, schema: &schema.Schema{ID: 1, LastFieldID: 1, Key: []int{0}}}
		e.schema.Fields = []schema.Field{{ID: 1, Name: "id", Type: kind(schema.KindLong), Required: true}}
		for range 5 {
			e.schema.Fields = append(e.schema.Fields, e.field(4, r.IntN(4) == 0))
		}
		f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows, o.ArrangeBytes = 32, 16<<10 })
		tbl := newTable(f, collection(e.schema))
		for step := range 8 {
			if step > 0 {
				c := *tbl.c
				c.Schema = e.next()
				tbl.c = &c
			}
			if r.IntN(3) == 0 {
				tbl.c.Options.LakeSort = []schema.SortField{{FieldID: schema.SeqColumnID, Desc: r.IntN(2) == 0}}
			}
			deletes := map[uint32][]uint32{}
			for _, at := range tbl.live() {
				if r.IntN(5) == 0 {
					deletes[at[0]] = append(deletes[at[0]], at[1])
				}
			}
			tbl.commit(rowsWithID(r, tbl.c.Schema, 100*step, r.IntN(70)), deletes)
			tbl.checkSet(tbl.snap)
			if files := tbl.snap.Files(); r.IntN(2) == 0 && len(files) > 1 {
				tbl.rewrite(tbl.snap, []uint32{files[0].Ordinal, files[len(files)-1].Ordinal})
				tbl.checkSet(tbl.snap)
			}
		}
		again, err := f.open(f.objects).Current(t.Context(), tbl.c)
		if err != nil {
			t.Fatal(err)
		}
		tbl.checkSet(again)
	}
	t.Log(counts)
	for _, what := range []string{"add", "drop", "rename", "widen", "reorder", "optional"} {
		if counts[what] == 0 {
			t.Errorf("no %s in any run", what)
		}
	}
}
