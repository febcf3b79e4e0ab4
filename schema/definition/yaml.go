package definition

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// YAML is d as a collection file, in the style of the documentation: a field
// a line. ParseFile reads it back to the same, or ParseOne if names are
// missing.
func (d Definition) YAML() []byte {
	var b strings.Builder
	if d.Tenant != "" {
		b.WriteString("tenant: " + yamlString(d.Tenant) + "\n")
	}
	if d.Collection != "" {
		b.WriteString("collection: " + yamlString(d.Collection) + "\n")
	}
	if d.Schema != "" {
		b.WriteString("schema: " + yamlString(d.Schema) + "\n")
	} else {
		b.WriteString("fields:\n")
	}
	for i := range d.Fields {
		b.WriteString("  - {" + yamlField(&d.Fields[i]) + "}\n")
	}
	if len(d.Key) > 0 {
		b.WriteString("key: " + yamlStrings(d.Key) + "\n")
	}
	if len(d.Indexes) > 0 {
		b.WriteString("indexes:\n")
	}
	for _, x := range d.Indexes {
		b.WriteString("  - {name: " + yamlString(x.Name) + ", fields: " + yamlStrings(x.Fields))
		if x.Unique {
			b.WriteString(", unique: true")
		}
		b.WriteString("}\n")
	}
	o := d.Options
	if reflect.ValueOf(o).IsZero() {
		return []byte(b.String())
	}
	b.WriteString("options:\n")
	for _, line := range []struct{ key, value string }{
		{"log_retention", o.LogRetention}, {"log_retention_bytes", o.LogRetentionBytes}, {"lake", string(o.Lake)}, {"lake_freshness", o.LakeFreshness},
	} {
		if line.value != "" {
			b.WriteString("  " + line.key + ": " + yamlString(line.value) + "\n")
		}
	}
	if o.LakeFormat != 0 {
		b.WriteString("  lake_format: " + strconv.Itoa(o.LakeFormat) + "\n")
	}
	b.WriteString("  before_images: " + strconv.FormatBool(o.BeforeImages) + "\n")
	b.WriteString(yamlLayout(o))
	return []byte(b.String())
}

// MarshalYAML gives d to YAML encoders as JSON would have it: a mapping with
// the members in order.
func (d Definition) MarshalYAML() (any, error) {
	docs, err := readYAML(d.YAML())
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	return docs[0], nil
}

// yamlField is a field as the inside of a flow mapping.
func yamlField(f *FieldDef) string {
	out := "name: " + yamlString(f.Name) + ", type: " + yamlType(&f.Type)
	if f.Required {
		out += ", required: true"
	}
	if f.Doc != "" {
		out += ", doc: " + yamlString(f.Doc)
	}
	if f.Was != "" {
		out += ", was: " + yamlString(f.Was)
	}
	return out
}

func yamlType(t *TypeDef) string {
	switch {
	case t.Kind == schema.KindStruct:
		fields := make([]string, len(t.Fields))
		for i := range t.Fields {
			fields[i] = "{" + yamlField(&t.Fields[i]) + "}"
		}
		return "{type: struct, fields: [" + strings.Join(fields, ", ") + "]}"
	case t.Kind == schema.KindList && len(t.Fields) == 1:
		return "{type: list, element: " + yamlInner(&t.Fields[0], t.Fields[0].Required) + "}"
	case t.Kind == schema.KindMap && len(t.Fields) == 2:
		return "{type: map, key: " + yamlInner(&t.Fields[0], false) +
			", value: " + yamlInner(&t.Fields[1], t.Fields[1].Required) + "}"
	default:
		return yamlString(t.String())
	}
}

// yamlInner is an element, key or value: its type alone where that says it all.
func yamlInner(f *FieldDef, required bool) string {
	if !required && f.Doc == "" {
		return yamlType(&f.Type)
	}
	out := "{type: " + yamlType(&f.Type)
	if required {
		out += ", required: true"
	}
	if f.Doc != "" {
		out += ", doc: " + yamlString(f.Doc)
	}
	return out + "}"
}

func yamlStrings(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = yamlString(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// yamlString is s plain where no YAML reader can take it for anything else,
// and quoted as in JSON where one might.
func yamlString(s string) string {
	plain := s != "" && !strings.HasSuffix(s, " ")
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		plain = letter || i > 0 && (c >= '0' && c <= '9' || c == '_' || c == ' ' || c == '(' || c == ')')
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		// Plain off is a word in every reader but those of YAML 1.1, and the
		// documentation writes it so; its JSON form is safe everywhere.
		plain = false
	}
	if plain || duration(s) {
		return s
	}
	return yamlQuoted(s)
}

// duration reports whether s is like 7d, which is plain in YAML too.
func duration(s string) bool {
	_, rule := parseDuration(s, 0, maxRetention)
	return s != "" && rule == ""
}

// yamlQuoted escapes beyond what JSON does: YAML has no place for some
// characters, and folds lines at others.
func yamlQuoted(s string) string {
	var b strings.Builder
	for _, r := range jsonString(s) {
		switch {
		case r == 0x7f, r >= 0x80 && r <= 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			b.WriteString(`\u` + strconv.FormatInt(int64(r)+0x10000, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
