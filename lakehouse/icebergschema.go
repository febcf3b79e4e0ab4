package lakehouse

import (
	"fmt"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// keySortOrder is the id of the sort order by key, the first after 0, unsorted.
const keySortOrder = 1

// icebergSchema is a collection's schema as its table has it: the user's
// fields, then the system columns. These may be null where there is no key, as rows
// that an engine appends have none, though what Trine writes always has them.
func icebergSchema(s *schema.Schema) (*iceberg.Schema, error) {
	fields, err := icebergFields(tableFields(s))
	if err != nil {
		return nil, err
	}
	for i := len(s.Fields); i < len(fields) && !s.Keyed(); i++ {
		fields[i].Required = false
	}
	key := make([]int, len(s.Key))
	for i, k := range s.Key {
		key[i] = s.Fields[k].ID
	}
	return iceberg.NewSchemaWithIdentifiers(0, key, fields...), nil
}

func icebergFields(fields []schema.Field) ([]iceberg.NestedField, error) {
	out := make([]iceberg.NestedField, len(fields))
	for i, f := range fields {
		t, err := icebergType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		out[i] = iceberg.NestedField{ID: f.ID, Name: f.Name, Type: t, Required: f.Required, Doc: f.Doc}
	}
	return out, nil
}

var primitiveTypes = map[schema.Kind]iceberg.Type{
	schema.KindBoolean:     iceberg.PrimitiveTypes.Bool,
	schema.KindInt:         iceberg.PrimitiveTypes.Int32,
	schema.KindLong:        iceberg.PrimitiveTypes.Int64,
	schema.KindFloat:       iceberg.PrimitiveTypes.Float32,
	schema.KindDouble:      iceberg.PrimitiveTypes.Float64,
	schema.KindDate:        iceberg.PrimitiveTypes.Date,
	schema.KindTime:        iceberg.PrimitiveTypes.Time,
	schema.KindTimestamp:   iceberg.PrimitiveTypes.Timestamp,
	schema.KindTimestamptz: iceberg.PrimitiveTypes.TimestampTz,
	schema.KindString:      iceberg.PrimitiveTypes.String,
	schema.KindJSON:        iceberg.PrimitiveTypes.String,
	schema.KindUUID:        iceberg.PrimitiveTypes.UUID,
	schema.KindBinary:      iceberg.PrimitiveTypes.Binary,
}

func icebergType(t schema.Type) (iceberg.Type, error) {
	if p, ok := primitiveTypes[t.Kind]; ok {
		return p, nil
	}
	switch t.Kind {
	case schema.KindDecimal:
		return iceberg.DecimalTypeOf(t.Precision, t.Scale), nil
	case schema.KindFixed:
		return iceberg.FixedTypeOf(t.Length), nil
	}
	fields, err := icebergFields(t.Fields)
	if err != nil {
		return nil, err
	}
	switch t.Kind {
	case schema.KindStruct:
		return &iceberg.StructType{FieldList: fields}, nil
	case schema.KindList:
		return &iceberg.ListType{ElementID: fields[0].ID, Element: fields[0].Type, ElementRequired: fields[0].Required}, nil
	case schema.KindMap:
		return &iceberg.MapType{
			KeyID: fields[0].ID, KeyType: fields[0].Type,
			ValueID: fields[1].ID, ValueType: fields[1].Type, ValueRequired: fields[1].Required,
		}, nil
	}
	return nil, fmt.Errorf("a table cannot hold type %s: %w", t, schema.ErrUnsupported)
}
