package lakehouse_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// partitioned is a table with one file a partition: by a bucket of the name, and by
// the id.
func partitioned(t testing.TB, store *blob.Mem) (*fixture, *schema.Collection) {
	f := &fixture{TB: t, dir: "/lake", objects: store}
	f.lake = f.open(store)
	c := collection(simple())
	c.Options.LakePartition = []schema.PartitionField{
		{FieldID: 2, Transform: schema.Transform{Kind: schema.TransformBucket, Width: 4}},
		{FieldID: 1, Transform: schema.Transform{Kind: schema.TransformTruncate, Width: 50}},
	}
	newTable(f, c).commit(simpleRows(0, 100), nil)
	return f, c
}

// object is the name of the only object with that end, and its bytes.
func object(t testing.TB, store *blob.Mem, end string) (string, []byte) {
	t.Helper()
	for name, err := range store.List(context.Background(), "", "") {
		if err == nil && strings.HasSuffix(name, end) {
			data, err := store.Get(context.Background(), name)
			if err != nil {
				t.Fatal(err)
			}
			return name, data
		}
	}
	t.Fatal("no object ends in ", end)
	return "", nil
}

func replaceObject(t testing.TB, store *blob.Mem, name string, data []byte) {
	t.Helper()
	if err := errors.Join(store.Delete(context.Background(), name), store.PutIfAbsent(context.Background(), name, data)); err != nil {
		t.Fatal(err)
	}
}

// Metadata whose partition specs are not those of its files, or not Trine's, is
// refused by the kind of what is wrong.
func TestDamagedPartitionSpecs(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		kind           error
	}{
		{"as it was", "", "", nil},
		{"values of another type", "bucket[4]", "identity", schema.ErrCorrupt},
		{"a field that is not there", `"source-id":2`, `"source-id":99`, nil},
		{"a transform of others", "bucket[4]", "zorder[4]", schema.ErrUnsupported},
		{"no buckets", "bucket[4]", "bucket[0]", schema.ErrCorrupt},
		{"another spec's id", `"spec-id":0`, `"spec-id":7`, schema.ErrCorrupt},
	} {
		store := blob.NewMem()
		f, c := partitioned(t, store)
		name, raw := object(t, store, "v1.metadata.json")
		if !bytes.Contains(raw, []byte(tc.old)) {
			t.Fatalf("%s: no %s in %s", tc.name, tc.old, raw)
		}
		replaceObject(t, store, name, bytes.ReplaceAll(raw, []byte(tc.old), []byte(tc.new)))
		_, err := f.open(store).Current(t.Context(), c)
		if (err != nil) != (tc.kind != nil) || tc.kind != nil && !errors.Is(err, tc.kind) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.kind)
		}
	}
}

// No manifest makes a reader panic, or tells it partitions that are not of the spec.
func FuzzPartitionedManifest(f *testing.F) {
	store := blob.NewMem()
	_, c := partitioned(f, store)
	name, raw := object(f, store, "-m0.avro")
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	r := seedtest.Rand(f)
	for range 300 {
		damaged := bytes.Clone(raw)
		for range 1 + r.IntN(3) {
			damaged[r.IntN(len(damaged))] = byte(r.Uint32())
		}
		f.Add(damaged)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		replaceObject(t, store, name, data)
		fresh := &fixture{TB: t, dir: "/lake"}
		snap, err := fresh.open(store).Current(t.Context(), c)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) && !errors.Is(err, schema.ErrUnsupported) {
				t.Fatalf("kind of error: %v", err)
			}
			return
		}
		snap.PlanRewrite(c.Schema)
		if _, err := snap.Layout(c.Schema); err != nil {
			t.Fatal(err)
		}
		for batch, err := range snap.Read(t.Context(), lakehouse.ReadOptions{Schema: c.Schema}) {
			if err != nil {
				return
			}
			_ = batch.NumRows()
		}
	})
}
