package lakehouse

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/google/uuid"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// tuple is the partition values of a file, one for each of its spec's fields.
type tuple []schema.Value

// clone is a tuple with bytes of its own.
func (t tuple) clone() tuple {
	out := make(tuple, len(t))
	for i, v := range t {
		if out[i] = v; v.Bytes() != nil {
			out[i] = schema.Bytes(append([]byte{}, v.Bytes()...))
		}
	}
	return out
}

// byPartition puts files of one partition together, in the order in which they and
// their partitions come first.
func byPartition(files []*tableFile) (out [][]*tableFile) {
	at := map[string]int{}
	for _, f := range files {
		key := f.data.specKey()
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key], out = i, append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

// specKey identifies a partition among all of a table's: the spec and the values.
func (e *entry) specKey() string {
	b := binary.BigEndian.AppendUint32(nil, uint32(e.spec.id()))
	for i, v := range e.part {
		b = schema.AppendOrdered(b, e.spec.types[i], v, false, false)
	}
	return string(b)
}

// values are a tuple as iceberg-go has it, by partition field id.
func (p *partitionSpec) values(t tuple) map[int]any {
	if len(p.fields) == 0 {
		return nil
	}
	out := make(map[int]any, len(t))
	for i, f := range p.iceberg.Fields() {
		out[f.FieldID] = partitionValue(p.types[i], t[i])
	}
	return out
}

func partitionValue(t schema.Type, v schema.Value) any {
	if v.IsNull() {
		return nil
	}
	switch t.Kind {
	case schema.KindBoolean:
		return v.Bool()
	case schema.KindInt:
		return int32(v.Int())
	case schema.KindDate:
		return iceberg.Date(v.Int())
	case schema.KindTime:
		return iceberg.Time(v.Int())
	case schema.KindTimestamp, schema.KindTimestamptz:
		return iceberg.Timestamp(v.Int())
	case schema.KindString:
		return string(v.Bytes())
	case schema.KindUUID:
		return uuid.UUID(v.Bytes())
	case schema.KindFixed, schema.KindBinary:
		return v.Bytes()
	case schema.KindDecimal:
		b := v.Bytes()
		return iceberg.Decimal{Val: decimal128.New(int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])), Scale: t.Scale}
	}
	return v.Int()
}

// tupleOf reads a file's partition values. What is not of the spec's types is
// corrupt.
func (p *partitionSpec) tupleOf(file iceberg.DataFile) (tuple, error) {
	if len(p.fields) == 0 {
		return nil, nil
	}
	values, out := file.Partition(), make(tuple, len(p.fields))
	for i, f := range p.iceberg.Fields() {
		v, ok := valueOfPartition(p.types[i], values[f.FieldID])
		if !ok {
			return nil, fmt.Errorf("%s: partition field %s is a %T, want %s: %w",
				file.FilePath(), f.Name, values[f.FieldID], p.types[i], schema.ErrCorrupt)
		}
		out[i] = v
	}
	return out, nil
}

func valueOfPartition(t schema.Type, v any) (schema.Value, bool) {
	is := func(kinds ...schema.Kind) bool {
		for _, k := range kinds {
			if t.Kind == k {
				return true
			}
		}
		return false
	}
	switch v := v.(type) {
	case nil:
		return schema.Null, true
	case bool:
		return schema.Bool(v), is(schema.KindBoolean)
	case int32:
		return schema.Int(int64(v)), is(schema.KindInt, schema.KindDate)
	case int64:
		return schema.Int(v), is(schema.KindLong, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz)
	case iceberg.Date:
		return schema.Int(int64(v)), is(schema.KindDate)
	case iceberg.Time:
		return schema.Int(int64(v)), is(schema.KindTime)
	case iceberg.Timestamp:
		return schema.Int(int64(v)), is(schema.KindTimestamp, schema.KindTimestamptz)
	case string:
		return schema.String(v), is(schema.KindString)
	case uuid.UUID:
		return schema.Bytes(v[:]), is(schema.KindUUID)
	case []byte:
		return schema.Bytes(v), is(schema.KindBinary) || is(schema.KindFixed) && len(v) == t.Length
	case iceberg.Decimal:
		return decimalValue(v.Val.HighBits(), v.Val.LowBits()), is(schema.KindDecimal)
	case iceberg.DecimalLiteral:
		return decimalValue(v.Val.HighBits(), v.Val.LowBits()), is(schema.KindDecimal)
	}
	return schema.Null, false
}

// placePartitions gives entries that were read their specs and partition values.
func (s *Snapshot) placePartitions() error {
	var specs map[int]*partitionSpec
	for _, m := range s.manifests {
		for _, e := range m.entries {
			if e.spec != nil {
				continue
			}
			var err error
			if specs == nil {
				if specs, err = specsOf(s.meta); err != nil {
					return fmt.Errorf("snapshot %d: %w", s.id, err)
				}
			}
			if e.spec = specs[int(m.file.PartitionSpecID())]; e.spec == nil {
				return fmt.Errorf("snapshot %d: partition spec %d of %s is missing: %w", s.id, m.file.PartitionSpecID(), m.file.FilePath(), schema.ErrCorrupt)
			}
			if e.part, err = e.spec.tupleOf(e.file); err != nil {
				return fmt.Errorf("snapshot %d: %w", s.id, err)
			}
		}
	}
	return nil
}
