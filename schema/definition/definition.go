package definition

import (
	"encoding/json"

	"github.com/trinedb/trine/schema"
)

// Definition is a collection as a file states it.
type Definition struct {
	Tenant     string             `json:"tenant,omitempty"`
	Collection string             `json:"collection,omitempty"`
	Schema     string             `json:"schema,omitempty"` // a named schema, instead of Fields and Key
	Fields     []FieldDef         `json:"fields,omitempty"`
	Key        []string           `json:"key,omitempty"`
	Indexes    []schema.IndexSpec `json:"indexes,omitempty"`
	Options    OptionsDef         `json:"options,omitzero"`
}

// FieldDef is a field as a file states it. The element of a list and the key
// and value of a map are fields too, called "element", "key" and "value".
type FieldDef struct {
	Name     string  `json:"name"`
	Type     TypeDef `json:"type"`
	Required bool    `json:"required,omitempty"`
	Doc      string  `json:"doc,omitempty"`
	Was      string  `json:"was,omitempty"` // its name before, for a rename
}

// TypeDef is a type as a file states it: schema.Type before fields have ids.
type TypeDef struct {
	Kind      schema.Kind
	Precision int        // decimal
	Scale     int        // decimal
	Length    int        // fixed
	Fields    []FieldDef // struct: its fields; list: the element; map: key and value
}

// The names of the fields inside lists and maps, as Iceberg and Arrow have them.
const (
	elementName = "element"
	keyName     = "key"
	valueName   = "value"
)

// String is t as messages tell it, nested types in short form.
func (t TypeDef) String() string { return typeOf(t).String() }

// MarshalJSON writes a plain type as its name, a nested one as an object.
func (t TypeDef) MarshalJSON() ([]byte, error) {
	type named struct {
		Type    string     `json:"type"`
		Element *inner     `json:"element,omitempty"`
		Key     *inner     `json:"key,omitempty"`
		Value   *inner     `json:"value,omitempty"`
		Fields  []FieldDef `json:"fields,omitempty"`
	}
	switch {
	case t.Kind == schema.KindStruct:
		return json.Marshal(named{Type: "struct", Fields: t.Fields})
	case t.Kind == schema.KindList && len(t.Fields) == 1:
		return json.Marshal(named{Type: "list", Element: (*inner)(&t.Fields[0])})
	case t.Kind == schema.KindMap && len(t.Fields) == 2:
		key := t.Fields[0]
		key.Required = false // it always is
		return json.Marshal(named{Type: "map", Key: (*inner)(&key), Value: (*inner)(&t.Fields[1])})
	default:
		return json.Marshal(t.String())
	}
}

// inner is an element, key or value: its type alone where that says it all.
type inner FieldDef

// MarshalJSON writes the type, in a mapping with the rest if there is any.
func (f *inner) MarshalJSON() ([]byte, error) {
	if !f.Required && f.Doc == "" {
		return json.Marshal(f.Type)
	}
	return json.Marshal(struct {
		Type     TypeDef `json:"type"`
		Required bool    `json:"required,omitempty"`
		Doc      string  `json:"doc,omitempty"`
	}{f.Type, f.Required, f.Doc})
}

// UnmarshalJSON reads what ParseOne reads, with its checks.
func (d *Definition) UnmarshalJSON(data []byte) error {
	parsed, err := ParseOne(data)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// String is the collection's name as the command line writes it.
func (d Definition) String() string { return d.Tenant + "/" + d.Collection }

// Resolve is the options in force: those stated, the rest by default. LakePartition
// and LakeSort are left out: they are of fields that have ids, which Evolve gives.
func (d Definition) Resolve() (schema.Options, error) {
	c := checker{}
	o := c.options(d.Options)
	return o, c.err()
}

// FromCollection is the definition that gives c, its options written out.
func FromCollection(c *schema.Collection) Definition {
	d := Definition{
		Tenant:     c.Tenant,
		Collection: c.Name,
		Schema:     c.SchemaName,
		Options:    optionsDefOf(c.Options, c.Schema),
	}
	if c.Named == 0 {
		d.Fields, d.Key = defsOf(c.Schema.Fields), keyNames(c.Schema)
	}
	for _, x := range c.Indexes {
		d.Indexes = append(d.Indexes, schema.IndexSpec{Name: x.Name, Fields: x.Fields, Unique: x.Unique})
	}
	return d
}

// defsOf states fields as a file would.
func defsOf(fields []schema.Field) []FieldDef {
	if fields == nil {
		return nil
	}
	defs := make([]FieldDef, len(fields))
	for i, f := range fields {
		defs[i] = FieldDef{
			Name: f.Name,
			Type: TypeDef{
				Kind: f.Type.Kind, Precision: f.Type.Precision, Scale: f.Type.Scale,
				Length: f.Type.Length, Fields: defsOf(f.Type.Fields),
			},
			Required: f.Required,
			Doc:      f.Doc,
		}
	}
	return defs
}

// typeOf is t without field ids.
func typeOf(t TypeDef) schema.Type {
	out := schema.Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale, Length: t.Length}
	for _, f := range t.Fields {
		out.Fields = append(out.Fields, schema.Field{Name: f.Name, Type: typeOf(f.Type), Required: f.Required, Doc: f.Doc})
	}
	return out
}
