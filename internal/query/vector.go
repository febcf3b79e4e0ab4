package query

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"github.com/trinedb/trine/schema"
)

// vector is a column of a batch.
type vector struct {
	values  arrow.Array   // nil when the batch has no such column: all null
	parents []arrow.Array // the structs around it, whose nulls are its nulls
}

// vector finds the column in a batch.
func (c *column) vector(batch arrow.RecordBatch) vector {
	at := batch.Schema().FieldIndices(c.names[0])
	if len(at) == 0 {
		return vector{}
	}
	v := vector{values: batch.Column(at[0])}
	for _, name := range c.names[1:] {
		s, ok := v.values.(*array.Struct)
		if !ok {
			return v.checked(c)
		}
		i, ok := s.DataType().(*arrow.StructType).FieldIdx(name)
		if !ok {
			return vector{}
		}
		v.parents = append(v.parents, s)
		v.values = s.Field(i)
	}
	return v.checked(c)
}

// checked demands that the values are of an Arrow type that the column can be
// read from.
func (v vector) checked(c *column) vector {
	if ext, ok := v.values.(array.ExtensionArray); ok {
		v.values = ext.Storage()
	}
	if v.values.DataType().ID() == arrow.NULL {
		return vector{}
	}
	dt := v.values.DataType()
	if d, ok := dt.(*arrow.DictionaryType); ok {
		dt = d.ValueType
	}
	if !readable(c.typ, dt) {
		panic(fmt.Sprintf("query: column %s is a %s, its Arrow array a %s", c.name, c.typ, v.values.DataType()))
	}
	return v
}

// readable reports whether arrays of dt hold values of t.
func readable(t schema.Type, dt arrow.DataType) bool {
	switch t.Kind {
	case schema.KindBoolean:
		return dt.ID() == arrow.BOOL
	case schema.KindInt:
		return dt.ID() == arrow.INT32
	case schema.KindLong:
		return dt.ID() == arrow.INT64 || dt.ID() == arrow.INT32
	case schema.KindFloat:
		return dt.ID() == arrow.FLOAT32
	case schema.KindDouble:
		return dt.ID() == arrow.FLOAT64 || dt.ID() == arrow.FLOAT32
	case schema.KindDecimal:
		d, ok := dt.(*arrow.Decimal128Type)
		return ok && int(d.Scale) == t.Scale
	case schema.KindDate:
		return dt.ID() == arrow.DATE32
	case schema.KindTime:
		d, ok := dt.(*arrow.Time64Type)
		return ok && d.Unit == arrow.Microsecond
	case schema.KindTimestamp, schema.KindTimestamptz:
		d, ok := dt.(*arrow.TimestampType)
		return ok && d.Unit == arrow.Microsecond
	case schema.KindUUID, schema.KindFixed:
		return dt.ID() == arrow.FIXED_SIZE_BINARY
	case schema.KindString, schema.KindJSON, schema.KindBinary:
		switch dt.ID() {
		case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW, arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW:
			return true
		}
		return false
	default:
		return true // only tested for null
	}
}

// present clears keep where the column is null.
func (v vector) present(keep []bool) {
	if v.values == nil {
		clear(keep)
		return
	}
	for _, p := range v.parents {
		clearNulls(p, keep)
	}
	clearNulls(v.values, keep)
}

func clearNulls(a arrow.Array, keep []bool) {
	if d, ok := a.(*array.Dictionary); ok && d.Dictionary().NullN() > 0 {
		values := d.Dictionary()
		for i := range keep {
			keep[i] = keep[i] && d.IsValid(i) && values.IsValid(d.GetValueIndex(i))
		}
		return
	}
	if a.NullN() == 0 {
		return
	}
	valid, offset := a.NullBitmapBytes(), a.Data().Offset()
	for i := range keep {
		if keep[i] && !bitutil.BitIsSet(valid, offset+i) {
			keep[i] = false
		}
	}
}

// at reads one value, which must not be null. It may alias the batch. It is
// the slow way, for what has no loop of its own.
func (v vector) at(i int) schema.Value { return valueAt(v.values, i) }

func valueAt(a arrow.Array, i int) schema.Value {
	switch a := a.(type) {
	case *array.Boolean:
		return schema.Bool(a.Value(i))
	case *array.Int32:
		return schema.Int(int64(a.Value(i)))
	case *array.Int64:
		return schema.Int(a.Value(i))
	case *array.Float32:
		return schema.Float(float64(a.Value(i)))
	case *array.Float64:
		return schema.Float(a.Value(i))
	case *array.Decimal128:
		return schema.Decimal(a.Value(i))
	case *array.Date32:
		return schema.Int(int64(a.Value(i)))
	case *array.Time64:
		return schema.Int(int64(a.Value(i)))
	case *array.Timestamp:
		return schema.Int(int64(a.Value(i)))
	case *array.String:
		return schema.String(a.Value(i))
	case *array.LargeString:
		return schema.String(a.Value(i))
	case *array.StringView:
		return schema.String(a.Value(i))
	case *array.FixedSizeBinary:
		return schema.Bytes(a.Value(i))
	case *array.Binary:
		return schema.Bytes(a.Value(i))
	case *array.LargeBinary:
		return schema.Bytes(a.Value(i))
	case *array.BinaryView:
		return schema.Bytes(a.Value(i))
	case *array.Dictionary:
		return valueAt(a.Dictionary(), a.GetValueIndex(i))
	default:
		panic(fmt.Sprintf("query: cannot read an Arrow %s", a.DataType()))
	}
}
