package rest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// maxCreateBytes bounds the body of a creation.
const maxCreateBytes = 4 << 20

// ErrExists is Source.Create's, where a table by that name is there.
var ErrExists = errors.New("exists")

// NewTable is a table that an engine wants to be made: a collection.
type NewTable struct {
	Schema     *iceberg.Schema // its field ids are the engine's, and not kept
	Properties iceberg.Properties
}

// create answers POST of tables. Where a table lies is Trine's to say: a location
// that is asked for is passed over, and the answer tells the table's.
func (q *call) create(namespace string) error {
	var body struct {
		Name       string                 `json:"name"`
		Schema     *iceberg.Schema        `json:"schema"`
		Spec       *iceberg.PartitionSpec `json:"partition-spec"`
		Order      *table.SortOrder       `json:"write-order"`
		Stage      bool                   `json:"stage-create"`
		Properties map[string]string      `json:"properties"`
	}
	if err := q.body(maxCreateBytes, &body); err != nil {
		return err
	}
	switch {
	case body.Name == "" || body.Schema == nil:
		return badRequest("want a name and a schema")
	case body.Stage:
		return notTaken("stage-create (CREATE TABLE … AS SELECT) is not taken: create the table, then insert")
	case body.Spec != nil && !body.Spec.IsUnpartitioned():
		return notTaken("partition-spec: partitions are the collection's; create it by trine apply")
	case body.Order != nil && !body.Order.IsUnsorted():
		return notTaken("write-order: the sort order is the collection's; create it by trine apply")
	}
	location, metadata, err := q.source.Create(q.r.Context(), namespace, body.Name, NewTable{body.Schema, body.Properties})
	if errors.Is(err, ErrExists) {
		return tableExists(namespace, body.Name)
	}
	if errors.Is(err, schema.ErrUnsupported) {
		return notTaken(err.Error())
	}
	if err != nil {
		return err
	}
	return q.loaded(namespace, body.Name, location, metadata)
}

// loaded answers with a table that was made or changed.
func (q *call) loaded(namespace, table, location string, metadata []byte) error {
	q.w.Header().Set("ETag", etag(location, ""))
	return q.answer(namespace, table, location, metadata)
}

// drop answers DELETE of a table: the collection ends, its log too.
func (q *call) drop(namespace, name string) error {
	if !q.opts.Drops {
		return failure(http.StatusForbidden, "ForbiddenException",
			"engines may not drop collections here: use trine drop "+namespace+"/"+name+", or start the server with iceberg_drop=on")
	}
	err := q.source.Drop(q.r.Context(), namespace, name)
	if errors.Is(err, schema.ErrNotFound) {
		return noSuchTable(namespace, name)
	}
	if err == nil {
		q.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// createNamespace answers POST of namespaces. A tenant is there while it has a
// collection: nothing is kept of one that has none.
func (q *call) createNamespace() error {
	var body struct {
		Namespace []string `json:"namespace"`
	}
	if err := q.body(maxCreateBytes, &body); err != nil {
		return err
	}
	if len(body.Namespace) != 1 || body.Namespace[0] == "" {
		return badRequest(fmt.Sprintf("namespace: want one part, not %d: tenants hold no tenants", len(body.Namespace)))
	}
	name := body.Namespace[0]
	if q.scope != "" && q.scope != name {
		return failure(http.StatusForbidden, "ForbiddenException", "the warehouse is tenant "+quote(q.scope))
	}
	ok, err := q.source.Exists(q.r.Context(), name, "")
	if err != nil {
		return err
	}
	if ok {
		return namespaceExists(name)
	}
	if err := q.source.CheckNamespace(name); err != nil {
		return err
	}
	return q.json(map[string]any{"namespace": body.Namespace, "properties": map[string]string{}})
}

// dropNamespace answers DELETE of a namespace: one that is there has tables.
func (q *call) dropNamespace(name string) error {
	if err := q.mustExist(name); err != nil {
		return err
	}
	return failure(http.StatusConflict, "NamespaceNotEmptyException", "Namespace is not empty: "+shortened(name)+"; it goes with its last collection")
}

// rename answers POST of tables/rename.
func (q *call) rename() error {
	return failure(http.StatusNotAcceptable, "UnsupportedOperationException",
		"collections cannot be renamed: create one by the new name, and write to it")
}
