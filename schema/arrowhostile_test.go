package schema_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// buffer copies b to where Arrow would have it: aligned and padded.
func buffer(b []byte) *memory.Buffer {
	room := memory.DefaultAllocator.Allocate((len(b) + 63) &^ 63)
	copy(room, b)
	return memory.NewBufferBytes(room[:len(b)])
}

func int32s(vs ...int32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// hostile makes an array whose buffers need not agree with each other; nil if
// Arrow itself sees through them.
func hostile(dt arrow.DataType, rows int, children []arrow.ArrayData, buffers ...[]byte) (a arrow.Array) {
	defer func() {
		if recover() != nil {
			a = nil
		}
	}()
	var bs []*memory.Buffer
	for _, b := range buffers {
		if b == nil {
			bs = append(bs, nil)
			continue
		}
		bs = append(bs, buffer(b))
	}
	return array.MakeFromData(array.NewData(dt, rows, bs, children, 0, 0))
}

func readAll(t *testing.T, typ schema.Type, a arrow.Array, rows int64) error {
	t.Helper()
	s := &schema.Schema{Fields: fieldsOf(1, typ)}
	in := arrow.NewSchema([]arrow.Field{{Name: "f1", Type: a.DataType(), Nullable: true}}, nil)
	r, err := schema.NewArrowRows(s, in)
	if err != nil {
		t.Fatal(err)
	}
	return r.Rows(array.NewRecordBatch(in, []arrow.Array{a}, rows), func(_ int, row []schema.Value) error {
		for _, v := range row {
			for _, b := range v.Bytes() {
				_ = b
			}
		}
		return nil
	})
}

func TestArrowHostile(t *testing.T) {
	utf8, text := arrow.BinaryTypes.String, []byte("abc")
	numbers := array.NewData(arrow.PrimitiveTypes.Int64, 2, []*memory.Buffer{nil, buffer(make([]byte, 16))}, nil, 0, 0)
	list := arrow.ListOf(arrow.PrimitiveTypes.Int64)
	tests := []struct {
		name string
		typ  schema.Type
		a    arrow.Array
	}{
		{"offset past the end", stringT, hostile(utf8, 2, nil, nil, int32s(0, 1, 900), text)},
		{"offsets go back", stringT, hostile(utf8, 2, nil, nil, int32s(3, 1, 3), text)},
		{"offset negative", stringT, hostile(utf8, 2, nil, nil, int32s(-1, 1, 3), text)},
		{"list past its child", listOf(longT), hostile(list, 1, []arrow.ArrayData{numbers}, nil, int32s(0, 1<<30))},
		{"list that goes back", listOf(longT), hostile(list, 1, []arrow.ArrayData{numbers}, nil, int32s(2, 0))},
		{"list of a negative start", listOf(longT), hostile(list, 1, []arrow.ArrayData{numbers}, nil, int32s(-5, 1))},
		{"huge list of nulls", listOf(longT), hostile(arrow.ListOf(arrow.Null), 1, []arrow.ArrayData{array.NewData(arrow.Null, 1<<30, []*memory.Buffer{nil}, nil, 1<<30, 0)}, nil, int32s(0, 1<<30))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.a == nil {
				t.Skip("Arrow refuses to make it")
			}
			if err := readAll(t, test.typ, test.a, int64(test.a.Len())); !errors.Is(err, schema.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzArrowRows reads arrays whose offsets and values are the fuzzer's.
func FuzzArrowRows(f *testing.F) {
	f.Add(int32s(0, 1, 3), []byte("abc"), uint8(0xff))
	f.Add(int32s(0, 1, 0x7fffffff), []byte("abc"), uint8(1))
	f.Fuzz(func(t *testing.T, offsets, values []byte, nulls uint8) {
		rows := max(len(offsets)/4-1, 0)
		valid := []byte{nulls}
		text := hostile(arrow.BinaryTypes.String, rows, nil, valid, offsets, values)
		numbers := hostile(arrow.PrimitiveTypes.Int32, len(values)/4, nil, nil, values)
		for _, c := range []struct {
			typ schema.Type
			a   arrow.Array
		}{
			{stringT, text},
			{schema.Type{Kind: schema.KindUUID}, text},
			{stringT, hostile(arrow.BinaryTypes.StringView, len(offsets)/16, nil, valid, offsets, values)},
			{longT, hostile(arrow.PrimitiveTypes.Uint64, rows, nil, valid, values)},
			{decimalType(20, 5), hostile(&arrow.Decimal128Type{Precision: 10, Scale: 2}, len(values)/16, nil, nil, values)},
			{listOf(longT), hostileOf(arrow.ListOf(arrow.PrimitiveTypes.Int32), rows, numbers, valid, offsets)},
			{listOf(longT), hostileOf(arrow.ListViewOf(arrow.PrimitiveTypes.Int32), rows/2, numbers, valid, offsets, values)},
			{structOf(longT), hostileOf(arrow.StructOf(arrow.Field{Name: "f100", Type: arrow.PrimitiveTypes.Int32}), rows, numbers, valid)},
		} {
			if c.a == nil {
				continue
			}
			if err := readAll(t, c.typ, c.a, int64(c.a.Len())); err != nil && !errors.Is(err, schema.ErrInvalid) {
				t.Fatal(err)
			}
		}
	})
}

func hostileOf(dt arrow.DataType, rows int, child arrow.Array, buffers ...[]byte) arrow.Array {
	if child == nil {
		return nil
	}
	return hostile(dt, rows, []arrow.ArrayData{child.Data()}, buffers...)
}
