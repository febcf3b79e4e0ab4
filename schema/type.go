package schema

import (
	"fmt"
	"strings"
)

// Kind is one of Iceberg's types, or json, which Iceberg holds as a string.
type Kind uint8

// The kinds, in the order of the Iceberg specification.
const (
	KindBoolean Kind = iota + 1
	KindInt
	KindLong
	KindFloat
	KindDouble
	KindDecimal
	KindDate
	KindTime
	KindTimestamp
	KindTimestamptz
	KindString
	KindUUID
	KindFixed
	KindBinary
	KindStruct
	KindList
	KindMap
	KindJSON
)

var kindNames = [...]string{
	KindBoolean: "boolean", KindInt: "int", KindLong: "long", KindFloat: "float", KindDouble: "double",
	KindDecimal: "decimal", KindDate: "date", KindTime: "time", KindTimestamp: "timestamp",
	KindTimestamptz: "timestamptz", KindString: "string", KindUUID: "uuid", KindFixed: "fixed",
	KindBinary: "binary", KindStruct: "struct", KindList: "list", KindMap: "map", KindJSON: "json",
}

// String is the kind's name in a collection file.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Type is the type of a field. Only the members that its Kind names are set.
type Type struct {
	Kind      Kind
	Precision int     // decimal: 1 to 38
	Scale     int     // decimal: 0 to Precision
	Length    int     // fixed: bytes
	Fields    []Field // struct: its fields; list: the element; map: the key, then the value
}

// Field is a named, typed place in a row or a struct.
type Field struct {
	ID       int // stable for the life of the field, from 1; assigned by Trine
	Name     string
	Type     Type
	Required bool
	Doc      string
}

// Element is the element field of a list.
func (t Type) Element() Field { return t.Fields[0] }

// MapKey is the key field of a map.
func (t Type) MapKey() Field { return t.Fields[0] }

// MapValue is the value field of a map.
func (t Type) MapValue() Field { return t.Fields[1] }

// Nested reports whether t is a struct, list or map.
func (t Type) Nested() bool {
	return t.Kind == KindStruct || t.Kind == KindList || t.Kind == KindMap
}

// String is t as a collection file writes it, nested types in short form.
func (t Type) String() string {
	switch t.Kind {
	case KindDecimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case KindFixed:
		return fmt.Sprintf("fixed(%d)", t.Length)
	case KindList:
		return "list<" + t.Element().Type.String() + ">"
	case KindMap:
		return "map<" + t.MapKey().Type.String() + "," + t.MapValue().Type.String() + ">"
	case KindStruct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = f.Name + ":" + f.Type.String()
		}
		return "struct<" + strings.Join(parts, ",") + ">"
	default:
		return t.Kind.String()
	}
}
