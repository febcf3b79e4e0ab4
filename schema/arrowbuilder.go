package schema

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// ArrowBuilder turns rows into Arrow record batches of the schema that
// Schema.Arrow gives. It is not safe for concurrent use.
type ArrowBuilder struct {
	schema  *arrow.Schema
	columns []builderColumn
	seq     *array.Int64Builder // nil without system columns
	time    *array.TimestampBuilder
	rows    int
	bytes   int
}

type builderColumn struct {
	builder array.Builder
	append  func(*Value) int // of a value that is not null; its size in bytes
	field   int              // its place in a row
}

// NewArrowBuilder makes a builder of the columns at those places, or of all if
// columns is nil; with system, _seq and _time follow. The caller releases it.
func NewArrowBuilder(mem memory.Allocator, s *Schema, columns []int, system bool) *ArrowBuilder {
	b := &ArrowBuilder{schema: s.Arrow(columns, system)}
	if columns == nil {
		columns = make([]int, len(s.Fields))
		for i := range columns {
			columns[i] = i
		}
	}
	for n, i := range columns {
		builder := array.NewBuilder(mem, b.schema.Field(n).Type)
		b.columns = append(b.columns, builderColumn{builder, appender(&s.Fields[i].Type, builder), i})
	}
	if system {
		n := len(columns)
		b.seq = array.NewInt64Builder(mem)
		b.time = array.NewTimestampBuilder(mem, b.schema.Field(n+1).Type.(*arrow.TimestampType))
	}
	return b
}

// Schema is the schema of the batches.
func (b *ArrowBuilder) Schema() *arrow.Schema { return b.schema }

// Append adds a row, of the whole schema: the builder picks its columns. It
// copies what it keeps. seq and timeMicros go to the system columns, if any.
// Strings of one column may come to 2 GiB in a batch; Arrow panics beyond it,
// so the caller ends batches by Len and Bytes.
func (b *ArrowBuilder) Append(row []Value, seq Seq, timeMicros int64) {
	for i := range b.columns {
		c := &b.columns[i]
		v := &row[c.field]
		if !v.valid {
			c.builder.AppendNull()
			continue
		}
		b.bytes += c.append(v)
	}
	if b.seq != nil {
		b.seq.Append(int64(seq))
		b.time.Append(arrow.Timestamp(timeMicros))
		b.bytes += 16
	}
	b.rows++
}

// Len is the number of rows since the last batch.
func (b *ArrowBuilder) Len() int { return b.rows }

// Bytes is about the size of the values since the last batch.
func (b *ArrowBuilder) Bytes() int { return b.bytes }

// NewRecordBatch gives the rows since the last one, which the caller releases,
// and starts anew.
func (b *ArrowBuilder) NewRecordBatch() arrow.RecordBatch {
	arrays := make([]arrow.Array, 0, len(b.columns)+2)
	for i := range b.columns {
		arrays = append(arrays, b.columns[i].builder.NewArray())
	}
	if b.seq != nil {
		arrays = append(arrays, b.seq.NewArray(), b.time.NewArray())
	}
	batch := array.NewRecordBatch(b.schema, arrays, int64(b.rows))
	for _, a := range arrays {
		a.Release()
	}
	b.rows, b.bytes = 0, 0
	return batch
}

// Release frees what the builder holds; it is not used after it.
func (b *ArrowBuilder) Release() {
	for i := range b.columns {
		b.columns[i].builder.Release()
	}
	if b.seq != nil {
		b.seq.Release()
		b.time.Release()
	}
}

// appender resolves, once, how a value of type t goes into its builder.
func appender(t *Type, builder array.Builder) func(*Value) int {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v *Value) int { b.Append(v.Bool()); return 1 }
	case *array.Int32Builder:
		return func(v *Value) int { b.Append(int32(v.bits)); return 4 }
	case *array.Int64Builder:
		return func(v *Value) int { b.Append(int64(v.bits)); return 8 }
	case *array.Float32Builder:
		return func(v *Value) int { b.Append(float32(v.Float())); return 4 }
	case *array.Float64Builder:
		return func(v *Value) int { b.Append(v.Float()); return 8 }
	case *array.Decimal128Builder:
		return func(v *Value) int { b.Append(v.Decimal()); return 16 }
	case *array.Date32Builder:
		return func(v *Value) int { b.Append(arrow.Date32(v.bits)); return 4 }
	case *array.Time64Builder:
		return func(v *Value) int { b.Append(arrow.Time64(v.bits)); return 8 }
	case *array.TimestampBuilder:
		return func(v *Value) int { b.Append(arrow.Timestamp(v.bits)); return 8 }
	case *array.StringBuilder:
		return func(v *Value) int { b.BinaryBuilder.Append(v.bytes); return 4 + len(v.bytes) }
	case *array.BinaryBuilder:
		return func(v *Value) int { b.Append(v.bytes); return 4 + len(v.bytes) }
	case *array.FixedSizeBinaryBuilder:
		return func(v *Value) int { b.Append(v.bytes); return len(v.bytes) }
	case *array.StructBuilder:
		return structAppender(t, b)
	case *array.ListBuilder:
		elem := orNull(&t.Fields[0].Type, b.ValueBuilder())
		return func(v *Value) int {
			b.Append(true)
			size := 4
			for i := range v.elems {
				size += elem(&v.elems[i])
			}
			return size
		}
	case *array.MapBuilder:
		key, value := orNull(&t.Fields[0].Type, b.KeyBuilder()), orNull(&t.Fields[1].Type, b.ItemBuilder())
		return func(v *Value) int {
			b.Append(true)
			size := 4
			for i := 0; i+1 < len(v.elems); i += 2 {
				size += key(&v.elems[i]) + value(&v.elems[i+1])
			}
			return size
		}
	default:
		panic("schema: no Arrow builder for " + t.String())
	}
}

func structAppender(t *Type, b *array.StructBuilder) func(*Value) int {
	fields := make([]func(*Value) int, len(t.Fields))
	for i := range fields {
		fields[i] = orNull(&t.Fields[i].Type, b.FieldBuilder(i))
	}
	return func(v *Value) int {
		b.Append(true)
		size := 0
		for i, f := range fields {
			size += f(&v.elems[i])
		}
		return size
	}
}

// orNull is appender for values that may be null.
func orNull(t *Type, b array.Builder) func(*Value) int {
	add := appender(t, b)
	return func(v *Value) int {
		if !v.valid {
			b.AppendNull()
			return 1
		}
		return add(v)
	}
}
