package arrowhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// NamedSchemas names, lists, changes and drops schemas that collections share.
type NamedSchemas interface {
	// Find finds a named schema, and tells how many collections have it;
	// schema.ErrNotFound when there is none.
	Find(ctx context.Context, name string) (n *schema.NamedSchema, collections uint64, err error)
	// List gives the named schemas whose names begin with prefix and sort after
	// after, sorted by name, at most limit of them.
	List(ctx context.Context, prefix, after string, limit int) ([]*schema.NamedSchema, error)
	// Apply is Collections.Apply for a file, which may have named schemas too: a
	// schema evolves for all collections that have it, at a cost that does not
	// depend on their number.
	Apply(ctx context.Context, file definition.File, dryRun bool) ([]AppliedSchema, []Applied, error)
	// Drop removes a named schema; schema.ErrConflict while collections have it,
	// schema.ErrNotFound when there is none.
	Drop(ctx context.Context, name string) error
}

// AppliedSchema is what the definition of a named schema came to, or would come to.
type AppliedSchema struct {
	Plan   definition.Plan
	Schema *schema.NamedSchema // as it is then
}

// namedSchemaView is a named schema as the routes under /v1/schemas show it.
type namedSchemaView struct {
	Name       string            `json:"name"`
	Version    schema.SchemaID   `json:"version"`
	Created    string            `json:"created"`
	Changed    string            `json:"changed"` // when this version came into force
	Key        []string          `json:"key"`
	Fields     []fieldView       `json:"fields"`
	Definition definition.Schema `json:"definition"` // the document, to be applied again
}

func viewOfSchema(n *schema.NamedSchema) namedSchemaView {
	v := namedSchemaView{
		Name: n.Name, Version: n.Schema.ID, Fields: fieldViews(n.Schema), Definition: definition.FromNamed(n),
		Created: n.Created.UTC().Format(time.RFC3339Nano), Changed: n.Changed.UTC().Format(time.RFC3339Nano),
	}
	v.Key = append([]string{}, v.Definition.Key...)
	return v
}

// schemaAnswer is one schema's part of the answer to applyCollections.
type schemaAnswer struct {
	Schema  string            `json:"schema"`
	Created bool              `json:"created"`
	Steps   []definition.Step `json:"steps"` // empty: nothing to do
}

// schemaName is the path's schema, its name checked.
func (q *request) schemaName() (string, error) {
	name := q.param("schema")
	return name, definition.CheckName("schema", name)
}

// listSchemas answers GET /v1/schemas: {"schemas":[…],"after":name or null}.
func listSchemas(q *request) error {
	limit, err := q.number("limit", DefaultListLimit, 1, MaxListLimit)
	if err != nil {
		return err
	}
	if err := q.await(""); err != nil {
		return err
	}
	page, err := q.s.backend.Named.List(q.ctx(), q.query.Get("prefix"), q.query.Get("after"), int(limit)+1)
	if err != nil {
		return err
	}
	answer := struct {
		Schemas []namedSchemaView `json:"schemas"`
		After   *string           `json:"after"`
	}{Schemas: []namedSchemaView{}}
	if len(page) > int(limit) { // there is more
		page = page[:limit]
		answer.After = &page[limit-1].Name
	}
	for _, n := range page {
		answer.Schemas = append(answer.Schemas, viewOfSchema(n))
	}
	return q.object(http.StatusOK, answer)
}

// getSchema answers GET /v1/schemas/{schema}.
func getSchema(q *request) error {
	name, err := q.schemaName()
	if err != nil {
		return err
	}
	if err := q.await(""); err != nil {
		return err
	}
	n, collections, err := q.s.backend.Named.Find(q.ctx(), name)
	if err != nil {
		return err
	}
	return q.object(http.StatusOK, struct {
		namedSchemaView
		Collections uint64 `json:"collections"` // that have it
	}{viewOfSchema(n), collections})
}

// putSchema answers PUT /v1/schemas/{schema}: the plan, and the schema after it.
func putSchema(q *request) error {
	name, err := q.schemaName()
	if err != nil {
		return err
	}
	dryRun, err := q.flag("dry_run")
	if err != nil {
		return err
	}
	def, err := q.schemaDefinition(name)
	if err != nil {
		return err
	}
	applied, _, err := q.s.backend.Named.Apply(q.ctx(), definition.File{Schemas: []definition.Schema{def}}, dryRun)
	if err != nil {
		return err
	}
	pos := q.s.backend.Positions.Current("")
	q.setPosition(pos)
	answer := struct {
		DryRun   bool              `json:"dry_run"`
		Created  bool              `json:"created"`
		Steps    []definition.Step `json:"steps"` // empty: nothing to do
		Position string            `json:"position"`
		Schema   namedSchemaView   `json:"schema"` // in force, or as it would be
	}{DryRun: dryRun, Position: pos.String(), Schema: viewOfSchema(applied[0].Schema)}
	answer.Created, answer.Steps = told(applied[0].Plan)
	if answer.Created && !dryRun {
		return q.object(http.StatusCreated, answer)
	}
	return q.object(http.StatusOK, answer)
}

// schemaDefinition reads a named schema from the body; the path names it.
func (q *request) schemaDefinition(name string) (def definition.Schema, err error) {
	data, err := q.definitionText(MaxDefinitionBytes)
	if err != nil {
		return def, err
	}
	if def, err = definition.ParseSchema(data); err != nil {
		return def, err
	}
	if def.Name != "" && def.Name != name {
		return def, &schema.FieldError{Field: "schema", Value: def.Name,
			Rule: fmt.Sprintf("the path names schema %q; leave it out of the body or make them agree", name)}
	}
	def.Name = name
	return def, def.Validate()
}

// deleteSchema answers DELETE /v1/schemas/{schema}.
func deleteSchema(q *request) error {
	name, err := q.schemaName()
	if err != nil {
		return err
	}
	if err := q.s.backend.Named.Drop(q.ctx(), name); err != nil {
		if errors.Is(err, schema.ErrNotFound) {
			return fmt.Errorf("schema %s: %w", name, schema.ErrNotFound)
		}
		return err
	}
	q.setPosition(q.s.backend.Positions.Current(""))
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
