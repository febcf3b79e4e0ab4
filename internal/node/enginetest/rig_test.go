// Package enginetest_test drives sync's engine on stores in memory, with
// definitions, stores and bounds that a whole node does not let a test choose. It
// lies here because sync itself, its tests included, knows no object store.
package enginetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Badger's and Ristretto's own, which live as long as the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

// rig is an engine on stores in memory, with definitions that a test changes
// at will.
type rig struct {
	t       *testing.T
	engine  *sync.Engine
	channel *log.Channel
	index   *kvindex.Index
	lake    *lakehouse.Lake
	catalog *catalog
}

// stores are what an engine keeps its state in, and finds again when it is
// started once more.
type stores struct {
	dir     string // of the index
	log     *blob.Mem
	objects lakehouse.Objects
	lake    lakehouse.Options // all but the store
	catalog *catalog
	change  func(*rig, *log.Options) // nil: the log has the usual ones
}

func newStores(t *testing.T, objects lakehouse.Objects) stores {
	return stores{dir: t.TempDir(), log: blob.NewMem(), objects: objects, catalog: &catalog{
		collections: map[schema.Instance]*schema.Collection{}, schemas: map[schema.SchemaID]*schema.Schema{},
	}}
}

// newRig starts an engine; objects is the lake's store, nil for one in memory.
func newRig(t *testing.T, objects lakehouse.Objects, o sync.Options) *rig {
	t.Helper()
	if objects == nil {
		objects = blob.NewMem()
	}
	return newRigOn(t, newStores(t, objects), o)
}

// newRigOn starts an engine on some stores.
func newRigOn(t *testing.T, at stores, o sync.Options) *rig {
	t.Helper()
	r := &rig{t: t, catalog: at.catalog}
	var err error
	must := func(what string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	r.index, err = kvindex.Open(kvindex.Options{Dir: at.dir, MinFreeBytes: -1})
	must("open index")
	lo := log.Options{
		Store: at.log, WriterID: "test", State: r.index, Stager: r.index, Applied: r.index.Applied(),
		CatchUp: func(ctx context.Context, c *schema.Chunk) error { return sync.ApplyChunks(ctx, r.index, dropped, c) },
	}
	if at.change != nil {
		at.change(r, &lo)
	}
	r.channel, err = log.Open(context.Background(), lo)
	must("open log")
	at.lake.Objects, at.lake.BaseURI = at.objects, "file:///lake"
	r.lake, err = lakehouse.Open(at.lake)
	must("open lake")
	o.Log, o.Index, o.Lake, o.Catalog = r.channel, r.index, r.lake, r.catalog
	o.Dropped = dropped
	r.engine, err = sync.Open(o)
	must("open engine")
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := errors.Join(r.channel.Close(ctx), r.engine.Close(ctx), r.index.Close(ctx)); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// dropped is what the registry would tell of a record.
func dropped(rec schema.Record) (schema.Instance, bool) {
	return schema.Instance(rec.Key[0]), rec.Op == schema.OpDelete
}

// append writes one batch and returns when it is durable.
func (r *rig) append(c *schema.Collection, records ...schema.Record) log.Ack {
	r.t.Helper()
	ack, err := r.tryAppend(c, records)
	if err != nil {
		r.t.Fatal(err)
	}
	return ack
}

// appendBeside writes one batch while the test goes on.
func (r *rig) appendBeside(c *schema.Collection, records ...schema.Record) {
	go func() {
		if _, err := r.tryAppend(c, records); err != nil {
			r.t.Error(err)
		}
	}()
}

func (r *rig) tryAppend(c *schema.Collection, records []schema.Record) (log.Ack, error) {
	return r.channel.Append(context.Background(), log.Append{
		Groups: []log.AppendGroup{{Instance: c.Instance, Records: records}},
	})
}

// upsert is a record of c, as of its schema.
func upsert(c *schema.Collection, values ...schema.Value) schema.Record {
	rec := schema.Record{Op: schema.OpInsert, Row: c.Schema.AppendRow(nil, values)}
	if c.Schema.Keyed() {
		rec.Op, rec.Key = schema.OpUpsert, c.Schema.AppendKey(nil, values)
	}
	return rec
}

// drop ends the collection as the registry would, and waits for the index.
func (r *rig) drop(c *schema.Collection) {
	r.t.Helper()
	r.catalog.remove(c.Instance)
	ack, err := r.channel.Append(context.Background(), log.Append{Groups: []log.AppendGroup{{
		Instance: schema.InstanceCollections, Records: []schema.Record{{Op: schema.OpDelete, Key: []byte{byte(c.Instance)}}},
	}}})
	if err != nil {
		r.t.Error(err)
		return
	}
	if err := r.index.Wait(context.Background(), ack.Position); err != nil {
		r.t.Error(err)
	}
}

// rows are a scan's rows, as text.
func (r *rig) rows(c *schema.Collection, q query.Scan) []string {
	r.t.Helper()
	s, err := r.engine.Scan(context.Background(), c, q)
	if err != nil {
		r.t.Fatal(err)
	}
	rows, err := textRows(s)
	if err != nil {
		r.t.Fatal(err)
	}
	return rows
}

func textRows(s *sync.Scan) (rows []string, err error) {
	for batch, err := range s.Batches {
		if err != nil {
			return rows, err
		}
		for i := range int(batch.NumRows()) {
			text := ""
			for _, col := range batch.Columns() {
				text += col.ValueStr(i) + " "
			}
			rows = append(rows, text[:len(text)-1])
		}
	}
	return rows, nil
}

// catalog is definitions that a test changes.
type catalog struct {
	mu          stdsync.Mutex
	collections map[schema.Instance]*schema.Collection
	schemas     map[schema.SchemaID]*schema.Schema
}

// define makes a collection what the schema says; it is the first one or an
// evolution.
func (k *catalog) define(inst schema.Instance, s *schema.Schema) *schema.Collection {
	c := &schema.Collection{
		Tenant: "acme", Name: fmt.Sprintf("c%d", inst), Instance: inst, Schema: s,
		Options: schema.DefaultOptions(), Created: time.Now(),
	}
	k.put(c)
	return c
}

func (k *catalog) put(c *schema.Collection) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.collections[c.Instance], k.schemas[c.Schema.ID] = c, c.Schema
}

func (k *catalog) remove(inst schema.Instance) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.collections, inst)
}

func (k *catalog) ByInstance(_ context.Context, inst schema.Instance) (*schema.Collection, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.collections[inst]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("instance %d: %w", inst, schema.ErrNotFound)
}

func (k *catalog) Pinned(_ context.Context, fn func(schema.Instance) (bool, error)) error {
	k.mu.Lock()
	var pinned []schema.Instance
	for inst, c := range k.collections {
		if c.Options.Lake == schema.LakePinned {
			pinned = append(pinned, inst)
		}
	}
	k.mu.Unlock()
	for _, inst := range pinned {
		if more, err := fn(inst); err != nil || !more {
			return err
		}
	}
	return nil
}

func (k *catalog) Schema(_ context.Context, id schema.SchemaID) (*schema.Schema, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.schemas[id]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("schema %d: %w", id, schema.ErrNotFound)
}

var (
	fieldID   = schema.Field{ID: 1, Name: "id", Type: schema.Type{Kind: schema.KindLong}, Required: true}
	fieldName = schema.Field{ID: 2, Name: "name", Type: schema.Type{Kind: schema.KindString}}
	fieldMore = schema.Field{ID: 3, Name: "more", Type: schema.Type{Kind: schema.KindString}}

	// items are keyed by id; events are not keyed.
	items  = &schema.Schema{ID: 1, Fields: []schema.Field{fieldID, fieldName}, Key: []int{0}, LastFieldID: 2}
	items2 = &schema.Schema{ID: 2, Fields: []schema.Field{fieldID, fieldName, fieldMore}, Key: []int{0}, LastFieldID: 3}
	events = &schema.Schema{ID: 3, Fields: []schema.Field{fieldID, fieldName}, LastFieldID: 2}
)

// item is a row of items or events.
func item(id int64, name string) []schema.Value {
	return []schema.Value{schema.Int(id), schema.String(name)}
}

// kindOf says what a table's object is.
func kindOf(name string) string {
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case strings.Contains(name, "/data/"):
		return "data"
	case strings.HasSuffix(base, ".metadata.json"):
		return "version"
	case strings.HasPrefix(base, "snap-"):
		return "list"
	case strings.HasSuffix(base, ".avro"):
		return "manifest"
	default:
		return base
	}
}

// snapshotIDs are the snapshots that a table's metadata names.
func snapshotIDs(t *testing.T, metadata []byte) (ids []int64) {
	t.Helper()
	var m struct {
		Snapshots []struct {
			ID int64 `json:"snapshot-id"`
		} `json:"snapshots"`
	}
	if err := json.Unmarshal(metadata, &m); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Snapshots {
		ids = append(ids, s.ID)
	}
	return ids
}
