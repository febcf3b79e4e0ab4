package registry_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	stdsync "sync"
	"testing"
	"testing/synctest"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Random changes of a named schema and of collections that take it, leave it and
// index its fields, by many at once, with chunks that are lost, or land and are not
// known to: what every registry reads is what is durable; uses are counted exactly;
// no collection lacks a field that it indexes; and no id of a field, in one life of
// a collection, ever means values of two types.
func TestSimulatedSchemas(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { simulateSchemas(t, seed) })
	}
}

// Fields of another name are of another type here.
var (
	schemaShapes = []string{"", fieldKind, fieldNote, fieldKind + "\n" + fieldNote, "  - {name: sort, type: string, was: kind}",
		"  - {name: sort, type: string, was: kind}\n  - {name: size, type: double}"}
	ownShapes = []string{
		"fields: [{name: id, type: long, required: true}]\nkey: [id]",
		"fields: [{name: id, type: long, required: true}, {name: kind, type: string}]\nkey: [id]",
		"fields: [{name: id, type: long, required: true}, {name: mine, type: boolean}]\nkey: [id]",
		"fields: [{name: id, type: long, required: true}, {name: kind, type: string}, {name: mine, type: boolean}]\nkey: [id]",
	}
	namedUses = []string{"schema: event", "schema: event", "schema: event\nindexes: [{name: k, fields: [kind]}]", "schema: event\nindexes: [{name: s, fields: [sort, id]}]"}
)

// drawFile is a change of a schema, of a collection, or of both at once.
func drawFile(t testing.TB, rnd *rand.Rand, names []string) (f definition.File) {
	if rnd.IntN(3) == 0 {
		f = event(t, schemaShapes[rnd.IntN(len(schemaShapes))])
		if rnd.IntN(3) > 0 {
			return f
		}
	}
	shapes := namedUses
	if rnd.IntN(3) == 0 {
		shapes = ownShapes
	}
	for _, name := range names {
		if rnd.IntN(2) == 0 {
			f.Collections = append(f.Collections, file(t, "tenant: acme\ncollection: "+name+"\n"+shapes[rnd.IntN(len(shapes))]).Collections...)
		}
	}
	if len(f.Collections) == 0 && len(f.Schemas) == 0 {
		return event(t)
	}
	return f
}

// meanings are the types that ids of fields had, by the collection's instance.
type meanings struct {
	mu    stdsync.Mutex
	types map[schema.Instance]map[int]string
}

func (m *meanings) check(t *testing.T, seed uint64, c *schema.Collection) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	of := m.types[c.Instance]
	if of == nil {
		of = map[int]string{}
		m.types[c.Instance] = of
	}
	for _, f := range c.Schema.Fields {
		if was, ok := of[f.ID]; ok && was != f.Type.String() {
			t.Fatalf("seed %d: field %d of %s, instance %d, is %s %s and was %s", seed, f.ID, c, c.Instance, f.Type, f.Name, was)
		}
		of[f.ID] = f.Type.String()
	}
}

func simulateSchemas(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	store := newMemStore()
	store.hold = true
	r := open(t, store)
	names := []string{"a", "b", "c"}
	seen := &meanings{types: map[schema.Instance]map[int]string{}}
	for range 15 {
		synctest.Test(t, func(t *testing.T) {
			var wg stdsync.WaitGroup
			for range 1 + rnd.IntN(6) {
				f, drop, name := drawFile(t, rnd, names), rnd.IntN(8), names[rnd.IntN(len(names))]
				wg.Go(func() {
					switch drop {
					case 0:
						_, _ = r.Drop(t.Context(), "acme", name)
					case 1:
						_ = r.DropSchema(t.Context(), "event")
					default:
						_, _, _ = r.ApplyFile(t.Context(), f, false)
					}
				})
				if rnd.IntN(2) == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			for _, name := range names { // fills caches while changes are under way
				if c, err := r.Get(t.Context(), "acme", name); err == nil {
					seen.check(t, seed, c)
				}
			}
			store.mu.Lock()
			n := len(store.waiting)
			store.mu.Unlock()
			switch keep := rnd.IntN(n + 1); rnd.IntN(4) {
			case 0, 1:
				store.land(n, nil, nil)
			case 2:
				store.land(keep, nil, schema.ErrUnavailable)
			default:
				store.land(keep, schema.ErrUnknownOutcome, schema.ErrUnknownOutcome)
			}
			wg.Wait()
		})
		agreeOnSchemas(t, seed, store, r, names, seen)
		if rnd.IntN(5) == 0 {
			r = open(t, store)
		}
	}
}

// agreeOnSchemas compares a registry with one that has just been opened, and the
// rows of uses with the collections that there are.
func agreeOnSchemas(t *testing.T, seed uint64, store *memStore, used *registry.Registry, names []string, seen *meanings) {
	t.Helper()
	fresh := open(t, store)
	agree(t, seed, used, fresh, names)
	n, nerr := used.NamedSchema(t.Context(), "event")
	m, merr := fresh.NamedSchema(t.Context(), "event")
	if errors.Is(nerr, schema.ErrNotFound) != errors.Is(merr, schema.ErrNotFound) || nerr == nil && (n.ID != m.ID || n.Schema.ID != m.Schema.ID) {
		t.Fatalf("seed %d: the schema is %+v (%v), durable is %+v (%v)", seed, n, nerr, m, merr)
	}
	want := map[string]uint64{}
	count := func(c *schema.Collection, field int) {
		key := binary.BigEndian.AppendUint32([]byte{'u'}, uint32(c.Named))
		if field != 0 {
			key = binary.BigEndian.AppendUint32(key, uint32(field))
		}
		want[string(key)]++
	}
	list, err := fresh.List(context.Background(), "acme", "", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		seen.check(t, seed, c)
		fields := map[int]bool{}
		for _, x := range c.Indexes {
			for i, id := range x.FieldIDs {
				if at := c.Schema.IndexID(id); at < 0 || c.Schema.Fields[at].Name != x.Fields[i] {
					t.Fatalf("seed %d: %s has index %+v and fields %+v", seed, c, x, c.Schema.Fields)
				}
				fields[id] = true
			}
		}
		if c.Named == 0 {
			continue
		}
		if m == nil || c.Named != m.ID || c.Schema.ID != m.Schema.ID {
			t.Fatalf("seed %d: %s is of schema %d in version %d, there is %+v", seed, c, c.Named, c.Schema.ID, m)
		}
		count(c, 0)
		for id := range fields {
			count(c, id)
		}
	}
	got := 0
	for key, row := range store.durable.rows[schema.InstanceCollections] {
		if key[0] != 'u' {
			continue
		}
		got++
		if n, _ := binary.Uvarint(row); n != want[key] {
			t.Fatalf("seed %d: uses %x are %d, want %d", seed, key, n, want[key])
		}
	}
	if got != len(want) {
		t.Fatalf("seed %d: %d rows of uses, want %d", seed, got, len(want))
	}
}
