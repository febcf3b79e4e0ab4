package lakehouse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/trinedb/trine/schema"
)

// shredder turns rows into columns of Parquet values with their repetition and
// definition levels. Values are buffered until flush, with copies of their
// bytes, as a row is only valid until the next one.
type shredder struct {
	fields  []*shredNode
	user    int // of fields, how many are the schema's
	columns []shredColumn
	arena   []byte // bytes of the buffered values
	rows    int
}

// Bounds of what a shredder buffers: few enough rows that a data page, which
// cannot end within one flush, stays near its target size.
const (
	shredRows  = 256
	shredBytes = 128 << 10
)

type shredColumn struct {
	field  schema.Field
	values []parquet.Value
	nans   int64
	// Wide decimals only, which the Parquet writer cannot order.
	wide   bool
	lo, hi []byte
	flat   bool // not below a list or map, so it can have bounds
}

type shredNode struct {
	field    schema.Field
	optional int // 0 or 1: a level of definition
	rep      int // repetition level of a list's or map's further entries
	children []*shredNode
	column   int // of a leaf
	size     int // of a wide decimal
	first    int // columns of the subtree: first up to last
	last     int
}

// newShredder is for a schema's fields, the system columns, and perhaps those of row
// lineage.
func newShredder(fields []schema.Field, user int) *shredder {
	s := &shredder{user: user}
	for _, f := range fields {
		s.fields = append(s.fields, s.compile(f, 0))
	}
	return s
}

func (s *shredder) compile(f schema.Field, rep int) *shredNode {
	n := &shredNode{field: f, first: len(s.columns)}
	if !f.Required {
		n.optional = 1
	}
	switch f.Type.Kind {
	case schema.KindStruct:
		for _, child := range f.Type.Fields {
			n.children = append(n.children, s.compile(child, rep))
		}
	case schema.KindList:
		n.rep = rep + 1
		n.children = []*shredNode{s.compile(f.Type.Element(), n.rep)}
	case schema.KindMap:
		n.rep = rep + 1
		key := f.Type.MapKey()
		key.Required = true
		n.children = []*shredNode{s.compile(key, n.rep), s.compile(f.Type.MapValue(), n.rep)}
	default:
		n.column = len(s.columns)
		col := shredColumn{field: f, flat: rep == 0, values: make([]parquet.Value, 0, shredRows)}
		if f.Type.Kind == schema.KindDecimal && f.Type.Precision > maxInt64Precision {
			col.wide, n.size = true, decimalBytes(f.Type.Precision)
		}
		s.columns = append(s.columns, col)
	}
	n.last = len(s.columns)
	return n
}

// add buffers a row and reports whether it is time to flush.
func (s *shredder) add(row Row) (full bool, err error) {
	if len(row.Values) != s.user {
		return false, fmt.Errorf("row of %d values for %d fields: %w", len(row.Values), s.user, schema.ErrInvalid)
	}
	for i, v := range row.Values {
		if err := s.value(s.fields[i], v, 0, 0); err != nil {
			return false, err
		}
	}
	rest := [...]schema.Value{schema.Int(int64(row.Seq)), schema.Int(row.TimeMicros), row.lineage.id, row.lineage.updated}
	for i, n := range s.fields[s.user:] {
		if err := s.value(n, rest[i], 0, 0); err != nil {
			return false, err
		}
	}
	s.rows++
	return s.rows >= shredRows || len(s.arena) >= shredBytes, nil
}

// flush hands each column's values over and forgets them.
func (s *shredder) flush(columns []*parquet.ColumnWriter) error {
	if s.rows == 0 {
		return nil
	}
	for i := range s.columns {
		c := &s.columns[i]
		if _, err := columns[i].WriteRowValues(c.values); err != nil {
			return fmt.Errorf("write column %s: %w", c.field.Name, err)
		}
		c.values = c.values[:0]
	}
	s.arena, s.rows = s.arena[:0], 0
	return nil
}

func (s *shredder) value(n *shredNode, v schema.Value, rep, def int) error {
	if v.IsNull() {
		if n.optional == 0 {
			return fmt.Errorf("field %s: null in a required field: %w", n.field.Name, schema.ErrInvalid)
		}
		s.absent(n, rep, def)
		return nil
	}
	def += n.optional
	switch n.field.Type.Kind {
	case schema.KindStruct:
		elems := v.Elems()
		for i, child := range n.children {
			var e schema.Value
			if i < len(elems) {
				e = elems[i]
			}
			if err := s.value(child, e, rep, def); err != nil {
				return err
			}
		}
		return nil
	case schema.KindList, schema.KindMap:
		elems, width := v.Elems(), len(n.children)
		if len(elems) == 0 {
			s.absent(n, rep, def)
			return nil
		}
		for i, e := range elems {
			if i == width {
				rep = n.rep
			}
			if err := s.value(n.children[i%width], e, rep, def+1); err != nil {
				return err
			}
		}
		return nil
	}
	s.leaf(n, v, rep, def)
	return nil
}

// absent puts a null into every column below n.
func (s *shredder) absent(n *shredNode, rep, def int) {
	for i := n.first; i < n.last; i++ {
		c := &s.columns[i]
		c.values = append(c.values, parquet.NullValue().Level(rep, def, i))
	}
}

func (s *shredder) leaf(n *shredNode, v schema.Value, rep, def int) {
	c := &s.columns[n.column]
	var p parquet.Value
	switch n.field.Type.Kind {
	case schema.KindBoolean:
		p = parquet.BooleanValue(v.Bool())
	case schema.KindInt, schema.KindDate:
		p = parquet.Int32Value(int32(v.Int()))
	case schema.KindLong, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz:
		p = parquet.Int64Value(v.Int())
	case schema.KindFloat:
		f := v.Float()
		if math.IsNaN(f) {
			c.nans++
		}
		p = parquet.FloatValue(float32(f))
	case schema.KindDouble:
		f := v.Float()
		if math.IsNaN(f) {
			c.nans++
		}
		p = parquet.DoubleValue(f)
	case schema.KindDecimal:
		p = s.decimal(c, n, v.Bytes())
	case schema.KindUUID, schema.KindFixed:
		p = parquet.FixedLenByteArrayValue(s.copy(v.Bytes()))
	default:
		p = parquet.ByteArrayValue(s.copy(v.Bytes()))
	}
	if rep|def != 0 { // a required column at the top has no levels
		p = p.Level(rep, def, n.column)
	}
	c.values = append(c.values, p)
}

// decimal takes the low bytes of the 16 of a Value.
func (s *shredder) decimal(c *shredColumn, n *shredNode, b []byte) parquet.Value {
	switch {
	case n.field.Type.Precision <= maxInt32Precision:
		return parquet.Int32Value(int32(binary.BigEndian.Uint32(b[12:])))
	case n.field.Type.Precision <= maxInt64Precision:
		return parquet.Int64Value(int64(binary.BigEndian.Uint64(b[8:])))
	}
	if c.lo == nil || compareSigned(b, c.lo) < 0 {
		c.lo = append(c.lo[:0], b...)
	}
	if c.hi == nil || compareSigned(b, c.hi) > 0 {
		c.hi = append(c.hi[:0], b...)
	}
	return parquet.FixedLenByteArrayValue(s.copy(b[16-n.size:]))
}

func (s *shredder) copy(b []byte) []byte {
	at := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[at:len(s.arena):len(s.arena)]
}

// compareSigned orders two's complement numbers of equal length.
func compareSigned(a, b []byte) int {
	for i := range a {
		x, y := a[i], b[i]
		if i == 0 {
			x, y = x^0x80, y^0x80
		}
		if x != y {
			return int(x) - int(y)
		}
	}
	return 0
}
