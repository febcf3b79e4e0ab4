package registry_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
)

var fullEntry = &schema.Collection{
	Tenant: "acme", Name: "a", Instance: 300, Schema: &schema.Schema{ID: 5},
	Created: time.UnixMicro(1_700_000_000_000_001).UTC(), LastIndexID: 3,
	Options: schema.Options{
		LogRetention: 0, Lake: schema.LakePinned, LakeFreshness: time.Second, LakeFormat: 3, BeforeImages: true,
		LakePartition: []schema.PartitionField{
			{FieldID: 2, Transform: schema.Transform{Kind: schema.TransformBucket, Width: 300}},
			{FieldID: schema.TimeColumnID, Transform: schema.Transform{Kind: schema.TransformDay}},
		},
		LakeSort: []schema.SortField{{FieldID: 3}, {FieldID: 2, Desc: true, NullsLast: true}},
	},
	Partitioned: []int{2, 9, schema.TimeColumnID},
	Indexes: []schema.IndexSpec{
		{ID: 2, Name: "by_n", Fields: []string{"n"}, FieldIDs: []int{2}, Unique: true},
		{ID: 3, Name: "by_s", Fields: []string{"s", "n"}, FieldIDs: []int{3, 2}},
	},
}

func plainEntry() *schema.Collection {
	return &schema.Collection{
		Tenant: "acme", Name: "a", Instance: 300, Schema: &schema.Schema{ID: 5},
		Created: fullEntry.Created, Options: schema.DefaultOptions(),
	}
}

func decodeWith(row []byte) (*schema.Collection, error) {
	return registry.Decode([]byte("nacme\x00a"), row, numbered, func(id schema.NamedSchemaID) (*schema.NamedSchema, error) {
		return &schema.NamedSchema{ID: id, Name: "event", Schema: &schema.Schema{ID: 77, Fields: []schema.Field{{ID: 2, Name: "new"}}}}, nil
	})
}

func numbered(id schema.SchemaID) (*schema.Schema, error) { return &schema.Schema{ID: id}, nil }

// namedEntry is of a named schema; its index is on a field that was renamed since.
func namedEntry() *schema.Collection {
	c := plainEntry()
	c.Named, c.SchemaName, c.Schema = 9, "event", &schema.Schema{ID: 77, Fields: []schema.Field{{ID: 2, Name: "new"}}}
	c.LastIndexID, c.Indexes = 1, []schema.IndexSpec{{ID: 1, Name: "by_old", Fields: []string{"new"}, FieldIDs: []int{2}}}
	return c
}

// The bytes of version 1; see docs/format/catalog.md.
func TestEntryGolden(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		c          *schema.Collection
	}{
		{"plain", "01ac02058280f28183898506", plainEntry()},
		{
			"full", "01ac02058280f281838985060100020670696e6e6564038094ebdc03040305060307020104" +
				"62795f6e01016e020703000462795f7302017303016e02" +
				"09020202ac02c2e3ffff070600" + "0a0203000203" + "0b030209c2e3ffff07", fullEntry,
		},
		{"named", "02ac02098280f28183898506060107010006" + "62795f6f6c6401" + "036e657702", namedEntry()},
	} {
		row := registry.Encode(tc.c)
		if got := hex.EncodeToString(row); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		if got, err := decodeWith(row); err != nil || !reflect.DeepEqual(got, tc.c) {
			t.Errorf("%s: read back %+v, %v", tc.name, got, err)
		}
	}
}

// Every prefix of an entry that is none itself, and bytes too many, are corrupt.
func TestEntryCutShort(t *testing.T) {
	row := registry.Encode(fullEntry)
	whole := 0
	for n := range row {
		if _, err := decodeWith(row[:n]); err == nil {
			whole++ // it ends between two members
		} else if !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if whole != 11 {
		t.Errorf("%d prefixes are entries, want one before each member", whole)
	}
	for _, wrong := range [][]byte{append(slices.Clone(row), 8), append(slices.Clone(row), 1, 1), {'{'}} {
		if _, err := decodeWith(wrong); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%x: %v", wrong, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(registry.Encode(plainEntry()))
	f.Add(registry.Encode(fullEntry))
	f.Add(registry.Encode(namedEntry()))
	f.Fuzz(func(t *testing.T, row []byte) {
		c, err := decodeWith(row)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeWith(registry.Encode(c)) // of a named schema, with the fields' names of today
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%x: %+v, again %+v, %v", row, c, again, err)
		}
	})
}

var namedSchema = &schema.NamedSchema{
	ID: 9, Name: "event", Schema: &schema.Schema{ID: 300},
	Created: time.UnixMicro(1_700_000_000_000_001).UTC(), Changed: time.UnixMicro(1_700_000_000_000_002).UTC(),
}

// The bytes of a named schema, version 1, and of what is cut short or too long.
func TestNamedGolden(t *testing.T) {
	row := registry.EncodeNamed(namedSchema)
	if got, want := hex.EncodeToString(row), "01ac028280f281838985068480f28183898506056576656e74"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got, err := registry.DecodeNamed(9, row, numbered); err != nil || !reflect.DeepEqual(got, namedSchema) {
		t.Errorf("read back %+v, %v", got, err)
	}
	for n := range row {
		if _, err := registry.DecodeNamed(9, row[:n], numbered); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := registry.DecodeNamed(9, append(row, 0), numbered); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzNamed(f *testing.F) {
	f.Add(registry.EncodeNamed(namedSchema))
	f.Fuzz(func(t *testing.T, row []byte) {
		n, err := registry.DecodeNamed(9, row, numbered)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := registry.DecodeNamed(9, registry.EncodeNamed(n), numbered)
		if err != nil || !reflect.DeepEqual(again, n) {
			t.Fatalf("%x: %+v, again %+v, %v", row, n, again, err)
		}
	})
}

// A pinned collection is listed from the record that pins it to the one that does
// not, or drops it.
func TestPinned(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	pinned := func() (list []schema.Instance) {
		t.Helper()
		err := r.Pinned(t.Context(), func(inst schema.Instance) (bool, error) {
			list = append(list, inst)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	apply := func(name, lake string) schema.Instance {
		t.Helper()
		d := define(t, "acme", name, "")
		d.Options.Lake = schema.LakeMode(lake)
		_, c, err := r.Apply(t.Context(), d, false)
		if err != nil {
			t.Fatal(err)
		}
		return c.Instance
	}
	a, b, c := apply("a", "pinned"), apply("b", "auto"), apply("c", "pinned")
	if got := pinned(); !slices.Equal(got, []schema.Instance{a, c}) {
		t.Errorf("pinned are %d, want %d and %d", got, a, c)
	}
	apply("a", "off")
	apply("b", "pinned")
	if got := pinned(); !slices.Equal(got, []schema.Instance{b, c}) {
		t.Errorf("pinned are %d, want %d and %d", got, b, c)
	}
	for _, name := range []string{"b", "c"} {
		if _, err := r.Drop(t.Context(), "acme", name); err != nil {
			t.Fatal(err)
		}
	}
	if got := pinned(); len(got) != 0 {
		t.Errorf("pinned are %d, all of them dropped or not pinned any more", got)
	}
}
