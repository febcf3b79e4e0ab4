package lakehouse

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// projection turns columns as a data file has them into batches of the
// reader's schema: fields matched by id at every depth, absent ones null,
// widened ones cast. Buffers are shared where nothing was widened.
type projection struct {
	mem    memory.Allocator
	target *arrow.Schema
	from   []int // by target column: which of the columns read, or -1
}

func newProjection(mem memory.Allocator, from []int, target *arrow.Schema) *projection {
	return &projection{mem: mem, target: target, from: from}
}

// project makes a batch of n rows that the caller releases.
func (p *projection) project(in []arrow.ArrayData, n int) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, len(p.from))
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i, at := range p.from {
		to := p.target.Field(i)
		if at < 0 {
			columns[i] = array.MakeArrayOfNull(p.mem, to.Type, n)
			continue
		}
		data, err := p.convert(in[at], to.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", to.Name, err)
		}
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	return array.NewRecordBatch(p.target, columns, int64(n)), nil
}

// fieldID is the id that an Arrow field read from Parquet bears, or 0.
func fieldID(f arrow.Field) int {
	text, ok := f.Metadata.GetValue(schema.FieldIDKey)
	if !ok {
		return 0
	}
	id, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return id
}

// convert makes the data of an array that of another type. The caller releases
// the result.
func (p *projection) convert(in arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	from := in.DataType()
	if ext, ok := from.(arrow.ExtensionType); ok { // uuid
		from = ext.StorageType()
	}
	switch to := to.(type) {
	case *arrow.StructType:
		if from, ok := from.(*arrow.StructType); ok {
			return p.convertStruct(in, from, to)
		}
	case *arrow.MapType: // before list: a map is stored as a list of entries
		if _, ok := from.(*arrow.MapType); ok {
			return p.convertChildren(in, to, to.ElemField().Type)
		}
	case *arrow.ListType:
		if _, ok := from.(*arrow.ListType); ok {
			return p.convertChildren(in, to, to.Elem())
		}
	case *arrow.Int64Type:
		if from.ID() == arrow.INT32 {
			return p.widen(in, to, func(dst, src []byte) {
				v := int64(int32(binary.NativeEndian.Uint32(src)))
				binary.NativeEndian.PutUint64(dst, uint64(v))
			})
		}
	case *arrow.Float64Type:
		if from.ID() == arrow.FLOAT32 {
			return p.widenFloats(in, to)
		}
	case *arrow.Decimal128Type:
		// The values of a decimal of less precision are the same bytes.
		if from, ok := from.(*arrow.Decimal128Type); ok && from.Scale == to.Scale {
			return retyped(in, to, nil), nil
		}
	}
	if arrow.TypeEqual(from, to) {
		return retyped(in, to, nil), nil
	}
	return nil, fmt.Errorf("file has %s, the reader wants %s: %w", from, to, schema.ErrCorrupt)
}

// retyped is the data with another type and children.
func retyped(in arrow.ArrayData, to arrow.DataType, children []arrow.ArrayData) arrow.ArrayData {
	return array.NewData(to, in.Len(), in.Buffers(), children, in.NullN(), in.Offset())
}

func (p *projection) convertStruct(in arrow.ArrayData, from, to *arrow.StructType) (arrow.ArrayData, error) {
	byID := map[int]int{}
	for i, f := range from.Fields() {
		byID[fieldID(f)] = i
	}
	children := make([]arrow.ArrayData, 0, to.NumFields())
	defer func() { releaseAll(children) }()
	for _, f := range to.Fields() {
		at, ok := byID[fieldID(f)]
		if !ok {
			null := array.MakeArrayOfNull(p.mem, f.Type, in.Offset()+in.Len())
			null.Data().Retain()
			children = append(children, null.Data())
			null.Release()
			continue
		}
		child, err := p.convert(in.Children()[at], f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		children = append(children, child)
	}
	return retyped(in, to, children), nil
}

// convertChildren converts a list's or map's only child.
func (p *projection) convertChildren(in arrow.ArrayData, to, elem arrow.DataType) (arrow.ArrayData, error) {
	child, err := p.convertEntries(in.Children()[0], elem)
	if err != nil {
		return nil, err
	}
	defer child.Release()
	return retyped(in, to, []arrow.ArrayData{child}), nil
}

// convertEntries converts the elements of a list, or the entries of a map,
// whose key and value are matched by place.
func (p *projection) convertEntries(in arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	entries, ok := to.(*arrow.StructType)
	if !ok || entries.NumFields() != 2 || !isEntries(in.DataType(), entries) {
		return p.convert(in, to)
	}
	children := make([]arrow.ArrayData, 0, 2)
	defer func() { releaseAll(children) }()
	for i, f := range entries.Fields() {
		child, err := p.convert(in.Children()[i], f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		children = append(children, child)
	}
	return retyped(in, to, children), nil
}

// isEntries tells a map's entries from a struct of two fields that is a list's
// element: the former's fields have the same ids.
func isEntries(from arrow.DataType, to *arrow.StructType) bool {
	f, ok := from.(*arrow.StructType)
	return ok && f.NumFields() == 2 && fieldID(f.Field(0)) == fieldID(to.Field(0)) && fieldID(f.Field(1)) == fieldID(to.Field(1))
}

// widen makes eight-byte values of four-byte ones.
func (p *projection) widen(in arrow.ArrayData, to arrow.DataType, put func(dst, src []byte)) (arrow.ArrayData, error) {
	n := in.Offset() + in.Len()
	values := memory.NewResizableBuffer(p.mem)
	defer values.Release()
	values.Resize(8 * n)
	dst, src := values.Bytes(), []byte(nil)
	if b := in.Buffers()[1]; b != nil {
		src = b.Bytes()
	}
	for i := in.Offset(); i < n; i++ {
		put(dst[8*i:], src[4*i:])
	}
	return array.NewData(to, in.Len(), []*memory.Buffer{in.Buffers()[0], values}, nil, in.NullN(), in.Offset()), nil
}

func (p *projection) widenFloats(in arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	return p.widen(in, to, func(dst, src []byte) {
		f := arrow.Float32Traits.CastFromBytes(src[:4])[0]
		copy(dst[:8], arrow.Float64Traits.CastToBytes([]float64{float64(f)}))
	})
}

func releaseAll(data []arrow.ArrayData) {
	for _, d := range data {
		if d != nil {
			d.Release()
		}
	}
}

// decimalValue is a Value of a decimal's two words.
func decimalValue(high int64, low uint64) schema.Value {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(high))
	binary.BigEndian.PutUint64(b[8:], low)
	return schema.Bytes(b[:])
}
