package querytest

import (
	"fmt"
	"math/rand/v2"

	"github.com/trinedb/trine/schema"
)

// names are what fields are called, besides names with a number.
var names = []string{"a", "not", "null", "date", `odd "name"`, "a.b", "é", "Select"}

// scalars are the kinds that are not nested.
var scalars = []schema.Kind{
	schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindFloat, schema.KindDouble, schema.KindDecimal,
	schema.KindDate, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz, schema.KindString, schema.KindUUID,
	schema.KindFixed, schema.KindBinary, schema.KindJSON,
}

// Schema draws a schema whose first field is a long called id, the key. The other
// fields are of any type, nested up to three levels.
func Schema(r *rand.Rand) *schema.Schema {
	s := &schema.Schema{ID: 1, LastFieldID: 1, Key: []int{0}}
	s.Fields = append(s.Fields, schema.Field{ID: 1, Name: "id", Type: schema.Type{Kind: schema.KindLong}, Required: true})
	s.Fields = append(s.Fields, fields(r, s, 3, 1+r.IntN(12))...)
	return s
}

// fields draws the fields of a level.
func fields(r *rand.Rand, s *schema.Schema, depth, n int) []schema.Field {
	out := make([]schema.Field, n)
	order := r.Perm(len(names))
	for i := range out {
		name := fmt.Sprintf("f%d", i)
		if i < len(order) && r.IntN(2) == 0 {
			name = names[order[i]]
		}
		out[i] = field(r, s, name, depth)
	}
	return out
}

func field(r *rand.Rand, s *schema.Schema, name string, depth int) schema.Field {
	s.LastFieldID++
	f := schema.Field{ID: s.LastFieldID, Name: name, Required: r.IntN(4) == 0}
	nested := -1
	if depth > 1 {
		nested = r.IntN(12)
	}
	switch nested {
	case 0, 1, 2:
		f.Type = schema.Type{Kind: schema.KindStruct, Fields: fields(r, s, depth-1, 1+r.IntN(3))}
	case 3:
		f.Type = schema.Type{Kind: schema.KindList, Fields: []schema.Field{field(r, s, "element", depth-1)}}
	case 4:
		key := field(r, s, "key", 1)
		key.Required = true
		if k := key.Type.Kind; k == schema.KindFloat || k == schema.KindDouble || k == schema.KindJSON {
			key.Type = schema.Type{Kind: schema.KindString}
		}
		f.Type = schema.Type{Kind: schema.KindMap, Fields: []schema.Field{key, field(r, s, "value", depth-1)}}
	default:
		f.Type = scalar(r)
	}
	return f
}

func scalar(r *rand.Rand) schema.Type {
	t := schema.Type{Kind: scalars[r.IntN(len(scalars))]}
	switch t.Kind {
	case schema.KindDecimal:
		t.Precision = 1 + r.IntN(38)
		t.Scale = r.IntN(t.Precision + 1)
	case schema.KindFixed:
		t.Length = 3
	}
	return t
}

// Values draws the values of a row whose id is given.
func Values(r *rand.Rand, s *schema.Schema, id int64) []schema.Value {
	vs := values(r, s.Fields)
	vs[0] = schema.Int(id)
	return vs
}
