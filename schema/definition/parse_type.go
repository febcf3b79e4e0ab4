package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/internal/suggest"
)

// typeNames are the types as messages list them.
const typeNames = "boolean, int, long, float, double, decimal(p,s), date, time, timestamp, timestamptz, " +
	"string, uuid, fixed(n), binary, json, struct, list, map"

// kinds are the types by name.
var kinds = func() map[string]schema.Kind {
	m := make(map[string]schema.Kind)
	for k := schema.KindBoolean; k <= schema.KindJSON; k++ {
		m[k.String()] = k
	}
	return m
}()

// foreign are the names that other systems have for our types.
var foreign = map[string]string{
	"bool": "boolean", "integer": "int", "int32": "int", "smallint": "int", "short": "int", "int4": "int",
	"bigint": "long", "int64": "long", "int8": "long", "uint32": "long", "real": "float", "float32": "float",
	"float64": "double", "number": "double", "double precision": "double", "numeric": "decimal(p,s)",
	"text": "string", "varchar": "string", "char": "string", "str": "string", "utf8": "string", "enum": "string",
	"datetime": "timestamp or timestamptz", "timestamp_tz": "timestamptz", "timestampz": "timestamptz",
	"timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp", "instant": "timestamptz",
	"bytes": "binary", "blob": "binary", "bytea": "binary", "varbinary": "binary", "guid": "uuid", "jsonb": "json",
	"variant": "json", "object": "struct or json", "record": "struct", "row": "struct", "array": "list", "dict": "map",
}

// fieldKeys are the keys of a field.
var fieldKeys = []string{"name", "type", "required", "doc", "was"}

// fieldDefs reads the fields of a record or a struct.
func (p *parser) fieldDefs(n *yaml.Node, at, path string) []FieldDef {
	var defs []FieldDef
	p.items(n, at, join(path, "fields"), func(i int, n *yaml.Node, at string) {
		if p.read++; p.read > MaxFields+1 {
			return // told by the checks
		}
		name := fmt.Sprintf("%s[%d]", join(path, "fields"), i)
		if !p.mapping(n, name, "a field") {
			return
		}
		if v := lookup(n, "name"); v != nil && v.Kind == yaml.ScalarNode && v.Value != "" {
			name = join(path, v.Value)
		}
		f := p.fieldDef(n, at, name, fieldKeys)
		if lookup(n, "name") == nil {
			p.bad(n, name, "", "a field needs a name: {name: id, type: string}")
		}
		defs = append(defs, f)
	})
	return defs
}

// fieldDef reads a field, or the mapping form of an element, key or value,
// which has no name. The keys of a nested type may stand right in it.
func (p *parser) fieldDef(n *yaml.Node, at, path string, keys []string) FieldDef {
	var f FieldDef
	defer p.leave()
	if !p.enter(n, path) {
		return f
	}
	typed := false
	p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
		if !slices.Contains(keys, key) {
			return innerKey(n, key)
		}
		switch key {
		case "name":
			f.Name = p.text(v, vat, path)
		case "type":
			typed = true
			if v.Kind == yaml.MappingNode {
				f.Type = p.typeMapping(v, vat, path)
			} else {
				f.Type = p.typeName(v, vat, path)
			}
		case "required":
			f.Required = p.boolean(v, path+".required")
		case "doc":
			f.Doc = p.text(v, vat, path+".doc")
		case "was":
			f.Was = p.text(v, vat, path+".was")
		}
		return true
	}, keys...)
	if !typed {
		p.bad(n, path, "", "a field needs a type: one of "+typeNames)
		return f
	}
	if t := lookup(n, "type"); t.Kind == yaml.ScalarNode {
		p.inside(n, &f.Type, at, path)
	}
	return f
}

// innerKey reports whether key belongs to the nested type that n names by
// type: list and so on.
func innerKey(n *yaml.Node, key string) bool {
	t := lookup(n, "type")
	if t == nil || t.Kind != yaml.ScalarNode {
		return false
	}
	switch t.Value {
	case "struct":
		return key == "fields"
	case "list":
		return key == elementName
	case "map":
		return key == keyName || key == valueName
	}
	return false
}

// typeMapping reads {type: list, element: string} and the like.
func (p *parser) typeMapping(n *yaml.Node, at, path string) TypeDef {
	f := p.fieldDef(n, at, path, []string{"type"})
	return f.Type
}

// inside reads what a nested type's mapping says of its inner fields.
func (p *parser) inside(n *yaml.Node, t *TypeDef, at, path string) {
	inner := func(name string) {
		v := lookup(n, name)
		if v == nil {
			return // told by the checks
		}
		p.read++
		vat := at + "/" + name
		v = p.visit(v, vat)
		var f FieldDef
		if v.Kind == yaml.MappingNode {
			f = p.fieldDef(v, vat, join(path, name), []string{"type", "required", "doc"})
		} else {
			f.Type = p.typeName(v, vat, join(path, name))
		}
		f.Name = name
		if name == keyName {
			if r := lookup(n, name); r.Kind == yaml.MappingNode && lookup(r, "required") != nil && !f.Required {
				p.add(vat, join(path, name), "", "map keys are never null: remove required")
			}
			f.Required = true
		}
		t.Fields = append(t.Fields, f)
	}
	switch t.Kind {
	case schema.KindStruct:
		if v := lookup(n, "fields"); v != nil {
			t.Fields = p.fieldDefs(p.visit(v, at+"/fields"), at+"/fields", path)
		}
	case schema.KindList:
		inner(elementName)
	case schema.KindMap:
		inner(keyName)
		inner(valueName)
	}
}

// typeName reads a type's name, with parameters where it has them.
func (p *parser) typeName(n *yaml.Node, at, path string) TypeDef {
	s := strings.TrimSpace(p.text(n, at, path+".type"))
	if s == "" {
		if !p.broken {
			p.bad(n, path, "", "a field needs a type: one of "+typeNames)
		}
		return TypeDef{}
	}
	t, rule := parseTypeName(s)
	if rule != "" {
		p.bad(n, path, quote(s), rule)
	}
	return t
}

// parseTypeName reads a type's name; the rule says what is wrong with it, if
// anything.
func parseTypeName(s string) (t TypeDef, rule string) {
	name, args, hasArgs := strings.Cut(s, "(")
	name = strings.TrimSpace(name)
	t.Kind = kinds[name]
	switch {
	case t.Kind == 0:
		return t, typeRule(name)
	case t.Kind == schema.KindDecimal:
		ps, ok := parameters(args, 2)
		if !ok {
			return t, "write precision and scale: decimal(9,2) holds 1234567.89"
		}
		t.Precision, t.Scale = ps[0], ps[1]
	case t.Kind == schema.KindFixed:
		ps, ok := parameters(args, 1)
		if !ok {
			return t, "write the length in bytes: fixed(16)"
		}
		t.Length = ps[0]
	case hasArgs:
		return t, fmt.Sprintf("%s takes no parameters: write %s", t.Kind, t.Kind)
	}
	return t, ""
}

// typeRule is the way out from a type that there is not.
func typeRule(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(lower, "list<"), strings.HasPrefix(lower, "array<"):
		return "write a list as {type: list, element: string}"
	case strings.HasPrefix(lower, "map<"):
		return "write a map as {type: map, key: string, value: long}"
	case strings.HasPrefix(lower, "struct<"), strings.HasPrefix(lower, "row<"):
		return "write a struct as {type: struct, fields: [{name: x, type: int}]}"
	}
	if ours := foreign[lower]; ours != "" {
		return "no such type: write " + ours
	}
	names := make([]string, 0, len(kinds))
	for k := schema.KindBoolean; k <= schema.KindJSON; k++ {
		names = append(names, k.String())
	}
	if near := suggest.Nearest(name, names); near != "" {
		return "no such type: did you mean " + near + "?"
	}
	return "no such type: use one of " + typeNames
}

// parameters reads "9,2)" as n whole numbers.
func parameters(s string, n int) ([]int, bool) {
	s, closed := strings.CutSuffix(strings.TrimSpace(s), ")")
	parts := strings.Split(s, ",")
	if !closed || len(parts) != n {
		return nil, false
	}
	out := make([]int, n)
	for i, part := range parts {
		v, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil {
			return nil, false
		}
		out[i] = int(v)
	}
	return out, true
}
