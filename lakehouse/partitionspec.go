package lakehouse

import (
	"fmt"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// partitionSpec is one of the ways in which a table is or was partitioned. Each
// file is of one. It is immutable.
type partitionSpec struct {
	iceberg iceberg.PartitionSpec
	fields  []schema.PartitionField
	types   []schema.Type // of the partition values
}

// firstPartitionID is below the ids of partition fields, by the specification.
const firstPartitionID = iceberg.PartitionDataIDStart - 1

func (p *partitionSpec) id() int { return p.iceberg.ID() }

// specOf reads a spec of a table's metadata.
func specOf(p iceberg.PartitionSpec, s *iceberg.Schema) (*partitionSpec, error) {
	out := &partitionSpec{iceberg: p}
	results := p.PartitionType(s).FieldList
	for i, f := range p.Fields() {
		x, ok := transformOf(f.Transform)
		if !ok {
			return nil, fmt.Errorf("partition spec %d: transform %s is not one of Trine's: %w", p.ID(), f.Transform, schema.ErrUnsupported)
		}
		t, ok := primitiveOf(results[i].Type)
		if !ok {
			return nil, fmt.Errorf("partition spec %d: field %d has type %s: %w", p.ID(), f.SourceID(), results[i].Type, schema.ErrUnsupported)
		}
		out.fields = append(out.fields, schema.PartitionField{FieldID: f.SourceID(), Transform: x})
		out.types = append(out.types, t)
	}
	return out, nil
}

// specsOf reads all specs of a table's metadata, by id.
func specsOf(meta table.Metadata) (map[int]*partitionSpec, error) {
	specs := map[int]*partitionSpec{}
	for _, p := range meta.PartitionSpecs() {
		spec, err := specOf(p, meta.CurrentSchema())
		if err != nil {
			return nil, err
		}
		specs[p.ID()] = spec
	}
	return specs, nil
}

// newSpec makes the spec of a table that is to be partitioned by fields: one that
// it has, or one with the next id. A field that was partitioned by before keeps id
// and name.
func newSpec(old map[int]*partitionSpec, fields []schema.PartitionField, s *iceberg.Schema) (*partitionSpec, error) {
	id, last, known := 0, firstPartitionID, map[schema.PartitionField]iceberg.PartitionField{}
	taken := map[string]bool{}
	for _, spec := range old {
		if samePartition(spec.fields, fields) {
			return spec, nil
		}
		id = max(id, spec.id()+1)
		for i, f := range spec.iceberg.Fields() {
			last = max(last, f.FieldID)
			known[spec.fields[i]] = f
			taken[f.Name] = true
		}
	}
	parts := make([]iceberg.PartitionField, len(fields))
	for i, f := range fields {
		part, ok := known[f]
		if !ok {
			source, found := s.FindFieldByID(f.FieldID)
			if !found {
				return nil, fmt.Errorf("partition by field %d: no such field: %w", f.FieldID, schema.ErrInvalid)
			}
			last++
			part = iceberg.PartitionField{
				SourceIDs: []int{f.FieldID}, FieldID: last, Transform: icebergTransform(f.Transform),
				Name: partitionName(source.Name, f.Transform, last, taken),
			}
			taken[part.Name] = true
		}
		parts[i] = part
	}
	return specOf(iceberg.NewPartitionSpecID(id, parts...), s)
}

func samePartition(a, b []schema.PartitionField) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// partitionName names a partition field. Engines refuse a table of which a column
// has the name of a partition field, and columns come later under any name: so it
// begins with _, which no field's name does. It is a name in Avro, too.
func partitionName(field string, x schema.Transform, id int, taken map[string]bool) string {
	var b strings.Builder
	b.WriteByte('_')
	for _, c := range strings.TrimPrefix(field, "_") {
		if c < 0x80 && (c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			b.WriteRune(c)
		} else {
			b.WriteByte('_')
		}
	}
	if x.Kind != schema.TransformIdentity || strings.HasPrefix(field, "_") {
		b.WriteByte('_')
		b.WriteString(strings.NewReplacer("(", "_", ")", "").Replace(x.String()))
	}
	name := b.String()
	for other := range taken {
		if strings.EqualFold(other, name) {
			return fmt.Sprintf("%s_%d", name, id)
		}
	}
	return name
}

func icebergTransform(x schema.Transform) iceberg.Transform {
	switch x.Kind {
	case schema.TransformBucket:
		return iceberg.BucketTransform{NumBuckets: x.Width}
	case schema.TransformTruncate:
		return iceberg.TruncateTransform{Width: x.Width}
	case schema.TransformYear:
		return iceberg.YearTransform{}
	case schema.TransformMonth:
		return iceberg.MonthTransform{}
	case schema.TransformDay:
		return iceberg.DayTransform{}
	case schema.TransformHour:
		return iceberg.HourTransform{}
	}
	return iceberg.IdentityTransform{}
}

// transformOf is the inverse of icebergTransform.
func transformOf(t iceberg.Transform) (x schema.Transform, ok bool) {
	switch t := t.(type) {
	case iceberg.IdentityTransform:
		x.Kind = schema.TransformIdentity
	case iceberg.BucketTransform:
		x = schema.Transform{Kind: schema.TransformBucket, Width: t.NumBuckets}
	case iceberg.TruncateTransform:
		x = schema.Transform{Kind: schema.TransformTruncate, Width: t.Width}
	case iceberg.YearTransform:
		x.Kind = schema.TransformYear
	case iceberg.MonthTransform:
		x.Kind = schema.TransformMonth
	case iceberg.DayTransform:
		x.Kind = schema.TransformDay
	case iceberg.HourTransform:
		x.Kind = schema.TransformHour
	}
	return x, x.Valid()
}

// primitiveOf is the type of partition values that Iceberg calls t.
func primitiveOf(t iceberg.Type) (schema.Type, bool) {
	switch t := t.(type) {
	case iceberg.DecimalType:
		return schema.Type{Kind: schema.KindDecimal, Precision: t.Precision(), Scale: t.Scale()}, true
	case iceberg.FixedType:
		return schema.Type{Kind: schema.KindFixed, Length: t.Len()}, true
	}
	for kind, p := range primitiveTypes {
		if kind != schema.KindJSON && p.Equals(t) {
			return schema.Type{Kind: kind}, true
		}
	}
	return schema.Type{}, false
}
