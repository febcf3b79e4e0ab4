package kvindex_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// catalog is a kvindex.Catalog of two schemas in one line of evolution, whose
// definitions are JSON.
type catalog struct{}

var townFields = []schema.Field{
	{ID: 1, Name: "id", Type: schema.Type{Kind: schema.KindString}, Required: true},
	{ID: 2, Name: "city", Type: schema.Type{Kind: schema.KindString}},
	{ID: 3, Name: "n", Type: schema.Type{Kind: schema.KindInt}},
}

var towns = map[schema.SchemaID]*schema.Schema{
	1: {ID: 1, Key: []int{0}, LastFieldID: 3, Fields: townFields},
	// n is widened, zip is new, and the order is another.
	2: {ID: 2, Key: []int{1}, LastFieldID: 4, Fields: []schema.Field{
		{ID: 4, Name: "zip", Type: schema.Type{Kind: schema.KindString}}, townFields[0],
		{ID: 3, Name: "n", Type: schema.Type{Kind: schema.KindLong}}, townFields[1],
	}},
}

func (catalog) Schema(_ context.Context, id schema.SchemaID) (*schema.Schema, error) {
	if s := towns[id]; s != nil {
		return s, nil
	}
	return nil, schema.ErrNotFound
}

type defined struct {
	Instance schema.Instance
	Indexes  []definedIndex
}

type definedIndex struct {
	ID     schema.IndexID
	Fields []int
	Unique bool
}

func (catalog) Indexes(r schema.Record) (schema.Instance, []schema.IndexSpec, bool, error) {
	if r.Op == schema.OpDelete || r.Key[0] != 'n' {
		return 0, nil, false, nil
	}
	var d defined
	err := json.Unmarshal(r.Row, &d)
	var list []schema.IndexSpec
	for _, x := range d.Indexes {
		list = append(list, schema.IndexSpec{Name: fmt.Sprintf("x%d", x.ID), ID: x.ID, FieldIDs: x.Fields, Unique: x.Unique})
	}
	return d.Instance, list, true, err
}

// definition is the record that gives a collection its indexes.
func definition(inst schema.Instance, list ...definedIndex) schema.Record {
	row, _ := json.Marshal(defined{inst, list})
	return upsert(fmt.Sprintf("n%d", inst), string(row))
}

// town is a row of either schema.
type town struct {
	id        string
	city, zip *string
	n         *int64
}

func (t town) value(field int) schema.Value {
	text := func(s *string) schema.Value {
		if s == nil {
			return schema.Null
		}
		return schema.String(*s)
	}
	switch field {
	case 1:
		return schema.String(t.id)
	case 2:
		return text(t.city)
	case 4:
		return text(t.zip)
	}
	if t.n == nil {
		return schema.Null
	}
	return schema.Int(*t.n)
}

func (t town) record(id schema.SchemaID) schema.Record {
	s := towns[id]
	var row []schema.Value
	for _, f := range s.Fields {
		row = append(row, t.value(f.ID))
	}
	return schema.Record{Op: schema.OpUpsert, Key: s.AppendKey(nil, row), Row: s.AppendRow(nil, row)}
}

// entry is the town's entry in an index by the key format's own encoder.
func (t town) entry(x definedIndex) (entry string, null bool) {
	var b []byte
	all := towns[2]
	for _, f := range x.Fields {
		v := t.value(f)
		null = null || v.IsNull()
		b = all.AppendIndexParts(b, []int{all.IndexID(f)}, []schema.Value{v})
	}
	return string(all.AppendKeyParts(b, []schema.Value{schema.String(t.id)})), null
}

func (t town) fields(x definedIndex) (string, bool) {
	entry, null := t.entry(x)
	key := towns[2].AppendKeyParts(nil, []schema.Value{schema.String(t.id)})
	return entry[:len(entry)-len(key)], null
}
