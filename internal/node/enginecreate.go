package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Create makes the collection that an engine's table is: its fields, and as its
// key the identifier fields, if there are any. Of two that create one at the same
// time, the second comes to what applying its definition to the first's would.
func (t tables) Create(ctx context.Context, namespace, table string, want rest.NewTable) (string, []byte, error) {
	def, err := definitionOf(namespace, table, want.Schema)
	if err != nil {
		return "", nil, err
	}
	plan, _, err := t.n.Registry.Apply(ctx, def, true)
	if err == nil && (len(plan.Steps) == 0 || plan.Steps[0].Kind != definition.StepCreate) {
		err = fmt.Errorf("collection %s: %w", def, rest.ErrExists)
	}
	if err != nil {
		if _, getErr := t.n.Registry.Get(ctx, namespace, table); getErr == nil {
			err = fmt.Errorf("collection %s: %w", def, rest.ErrExists) // whether or not it could evolve to this
		}
		return "", nil, err
	}
	if _, _, err := t.n.Registry.Apply(ctx, def, false); err != nil {
		return "", nil, err
	}
	location, metadata, err := t.Load(ctx, namespace, table)
	if props := ownProperties(want.Properties); err == nil && len(props) > 0 {
		location, metadata, err = t.Commit(ctx, namespace, table, lakehouse.EngineCommit{Set: props})
	}
	return location, metadata, err
}

// Drop ends the collection.
func (t tables) Drop(ctx context.Context, namespace, table string) error {
	if _, err := t.collection(ctx, namespace, table); err != nil {
		return err
	}
	return collections{t.n.Registry, t.n}.Drop(ctx, namespace, table)
}

// CheckNamespace refuses a name that no tenant can have.
func (t tables) CheckNamespace(name string) error { return definition.CheckName("tenant", name) }

// ownProperties are those of a table's properties that an engine may set. What it
// wishes of files, formats and modes is Trine's to say, and passed over.
func ownProperties(all iceberg.Properties) iceberg.Properties {
	own := iceberg.Properties{}
	for name, value := range all {
		if !lakehouse.ReservedProperty(name) {
			own[name] = value
		}
	}
	return own
}

func definitionOf(namespace, table string, s *iceberg.Schema) (definition.Definition, error) {
	def := definition.Definition{Tenant: namespace, Collection: table}
	names := map[int]string{}
	for _, f := range s.Fields() {
		d, err := fieldOf(f.Name, f.Type, f.Required, f.Doc)
		if err != nil {
			return def, err
		}
		names[f.ID] = f.Name
		def.Fields = append(def.Fields, d)
	}
	for _, id := range s.IdentifierFieldIDs {
		name, ok := names[id]
		if !ok {
			return def, &schema.FieldError{Field: "schema", Value: fmt.Sprint(id), Rule: "an identifier field is one of the table's own, and not nested"}
		}
		def.Key = append(def.Key, name)
	}
	return def, nil
}

func fieldOf(name string, t iceberg.Type, required bool, doc string) (definition.FieldDef, error) {
	typ, err := typeOf(t)
	if err != nil {
		return definition.FieldDef{}, fmt.Errorf("field %s: %w", name, err)
	}
	return definition.FieldDef{Name: name, Type: typ, Required: required, Doc: doc}, nil
}

func typeOf(t iceberg.Type) (out definition.TypeDef, err error) {
	part := func(name string, t iceberg.Type, required bool, doc string) {
		f, ferr := fieldOf(name, t, required, doc)
		if err == nil {
			err = ferr
		}
		out.Fields = append(out.Fields, f)
	}
	switch t := t.(type) {
	case iceberg.DecimalType:
		return definition.TypeDef{Kind: schema.KindDecimal, Precision: t.Precision(), Scale: t.Scale()}, nil
	case iceberg.FixedType:
		return definition.TypeDef{Kind: schema.KindFixed, Length: t.Len()}, nil
	case *iceberg.StructType:
		out.Kind = schema.KindStruct
		for _, f := range t.FieldList {
			part(f.Name, f.Type, f.Required, f.Doc)
		}
		return out, err
	case *iceberg.ListType:
		out.Kind = schema.KindList
		part("element", t.Element, t.ElementRequired, "")
		return out, err
	case *iceberg.MapType:
		out.Kind = schema.KindMap
		part("key", t.KeyType, true, "")
		part("value", t.ValueType, t.ValueRequired, "")
		return out, err
	}
	for kind := schema.KindBoolean; kind <= schema.KindBinary; kind++ {
		if strings.EqualFold(kind.String(), t.String()) {
			return definition.TypeDef{Kind: kind}, nil
		}
	}
	return out, fmt.Errorf("%w: a collection has no fields of type %s", schema.ErrUnsupported, t)
}
