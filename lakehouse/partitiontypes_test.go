package lakehouse_test

import (
	"testing"

	"github.com/trinedb/trine/schema"
)

// Manifests name the Avro types of partition values, and two may be of one type.
func TestPartitionByTwoOfAType(t *testing.T) {
	for _, typ := range []schema.Type{{Kind: schema.KindUUID}, {Kind: schema.KindFixed, Length: 8}, {Kind: schema.KindTime}, {Kind: schema.KindBinary}} {
		s := &schema.Schema{ID: 1, LastFieldID: 3, Key: []int{0}, Fields: []schema.Field{{ID: 3, Name: "id", Type: schema.Type{Kind: schema.KindLong}, Required: true}, {ID: 1, Name: "a", Type: typ}, {ID: 2, Name: "b", Type: typ}}}
		t.Run(typ.String(), func(t *testing.T) {
			f := newFixture(t)
			tbl := newTable(f, collection(s))
			for _, id := range []int{1, 2} {
				tbl.c.Options.LakePartition = append(tbl.c.Options.LakePartition, schema.PartitionField{FieldID: id, Transform: schema.Transform{Kind: schema.TransformIdentity}})
			}
			tbl.commit([][]schema.Value{{schema.Int(1), schema.Null, schema.Null}}, nil)
			tbl.check(mustCurrent(t, f, tbl.c))
		})
	}
}
