package definition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// The canonical form of a schema, version 1, is JSON without white space, its
// members in this order, those in brackets left out when they say nothing:
//
//	{"trine_schema":1,"last_id":n,["key":[id,…],]"fields":[field,…]}
//	field:  {"id":n,"name":s,type…[,"required":true][,"doc":s]}
//	type…:  "type":"long" | "type":"decimal(9,2)" | …
//	        "type":"struct","fields":[field,…]
//	        "type":"list","element":inner
//	        "type":"map","key":inner,"value":inner
//	inner:  a field without its name
//
// Strings escape what JSON demands and nothing else. A change of this form
// gives every schema another content address: make it a version 2.
const canonicalVersion = 1

// EncodeSchema is the canonical form of s: the same bytes for the same
// fields, ids and key, whatever s.ID is.
func EncodeSchema(s *schema.Schema) []byte {
	b := append([]byte(nil), `{"trine_schema":`...)
	b = strconv.AppendInt(b, canonicalVersion, 10)
	b = append(b, `,"last_id":`...)
	b = strconv.AppendInt(b, int64(s.LastFieldID), 10)
	if len(s.Key) > 0 {
		b = append(b, `,"key":[`...)
		for k, i := range s.Key {
			if k > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(s.Fields[i].ID), 10)
		}
		b = append(b, ']')
	}
	b = append(b, `,"fields":`...)
	b = appendFields(b, s.Fields)
	return append(b, '}')
}

func appendFields(b []byte, fields []schema.Field) []byte {
	b = append(b, '[')
	for i := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendField(b, &fields[i], true)
	}
	return append(b, ']')
}

func appendField(b []byte, f *schema.Field, named bool) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, int64(f.ID), 10)
	if named {
		b = append(b, `,"name":`...)
		b = append(b, jsonString(f.Name)...)
	}
	b = append(b, `,"type":"`...)
	switch f.Type.Kind {
	case schema.KindStruct:
		b = append(b, `struct","fields":`...)
		b = appendFields(b, f.Type.Fields)
	case schema.KindList:
		b = append(b, `list","element":`...)
		b = appendField(b, &f.Type.Fields[0], false)
	case schema.KindMap:
		b = append(b, `map","key":`...)
		b = appendField(b, &f.Type.Fields[0], false)
		b = append(b, `,"value":`...)
		b = appendField(b, &f.Type.Fields[1], false)
	default:
		b = append(b, f.Type.String()...)
		b = append(b, '"')
	}
	if f.Required {
		b = append(b, `,"required":true`...)
	}
	if f.Doc != "" {
		b = append(b, `,"doc":`...)
		b = append(b, jsonString(f.Doc)...)
	}
	return append(b, '}')
}

// canonicalSchema and canonicalField are the form as it is read.
type canonicalSchema struct {
	Version int              `json:"trine_schema"`
	LastID  int              `json:"last_id"`
	Key     []int            `json:"key"`
	Fields  []canonicalField `json:"fields"`
}

type canonicalField struct {
	ID       int              `json:"id"`
	Name     string           `json:"name"`
	Type     string           `json:"type"`
	Fields   []canonicalField `json:"fields"`
	Element  *canonicalField  `json:"element"`
	Key      *canonicalField  `json:"key"`
	Value    *canonicalField  `json:"value"`
	Required bool             `json:"required"`
	Doc      string           `json:"doc"`
}

// DecodeSchema reads what EncodeSchema wrote, byte for byte, and nothing else:
// anything off is schema.ErrCorrupt. The schema has no ID yet.
func DecodeSchema(data []byte) (*schema.Schema, error) {
	s, err := decodeSchema(data)
	if err != nil {
		return nil, fmt.Errorf("decode schema: %w: %w", schema.ErrCorrupt, err)
	}
	return s, nil
}

func decodeSchema(data []byte) (*schema.Schema, error) {
	// Twice a file: what is canonical repeats names and writes defaults out.
	if len(data) > 2*MaxFileBytes {
		return nil, fmt.Errorf("%d bytes are more than a schema has", len(data))
	}
	var c canonicalSchema
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("bytes after the schema")
	}
	if c.Version != canonicalVersion {
		return nil, fmt.Errorf("version %d, want %d", c.Version, canonicalVersion)
	}
	fields, err := readFields(c.Fields, 1)
	if err != nil {
		return nil, err
	}
	s := &schema.Schema{Fields: fields, LastFieldID: c.LastID}
	for _, id := range c.Key {
		i := s.IndexID(id)
		if i < 0 {
			return nil, fmt.Errorf("key: no top-level field has id %d", id)
		}
		s.Key = append(s.Key, i)
	}
	if err := checkSchema(s); err != nil {
		return nil, err
	}
	if !bytes.Equal(EncodeSchema(s), data) {
		return nil, fmt.Errorf("not in canonical form")
	}
	return s, nil
}

func readFields(cs []canonicalField, depth int) ([]schema.Field, error) {
	fields := make([]schema.Field, len(cs))
	for i := range cs {
		var err error
		if fields[i], err = readField(&cs[i], cs[i].Name, depth); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func readField(c *canonicalField, name string, depth int) (f schema.Field, err error) {
	f = schema.Field{ID: c.ID, Name: name, Required: c.Required, Doc: c.Doc}
	if depth > MaxDepth {
		return f, fmt.Errorf("field %d: nests too deep", c.ID)
	}
	inner := func(c *canonicalField, name string) {
		if c == nil {
			err = fmt.Errorf("field %d: %s has no %s", f.ID, f.Type.Kind, name)
		} else if err == nil {
			var in schema.Field
			in, err = readField(c, name, depth+1)
			f.Type.Fields = append(f.Type.Fields, in)
		}
	}
	t, rule := parseTypeName(c.Type)
	if rule != "" {
		return f, fmt.Errorf("field %d: type %s: %s", c.ID, quote(c.Type), rule)
	}
	f.Type = typeOf(t)
	switch t.Kind {
	case schema.KindStruct:
		f.Type.Fields, err = readFields(c.Fields, depth+1)
	case schema.KindList:
		inner(c.Element, elementName)
	case schema.KindMap:
		inner(c.Key, keyName)
		inner(c.Value, valueName)
	}
	return f, err
}

// checkSchema checks that s is what Evolve could have made.
func checkSchema(s *schema.Schema) error {
	d := Definition{Tenant: "t", Collection: "c", Fields: defsOf(s.Fields)}
	for _, i := range s.Key {
		d.Key = append(d.Key, s.Fields[i].Name)
	}
	if err := d.Validate(); err != nil {
		return err
	}
	return checkIDs(s.Fields, s.LastFieldID, make(map[int]bool))
}

func checkIDs(fields []schema.Field, last int, seen map[int]bool) error {
	for i := range fields {
		id := fields[i].ID
		if id < 1 || id > last || id >= schema.SeqColumnID || seen[id] {
			return fmt.Errorf("field id %d is out of 1 to %d, or given twice", id, last)
		}
		seen[id] = true
		if err := checkIDs(fields[i].Type.Fields, last, seen); err != nil {
			return err
		}
	}
	return nil
}
