package schema_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// idField is a column with an id in its metadata.
func idField(name string, t arrow.DataType, id string) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true, Metadata: arrow.NewMetadata([]string{schema.FieldIDKey}, []string{id})}
}

// By id columns, and fields of structs, are found whatever they are called and
// wherever they are.
func TestArrowMatchIDs(t *testing.T) {
	s := &schema.Schema{Fields: []schema.Field{
		{ID: 1, Name: "id", Type: longT}, {ID: 2, Name: "name", Type: stringT},
		{ID: 3, Name: "pos", Type: schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{{ID: 4, Name: "x", Type: longT}, {ID: 5, Name: "y", Type: longT}}}},
	}}
	in := arrow.NewSchema([]arrow.Field{
		idField("name", arrow.StructOf(idField("x", arrow.PrimitiveTypes.Int64, "5"), idField("", arrow.PrimitiveTypes.Int64, "4")), "3"),
		idField("id", arrow.BinaryTypes.String, "2"),
	}, nil)
	rows, err := schema.MatchIDs.Rows(s, in)
	if err != nil {
		t.Fatal(err)
	}
	batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, in, strings.NewReader(`[{"name":{"x":5,"":4},"id":"a"}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Release()
	if err := rows.Rows(batch, func(_ int, row []schema.Value) error {
		if pos := row[2].Elems(); !row[0].IsNull() || string(row[1].Bytes()) != "a" || pos[0].Int() != 4 || pos[1].Int() != 5 {
			t.Errorf("row %v", row)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if present := rows.Fields(); present[0] || !present[1] || !present[2] {
		t.Errorf("fields %v", present)
	}
}

func TestArrowMatchIDsRefused(t *testing.T) {
	s := &schema.Schema{Fields: fieldsOf(1, longT, longT)}
	long := arrow.PrimitiveTypes.Int64
	for rule, fields := range map[string][]arrow.Field{
		"under " + schema.FieldIDKey:  {{Name: "f1", Type: long}},
		"is not a number":             {idField("f1", long, "one")},
		"no field of id 9 here":       {idField("f1", long, "9")},
		"no field of id -1":           {idField("f1", long, "-1")},
		"two columns of this id":      {idField("f1", long, strconv.Itoa(s.Fields[0].ID)), idField("f2", long, strconv.Itoa(s.Fields[0].ID))},
		"Arrow type is utf8, and the": {idField("f1", arrow.BinaryTypes.String, strconv.Itoa(s.Fields[0].ID))},
	} {
		_, err := schema.MatchIDs.Rows(s, arrow.NewSchema(fields, nil))
		var fe *schema.FieldError
		if !errors.As(err, &fe) || !strings.Contains(fe.Rule, rule) {
			t.Errorf("want %q: %v", rule, err)
		}
	}
}
