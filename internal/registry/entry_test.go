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
	Options: schema.Options{LogRetention: 0, Lake: schema.LakePinned, LakeFreshness: time.Second, LakeFormat: 3, BeforeImages: true},
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
	return registry.Decode([]byte("nacme\x00a"), row, func(id schema.SchemaID) (*schema.Schema, error) { return &schema.Schema{ID: id}, nil })
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
				"62795f6e01016e020703000462795f7302017303016e02", fullEntry,
		},
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
	if whole != 8 {
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
	f.Fuzz(func(t *testing.T, row []byte) {
		c, err := decodeWith(row)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeWith(registry.Encode(c))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%x: %+v, again %+v, %v", row, c, again, err)
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
