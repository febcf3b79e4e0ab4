package rowjson

import (
	"bytes"

	"github.com/trinedb/trine/schema"
)

// expects is the rule of a type that raw breaks, and the way out.
func expects(t *schema.Type, raw []byte) string {
	quoted := raw[0] == '"'
	number := raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	isWhole := number && !bytes.ContainsAny(raw, ".eE")
	switch t.Kind {
	case schema.KindBoolean:
		return unquoted("expects a boolean: true or false", quoted)
	case schema.KindInt:
		rule := unquoted("expects an int: a whole number from -2147483648 to 2147483647", quoted)
		if isWhole {
			rule += "; make the field a long for more"
		}
		return rule
	case schema.KindLong:
		rule := unquoted("expects a long: a whole number from -9223372036854775808 to 9223372036854775807", quoted)
		if isWhole {
			rule += "; make the field a decimal for more"
		}
		return rule
	case schema.KindFloat:
		return unquoted(`expects a float: a number up to ±3.4e38, "NaN", "Infinity" or "-Infinity"`, quoted)
	case schema.KindDouble:
		return unquoted(`expects a double: a number up to ±1.8e308, "NaN", "Infinity" or "-Infinity"`, quoted)
	case schema.KindDecimal:
		return "expects a " + t.String() + ": a number, or a string with one"
	case schema.KindString:
		return "expects a string: put it in quotes"
	case schema.KindDate:
		return `expects a date: a string such as "2024-02-29"`
	case schema.KindTime:
		return `expects a time: a string such as "23:59:59.999999"`
	case schema.KindTimestamp:
		return `expects a timestamp: a string such as "2024-02-29T23:59:59.999999"`
	case schema.KindTimestamptz:
		return `expects a timestamptz: a string such as "2024-02-29T23:59:59Z" or with an offset, as RFC 3339 has it`
	case schema.KindUUID:
		return `expects a uuid: a string such as "123e4567-e89b-12d3-a456-426614174000"`
	case schema.KindFixed, schema.KindBinary:
		return "expects a " + t.String() + ": a string in base64"
	case schema.KindStruct:
		return "expects a struct: an object"
	case schema.KindList:
		return "expects a list: an array"
	case schema.KindMap:
		if t.Fields[0].Type.Kind == schema.KindString {
			return "expects a map: an object"
		}
		return `expects a map: an array of {"key": …, "value": …}, since its keys are no strings`
	}
	return "expects a " + t.String()
}

func unquoted(rule string, quoted bool) string {
	if quoted {
		rule += ", without quotes"
	}
	return rule
}
