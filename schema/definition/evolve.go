package definition

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Evolve plans how cur becomes what d asks for; a nil cur plans its creation.
// Names that d leaves out are cur's. Fields keep their ids, and no id is ever
// given out twice. The error is an *Error when d is wrong by itself, and an
// *Incompatible when the way from cur to d would break readers. A definition that
// names a schema is for EvolveNamed.
func Evolve(cur *schema.Collection, d Definition) (Plan, error) {
	if d.Schema != "" {
		return Plan{}, problem(0, quote(d.Schema), "the fields of a collection of a named schema are the schema's")
	}
	if cur == nil {
		return create(d)
	}
	d, err := namedAs(cur, d)
	if err != nil {
		return Plan{}, err
	}
	e := &evolver{last: cur.Schema.LastFieldID}
	e.keptKey(cur.Schema, d.Fields)
	if err := e.err(); err != nil {
		return Plan{}, err
	}
	if err := d.Validate(); err != nil {
		return Plan{}, err
	}
	if cur.Named != 0 {
		e.step(StepSchema, "", "fields of its own instead of schema %s", cur.SchemaName)
	}
	return e.finish(cur, e.schema(cur.Schema, d.Fields, d.Key), d)
}

// namedAs is d with the names that it leaves out, which are cur's.
func namedAs(cur *schema.Collection, d Definition) (Definition, error) {
	if d.Tenant == "" {
		d.Tenant = cur.Tenant
	}
	if d.Collection == "" {
		d.Collection = cur.Name
	}
	if d.Tenant != cur.Tenant || d.Collection != cur.Name {
		return d, problem(0, quote(d.String()), "the definition is of another collection than "+cur.String())
	}
	return d, nil
}

// schema evolves fields and key; it is cur itself if nothing changes.
func (e *evolver) schema(cur *schema.Schema, fields []FieldDef, key []string) *schema.Schema {
	next := &schema.Schema{Fields: e.fields(cur.Fields, fields, "")}
	next.LastFieldID = e.last
	next.Key = keyOf(next, key)
	e.sameKey(cur, next)
	if bytes.Equal(EncodeSchema(next), EncodeSchema(cur)) {
		return cur
	}
	return next
}

// finish plans what is of the collection beside its schema, which comes to next.
func (e *evolver) finish(cur *schema.Collection, next *schema.Schema, d Definition) (Plan, error) {
	indexes, lastIndex := e.indexes(cur, next, d.Indexes)
	opts, err := d.Resolve()
	if err != nil {
		return Plan{}, err
	}
	opts.LakePartition, opts.LakeSort = layoutOf(next, d.Options)
	e.options(cur, next, opts)
	partitioned := e.partitioned(cur, next, opts.LakePartition)
	if err := e.err(); err != nil {
		return Plan{}, err
	}
	return Plan{Schema: next, Indexes: indexes, LastIndexID: lastIndex, Options: opts, Partitioned: partitioned, Steps: e.steps}, nil
}

// create plans a new collection with fields of its own.
func create(d Definition) (Plan, error) {
	if err := d.Validate(); err != nil {
		return Plan{}, err
	}
	return createWith((&evolver{}).freshSchema(d.Fields, d.Key), "", d)
}

// createWith plans a new collection of a schema, told of by how.
func createWith(s *schema.Schema, how string, d Definition) (Plan, error) {
	opts, err := d.Resolve()
	if err != nil {
		return Plan{}, err
	}
	detail := fmt.Sprintf("%s%s, %s, %s", how, plural(len(d.Fields), "field"), keyDetail(s, d.Key), plural(len(d.Indexes), "index"))
	steps := []Step{{Kind: StepCreate, Field: d.String(), Detail: detail}}
	indexes, lastIndex := numberIndexes(nil, 0, s, d.Indexes)
	opts.LakePartition, opts.LakeSort = layoutOf(s, d.Options)
	return Plan{
		Schema: s, Indexes: indexes, LastIndexID: lastIndex, Options: opts,
		Partitioned: sourcesOf(nil, opts.LakePartition), Steps: steps,
	}, nil
}

// freshSchema is a schema of new fields.
func (e *evolver) freshSchema(fields []FieldDef, key []string) *schema.Schema {
	s := &schema.Schema{Fields: e.fresh(fields)}
	s.LastFieldID = e.last
	s.Key = keyOf(s, key)
	return s
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "index":
		return strconv.Itoa(n) + " indexes"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// keyOf finds the key's fields.
func keyOf(s *schema.Schema, names []string) []int {
	var key []int
	for _, name := range names {
		key = append(key, s.Index(name))
	}
	return key
}

// evolver collects the steps of a plan, and what stands against it.
type evolver struct {
	last    int // highest field id given out
	steps   []Step
	refused schema.FieldErrors
}

func (e *evolver) err() error {
	if len(e.refused) == 0 {
		return nil
	}
	return &Incompatible{Problems: e.refused}
}

func (e *evolver) step(kind StepKind, field, format string, args ...any) {
	e.steps = append(e.steps, Step{Kind: kind, Field: field, Detail: fmt.Sprintf(format, args...)})
}

// refuse notes what stands against the plan: change is what was asked, rule
// is the rule and the way out.
func (e *evolver) refuse(field, change, rule string) {
	if len(e.refused) < schema.MaxFieldErrors {
		e.refused = append(e.refused, &schema.FieldError{Field: field, Value: change, Rule: rule})
	}
}

// fresh gives ids to new fields: first to those of a level, then to those
// inside them, as Iceberg does.
func (e *evolver) fresh(defs []FieldDef) []schema.Field {
	fields := make([]schema.Field, len(defs))
	for i, d := range defs {
		e.last++
		fields[i] = schema.Field{ID: e.last, Name: d.Name, Required: d.Required, Doc: d.Doc}
	}
	for i, d := range defs {
		fields[i].Type = e.freshType(d.Type)
	}
	return fields
}

func (e *evolver) freshType(t TypeDef) schema.Type {
	out := schema.Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale, Length: t.Length}
	if t.Fields != nil {
		out.Fields = e.fresh(t.Fields)
	}
	return out
}

// fields evolves the fields of a record or a struct.
func (e *evolver) fields(cur []schema.Field, defs []FieldDef, path string) []schema.Field {
	from := e.match(cur, defs, path)
	out := make([]schema.Field, len(defs))
	for i, d := range defs {
		out[i] = schema.Field{Name: d.Name, Required: d.Required, Doc: d.Doc}
		if from[i] >= 0 {
			out[i].ID = cur[from[i]].ID
		} else {
			e.last++
			out[i].ID = e.last
		}
	}
	for i, d := range defs {
		name := join(path, d.Name)
		if from[i] >= 0 {
			e.field(cur[from[i]], d, &out[i], name)
			continue
		}
		out[i].Type = e.freshType(d.Type)
		if d.Required {
			e.refuse(name, "new and required",
				"Iceberg adds fields as optional, since rows that exist have no value: remove required: true")
		}
		e.step(StepAdd, name, "optional %s", d.Type)
	}
	for i := range cur {
		if !slices.Contains(from, i) {
			e.step(StepDrop, join(path, cur[i].Name), "%s", cur[i].Type)
		}
	}
	e.reorder(defs, from, path)
	return out
}

// field evolves one field that goes on.
func (e *evolver) field(cur schema.Field, d FieldDef, out *schema.Field, path string) {
	switch {
	case cur.Required && !d.Required:
		e.step(StepOptional, path, "no longer required")
	case !cur.Required && d.Required:
		e.refuse(path, "optional to required",
			"Iceberg never makes an optional field required, since there may be nulls: leave it optional, or add it to a new collection")
	}
	if cur.Doc != d.Doc {
		e.step(StepDoc, path, "%s", quote(d.Doc))
	}
	out.Type = e.fieldType(cur.Type, d.Type, path)
}

// fieldType evolves a type.
func (e *evolver) fieldType(cur schema.Type, d TypeDef, path string) schema.Type {
	want := schema.Type{Kind: d.Kind, Precision: d.Precision, Scale: d.Scale, Length: d.Length}
	switch {
	case cur.Kind == d.Kind && cur.Kind == schema.KindStruct:
		want.Fields = e.fields(cur.Fields, d.Fields, path)
		return want
	case cur.Kind == d.Kind && cur.Kind == schema.KindList:
		want.Fields = e.inner(cur.Fields, d.Fields, path)
		return want
	case cur.Kind == d.Kind && cur.Kind == schema.KindMap:
		if was, now := cur.MapKey().Type.String(), d.Fields[0].Type.String(); was != now {
			e.refuse(join(path, keyName), was+" to "+now,
				"Iceberg never changes the keys of a map: add a field with the other map, and drop this one when it is no longer read")
			return cur
		}
		want.Fields = e.inner(cur.Fields, d.Fields, path)
		return want
	case cur.String() == want.String() && !cur.Nested():
	case widens(cur, want):
		e.step(StepWiden, path, "%s to %s", cur, want)
	default:
		e.refuse(path, fmt.Sprintf("%s to %s", cur, d), "Iceberg only widens int to long, float to double, and a decimal's precision at "+
			"the same scale: add a field of the new type, and drop this one when it is no longer read")
	}
	return want
}

// inner evolves the element of a list, or the key and value of a map.
func (e *evolver) inner(cur []schema.Field, defs []FieldDef, path string) []schema.Field {
	out := make([]schema.Field, len(defs))
	for i, d := range defs {
		out[i] = schema.Field{ID: cur[i].ID, Name: d.Name, Required: d.Required, Doc: d.Doc}
		e.field(cur[i], d, &out[i], join(path, d.Name))
	}
	return out
}

// widens reports whether every value of from is one of to, by Iceberg's rules.
func widens(from, to schema.Type) bool {
	switch from.Kind {
	case schema.KindInt:
		return to.Kind == schema.KindLong
	case schema.KindFloat:
		return to.Kind == schema.KindDouble
	case schema.KindDecimal:
		return to.Kind == schema.KindDecimal && to.Scale == from.Scale && to.Precision > from.Precision
	}
	return false
}

// reorder notes when the fields that stay change places, or new ones come
// before them.
func (e *evolver) reorder(defs []FieldDef, from []int, path string) {
	var names []string
	last, added, moved := -1, false, false
	for i, j := range from {
		names = append(names, defs[i].Name)
		if j < 0 {
			added = true
			continue
		}
		moved = moved || added || j < last
		last = j
	}
	const most = 8
	if len(names) > most {
		names = append(names[:most], "…")
	}
	if moved {
		e.step(StepReorder, path, "%s", strings.Join(names, ", "))
	}
}
