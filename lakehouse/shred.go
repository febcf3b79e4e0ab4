package lakehouse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/trinedb/trine/schema"
)

// shredder turns rows into columns of Parquet values with their repetition and
// definition levels. Values are put into a batch, with copies of their bytes, as a
// row is only valid until the next one.
type shredder struct {
	fields  []*shredNode
	user    int // of fields, how many are the schema's
	columns []shredColumn
	batch   *shredBatch
}

// Bounds of a batch: few enough rows that a data page, which cannot end within one,
// stays near its target size.
const (
	shredRows  = 256
	shredBytes = 128 << 10
)

// shredBatch is the values of some rows, by column.
type shredBatch struct {
	columns [][]parquet.Value
	arena   []byte // bytes of the values
	rows    int
}

// clear empties the batch, to be filled again.
func (b *shredBatch) clear() {
	for i := range b.columns {
		b.columns[i] = b.columns[i][:0]
	}
	b.arena, b.rows = b.arena[:0], 0
}

type shredColumn struct {
	field schema.Field
	nans  int64
	// Wide decimals only, which the Parquet writer cannot order.
	wide   bool
	lo, hi []byte
	flat   bool // not below a list or map, so it can have bounds
}

type shredNode struct {
	field    schema.Field
	kind     schema.Kind
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
	s.batch = s.newBatch()
	return s
}

func (s *shredder) newBatch() *shredBatch {
	return &shredBatch{columns: make([][]parquet.Value, len(s.columns))}
}

func (s *shredder) compile(f schema.Field, rep int) *shredNode {
	n := &shredNode{field: f, kind: f.Type.Kind, first: len(s.columns)}
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
		col := shredColumn{field: f, flat: rep == 0}
		if f.Type.Kind == schema.KindDecimal && f.Type.Precision > maxInt64Precision {
			col.wide, n.size = true, decimalBytes(f.Type.Precision)
		}
		s.columns = append(s.columns, col)
	}
	n.last = len(s.columns)
	return n
}

// add puts a row into the batch, and reports whether that is full.
func (s *shredder) add(row *Row) (full bool, err error) {
	if len(row.Values) != s.user {
		return false, fmt.Errorf("row of %d values for %d fields: %w", len(row.Values), s.user, schema.ErrInvalid)
	}
	for i := range row.Values {
		if err := s.value(s.fields[i], &row.Values[i], 0, 0); err != nil {
			return false, err
		}
	}
	rest := [...]schema.Value{schema.Int(int64(row.Seq)), schema.Int(row.TimeMicros), row.lineage.id, row.lineage.updated}
	for i, n := range s.fields[s.user:] {
		if err := s.value(n, &rest[i], 0, 0); err != nil {
			return false, err
		}
	}
	s.batch.rows++
	return s.batch.rows >= shredRows || len(s.batch.arena) >= shredBytes, nil
}

func (s *shredder) value(n *shredNode, v *schema.Value, rep, def int) error {
	if v.IsNull() {
		if n.optional == 0 {
			return fmt.Errorf("field %s: null in a required field: %w", n.field.Name, schema.ErrInvalid)
		}
		s.absent(n, rep, def)
		return nil
	}
	def += n.optional
	if n.children == nil {
		s.leaf(n, v, rep, def)
		return nil
	}
	elems, width := v.Elems(), len(n.children)
	if n.kind == schema.KindStruct {
		for i, child := range n.children {
			e := &schema.Null
			if i < len(elems) {
				e = &elems[i]
			}
			if err := s.value(child, e, rep, def); err != nil {
				return err
			}
		}
		return nil
	}
	if len(elems) == 0 {
		s.absent(n, rep, def)
		return nil
	}
	for i := range elems {
		if i == width {
			rep = n.rep
		}
		if err := s.value(n.children[i%width], &elems[i], rep, def+1); err != nil {
			return err
		}
	}
	return nil
}

// absent puts a null into every column below n.
func (s *shredder) absent(n *shredNode, rep, def int) {
	for i := n.first; i < n.last; i++ {
		c := &s.batch.columns[i]
		*c = append(*c, parquet.NullValue().Level(rep, def, i))
	}
}

func (s *shredder) leaf(n *shredNode, v *schema.Value, rep, def int) {
	var p parquet.Value
	switch n.kind {
	case schema.KindBoolean:
		p = parquet.BooleanValue(v.Bool())
	case schema.KindInt, schema.KindDate:
		p = parquet.Int32Value(int32(v.Int()))
	case schema.KindLong, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz:
		p = parquet.Int64Value(v.Int())
	case schema.KindFloat:
		p = parquet.FloatValue(float32(s.float(n, v)))
	case schema.KindDouble:
		p = parquet.DoubleValue(s.float(n, v))
	case schema.KindDecimal:
		p = s.decimal(n, v.Bytes())
	case schema.KindUUID, schema.KindFixed:
		p = parquet.FixedLenByteArrayValue(s.copy(v.Bytes()))
	default:
		p = parquet.ByteArrayValue(s.copy(v.Bytes()))
	}
	if rep|def != 0 { // a required column at the top has no levels
		p = p.Level(rep, def, n.column)
	}
	c := &s.batch.columns[n.column]
	*c = append(*c, p)
}

// float counts the NaNs, of which manifests tell.
func (s *shredder) float(n *shredNode, v *schema.Value) float64 {
	f := v.Float()
	if math.IsNaN(f) {
		s.columns[n.column].nans++
	}
	return f
}

// decimal takes the low bytes of the 16 of a Value.
func (s *shredder) decimal(n *shredNode, b []byte) parquet.Value {
	switch {
	case n.field.Type.Precision <= maxInt32Precision:
		return parquet.Int32Value(int32(binary.BigEndian.Uint32(b[12:])))
	case n.field.Type.Precision <= maxInt64Precision:
		return parquet.Int64Value(int64(binary.BigEndian.Uint64(b[8:])))
	}
	c := &s.columns[n.column]
	if c.lo == nil || compareSigned(b, c.lo) < 0 {
		c.lo = append(c.lo[:0], b...)
	}
	if c.hi == nil || compareSigned(b, c.hi) > 0 {
		c.hi = append(c.hi[:0], b...)
	}
	return parquet.FixedLenByteArrayValue(s.copy(b[16-n.size:]))
}

func (s *shredder) copy(b []byte) []byte {
	a := s.batch.arena
	at := len(a)
	a = append(a, b...)
	s.batch.arena = a
	return a[at:len(a):len(a)]
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
