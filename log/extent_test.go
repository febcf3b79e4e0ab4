package log_test

import (
	"context"
	"errors"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// TestExtent asks whether states of an index can be gone on from: before the channel
// was ever opened, while its hint is old, and after it was closed.
func TestExtent(t *testing.T) {
	ctx, store := t.Context(), blob.NewMem()
	holds := func(when string, chunk uint64, epoch schema.Epoch, want error) {
		t.Helper()
		x, err := log.ReadExtent(ctx, store, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Holds(ctx, []log.ChunkStore{store}, 0, schema.Position{Chunk: chunk}, epoch); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: chunk %d of epoch %d: %v, want %v", when, chunk, epoch, err, want)
		}
	}
	holds("no channel", 0, 0, nil)
	holds("no channel", 0, 1, schema.ErrPrecondition)
	holds("no channel", 1, 0, schema.ErrPrecondition)

	c, err := log.Open(ctx, log.Options{Store: store, WriterID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ack, err := c.Append(ctx, log.Append{Groups: []log.AppendGroup{{
		Instance: schema.FirstUserInstance, Records: []schema.Record{{Op: schema.OpInsert, Row: []byte("row")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Epoch() != 1 {
		t.Errorf("epoch %d", c.Epoch())
	}
	last := ack.Position.Chunk
	for _, when := range []string{"open", "closed"} {
		if when == "closed" {
			if err := c.Close(ctx); err != nil {
				t.Fatal(err)
			}
		}
		holds(when, 0, 1, nil)
		holds(when, last, 1, nil)
		holds(when, last, 2, schema.ErrPrecondition)
		holds(when, last+1, 1, schema.ErrPrecondition)
	}
	// Three zones: one is away, or behind.
	old := blob.NewMem()
	for _, tc := range []struct {
		zones []log.ChunkStore
		want  error
	}{
		{[]log.ChunkStore{old, store, old}, nil},
		{[]log.ChunkStore{awayStore{old}, old, store}, nil},
		{[]log.ChunkStore{awayStore{old}, old, old}, schema.ErrPrecondition},
		{[]log.ChunkStore{awayStore{old}, awayStore{old}, old}, schema.ErrUnavailable},
	} {
		x := log.Extent{Epoch: 1}
		if err := x.Holds(ctx, tc.zones, 0, ack.Position, 1); !errors.Is(err, tc.want) {
			t.Errorf("zones: %v, want %v", err, tc.want)
		}
	}
	x := log.Extent{Epoch: 1, Floor: 10, Hint: 20}
	if err := x.Holds(ctx, []log.ChunkStore{store}, 0, schema.Position{Chunk: 9}, 1); !errors.Is(err, schema.ErrTrimmed) {
		t.Errorf("below the floor: %v", err)
	}
	if err := x.Holds(ctx, []log.ChunkStore{store}, 0, schema.Position{Chunk: 10}, 1); err != nil {
		t.Errorf("at the floor: %v", err)
	}
	if err := x.Holds(ctx, []log.ChunkStore{store}, 0, schema.Position{Generation: 1, Chunk: 10}, 1); !errors.Is(err, schema.ErrPrecondition) {
		t.Errorf("of another generation: %v", err)
	}
}

// awayStore reads nothing.
type awayStore struct{ *blob.Mem }

func (awayStore) GetRange(context.Context, string, int64, int64) ([]byte, error) {
	return nil, schema.ErrUnavailable
}
