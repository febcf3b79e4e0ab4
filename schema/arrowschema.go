package schema

import (
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
)

// FieldIDKey is the metadata key under which Parquet writers find a field's id.
const FieldIDKey = "PARQUET:field_id"

// Arrow is the Arrow schema of the fields at those places, in that order, or
// of all fields if columns is nil; with system, _seq and _time follow. Each
// field, nested ones too, has its id in its metadata.
//
//	boolean bool · int int32 · long int64 · float float32 · double float64
//	decimal(p,s) decimal128(p,s) · date date32 · time time64[us]
//	timestamp timestamp[us] · timestamptz timestamp[us, UTC]
//	string, json utf8 · uuid fixed_size_binary(16) · fixed(n) fixed_size_binary(n)
//	binary binary · struct, list, map as they are
func (s *Schema) Arrow(columns []int, system bool) *arrow.Schema {
	var fields []arrow.Field
	if columns == nil {
		for i := range s.Fields {
			fields = append(fields, arrowField(s.Fields[i], s.Fields[i].Name))
		}
	}
	for _, i := range columns {
		fields = append(fields, arrowField(s.Fields[i], s.Fields[i].Name))
	}
	if system {
		fields = append(fields,
			arrowField(Field{ID: SeqColumnID, Type: Type{Kind: KindLong}, Required: true}, SeqColumn),
			arrowField(Field{ID: TimeColumnID, Type: Type{Kind: KindTimestamptz}, Required: true}, TimeColumn))
	}
	return arrow.NewSchema(fields, nil)
}

func arrowField(f Field, name string) arrow.Field {
	a := arrow.Field{Name: name, Type: arrowType(f.Type), Nullable: !f.Required}
	if f.ID != 0 {
		a.Metadata = arrow.NewMetadata([]string{FieldIDKey}, []string{strconv.Itoa(f.ID)})
	}
	return a
}

// arrowType is the Arrow type that Trine writes for t.
func arrowType(t Type) arrow.DataType {
	switch t.Kind {
	case KindBoolean:
		return arrow.FixedWidthTypes.Boolean
	case KindInt:
		return arrow.PrimitiveTypes.Int32
	case KindLong:
		return arrow.PrimitiveTypes.Int64
	case KindFloat:
		return arrow.PrimitiveTypes.Float32
	case KindDouble:
		return arrow.PrimitiveTypes.Float64
	case KindDecimal:
		return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case KindDate:
		return arrow.FixedWidthTypes.Date32
	case KindTime:
		return arrow.FixedWidthTypes.Time64us
	case KindTimestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case KindTimestamptz:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	case KindString, KindJSON:
		return arrow.BinaryTypes.String
	case KindUUID:
		return &arrow.FixedSizeBinaryType{ByteWidth: 16}
	case KindFixed:
		return &arrow.FixedSizeBinaryType{ByteWidth: t.Length}
	case KindBinary:
		return arrow.BinaryTypes.Binary
	case KindStruct:
		fields := make([]arrow.Field, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = arrowField(f, f.Name)
		}
		return arrow.StructOf(fields...)
	case KindList:
		return arrow.ListOfField(arrowField(t.Element(), "element"))
	case KindMap:
		key := t.MapKey()
		key.Required = true
		return arrow.MapOfFields(arrowField(key, "key"), arrowField(t.MapValue(), "value"))
	default:
		panic("schema: Arrow type of " + t.Kind.String())
	}
}
