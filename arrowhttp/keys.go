package arrowhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// keyed demands a primary key.
func keyed(c *schema.Collection) error {
	if !c.Schema.Keyed() {
		return invalid("collection %s has no key: it is append-only; read its log or scan it", c)
	}
	return nil
}

// keyShape is what the keys of a read consist of: the primary key's fields, or
// those of a secondary index, which may be null, and in bounds of a range after
// them the primary key's.
type keyShape struct {
	schema *schema.Schema
	index  *schema.IndexSpec // nil: the primary key
	whole  []int             // places of the fields of a whole key
	rest   []int             // and of those that a bound may name beside
}

// shapeOf is the shape of keys of c, by an index or else by the primary key.
func shapeOf(c *schema.Collection, by *schema.IndexSpec) (*keyShape, error) {
	if err := keyed(c); err != nil {
		return nil, err
	}
	k := &keyShape{schema: c.Schema, index: by, whole: c.Schema.Key}
	if by == nil {
		return k, nil
	}
	k.whole, k.rest = nil, c.Schema.Key
	for _, id := range by.FieldIDs {
		k.whole = append(k.whole, c.Schema.IndexID(id))
	}
	return k, nil
}

// what names the shape in a message.
func (k *keyShape) what() string {
	if k.index == nil {
		return "the key"
	}
	return "index " + k.index.Name
}

// names lists the fields of a whole key for a message.
func (k *keyShape) names() string {
	names := make([]string, len(k.whole))
	for i, field := range k.whole {
		names[i] = k.schema.Fields[field].Name
	}
	return strings.Join(names, ", ")
}

// field is the field of a part.
func (k *keyShape) field(part int) *schema.Field {
	if part < len(k.whole) {
		return &k.schema.Fields[k.whole[part]]
	}
	return &k.schema.Fields[k.rest[part-len(k.whole)]]
}

// encode gives the bytes of leading parts.
func (k *keyShape) encode(parts []schema.Value) []byte {
	if k.index == nil {
		return k.schema.AppendKeyParts(nil, parts)
	}
	n := min(len(parts), len(k.whole))
	return k.schema.AppendKeyParts(k.schema.AppendIndexParts(nil, k.whole, parts[:n]), parts[n:])
}

// fromPath encodes a whole key given as text, part by part.
func (k *keyShape) fromPath(texts []string) ([]byte, error) {
	if len(texts) != len(k.whole) {
		return nil, invalid("the path has %d key parts, %s has %d: %s; write a / inside a part as %%2F", len(texts), k.what(), len(k.whole), k.names())
	}
	parts := make([]schema.Value, len(texts))
	for i, text := range texts {
		v, err := schema.ParseText(k.field(i).Type, text)
		if err != nil {
			return nil, nameField(err, k.field(i).Name)
		}
		parts[i] = v
	}
	return k.encode(parts), nil
}

// fromJSON encodes a key, or with partial its leading parts, given as a JSON
// array. A single part may stand without its array.
func (k *keyShape) fromJSON(data []byte, partial bool) ([]byte, error) {
	data = bytes.TrimSpace(data)
	var raws []json.RawMessage
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &raws); err != nil {
			return nil, invalid("%v", err)
		}
	} else {
		raws = []json.RawMessage{data}
	}
	most := len(k.whole)
	if partial {
		most += len(k.rest)
	}
	if len(raws) > most || len(raws) < len(k.whole) && !partial {
		return nil, invalid("%d key parts, %s has %d: %s", len(raws), k.what(), len(k.whole), k.names())
	}
	parts := make([]schema.Value, len(raws))
	for i, raw := range raws {
		f := k.field(i)
		v, err := rowjson.DecodeValue(f.Type, raw)
		if err != nil {
			return nil, nameField(err, f.Name)
		}
		if v.IsNull() && (k.index == nil || i >= len(k.whole)) {
			return nil, &schema.FieldError{Field: f.Name, Value: "null", Rule: "a key part is never null"}
		}
		parts[i] = v
	}
	return k.encode(parts), nil
}

// nameField puts a field's name on an error about its value.
func nameField(err error, name string) error {
	var fe *schema.FieldError
	if errors.As(err, &fe) && fe.Field == "" {
		named := *fe
		named.Field = name
		return &named
	}
	return err
}
