package arrowhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// collectionView is a collection as GET C, PUT C and the list show it.
type collectionView struct {
	Tenant     string                `json:"tenant"`
	Collection string                `json:"collection"`
	Created    string                `json:"created,omitempty"`
	Keyed      bool                  `json:"keyed"`
	Key        []string              `json:"key"`
	Schema     schemaView            `json:"schema"`
	Definition definition.Definition `json:"definition"` // the collection file, to be applied again
}

type schemaView struct {
	Name    string          `json:"name,omitempty"` // of a named schema
	Version schema.SchemaID `json:"version"`
	Fields  []fieldView     `json:"fields"`
}

type fieldView struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
	Doc      string `json:"doc,omitempty"`
}

func viewOf(c *schema.Collection) collectionView {
	v := collectionView{
		Tenant: c.Tenant, Collection: c.Name, Keyed: c.Schema.Keyed(), Key: []string{},
		Schema:     schemaView{Name: c.SchemaName, Version: c.Schema.ID, Fields: fieldViews(c.Schema)},
		Definition: definition.FromCollection(c),
	}
	if !c.Created.IsZero() {
		v.Created = c.Created.UTC().Format(time.RFC3339Nano)
	}
	for _, i := range c.Schema.Key {
		v.Key = append(v.Key, c.Schema.Fields[i].Name)
	}
	return v
}

func fieldViews(s *schema.Schema) []fieldView {
	out := []fieldView{}
	for _, f := range s.Fields {
		out = append(out, fieldView{f.ID, f.Name, f.Type.String(), f.Required, f.Doc})
	}
	return out
}

// statusView is what GET C tells beside collectionView.
type statusView struct {
	collectionView
	Rows     int64      `json:"rows"`
	FirstSeq schema.Seq `json:"first_seq"` // of the log: changes below are forgotten
	NextSeq  schema.Seq `json:"next_seq"`
	LastTime *string    `json:"last_time"` // of the newest change; null: there is none
	Position string     `json:"position"`
	Log      storeView  `json:"log"`
	Index    storeView  `json:"index"`
	Lake     lakeView   `json:"lake"`

	Indexes []indexView `json:"indexes"` // secondary ones
}

type indexView struct {
	Name     string   `json:"name"`
	Fields   []string `json:"fields"`
	Unique   bool     `json:"unique"`
	State    string   `json:"state"`     // building, ready or failed
	RowsDone int64    `json:"rows_done"` // that its build has read
	Rows     int64    `json:"rows"`
	Reason   string   `json:"reason,omitempty"` // why it failed
}

// indexViews joins what indexes were declared with how far they are. One whose
// definition has not come to its store yet is building.
func indexViews(c *schema.Collection, st Status) []indexView {
	out := []indexView{}
	for _, x := range c.Indexes {
		v := indexView{Name: x.Name, Fields: x.Fields, Unique: x.Unique, State: "building", Rows: st.Rows}
		for _, s := range st.Indexes {
			if s.Name == x.Name {
				v.State, v.RowsDone, v.Rows, v.Reason = s.State, min(s.RowsDone, s.Rows), s.Rows, s.Reason
			}
		}
		if v.State == "ready" {
			v.RowsDone = v.Rows
		}
		out = append(out, v)
	}
	return out
}

type storeView struct {
	NextSeq    schema.Seq `json:"next_seq"`
	LagChanges uint64     `json:"lag_changes"`
	LagMS      int64      `json:"lag_ms"`
	Bytes      int64      `json:"bytes"`
}

type lakeView struct {
	storeView
	Location string `json:"location"` // "" while there is no table
	Snapshot int64  `json:"snapshot"` // 0 while there is none
	Files    int64  `json:"files"`
}

func (st Status) store(s StoreStatus) storeView {
	v := storeView{NextSeq: s.NextSeq, LagMS: s.LagMicros / 1000, Bytes: s.Bytes}
	if s.NextSeq < st.NextSeq {
		v.LagChanges = uint64(st.NextSeq - s.NextSeq)
	}
	return v
}

// getCollection answers GET C.
func getCollection(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	st, err := q.s.backend.Describer.Describe(q.ctx(), c)
	if err != nil {
		return err
	}
	x, err := q.s.backend.Changes.Extent(q.ctx(), c, st.NextSeq, st.NextSeq)
	if err != nil {
		return err
	}
	return q.object(http.StatusOK, statusView{
		collectionView: viewOf(c), Rows: st.Rows, FirstSeq: st.FirstSeq, NextSeq: st.NextSeq, LastTime: timeText(x.LastMicros), Position: st.Position.String(),
		Log: st.store(st.Log), Index: st.store(st.Index),
		Lake:    lakeView{st.store(st.Lake.StoreStatus), st.Lake.Location, st.Lake.SnapshotID, st.Lake.Files},
		Indexes: indexViews(c, st),
	})
}

// listCollections answers GET /v1/tenants/{tenant}/collections:
// {"collections":[…],"after":name or null}.
func listCollections(q *request) error {
	tenant, err := q.tenant()
	if err != nil {
		return err
	}
	limit, err := q.number("limit", DefaultListLimit, 1, MaxListLimit)
	if err != nil {
		return err
	}
	if err := q.await(tenant); err != nil {
		return err
	}
	page, err := q.s.backend.Collections.List(q.ctx(), tenant, q.query.Get("prefix"), q.query.Get("after"), int(limit)+1)
	if err != nil {
		return err
	}
	answer := struct {
		Collections []collectionView `json:"collections"`
		After       *string          `json:"after"`
	}{Collections: []collectionView{}}
	if len(page) > int(limit) { // there is more
		page = page[:limit]
		answer.After = &page[limit-1].Name
	}
	for _, c := range page {
		answer.Collections = append(answer.Collections, viewOf(c))
	}
	return q.object(http.StatusOK, answer)
}

// putCollection answers PUT C: the plan, and the collection after it.
func putCollection(q *request) error {
	tenant, name, err := q.names()
	if err != nil {
		return err
	}
	dryRun, err := q.flag("dry_run")
	if err != nil {
		return err
	}
	def, err := q.definition(tenant, name)
	if err != nil {
		return err
	}
	applied, err := q.s.backend.Collections.Apply(q.ctx(), []definition.Definition{def}, dryRun)
	if err != nil {
		return err
	}
	plan, c := applied[0].Plan, applied[0].Collection
	answer := struct {
		DryRun     bool              `json:"dry_run"`
		Created    bool              `json:"created"`
		Steps      []definition.Step `json:"steps"` // empty: nothing to do
		Position   string            `json:"position"`
		Collection *collectionView   `json:"collection"` // in force; null when a dry run would create it
	}{DryRun: dryRun}
	answer.Created, answer.Steps = told(plan)
	if c != nil {
		v := viewOf(c)
		answer.Collection = &v
	}
	pos := q.s.backend.Positions.Current(tenant)
	answer.Position = pos.String()
	q.setPosition(pos)
	if answer.Created && !dryRun {
		return q.object(http.StatusCreated, answer)
	}
	return q.object(http.StatusOK, answer)
}

// told is a plan as answers tell it.
func told(p definition.Plan) (created bool, steps []definition.Step) {
	steps = append([]definition.Step{}, p.Steps...)
	return slices.ContainsFunc(steps, func(s definition.Step) bool { return s.Kind == definition.StepCreate }), steps
}

// appliedAnswer is one collection's part of the answer to applyCollections.
type appliedAnswer struct {
	Collection string            `json:"collection"`
	Created    bool              `json:"created"`
	Steps      []definition.Step `json:"steps"` // empty: nothing to do
}

// applyCollections answers POST /v1/tenants/{tenant}/collections: it applies a
// file of up to MaxListLimit collections and the named schemas in it, all or none.
func applyCollections(q *request) error {
	tenant, err := q.tenant()
	if err != nil {
		return err
	}
	dryRun, err := q.flag("dry_run")
	if err != nil {
		return err
	}
	file, err := q.collectionFile(tenant)
	if err != nil {
		return err
	}
	schemas, applied, err := q.s.backend.Named.Apply(q.ctx(), file, dryRun)
	if err != nil {
		return err
	}
	pos := q.s.backend.Positions.Current(tenant)
	q.setPosition(pos)
	answer := struct {
		DryRun      bool            `json:"dry_run"`
		Position    string          `json:"position"`
		Schemas     []schemaAnswer  `json:"schemas,omitempty"`
		Collections []appliedAnswer `json:"collections"`
	}{dryRun, pos.String(), make([]schemaAnswer, len(schemas)), make([]appliedAnswer, len(applied))}
	for i, a := range schemas {
		answer.Schemas[i].Schema = file.Schemas[i].Name
		answer.Schemas[i].Created, answer.Schemas[i].Steps = told(a.Plan)
	}
	for i, a := range applied {
		answer.Collections[i].Collection = file.Collections[i].Collection
		answer.Collections[i].Created, answer.Collections[i].Steps = told(a.Plan)
	}
	return q.object(http.StatusOK, answer)
}

// collectionFile reads a file of collections of a tenant from the body.
func (q *request) collectionFile(tenant string) (file definition.File, err error) {
	data, err := q.definitionText(definition.MaxFileBytes)
	if err != nil {
		return file, err
	}
	if file, err = definition.ParseFileOf(tenant, data); err != nil {
		return file, err
	}
	if n := len(file.Collections); n > MaxListLimit {
		return file, fmt.Errorf("body defines %d collections, at most %d are applied at once, send several: %w", n, MaxListLimit, schema.ErrTooLarge)
	}
	for _, d := range file.Collections {
		if d.Tenant != tenant {
			return file, &schema.FieldError{Field: "tenant", Value: d.Tenant,
				Rule: fmt.Sprintf("the path names tenant %q; leave it out of the body or make them agree", tenant)}
		}
	}
	return file, nil
}

// definitionText reads a collection file of up to most bytes.
func (q *request) definitionText(most int64) ([]byte, error) {
	if err := q.wantType(typeJSON, "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml",
		"text/plain", "application/x-www-form-urlencoded"); err != nil { // the last is what curl -d says
		return nil, err
	}
	body := q.body(most)
	data, err := io.ReadAll(body)
	return data, body.cause(err)
}

// definition reads a collection file from the body; the path names it.
func (q *request) definition(tenant, name string) (def definition.Definition, err error) {
	data, err := q.definitionText(MaxDefinitionBytes)
	if err != nil {
		return def, err
	}
	if def, err = definition.ParseOne(data); err != nil {
		return def, err
	}
	for _, part := range []struct {
		what  string
		got   *string
		wants string
	}{{"tenant", &def.Tenant, tenant}, {"collection", &def.Collection, name}} {
		if *part.got != "" && *part.got != part.wants {
			return def, &schema.FieldError{Field: part.what, Value: *part.got,
				Rule: fmt.Sprintf("the path names %s %q; leave it out of the body or make them agree", part.what, part.wants)}
		}
		*part.got = part.wants
	}
	return def, def.Validate()
}

// deleteCollection answers DELETE C.
func deleteCollection(q *request) error {
	tenant, name, err := q.names()
	if err != nil {
		return err
	}
	if err := q.s.backend.Collections.Drop(q.ctx(), tenant, name); err != nil {
		if errors.Is(err, schema.ErrNotFound) {
			return fmt.Errorf("collection %s/%s: %w", tenant, name, schema.ErrNotFound)
		}
		return err
	}
	q.setPosition(q.s.backend.Positions.Current(tenant))
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
