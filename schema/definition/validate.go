package definition

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/internal/suggest"
)

// sections say where in a file each part of a definition is written, as
// prefixes of the places that a reader noted lines for.
type sections struct {
	names, schema, fields, key, indexes, options string
}

// checker collects what is wrong with a definition.
type checker struct {
	problems schema.FieldErrors
	at       sections
	lines    map[string]int // place → line; nil when there is no file
	fields   int            // counted so far, nested ones too
}

// add notes a problem, while there is room to tell it.
func (c *checker) add(at, field, value, rule string) {
	if len(c.problems) >= schema.MaxFieldErrors {
		return
	}
	c.problems = append(c.problems, &schema.FieldError{Line: c.line(at), Field: field, Value: value, Rule: rule})
}

// line is the line of the place, or of the nearest that contains it.
func (c *checker) line(at string) int {
	for c.lines != nil && at != "" {
		if line, ok := c.lines[at]; ok {
			return line
		}
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
	}
	return c.lines[c.at.names]
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{Problems: c.problems}
}

// Validate checks all that a definition says by itself: names, types, limits,
// key, indexes and options. What a collection that exists allows, Evolve says.
func (d Definition) Validate() error {
	var c checker
	c.names(d)
	c.body(d)
	return c.err()
}

func (c *checker) names(d Definition) {
	if rule := nameRule("tenant", d.Tenant); rule != "" {
		c.add(c.at.names+"/tenant", "tenant", quote(d.Tenant), rule)
	}
	if rule := nameRule("collection", d.Collection); rule != "" {
		c.add(c.at.names+"/collection", "collection", quote(d.Collection), rule)
	}
}

func (c *checker) body(d Definition) {
	c.fields = 0
	if d.Schema != "" {
		c.ofNamed(d)
		return
	}
	if len(d.Fields) == 0 {
		c.add(c.at.fields, "fields", "", "a collection needs at least one field: add - {name: id, type: string}")
	}
	c.fieldList(d.Fields, c.at.fields, "", 1)
	if c.fields > MaxFields {
		c.add(c.at.fields, "fields", fmt.Sprint(c.fields), fmt.Sprintf(
			"a collection has at most %d fields, nested ones, elements, keys and values counted: split it, or hold parts as json", MaxFields))
	}
	c.key(d)
	c.indexList(d)
	c.options(d.Options)
	c.partition(d)
	c.sort(d)
	if d.Options.BeforeImages && len(d.Key) == 0 {
		c.add(c.at.options+"/before_images", "options.before_images", "true",
			"a collection without a key is only added to: its changes have no row before them; add a key, or remove the option")
	}
}

// ofNamed checks a collection of a named schema. What depends on the schema's
// fields is checked when they are known.
func (c *checker) ofNamed(d Definition) {
	if rule := nameRule("schema", d.Schema); rule != "" {
		c.add(c.at.schema, "schema", quote(d.Schema), rule)
	}
	if d.Fields != nil || d.Key != nil {
		c.add(c.at.schema, "schema", quote(d.Schema),
			"give schema, or fields and key, not both: the fields and the key of a named schema are the schema's, in a document without collection")
	}
	c.indexList(d)
	c.options(d.Options)
}

// fieldList checks the fields of a record or a struct.
func (c *checker) fieldList(fields []FieldDef, at, path string, depth int) {
	seen := make(map[string]string, len(fields))
	for i := range fields {
		f := &fields[i]
		fieldAt := fmt.Sprintf("%s/%d", at, i)
		name := join(path, f.Name)
		if f.Name == "" {
			name = fmt.Sprintf("%s[%d]", join(path, "fields"), i)
		}
		if rule := fieldNameRule(f.Name); rule != "" {
			c.add(fieldAt, name, quote(f.Name), rule)
		}
		folded := fold(f.Name)
		if other, clash := seen[folded]; clash && other == f.Name {
			c.add(fieldAt, name, quote(f.Name), "the name is given twice: rename or remove one of them")
		} else if clash {
			c.add(fieldAt, name, quote(f.Name), fmt.Sprintf(
				"differs from %s only by case, and SQL engines fold case: give one of them another name", quote(other)))
		}
		seen[folded] = f.Name
		if f.Was != "" {
			if rule := fieldNameRule(f.Was); rule != "" || f.Was == f.Name {
				c.add(fieldAt+"/was", name, quote(f.Was), "was: is the name that the field had before; remove it if there was none")
			}
		}
		c.field(f, fieldAt, name, depth)
	}
	c.renames(fields, at, path)
}

// field checks what a field says beside its name.
func (c *checker) field(f *FieldDef, at, path string, depth int) {
	c.fields++
	if len(f.Doc) > MaxDoc || !utf8.ValidString(f.Doc) {
		c.add(at+"/doc", path, quote(f.Doc), fmt.Sprintf("a doc is UTF-8 of at most %d bytes: shorten it", MaxDoc))
	}
	if depth > MaxDepth {
		c.add(at, path, "", fmt.Sprintf("types nest at most %d levels: flatten, or hold the rest as json", MaxDepth))
		return
	}
	if c.fields > MaxFields { // told by body; enough has been looked at
		return
	}
	t := &f.Type
	switch t.Kind {
	case schema.KindDecimal:
		if t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
			c.add(at+"/type", path, t.String(), "decimal(p,s) has a precision p of 1 to 38 and a scale s of 0 to p")
		}
	case schema.KindFixed:
		if t.Length < 1 || t.Length > MaxFixed {
			c.add(at+"/type", path, t.String(), fmt.Sprintf("fixed(n) has a length n of 1 to %d bytes; use binary beyond", MaxFixed))
		}
	case schema.KindStruct:
		if len(t.Fields) == 0 {
			c.add(at+"/type", path, "struct", "a struct needs at least one field: {type: struct, fields: [{name: x, type: int}]}")
		}
		c.fieldList(t.Fields, at+"/fields", path, depth+1)
	case schema.KindList:
		if len(t.Fields) != 1 || t.Fields[0].Name != elementName {
			c.add(at+"/type", path, "list", "a list needs the type of its elements: {type: list, element: string}")
			return
		}
		c.field(&t.Fields[0], at+"/element", join(path, elementName), depth+1)
	case schema.KindMap:
		c.mapType(t, at, path, depth)
	default:
		if t.Kind < schema.KindBoolean || t.Kind > schema.KindJSON {
			c.add(at+"/type", path, "", "a field needs a type: one of "+typeNames)
		}
	}
}

func (c *checker) mapType(t *TypeDef, at, path string, depth int) {
	if len(t.Fields) != 2 || t.Fields[0].Name != keyName || t.Fields[1].Name != valueName {
		c.add(at+"/type", path, "map", "a map needs the types of its keys and values: {type: map, key: string, value: long}")
		return
	}
	key := &t.Fields[0]
	if k := key.Type.Kind; !key.Required || key.Type.Fields != nil || k == schema.KindJSON {
		c.add(at+"/key", join(path, keyName), key.Type.String(),
			"map keys are never null and never a struct, list, map or json: use a string, or a list of structs for the map")
	}
	c.field(key, at+"/key", join(path, keyName), depth+1)
	c.field(&t.Fields[1], at+"/value", join(path, valueName), depth+1)
}

// renames refuses was: that go round in a circle: nobody could tell whether
// they have been done.
func (c *checker) renames(fields []FieldDef, at, path string) {
	was := make(map[string]string)
	heir := make(map[string]string)
	for i := range fields {
		f := &fields[i]
		if f.Was == "" {
			continue
		}
		if other, twice := heir[f.Was]; twice {
			c.add(fmt.Sprintf("%s/%d/was", at, i), join(path, f.Name), quote(f.Was),
				fmt.Sprintf("%s says that it was this field too: remove one was:", quote(other)))
		}
		was[f.Name], heir[f.Was] = f.Was, f.Name
	}
	for i := range fields {
		name, start := fields[i].Was, fields[i].Name
		for range len(was) {
			if name == start && fields[i].Was != start {
				c.add(fmt.Sprintf("%s/%d/was", at, i), join(path, start), quote(fields[i].Was),
					"these renames go round in a circle: rename by way of a third name, in two steps")
				return
			}
			name = was[name]
		}
	}
}

// keyKinds are the types that a key's fields and an index's may have: those
// with one order and one form.
var keyKinds = []schema.Kind{
	schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindDate, schema.KindTime, schema.KindTimestamp,
	schema.KindTimestamptz, schema.KindString, schema.KindUUID, schema.KindFixed, schema.KindBinary, schema.KindDecimal,
}

const keyKindsRule = "use a boolean, int, long, decimal, date, time, timestamp, timestamptz, string, uuid, fixed or binary field"

func (c *checker) key(d Definition) {
	if len(d.Key) > MaxKeyFields {
		c.add(c.at.key, "key", "", fmt.Sprintf("a key has at most %d fields", MaxKeyFields))
		return
	}
	for i, name := range d.Key {
		at := fmt.Sprintf("%s/%d", c.at.key, i)
		f := c.topField(d, at, "key", name)
		switch {
		case slices.Contains(d.Key[:i], name):
			c.add(at, "key", quote(name), "the key names this field twice: remove one")
		case f == nil:
		case !slices.Contains(keyKinds, f.Type.Kind):
			c.add(at, "key", quote(name), fmt.Sprintf("a %s cannot be part of a key: %s", f.Type.Kind, keyKindsRule))
		case !f.Required:
			c.add(at, "key", quote(name), "a key's field is never null: add required: true to the field "+name)
		}
	}
}

func (c *checker) indexList(d Definition) {
	if len(d.Indexes) > MaxIndexes {
		c.add(c.at.indexes, "indexes", "", fmt.Sprintf("a collection has at most %d indexes", MaxIndexes))
		return
	}
	if len(d.Indexes) > 0 && len(d.Key) == 0 && d.Schema == "" {
		c.add(c.at.indexes, "indexes", "", "an index finds rows by their key, and the collection has none: add key, or remove indexes")
		return
	}
	seen := make(map[string]bool)
	for i, x := range d.Indexes {
		at := fmt.Sprintf("%s/%d", c.at.indexes, i)
		path := fmt.Sprintf("indexes[%d]", i)
		if rule := nameRule("index", x.Name); rule != "" {
			c.add(at+"/name", path+".name", quote(x.Name), rule)
		} else if seen[x.Name] {
			c.add(at+"/name", path+".name", quote(x.Name), "two indexes have this name: rename one")
		}
		seen[x.Name] = true
		if n := len(x.Fields); n == 0 || n > MaxKeyFields {
			c.add(at+"/fields", path+".fields", "", fmt.Sprintf("an index has 1 to %d fields", MaxKeyFields))
			continue
		}
		for j, name := range x.Fields {
			fieldAt := fmt.Sprintf("%s/fields/%d", at, j)
			var f *FieldDef
			if d.Schema == "" {
				f = c.topField(d, fieldAt, path+".fields", name)
			}
			if slices.Contains(x.Fields[:j], name) {
				c.add(fieldAt, path+".fields", quote(name), "the index names this field twice: remove one")
			} else if f != nil && !slices.Contains(keyKinds, f.Type.Kind) {
				c.add(fieldAt, path+".fields", quote(name), fmt.Sprintf("a %s cannot be indexed: %s", f.Type.Kind, keyKindsRule))
			}
		}
	}
}

// topField is the top-level field that a key or an index names.
func (c *checker) topField(d Definition, at, path, name string) *FieldDef {
	known := make([]string, 0, len(d.Fields))
	for i := range d.Fields {
		if d.Fields[i].Name == name {
			return &d.Fields[i]
		}
		known = append(known, d.Fields[i].Name)
	}
	rule := "no field has this name"
	if head, _, dotted := strings.Cut(name, "."); dotted && slices.Contains(known, head) {
		rule = "only top-level fields can be named here, not fields inside a struct"
	} else if near := suggest.Nearest(name, known); near != "" {
		rule += ": did you mean " + quote(near) + "?"
	} else {
		rule += ": add it to fields, or remove it here"
	}
	c.add(at, path, quote(name), rule)
	return nil
}

// fold maps names that differ only by case to the same string.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		low := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			low = min(low, other)
		}
		return low
	}, s)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
